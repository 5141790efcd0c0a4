"""Grey values on a common scale."""

import numpy as np


def z_score(array):
    """Shift and stretch each channel to mean 0 and standard deviation 1 over the whole array.

    Args:
        array: (*spatial, channels) image of any real dtype.

    Returns:
        float32 array of the same shape; a constant channel becomes 0.
    """
    space = tuple(range(array.ndim - 1))
    mean = array.mean(space, dtype="float64")
    deviation = array.std(space, dtype="float64")
    # The deviation of a constant channel may come out as a rounding error instead of 0.
    deviation[array.max(space) == array.min(space)] = np.inf
    return ((array - mean) / deviation).astype("float32")
