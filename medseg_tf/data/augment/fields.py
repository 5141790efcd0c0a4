"""What the moves are made of: fields of coordinates, and reading an image and a label there."""

from functools import lru_cache

import numpy as np
from scipy import ndimage
from scipy.interpolate import BSpline

PLANES = ((1, 2), (2, 0), (0, 1))  # the planes that turn about the first, second, third axis


@lru_cache(maxsize=64)
def spline_matrix(size, points):
    """Cubic spline through `points` values, from end to end, at `size` places: (size, points)."""
    return ndimage.zoom(np.eye(points), (size / points, 1), order=3, mode="nearest").astype("f")


@lru_cache(maxsize=64)
def bspline_matrix(size, points):
    """Cubic B-splines of `points` coefficients, the mesh from end to end: (size, points).

    A mesh of `points - 3` equal cells spans the `size` places; within a cell four coefficients
    count, and their weights sum to 1.
    """
    mesh = points - 3
    places = np.linspace(0, mesh, size)
    basis = BSpline.design_matrix(places, np.arange(-3.0, mesh + 4), 3)
    return basis.toarray().astype("float32")


def smooth_field(values, shape, matrix=spline_matrix):
    """Cubic spline of control values on a coarse grid whose corners are the array's.

    Args:
        values: control values, one axis for each of `shape`.
        shape: spatial shape of the float32 field that is returned.
        matrix: `spline_matrix` for a field that passes through the values, or `bspline_matrix`.
    """
    values = values.astype("float32")
    for size in shape:
        # The first axis is used up and comes back as the last: after all, order is restored.
        # No tensordot: its threads wait for processors that a training keeps busy.
        columns = matrix(size, len(values)).T
        values = sum(map(np.multiply.outer, values, columns))
    return values


def affine_coordinates(shape, angle, size):
    """Where each voxel of a turned and enlarged image comes from: one array an axis.

    Args:
        shape: spatial shape.
        angle: radians in the plane of the first two axes, or three angles, about each axis in
            turn.
        size: factor of enlargement.

    Returns:
        A list of float32 arrays that together broadcast to `shape`.
    """
    steps = np.ogrid[tuple(slice(-(n - 1) / 2, n / 2) for n in shape)]
    steps = [step.astype("float32") / np.float32(size) for step in steps]
    turns = zip(PLANES, angle, strict=True) if np.ndim(angle) else [((0, 1), angle)]
    for (i, j), turn in turns:
        if turn:
            sine, cosine = np.float32(np.sin(turn)), np.float32(np.cos(turn))
            steps[i], steps[j] = (
                cosine * steps[i] + sine * steps[j],
                cosine * steps[j] - sine * steps[i],
            )
    return [step + np.float32((n - 1) / 2) for step, n in zip(steps, shape, strict=True)]


def resample(image, label, coordinates):
    """Read an image linearly and its label by nearest neighbour, mirrored beyond the border.

    Equals scipy.ndimage.map_coordinates of order 1 and 0 with mode="mirror", but looks up the
    corners of all voxels at once, for image and label together.

    Args:
        image: (*spatial, channels) array.
        label: (*spatial) array or None.
        coordinates: one array an axis, in voxels, that together broadcast to `spatial`.
    """
    rank = len(coordinates)
    floors = [np.floor(c) for c in coordinates]
    fractions = [c - floor for c, floor in zip(coordinates, floors, strict=True)]
    floors = [floor.astype(np.intp) for floor in floors]
    # With the mirror image laid around the array no voxel lies outside, and every corner of a
    # voxel's cell lies a constant number of places after its first.
    margins = [
        (max(0, -floor.min()), max(0, floor.max() + 2 - n))
        for floor, n in zip(floors, image.shape, strict=False)
    ]
    sizes = [n + sum(margin) for n, margin in zip(image.shape, margins, strict=False)]
    strides = [int(np.prod(sizes[axis + 1 :])) for axis in range(rank)]
    first = sum(floor * stride for floor, stride in zip(floors, strides, strict=True))
    first += sum(margin[0] * stride for margin, stride in zip(margins, strides, strict=True))

    def blend(flat, axis=0, offset=0):
        if axis == rank:
            return flat[offset:].take(first)
        near = blend(flat, axis + 1, offset)
        far = blend(flat, axis + 1, offset + strides[axis])
        far -= near
        far *= fractions[axis]
        near += far
        return near

    moved = np.empty(image.shape, "float32")
    for channel in range(image.shape[-1]):
        grey = image[..., channel].astype("float32")
        moved[..., channel] = blend(np.pad(grey, margins, mode="reflect").ravel())
    if label is None:
        return moved, None
    nearest = first + sum((t >= 0.5) * s for t, s in zip(fractions, strides, strict=True))
    return moved, np.pad(label, margins, mode="reflect").ravel().take(nearest)
