"""Read the 2018 Data Science Bowl set: nuclei in fluorescence and in stained tissue.

Layout: `stage1_train/ID/images/ID.png` one picture, `stage1_train/ID/masks/*.png` one file a
nucleus. Fluorescence is bright on dark, stained tissue dark on bright and in colour; nothing is
inverted here.
"""

from functools import partial

import numpy as np

from medseg_tf.data.case import Case, Scan
from medseg_tf.data.sets.sequences import grid
from medseg_tf.errors import GeometryError, LabelError


def fits(folder):
    """Whether the folder has the layout of the 2018 Data Science Bowl set."""
    return any(pictures(folder))


def plan(folder, channels="gray"):
    """List the pictures: (subject, read), read() -> Case with object numbers.

    Every picture is a subject of its own. `channels` is "gray" (luminance) or "rgb"; the files
    are RGBA, most of them without colour, and one network needs one number of channels.
    """
    return [(path.stem, partial(read_case, path, channels)) for path in pictures(folder)]


def pictures(folder):
    """Yield the paths of pictures that have masks, sorted by name."""
    root = folder / "stage1_train" if (folder / "stage1_train").is_dir() else folder
    for path in sorted(root.glob("*/images/*.png")):
        if (path.parent.parent / "masks").is_dir():
            yield path


def read_case(path, channels):
    image = Scan.read(path, channels=channels).array
    where = grid(image.shape[:-1], None)
    label = merge(sorted((path.parent.parent / "masks").glob("*.png")), where.shape)
    return Case(path.stem, Scan(image, where), Scan(label, where), instances=True, name=path.stem)


def merge(mask_paths, shape):
    """Make one map of object numbers, int32 `shape`, from one mask file an object.

    Raises:
        GeometryError: a mask has another shape. LabelError: two masks share a pixel.
    """
    label = np.zeros(shape, "int32")
    for number, path in enumerate(mask_paths, start=1):
        inside = Scan.read(path, label=True).array > 0
        if inside.shape != shape:
            raise GeometryError(f"{path} is {inside.shape}, its picture {shape}; they must agree.")
        if shared := np.unique(label[inside & (label > 0)]).tolist():
            raise LabelError(
                f"{path} shares pixels with {mask_paths[shared[0] - 1].name}; a pixel belongs to "
                "one nucleus. Give the shared pixels to one of them."
            )
        label[inside] = number
    return label
