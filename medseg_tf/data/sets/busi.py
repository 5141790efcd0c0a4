"""Read BUSI: ultrasound of the breast, lesions outlined, and some pictures without any.

Layout: `KIND/KIND (N).png` one picture, `KIND/KIND (N)_mask.png` its lesion, and `_mask_1.png` ...
further ones of the same picture; KIND is benign, malignant or normal.
"""

import re
from functools import partial

import numpy as np

from medseg_tf.data.case import Case, Scan
from medseg_tf.errors import ConfigError, GeometryError

KINDS = ("benign", "malignant", "normal")


def fits(folder):
    """Whether the folder has the layout of BUSI."""
    return bool(pictures(folder, KINDS))


def plan(folder, kinds=KINDS):
    """List the pictures: (subject, read), read() -> Case, grey, 1 the lesions together.

    Every picture is a subject of its own: the set names no patients. The whole set holds many
    pictures nearly alike (Pawlowska et al., 2023), which a split should keep together.

    Args:
        folder: Path of the set.
        kinds: which of "benign", "malignant", "normal"; the last have no lesion.

    Raises:
        ConfigError: another kind.
    """
    kinds = [kinds] if isinstance(kinds, str) else list(kinds)
    if unknown := sorted(set(kinds) - set(KINDS)):
        raise ConfigError(f"kinds={kinds}: {unknown[0]!r} is none of {', '.join(KINDS)}.")
    return [(path.stem, partial(read_case, path, masks)) for path, masks in pictures(folder, kinds)]


def pictures(folder, kinds):
    """Return [(picture, [its masks])] of the pictures that have one, by kind and number."""
    found = []
    for kind in kinds:
        name = re.compile(rf"{kind} \((\d+)\)\.png")
        paths = [path for path in (folder / kind).glob("*.png") if name.fullmatch(path.name)]
        for path in sorted(paths, key=lambda path: int(name.fullmatch(path.name)[1])):
            mask = re.compile(re.escape(path.stem) + r"_mask(_\d+)?\.png")
            masks = [one for one in (folder / kind).iterdir() if mask.fullmatch(one.name)]
            if masks:
                found.append((path, sorted(masks)))
    return found


def read_case(path, masks):
    image = Scan.read(path, channels="gray")
    label = np.zeros(image.grid.shape, "uint8")
    for mask in masks:
        one = Scan.read(mask, label=True, channels="gray")
        if one.grid.shape != image.grid.shape:
            raise GeometryError(
                f"{mask} and its image {path} differ in shape: {one.grid.shape} and "
                f"{image.grid.shape}. Resample the label onto the image with nearest neighbour."
            )
        label |= one.array.astype(bool).astype("uint8")
    return Case(path.stem, image, Scan(label, image.grid), classes=2, name=path.stem)
