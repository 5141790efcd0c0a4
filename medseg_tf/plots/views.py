"""Which slices of an image to show, and which way round.

A volume whose grid is in mm is shown as radiologists hang it: the patient's right is at the left of
axial and coronal planes, the front at the left of sagittal ones, and front or head are on top.
Other volumes run to the right and up along their own axes.
"""

from typing import NamedTuple

import numpy as np

from medseg_tf.errors import GeometryError

ANATOMY = {2: ("axial", "RLAP"), 1: ("coronal", "RLSI"), 0: ("sagittal", "APSI")}


class View(NamedTuple):
    """One slice of an array."""

    title: str
    cut: object  # (*spatial, ...) -> (rows, columns, ...)
    spacing: np.ndarray  # of rows and columns
    sides: str = ""  # what lies left, right, above, below: four letters of R L A P S I


def fullest(shape, grid=None, label=None):
    """Return what of an array of spatial `shape` to show: a list of View.

    A plane is shown whole; a volume by one slice along each axis, through most labelled voxels or
    the middle.

    Raises: GeometryError unless there are 2 or 3 spatial axes.
    """
    if len(shape) == 2:
        return [View("", np.asarray, np.ones(2) if grid is None else grid.spacing)]
    if len(shape) != 3:
        raise GeometryError(
            f"an array of {len(shape)} spatial axes cannot be shown; pass a plane or a volume of "
            "them, such as array[..., 0]."
        )
    at = [size // 2 for size in shape]
    if label is not None and np.any(label):
        inside = np.asarray(label) > 0
        at = [int(inside.sum(axis=tuple({0, 1, 2} - {axis})).argmax()) for axis in range(3)]
    return [view(grid, normal, at) for normal in (2, 1, 0)]


def through(at):
    """Return a function like `fullest` for volumes, whose planes meet in the voxel `at`."""

    def views(shape, grid=None, label=None):
        check_volume(shape, at)
        return [view(grid, normal, at) for normal in (2, 1, 0)]

    return views


def axial(places):
    """Return a function like `fullest` for volumes: an axial slice for each index in `places`."""

    def views(shape, grid=None, label=None):
        return [view(grid, 2, [place] * 3) for place in places]

    return views


def held(shape, grid=None, label=None):
    """Return the indices of a volume's axial slices that a label holds, or of all, feet first.

    Without a grid in mm they lie along the last axis.
    """
    check_volume(shape)
    axis = file_axes(grid)[2]
    places = np.arange(shape[axis])
    if label is not None and np.any(label):
        places = np.flatnonzero(np.asarray(label).any(axis=tuple({0, 1, 2} - {axis})))
    return places[:: 1 if signs(grid)[axis] > 0 else -1]


def centre(shape, label=None):
    """Return the labelled voxel nearest to the label's centre of mass, or the array's middle."""
    voxels = np.argwhere(np.asarray(label) > 0) if label is not None else ()
    if not len(voxels):
        return tuple(size // 2 for size in shape)
    nearest = np.square(voxels - voxels.mean(axis=0)).sum(axis=1).argmin()
    return tuple(map(int, voxels[nearest]))


def check_volume(shape, at=(0, 0, 0)):
    """Raise GeometryError unless `shape` is a volume's and holds the voxel `at`."""
    if len(shape) != 3:
        raise GeometryError(
            f"an image of shape {tuple(shape)} has no three planes; use show_image for a plane."
        )
    if len(at) != 3 or not all(0 <= place < size for place, size in zip(at, shape, strict=True)):
        raise GeometryError(
            f"at={tuple(at)} is no voxel of a volume of shape {tuple(shape)}; give three indices "
            "within it, in the array's own order."
        )


def view(grid, normal, at):
    """Return the slice across one axis through the voxel `at`.

    Args:
        normal: 2 axial, 1 coronal, 0 sagittal; an axis of the array where no patient is known.
        at: index along each axis of the array; that across the slice counts.
    """
    axes = file_axes(grid)
    across, up = sorted({0, 1, 2} - {normal})
    order = axes[normal], axes[up], axes[across]
    index = at[order[0]]
    title, sides = f"{'xyz'[order[0]]} = {index}", ""
    turned = (True, False)  # rows run down, against their axis
    if patient(grid):
        name, sides = ANATOMY[normal]
        title = f"{name}, {title}"
        turned = [signs(grid)[axis] > 0 for axis in order[1:]]  # rows and columns run to P, I, L
    flips = tuple(axis for axis in (0, 1) if turned[axis])

    def cut(array):
        return np.flip(np.moveaxis(array, order, (0, 1, 2))[index], flips)

    spacing = np.ones(3) if grid is None else grid.spacing
    return View(title, cut, spacing[list(order[1:])], sides)


def patient(grid):
    """Whether a grid's axes are known to point to sides of a patient."""
    return grid is not None and grid.rank == 3 and grid.units == "mm"


def file_axes(grid):
    """Return which axis of the array runs (most nearly) left-right, back-front, feet-head."""
    return tuple(int(axis) for axis in np.argsort(orientation(grid)[:, 0]))


def signs(grid):
    """Return for each axis of the array +1 if it runs to R, A or S, -1 if to L, P or I."""
    return orientation(grid)[:, 1]


def orientation(grid):
    if not patient(grid):
        return np.array([[0, 1], [1, 1], [2, 1]])
    import nibabel

    return nibabel.io_orientation(grid.affine)
