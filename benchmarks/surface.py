"""HD95 and average surface distance of a pair of rough balls, beside MONAI and surface-distance.

MONAI takes the same surface voxels and so finds the same numbers. surface-distance weighs pieces of
surface by their area: its numbers are its own and are not compared.
"""

import measure
import numpy as np

SPACING = (1.5, 1.0, 1.0)


def rough_ball(seed, size=128, radius=40):
    from scipy import ndimage

    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(size,) * 3), 2)
    from_centre = np.sqrt(sum((axis - size / 2) ** 2 for axis in np.ogrid[(slice(size),) * 3]))
    return from_centre + 3 * noise / noise.std() < radius


def pair():
    return rough_ball(0), rough_ball(1)


def ours():
    from medseg_tf import metrics
    from medseg_tf.metrics import surface

    masks = pair()

    def score():
        lists = metrics.surface_distances(*masks, SPACING)
        return {"hd95": surface.farthest95(*lists), "assd": surface.average(*lists)}

    return score


def monai():
    import torch
    from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance

    truth, prediction = (torch.from_numpy(mask)[None, None] for mask in pair())
    asked = {"y_pred": prediction, "y": truth, "include_background": True, "spacing": SPACING}

    def score():
        hd95 = compute_hausdorff_distance(**asked, percentile=95)
        return {
            "hd95": float(hd95),
            "assd": float(compute_average_surface_distance(**asked, symmetric=True)),
        }

    return score


def surface_distance():
    import surface_distance as library

    masks = pair()

    def score():
        distances = library.compute_surface_distances(*masks, SPACING)
        library.compute_robust_hausdorff(distances, 95)
        library.compute_average_surface_distance(distances)

    return score


ROWS = [
    measure.Row(
        "HD95 and ASD, two balls in 128 x 128 x 128",
        ours,
        {"MONAI": monai, "surface-distance": surface_distance},
        mark=2.4,
        tolerance=1e-5,
    )
]

if __name__ == "__main__":
    measure.main(__doc__, ROWS)
