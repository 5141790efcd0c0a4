"""Random moves of an image and its label."""

import numpy as np

from medseg_tf.data.augment.fields import (
    affine_coordinates,
    bspline_matrix,
    resample,
    smooth_field,
)
from medseg_tf.errors import ConfigError, GeometryError


def flip(axes=None):
    """Mirror each of the spatial `axes` (all, if None) with probability 1/2."""

    def transform(image, label, rng):
        candidates = range(image.ndim - 1) if axes is None else axes
        chosen = tuple(axis for axis in candidates if rng.random() < 0.5)
        return np.flip(image, chosen), None if label is None else np.flip(label, chosen)

    return transform


def quarter_turns():
    """Turn by 0, 90, 180 or 270 degrees in the plane of the first two axes.

    Where these differ in size only 0 and 180 degrees keep the shape, and only they are drawn.
    """

    def transform(image, label, rng):
        turns = rng.integers(4) if image.shape[0] == image.shape[1] else 2 * rng.integers(2)
        return np.rot90(image, turns), None if label is None else np.rot90(label, turns)

    return transform


def rotate(degrees=180):
    """Turn by up to `degrees` either way about the centre.

    Args:
        degrees: one number for the plane of the first two axes, or in 3-D three, for turns about
            the first, second and third axis. Turns count in voxels: where an axis has another
            spacing, give 0 for the turns that it takes part in, e.g. (0, 0, 15) for thick slices.
    """
    return warp(degrees=degrees)


def scale(low=0.8, high=1.25):
    """Enlarge by a factor between `low` and `high`, the same along every axis."""
    return warp(low=low, high=high)


def elastic(sd, points=3):
    """Deform smoothly, as U-Net was trained.

    Args:
        sd: standard deviation of the displacements, in voxels: one number, or one an axis.
        points: control points along each axis; the outermost lie on the corners.

    Source: Ronneberger, Fischer, Brox, MICCAI 2015, section 3.1: 3 x 3 points, sd 10 pixels on
    572-pixel tiles. On smaller patches scale sd with the side: .0175 * side.
    """
    return warp(sd=sd, points=points)


def warp(degrees=0, low=1, high=1, sd=0, points=3):
    """`rotate`, `scale` and `elastic` in one: one interpolation, a third of the time.

    The planes of rotation should have equal spacing; an sd for each axis suits unequal ones.

    Raises:
        ConfigError: a factory's argument is out of range.
        GeometryError: when called: image and label differ in shape, or the image is not of the
            rank that `degrees` or `sd` is for.
    """
    if np.min(degrees) < 0 or not 0 < low <= high or np.min(sd) < 0 or points < 2:
        raise ConfigError(
            f"warp(degrees={degrees}, low={low}, high={high}, sd={sd}, points={points}): needs "
            "degrees and sd of at least 0, 0 < low <= high, and at least 2 points."
        )
    if np.shape(degrees) not in ((), (3,)):
        raise ConfigError(
            f"degrees={degrees}: one number turns in the plane of the first two axes, three turn "
            "about the first, second and third axis; give one or three."
        )

    def transform(image, label, rng):
        shape = checked_shape(image, label)
        if np.ndim(degrees) and len(shape) != 3:
            raise GeometryError(
                f"degrees={degrees} for an image of {len(shape)} spatial axes; three turns need "
                "three axes. Give one number."
            )
        angle = np.deg2rad(rng.uniform(np.negative(degrees), degrees))
        size = np.exp(rng.uniform(np.log(low), np.log(high)))
        coordinates = affine_coordinates(shape, angle, size)
        if np.any(sd):
            for axis, axis_sd in enumerate(one_an_axis(sd, shape)):
                values = rng.normal(0, axis_sd, (points,) * len(shape))
                coordinates[axis] = coordinates[axis] + smooth_field(values, shape)
        return resample(image, label, coordinates)

    return transform


def bspline(sd=15, mesh=2, still=()):
    """Deform by cubic B-splines, as V-Net was trained.

    Displacements have random coefficients on a coarse mesh whose corners are the image's. They
    are two times continuously differentiable, and smaller than the coefficients: where cells
    meet, their standard deviation is sd / 2 in 2-D and sd / 2.8 in 3-D.

    Args:
        sd: standard deviation of the coefficients, in voxels: one number, or one an axis.
        mesh: cells along each axis; cubic splines on them have mesh + 3 coefficients an axis.
        still: axes along which nothing moves, e.g. (2,) for thick slices.

    Raises:
        ConfigError: sd is negative, mesh below 1.
        GeometryError: when called: image and label differ in shape, or the image lacks an axis
            that `sd` or `still` names.

    Source: Milletari, Navab, Ahmadi, 3DV 2016, on training: sd 15 on 128 x 128 x 64 voxels, so
    on smaller volumes scale sd with the side: .117 * side. Their "2 x 2 x 2 control points" are
    the cells of the official code, which holds the third axis still and deforms every other
    volume.
    """
    if np.min(sd) < 0 or mesh < 1:
        raise ConfigError(
            f"bspline(sd={sd}, mesh={mesh}): needs sd of at least 0 and at least 1 mesh cell."
        )

    def transform(image, label, rng):
        shape = checked_shape(image, label)
        rank = len(shape)
        if any(not 0 <= axis < rank for axis in still):
            raise GeometryError(
                f"still={still} for an image of {rank} spatial axes; they are 0 to {rank - 1}."
            )
        coordinates = affine_coordinates(shape, 0, 1)
        for axis, axis_sd in enumerate(one_an_axis(sd, shape)):
            values = rng.normal(0, axis_sd, (mesh + 3,) * rank)
            if axis not in still:
                coordinates[axis] = coordinates[axis] + smooth_field(values, shape, bspline_matrix)
        return resample(image, label, coordinates)

    return transform


def checked_shape(image, label):
    """The spatial shape of an image; GeometryError if its label has another."""
    shape = image.shape[:-1]
    if label is not None and label.shape != shape:
        raise GeometryError(
            f"label of shape {label.shape} for an image of shape {shape} and "
            f"{image.shape[-1]} channels; crop both alike before they are transformed."
        )
    return shape


def one_an_axis(sd, shape):
    """`sd` as one number for each axis of `shape`."""
    if np.ndim(sd) and np.shape(sd) != (len(shape),):
        raise GeometryError(
            f"sd={sd} for an image of {len(shape)} spatial axes; give one number, or one an axis."
        )
    return np.broadcast_to(sd, len(shape))
