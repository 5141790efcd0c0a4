"""Elastic deformation of images with their labels, beside TorchIO and MONAI.

A random field of displacements that is smooth over a few control points; images are read linearly,
labels by nearest neighbour. MONAI's 3-D field is smoothed noise: it has no control points there.
"""

from functools import partial

import measure
import numpy as np

PLANES = [(256, 256)] * 8
VOLUME = [(48, 64, 48)]
POINTS, SD = 4, 4


def pairs(shapes):
    rng = np.random.default_rng(0)
    return [(rng.random(shape, "float32"), rng.integers(0, 3, shape, "uint8")) for shape in shapes]


def ours(shapes):
    from medseg_tf.data import augment

    transform, rng = augment.elastic(SD, POINTS), np.random.default_rng(1)
    cases = [(image[..., None], label) for image, label in pairs(shapes)]

    def deform():
        moved = [transform(image, label, rng) for image, label in cases]
        return {"voxels": sum(label.size for _, label in moved)}

    return deform


def monai(shapes):
    import torch
    from monai import transforms

    modes = {"keys": ("image", "label"), "prob": 1, "mode": ("bilinear", "nearest")}
    modes["padding_mode"] = "reflection"
    if len(shapes[0]) == 2:
        spacing = [size / (POINTS - 1) for size in shapes[0]]
        transform = transforms.Rand2DElasticd(spacing=spacing, magnitude_range=(SD, SD), **modes)
    else:
        transform = transforms.Rand3DElasticd(
            sigma_range=(5, 7), magnitude_range=(50, 150), **modes
        )
    cases = [
        {"image": torch.from_numpy(image)[None], "label": torch.from_numpy(label)[None]}
        for image, label in pairs(shapes)
    ]

    def deform():
        moved = [transform(case)["label"] for case in cases]
        return {"voxels": sum(label.numel() for label in moved)}

    return deform


def torchio(shapes):
    import torch
    import torchio as tio

    plane = len(shapes[0]) == 2
    most = (SD, SD, 0 if plane else SD)
    transform = tio.RandomElasticDeformation(
        num_control_points=7, max_displacement=most, locked_borders=0
    )
    subjects = []
    for arrays in pairs(shapes):
        image, label = (torch.from_numpy(a[..., None] if plane else a)[None] for a in arrays)
        subjects.append(
            tio.Subject(image=tio.ScalarImage(tensor=image), label=tio.LabelMap(tensor=label))
        )

    def deform():
        moved = [transform(subject).label.data for subject in subjects]
        return {"voxels": sum(label.numel() for label in moved)}

    return deform


def row(work, shapes):
    peers = {"MONAI": partial(monai, shapes), "TorchIO": partial(torchio, shapes)}
    return measure.Row(work, partial(ours, shapes), peers, mark=3)


ROWS = [
    row("elastic, 8 images of 256 x 256 with labels", PLANES),
    row("elastic, a volume of 48 x 64 x 48 with label", VOLUME),
]

if __name__ == "__main__":
    measure.main(__doc__, ROWS)
