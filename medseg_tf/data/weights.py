"""How much each pixel counts in training, and labels in which touching objects are parted."""

import numpy as np

from medseg_tf.errors import ConfigError


def unet_weight_map(label, w0=10, sigma=5, balance=False):
    """Weigh background between objects more, the more closely two of them meet there.

    On background the weight is 1 + w0 * exp(-(d1 + d2)**2 / (2 * sigma**2)), where d1 and d2 are
    the distances in voxels to the nearest voxel of the nearest and of the second nearest object;
    on objects it is 1. Objects that touch are parted first, as by `separate`. Terms below
    w0 / 1,000,000 may come out as 0; all others are exact.

    Args:
        label: (*spatial) object numbers, 0 outside.
        w0: the largest border term.
        sigma: in voxels, how fast it falls.
        balance: instead of 1, start from .5 / f on objects and .5 / (1 - f) on background,
            f the objects' share of the label.

    Returns:
        (*spatial) float32 array.

    Raises:
        ConfigError: sigma is not positive.

    Source: Ronneberger, Fischer, Brox, MICCAI 2015, equation 2; the term on background only as
    in the authors' later plug-in.
    """
    if sigma <= 0:
        raise ConfigError(
            f"unet_weight_map(sigma={sigma}): needs sigma > 0, in voxels; 5 is usual."
        )
    inside = separate(label).astype(bool)
    weights = np.ones(label.shape, "float32")
    if balance and 0 < (share := inside.mean()) < 1:
        weights = np.where(inside, 0.5 / share, 0.5 / (1 - share)).astype("float32")
    reach = int(sigma * np.sqrt(2 * np.log(1e6)))
    nearest, second = two_distances(np.where(inside, label, 0), reach)
    border = w0 * np.exp(-((nearest + second) ** 2) / (2 * sigma**2))
    weights += np.where(inside, 0, border)
    return weights


def separate(label):
    """Part touching objects by background, one voxel wide, so that components are objects.

    Where voxels of two objects share a face, the object of the larger number gives way. So every
    component under face neighbourhood (scipy.ndimage.label's default) lies in one object.

    Args:
        label: (*spatial) object numbers, 0 outside.

    Returns:
        (*spatial) int32 array: 1 on objects, 0 on background.
    """
    inside = label > 0
    parted = inside.copy()
    for axis in range(label.ndim):
        before = (slice(None),) * axis + (slice(None, -1),)
        after = (slice(None),) * axis + (slice(1, None),)
        both = inside[before] & inside[after]
        parted[before] &= ~(both & (label[before] > label[after]))
        parted[after] &= ~(both & (label[after] > label[before]))
    return parted.astype("int32")


def two_distances(label, reach):
    """Distance of each voxel to the nearest and to the second nearest object, in voxels.

    Works axis by axis, as exact distance transforms do: the two objects nearest to a voxel are
    among the two nearest within each line it looks along, so no more need be kept.

    Args:
        label: (*spatial) object numbers, 0 outside.
        reach: distances up to this are exact; beyond it they may come out infinite.

    Returns:
        (2, *spatial) float32 array.
    """
    # Squared distance and object number in one integer, the number in its lowest bits: the
    # smaller of two such integers is the nearer object.
    bits = int(label.max(initial=0)).bit_length()
    dtype = np.dtype("int32" if 2 * label.ndim * reach**2 << bits < 2**31 else "int64")
    far = np.iinfo(dtype).max // 2 >> bits << bits
    found = np.full((2, *label.shape), far, dtype)
    np.copyto(found[0], label, where=label > 0)
    blocks = -(-label.size // 2**16)  # of lines, small enough for the processor's cache
    for axis in range(1, label.ndim + 1):
        lines = np.moveaxis(found, axis, 1)
        parts = np.array_split(lines.reshape(*lines.shape[:2], -1), blocks, axis=2)
        parts = [two_nearest(np.ascontiguousarray(part), reach, bits, far) for part in parts]
        found = np.moveaxis(np.concatenate(parts, axis=2).reshape(lines.shape), 1, axis)
    distances = np.sqrt((found >> bits).astype("float32"))
    distances[found == far] = np.inf
    return distances


def two_nearest(lines, reach, bits, far):
    """The two nearest objects along parallel lines, from the two known at each of their voxels.

    Args:
        lines: (2, voxels of a line, lines) integers that hold squared distance and object number.
        reach: how many voxels to look either way.
        bits: how many of the lowest bits are the number.
        far: the integer that stands for no object.
    """
    first, second = nearest = np.full_like(lines, far)
    length = lines.shape[1]
    views = [(0, slice(None), slice(None))]
    for step in range(1, min(reach, length - 1) + 1):
        low, high = slice(None, length - step), slice(step, None)
        views += [(step**2 << bits, low, high), (step**2 << bits, high, low)]
    # Results go into arrays made once: making them anew costs more than filling them.
    key = np.empty_like(first)
    for cost, here, there in views:
        np.add(lines[0, there], cost, out=key[here])
        np.minimum(first[here], key[here], out=first[here])
    number, owner = lines[0] & (1 << bits) - 1, first & (1 << bits) - 1
    same = np.empty(key.shape, bool)
    for cost, here, there in views:
        # Where that voxel's nearest object already won here, its second nearest competes.
        np.equal(number[there], owner[here], out=same[here])
        np.multiply(same[here], lines[1, there], out=key[here])
        np.maximum(key[here], lines[0, there], out=key[here])
        key[here] += cost
        np.minimum(second[here], key[here], out=second[here])
    return nearest
