"""How well a prediction places the border between classes."""

import numpy as np
from scipy import ndimage

from medseg_tf.errors import ConfigError
from medseg_tf.metrics.checks import label_pair


def boundary_error(truth, prediction, distance=2):
    """Return the share of wrong pixels near the true borders, a float.

    Near is a pixel with a pixel of another true class at most `distance` away, centre to centre:
    1 takes the two pixels on either side of a border, 2 a band four pixels wide.

    Args:
        truth, prediction: integer labels (*spatial) of one shape, 2-D or 3-D.
        distance: in pixels.

    Returns: NaN where the truth has one class only, so no border.
    Raises: GeometryError, LabelError as every metric; ConfigError if distance is below 1.
    Source: the trimap error of Kohli, Ladicky, Torr, IJCV 82, 2009, section 6; the band's measure
    between pixel centres is this course's choice.
    """
    if distance < 1:
        raise ConfigError(f"distance={distance}; the nearest pixel is 1 away, so take 1 or more.")
    truth, prediction = label_pair(truth, prediction)
    near = near_boundary(truth, distance)
    return float((truth != prediction)[near].mean()) if near.any() else float("nan")


def near_boundary(truth, distance=2):
    """Mark pixels that have another class at most `distance` pixels away: bool (*spatial)."""
    near = np.zeros(truth.shape, bool)
    classes = np.flatnonzero(np.bincount(truth.ravel()))
    for number in classes if len(classes) > 1 else ():
        inside = truth == number
        near |= inside & (ndimage.distance_transform_edt(inside) <= distance)
    return near
