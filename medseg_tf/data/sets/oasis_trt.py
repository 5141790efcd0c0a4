"""Read OASIS-TRT-20 slices: T1-weighted MR without skull, one slice a person, regions by hand.

Layout: `Atlases/NAME_slice118.nii.gz` and `Labels/NAME_DKT31_CMA_labels_slice118.nii.gz`, NAME the
person. The files hold FreeSurfer's numbers, which are made classes here, the left and the right
side of a structure the same one. White matter is not labelled: it is 0, as the outside is. The
second axis points to the front, although the headers say to the back.
"""

import re
from functools import partial

import numpy as np

from medseg_tf.data.case import Case, Scan
from medseg_tf.errors import LabelError

NAME = re.compile(r"(OASIS-TRT-20-(\d+))_DKT31_CMA_labels_(slice\d+)\.nii\.gz")
# Classes 1 to 4, and FreeSurfer's numbers for left and right.
DEEP = {
    "lateral ventricle": (4, 43),
    "thalamus": (10, 49),
    "caudate": (11, 50),
    "putamen": (12, 51),
}
# The 31 regions of the cortex have the number 1000 + k on the left and 2000 + k on the right.
CORTEX = [2, 3, *range(5, 32), 34, 35]


def fits(folder):
    """Whether the folder has the layout of the slices."""
    return bool(labels(folder))


def plan(folder, regions=False):
    """List the people by number: (subject, read), read() -> Case.

    Classes 1 to 4 are lateral ventricle, thalamus, caudate and putamen. What else is labelled
    (in few slices, and small) becomes 0.

    Args:
        folder: Path of the set.
        regions: make each of the 31 regions of the cortex a class, 5 to 35 in the order of
            FreeSurfer's numbers, instead of all of it class 5.
    """
    return [(name, partial(read_case, name, path, regions)) for name, path in labels(folder)]


def labels(folder):
    """Return [(person, path of the label)], sorted by the person's number."""
    paths = folder.glob("Labels/OASIS-TRT-20-*.nii.gz")
    found = [(match, path) for path in paths if (match := NAME.fullmatch(path.name))]
    return [(match[1], path) for match, path in sorted(found, key=lambda row: int(row[0][2]))]


def read_case(name, path, regions):
    cut = NAME.fullmatch(path.name)[3]
    image = Scan.read(path.parent.parent / "Atlases" / f"{name}_{cut}.nii.gz")
    label = Scan.read(path, label=True)
    classes = classes_of_numbers(regions)
    if label.array.min() < 0 or label.array.max() >= len(classes):
        raise LabelError(
            f"{path} holds numbers from {label.array.min()} to {label.array.max()}; FreeSurfer's "
            f"are 0 to {len(classes) - 1} here. Take the file as published."
        )
    label = Scan(classes[label.array], label.grid, label.header)
    return Case(name, image, label, classes=int(classes.max()) + 1, name=f"{name} {cut}")


def classes_of_numbers(regions):
    """The class of each of FreeSurfer's numbers: uint8 array that is indexed by the number."""
    classes = np.zeros(2000 + CORTEX[-1] + 1, "uint8")
    for its_class, numbers in enumerate(DEEP.values(), start=1):
        classes[list(numbers)] = its_class
    for index, region in enumerate(CORTEX):
        classes[[1000 + region, 2000 + region]] = len(DEEP) + 1 + index * regions
    return classes
