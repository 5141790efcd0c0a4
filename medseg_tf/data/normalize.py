"""Grey values on a common scale.

Each function takes a whole image (*spatial, channels) of any real dtype and returns float32 of
the same shape. Which one suits: microscopy, ultrasound and MR that is cropped to tissue `z_score`;
MR with much black round the body `z_score_inside`; CT, whose numbers mean something, `window`.
"""

import numpy as np

from medseg_tf.errors import ConfigError


def z_score(array):
    """Shift and stretch each channel to mean 0 and standard deviation 1 over the whole array.

    Args:
        array: (*spatial, channels) image of any real dtype.

    Returns:
        float32 array of the same shape; a constant channel becomes 0.
    """
    return np.stack([standard(channel, channel) for channel in channels(array)], -1)


def z_score_inside(array, above=0):
    """Shift and stretch each channel to mean 0 and sd 1 over its voxels above `above`.

    So the amount of black round the body does not decide how bright the body is. What lies
    outside is shifted and stretched alike and stays darkest: set to 0 it would look like average
    tissue, and dark voxels within the body would become bright specks.

    Args:
        array: (*spatial, channels) image of any real dtype.
        above: the largest value that is not body.

    Returns:
        float32 array of the same shape. Where the voxels above `above` are none or all alike, the
        channel is treated as by `z_score`.

    Source: the official code of V-Net (Milletari, Navab, Ahmadi, 3DV 2016), with above=0.
    """
    scaled = []
    for channel in channels(array):
        inside = channel[channel > above]
        uneven = inside.size and inside.min() < inside.max()
        scaled.append(standard(channel, inside if uneven else channel))
    return np.stack(scaled, -1)


def window(array, low, high):
    """Cut grey values off at `low` and `high` and map what lies between linearly to -1 .. 1.

    The same number means the same tissue in every CT scan, so all scans get one window, e.g.
    `normalize=functools.partial(window, low=-160, high=240)` for soft tissue of the abdomen.

    Args:
        array: (*spatial, channels) image, Hounsfield units in CT.
        low: what becomes -1, with everything below.
        high: what becomes 1, with everything above.

    Raises:
        ConfigError: `low` is not below `high`.
    """
    if not low < high:
        raise ConfigError(f"window(low={low}, high={high}): low must be less than high. Swapped?")
    inside = np.clip(array.astype("float32"), low, high)
    return ((2 * inside - (low + high)) / (high - low)).astype("float32")


def channels(array):
    return np.moveaxis(array, -1, 0)


def standard(channel, sample):
    """`channel` less the mean of `sample` over its sd; 0 if all values of `sample` are alike."""
    mean, deviation = sample.mean(dtype="float64"), sample.std(dtype="float64")
    # The deviation of a constant sample may come out as a rounding error instead of 0.
    deviation = np.inf if sample.max() == sample.min() else deviation
    return ((channel - mean) / deviation).astype("float32")
