"""How sparsely units respond: a measure, not a loss."""

import numpy as np


def sparseness(responses, axis):
    """Return the sparseness of Treves and Rolls: 0 where all respond alike, 1 where one alone does.

        S = (1 - mean(r)^2 / mean(r^2)) / (1 - 1 / n)

    Along the samples it is a unit's lifetime sparseness, along the units a sample's population
    sparseness.

    Args:
        responses: real, none negative, e.g. (samples, units); of maps the mean over space.
        axis: what to average over, of length n: 0 for lifetime, 1 for population.

    Returns: float array without that axis; NaN where nothing responds (a dead unit, 0 / 0) or n is
        1: count the dead ones apart.
    Source: Treves, Rolls, Network 2:371 (1991); the scale from 0 to 1 is Vinje and Gallant's,
        Science 287:1273 (2000).
    """
    responses = np.asarray(responses, float)
    n = responses.shape[axis]
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = 1 - responses.mean(axis) ** 2 / (responses**2).mean(axis)
        return spread / (1 - 1 / n) if n > 1 else spread * np.nan
