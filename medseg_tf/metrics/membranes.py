"""Scores for membranes in electron microscopy: are the cells kept apart?

The foreground is the cells' inside; membranes are 0. A segment is a set of pixels of one number
that hang together by their sides (4 neighbours in 2-D, 6 in 3-D), so a class map (0 membrane,
1 cell) and a map of segment numbers can be given alike.

Source: Arganda-Carreras et al., Frontiers in Neuroanatomy 9, 2015 (ISBI 2012 challenge); details
as in the organisers' public code.
"""

import numpy as np

from medseg_tf.errors import ConfigError
from medseg_tf.metrics.checks import count_pairs, label_pair

TENTHS = np.linspace(0, 1, 11)


def rand_split_merge(truth, prediction):
    """Return the two halves of the foreground-restricted Rand score, (split, merge).

    Two pixels of the truth's foreground are drawn at random. split: how often they share a
    predicted segment, given that they share a true one (falls when a cell is cut). merge: how
    often they share a true segment, given that they share a predicted one (falls when cells run
    together). Pixels that were predicted as membrane are a segment each.

    Args:
        truth, prediction: class map or segment numbers, integer (*spatial) of one shape.

    Returns: two floats from 0 to 1; NaN if the truth has no foreground.
    Raises: GeometryError, LabelError as every metric.
    """
    truth, prediction = label_pair(truth, prediction)
    foreground = truth > 0
    n = np.count_nonzero(foreground)
    if n == 0:
        return float("nan"), float("nan")
    pairs = count_pairs(segments(truth)[foreground], segments(prediction)[foreground])
    true, predicted, pixels = pairs
    alone = pixels[predicted == 0].sum()
    both = np.square(pixels[predicted > 0]).sum() + alone
    by_truth = np.square(np.bincount(true, pixels)).sum()
    by_prediction = np.square(np.bincount(predicted, pixels)[1:]).sum() + alone
    return float(both / by_truth), float(both / by_prediction)


def rand_foreground(truth, prediction):
    """Return the foreground-restricted Rand F-score, the harmonic mean of split and merge.

    Arguments and errors as in rand_split_merge; 1 is perfect. The "Rand error" of the 2012
    challenge is 1 minus the best value over thresholds, see best_rand.
    """
    split, merge = rand_split_merge(truth, prediction)
    return 2 * split * merge / (split + merge)


def thin(prediction):
    """Grow segments until membranes are one pixel wide: segment numbers, int32 (*spatial).

    Watershed from the segments over the membrane, with a dividing line. The organisers' own
    watershed may leave thicker lines here and there.
    """
    from skimage.segmentation import watershed

    found = segments(label_pair(prediction, prediction)[1])
    return watershed(found == 0, found, connectivity=1, watershed_line=True).astype(np.int32)


def rand_after_thinning(truth, prediction):
    """Return rand_foreground of the thinned prediction, which forgives a membrane's width."""
    return rand_foreground(truth, thin(prediction))


def best_rand(truths, probabilities, score=rand_after_thinning, thresholds=TENTHS):
    """Return the best mean score over thresholds, and that threshold: two floats.

    Args:
        truths: list of class maps or segment numbers (*spatial).
        probabilities: list of float arrays (*spatial): how likely each pixel is foreground.
        score: rand_after_thinning or rand_foreground.
        thresholds: foreground is what lies above.

    Raises: ConfigError if the lists are empty or differ in length; LabelError for a probability
    array with a channel axis.
    """
    if len(truths) != len(probabilities):
        raise ConfigError(
            f"{len(truths)} truths and {len(probabilities)} probability maps; "
            "give two lists of one length."
        )
    pairs = [pair for pair in zip(truths, probabilities, strict=True) if np.any(pair[0])]
    if not pairs:
        raise ConfigError("no truth has foreground; give at least one image with a cell in it.")
    means = [
        np.mean([score(truth, np.asarray(map_) > threshold) for truth, map_ in pairs])
        for threshold in thresholds
    ]
    best = int(np.argmax(means))
    return float(means[best]), float(thresholds[best])


def segments(labels):
    """Number the pieces of equal, non-zero label that hang together by their sides."""
    from skimage.measure import label

    return label(labels, background=0, connectivity=1)
