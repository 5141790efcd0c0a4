"""Random transforms of an image and its label, alike in 2-D and 3-D.

Each factory returns `transform(image, label, rng) -> (image, label)`: image float32
(*spatial, channels), label integer (*spatial) or None, rng a numpy Generator. Shapes stay as they
are. The image moves linearly and the label by nearest neighbour through the same coordinates;
beyond its border a crop goes on as its mirror image.
"""

from functools import lru_cache

import numpy as np
from scipy import ndimage

from medseg_tf.errors import ConfigError, GeometryError


def compose(*transforms):
    """Make one transform that applies all the given ones, the first first."""

    def transform(image, label, rng):
        for step in transforms:
            image, label = step(image, label, rng)
        return image, label

    return transform


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
    """Turn by up to `degrees` either way in the plane of the first two axes, about the centre."""
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

    The plane of rotation should have equal spacing; an sd for each axis suits unequal ones.

    Raises:
        ConfigError: a factory's argument is out of range.
        GeometryError: when called: image and label differ in shape.
    """
    if degrees < 0 or not 0 < low <= high or np.min(sd) < 0 or points < 2:
        raise ConfigError(
            f"warp(degrees={degrees}, low={low}, high={high}, sd={sd}, points={points}): needs "
            "degrees and sd of at least 0, 0 < low <= high, and at least 2 points."
        )

    def transform(image, label, rng):
        shape = image.shape[:-1]
        if label is not None and label.shape != shape:
            raise GeometryError(
                f"label of shape {label.shape} for an image of shape {shape} and "
                f"{image.shape[-1]} channels; crop both alike before they are transformed."
            )
        angle = np.deg2rad(rng.uniform(-degrees, degrees))
        size = np.exp(rng.uniform(np.log(low), np.log(high)))
        coordinates = affine_coordinates(shape, angle, size)
        if np.any(sd):
            sds = np.broadcast_to(sd, len(shape))
            for axis in range(len(shape)):
                values = rng.normal(0, sds[axis], (points,) * len(shape))
                coordinates[axis] = coordinates[axis] + smooth_field(values, shape)
        return resample(image, label, coordinates)

    return transform


def intensity(gain=0.25, shift=0.25, gamma=0.3, noise=0.1, blur=1.0, shading=0.2):
    """Change grey values as microscopes and scanners do; the label stays.

    Every strength is drawn anew each time, every effect can be switched off by 0. Images are
    z-scored, so grey values count in standard deviations.

    Args:
        gain: contrast about the mean, a factor from 1 / (1 + gain) to 1 + gain for each channel.
        shift: sd of a constant added to each channel.
        gamma: exponent from 1 / (1 + gamma) to 1 + gamma, on each channel's own range.
        noise: largest sd of Gaussian noise.
        blur: largest sigma in voxels of a Gaussian; every other time it sharpens instead.
        shading: sd of slow changes of brightness, both factor and summand, over the image.

    Raises:
        ConfigError: a strength is negative.
    """
    if min(gain, shift, gamma, noise, blur, shading) < 0:
        raise ConfigError(
            f"intensity(gain={gain}, shift={shift}, gamma={gamma}, noise={noise}, blur={blur}, "
            f"shading={shading}): strengths are at least 0; 0 switches an effect off."
        )

    def transform(image, label, rng):
        shape, channels = image.shape[:-1], image.shape[-1]
        space = tuple(range(len(shape)))

        def factors(strength):
            return np.exp(np.log1p(strength) * rng.uniform(-1, 1, channels)).astype("float32")

        image = image.astype("float32")
        if blur:
            image = focus(image, rng.uniform(0, blur), sharpen=rng.random() < 0.5)
        if gamma:
            low, high = image.min(space), image.max(space)
            span = np.maximum(high - low, 1e-6)
            image = ((image - low) / span) ** factors(gamma) * span + low
        if shading:
            factor, summand = rng.normal(0, shading, (2,) + (3,) * len(shape))
            image *= 1 + smooth_field(factor, shape)[..., None]
            image += smooth_field(summand, shape)[..., None]
        if gain:
            mean = image.mean(space)
            image = (image - mean) * factors(gain) + mean
        image += rng.normal(0, shift, channels).astype("float32")
        if noise:
            image += rng.uniform(0, noise) * rng.standard_normal(image.shape, "float32")
        return image, label

    return transform


def focus(image, sigma, sharpen):
    """Blur by a Gaussian of `sigma` voxels, or add what that blur takes away."""
    sigmas = (sigma,) * (image.ndim - 1) + (0,)
    blurred = ndimage.gaussian_filter(image, sigmas, mode="mirror", truncate=3)
    return 2 * image - blurred if sharpen else blurred


@lru_cache(maxsize=64)
def spline_matrix(size, points):
    """Cubic spline through `points` values, from end to end, at `size` places: (size, points)."""
    return ndimage.zoom(np.eye(points), (size / points, 1), order=3, mode="nearest").astype("f")


def smooth_field(values, shape):
    """Cubic spline through control values on a coarse grid whose corners are the array's.

    Args:
        values: control values, (points, ...), one axis for each of `shape`.
        shape: spatial shape of the float32 field that is returned.
    """
    values = values.astype("float32")
    for size in shape:
        # The first axis is used up and comes back as the last: after all, order is restored.
        values = np.tensordot(values, spline_matrix(size, len(values)), (0, 1))
    return values


def affine_coordinates(shape, angle, size):
    """Where each voxel of a turned (radians) and enlarged image comes from: one array an axis.

    The arrays are float32 and broadcast to `shape`.
    """
    steps = np.ogrid[tuple(slice(-(n - 1) / 2, n / 2) for n in shape)]
    steps = [step.astype("float32") / np.float32(size) for step in steps]
    if angle:
        sine, cosine = np.float32(np.sin(angle)), np.float32(np.cos(angle))
        steps[:2] = cosine * steps[0] + sine * steps[1], cosine * steps[1] - sine * steps[0]
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
