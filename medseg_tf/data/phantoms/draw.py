"""What several phantoms draw with."""

import numpy as np
from scipy.spatial import cKDTree

from medseg_tf.data.augment import smooth_field
from medseg_tf.data.case import Grid
from medseg_tf.errors import ConfigError


def centred(name, size, spacing):
    """Return the Grid of an MR image whose axes point right, front and, in a volume, up.

    Args:
        name: of the phantom, for the error.
        size: voxels along each axis: two numbers or three; one for a cube.
        spacing: mm between voxels: one number, or one an axis.

    Raises:
        ConfigError: a size or spacing that is not positive, or is not one number an axis.
    """
    size = np.broadcast_to(size, 3) if np.ndim(size) == 0 else np.asarray(size)
    fitting = size.shape in ((2,), (3,)) and np.shape(spacing) in ((), size.shape)
    if not fitting or size.min() <= 0 or np.min(spacing) <= 0:
        raise ConfigError(
            f"{name}(size={size.tolist()}, spacing={spacing}): give one positive size, or three, "
            "or two for a 2-D image; and one positive spacing, or one an axis."
        )
    affine = np.diag([*np.broadcast_to(spacing, len(size)), 1.0])
    affine[:-1, -1] = -np.diag(affine)[:-1] * (size - 1) / 2
    return Grid(size, affine)


def wavy(rng, shape, period, spacing=1):
    """A smooth random field of standard deviation about 1, with hills `period` apart.

    Args:
        period: in voxels, or in the units of `spacing` (one number, or one an axis).
    """
    points = max(2, round(2 * np.max(np.multiply(shape, spacing)) / period) + 1)
    return 1.5 * smooth_field(rng.normal(size=(points,) * len(shape)), shape)


def bent(rng, shape, *bends, spacing=1):
    """Coordinates of each voxel, shifted by wavy fields: (rank, *shape) float32.

    Args:
        bends: pairs (sd, period), one for each field along every axis.
        spacing: one number, or one an axis; coordinates and bends count in its units.
    """
    pixels = np.indices(shape).astype("float32")
    for axis, step in zip(pixels, np.broadcast_to(spacing, len(shape)), strict=True):
        axis *= step
        for sd, period in bends:
            axis += sd * wavy(rng, shape, period, spacing)
    return pixels


def packed(rng, shape, pitch, rounds):
    """Random centres, about `pitch` voxels apart, in and a pitch around an array: (n, rank).

    Args:
        rounds: of Lloyd's algorithm; the more, the more even the distances.
    """
    low, high = -pitch, np.array(shape) + pitch
    count = round(np.prod((high - low) / pitch))
    centres = rng.uniform(low, high, (count, len(shape)))
    steps = tuple(slice(low, end, pitch / 7) for end in high)
    places = np.mgrid[steps].reshape(len(shape), -1).T
    for _ in range(rounds):  # each centre moves to the middle of the places nearest to it
        owner = cKDTree(centres).query(places)[1]
        shares = np.bincount(owner, minlength=count)
        sums = [np.bincount(owner, axis, count) for axis in places.T]
        centres = np.where(shares > 0, sums / np.maximum(shares, 1), centres.T).T
    return centres


def territories(pixels, centres):
    """Which centre is nearest, how far it is, and how far the midline to the next one.

    Args:
        pixels: (rank, *shape) coordinates.
        centres: (n, rank).

    Returns:
        Three arrays of that shape: index of the centre, distance to it, distance to the midline.
    """
    distance, index = cKDTree(centres).query(np.moveaxis(pixels, 0, -1), k=2)
    apart = np.linalg.norm(centres[index[..., 0]] - centres[index[..., 1]], axis=-1)
    to_midline = (distance[..., 1] ** 2 - distance[..., 0] ** 2) / (2 * apart)
    return index[..., 0], distance[..., 0], to_midline


def disc(shape, centre, radius, stretch=1.0, angle=0.0):
    """A filled ellipse with a soft edge, about 1 inside and 0 outside: float array of `shape`.

    Args:
        radius: geometric mean of the half axes, in pixels.
        stretch: the first half axis is `stretch` times the radius, the other 1 / `stretch`.
        angle: of the first half axis against the rows' direction, in radians.
    """
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    rows, columns = rows - centre[0], columns - centre[1]
    along = (rows * np.cos(angle) + columns * np.sin(angle)) / stretch
    across = (columns * np.cos(angle) - rows * np.sin(angle)) * stretch
    return 1 / (1 + np.exp(np.minimum(2 * (np.hypot(along, across) - radius), 50)))


def depth(place, axes):
    """How many mm a voxel lies within an ellipsoid, about; negative outside.

    Args:
        place: coordinates about its centre, one array an axis.
        axes: half axes.
    """
    scaled = [coordinate / axis for coordinate, axis in zip(place, axes, strict=True)]
    radius = np.sqrt(sum(s * s for s in scaled))
    slope = np.sqrt(sum((s / axis) ** 2 for s, axis in zip(scaled, axes, strict=True)))
    return (1 - radius) * (radius + 1e-6) / (slope + 1e-6)


def averaged(array, parts):
    """Means of blocks of `parts` voxels along each axis: float32."""
    blocks = [
        n for size, part in zip(array.shape, parts, strict=True) for n in (size // part, part)
    ]
    return array.reshape(blocks).mean(tuple(range(1, len(blocks), 2)), dtype="float32")
