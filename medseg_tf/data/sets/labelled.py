"""What readers of images with labels of classes share: channels, classes, one grid."""

import logging
from functools import cache, partial

import numpy as np

from medseg_tf.data.case import Case, Scan
from medseg_tf.errors import ConfigError, GeometryError, LabelError

log = logging.getLogger(__name__)


def plan(files, read_image, classes, relabel, allow_affine_mismatch, channels=None):
    """List cases from their files: (subject, read), read() -> Case.

    Args:
        files: list of (subject, name, image paths, label path).
        read_image: called with the image paths, returns a Scan.
        classes: how many, background included; None: the highest number in any label, plus 1, for
            which the first read() reads them all.
        relabel: {number in the files: class}, e.g. {255: 1} for masks of black and white; other
            numbers stay. None for no change.
        allow_affine_mismatch: put a label of its image's shape on the image's grid, wherever the
            label's own header puts it.
        channels: as in Scan.read, for the labels.

    Raises:
        ConfigError: classes or relabel is not what it should be.
    """
    if classes is not None and not (isinstance(classes, int | np.integer) and classes > 1):
        raise ConfigError(f"classes={classes!r}; expected a whole number from 2, or None to count.")
    if not isinstance(relabel, dict | None):
        raise ConfigError(f"relabel={relabel!r}; expected {{number in the file: class}} or None.")
    read_label = partial(_read_label, relabel=relabel or {}, channels=channels)

    @cache
    def count():
        return classes or count_classes([label for *_, label in files], read_label)

    def read(subject, name, image_paths, label_path):
        image, label = read_image(*image_paths), read_label(label_path)
        where = (label_path, image_paths[0])
        label = on_the_grid_of(image, label, where, allow_affine_mismatch)
        return Case(subject, image, label, classes=count(), name=name)

    return [(row[0], partial(read, *row)) for row in files]


def count_classes(paths, read_label):
    """Return the highest number in any of the labels plus 1; at least 2.

    Raises:
        LabelError: most of these classes would be in no label, so the numbers mean something else.
    """
    numbers = set()
    for path in paths:
        numbers.update(np.unique(read_label(path).array).tolist())
    classes = max(2, max(numbers) + 1)
    if classes > 2 * len(numbers):
        shown = ", ".join(map(str, sorted(numbers)[:8])) + (", ..." if len(numbers) > 8 else "")
        raise LabelError(
            f"the labels ({paths[0]}, ...) hold the numbers {shown}, which would make {classes} "
            "classes, most of them in no label. Say how many there are, classes=..., or give the "
            f"numbers a class, e.g. relabel={{{max(numbers)}: 1}}."
        )
    return classes


def on_the_grid_of(image, label, where, allow_affine_mismatch):
    """Return the label on the image's grid.

    Raises:
        GeometryError: they differ in shape; or in place, and that is not allowed.
    """
    files, grid = "{} and its image {}".format(*where), image.grid
    if label.grid.shape != grid.shape:
        raise GeometryError(
            f"{files} differ in shape: {label.grid.shape} and {grid.shape}. Resample the label "
            "onto the image with nearest neighbour."
        )
    if not label.grid.same_place(grid):
        apart = f"{files} lie up to {label.grid.corner_distance(grid):.4g} {grid.units} apart"
        if not allow_affine_mismatch:
            raise GeometryError(
                f"{apart}; they must share an affine (within 0.001). Repair the header that is "
                "wrong; or, where the voxels match one by one all the same, load with "
                "allow_affine_mismatch=True."
            )
        log.warning("%s; the image's affine is taken for both.", apart)
    return Scan(label.array, grid, label.header)


def read_channels(*paths):
    """Read an image whose channels are one file each, or the volumes of one: Scan of an image.

    Raises:
        GeometryError: files that differ in shape or place.
    """
    first, *others = [Scan.read(path, volume="all") for path in paths]
    for path, other in zip(paths[1:], others, strict=True):
        if not other.grid.same_place(first.grid):
            raise GeometryError(
                f"{path} and {paths[0]} are channels of one image and differ in shape or place. "
                "Resample them onto one grid."
            )
    arrays = [scan.array for scan in (first, *others)]
    array = np.concatenate(arrays, axis=-1) if others else first.array
    return Scan(array, first.grid, first.header)


def shown(things):
    """Return the first few of a list for a message."""
    return ", ".join(map(str, things[:3])) + (f" and {len(things) - 3} more" if things[3:] else "")


def _read_label(path, relabel, channels):
    scan = Scan.read(path, label=True, channels=channels)
    array = scan.array.copy() if relabel else scan.array
    for number, its_class in relabel.items():
        array[scan.array == number] = its_class
    return Scan(array, scan.grid, scan.header)
