"""Read LungCT: axial slices of chest CT with a mask of both lungs.

Layout: `2d_images/ID_NNNN_Z_ZZZZ.tif`, N the patient and Z the slice, and `2d_masks/` of the same
names, 255 the lungs. Grey values are Hounsfield units, about; the files know no voxel size.
"""

import re

from medseg_tf.data.case import Scan
from medseg_tf.data.sets import labelled

NAME = re.compile(r"(ID_\d+)_Z_\d+\.tif")


def fits(folder):
    """Whether the folder has the layout of LungCT."""
    return bool(slices(folder))


def plan(folder):
    """List the slices: (subject, read), read() -> Case with classes 0 and 1.

    The subject is the patient.
    """
    files = [
        (NAME.fullmatch(path.name)[1], path.stem, [path], folder / "2d_masks" / path.name)
        for path in slices(folder)
    ]
    return labelled.plan(files, Scan.read, 2, {255: 1}, False)


def slices(folder):
    """Return the paths of slices that have a mask, sorted by name."""
    paths = sorted(folder.glob("2d_images/*.tif"))
    masks = {path.name for path in folder.glob("2d_masks/*.tif")}
    return [path for path in paths if NAME.fullmatch(path.name) and path.name in masks]
