"""Scores of clusters, whose numbers carry no meaning, against classes."""

import numpy as np

from medseg_tf.errors import ConfigError
from medseg_tf.metrics.checks import count_pairs, label_pair


def match_clusters(truth, prediction):
    """Give clusters the numbers of the classes they fit best, one cluster a class at most.

    Of all one-to-one maps the one with the most pixels right (Hungarian method): its share of right
    pixels, `pixel_accuracy` of what is returned, is a clustering's accuracy. To give each cluster
    the class of its majority would let two clusters share a class, and many clusters always win.

    Args:
        truth: integer (*spatial).
        prediction: integer (*spatial), numbers of clusters.

    Returns: integer (*spatial), the clusters' new numbers; clusters beyond the classes get numbers
        above the truth's.
    Raises: GeometryError, LabelError as every metric.
    Source: Kuhn, Naval Research Logistics Quarterly 2:83 (1955).
    """
    from scipy.optimize import linear_sum_assignment

    truth, prediction = label_pair(truth, prediction)
    if not truth.size:
        return prediction.astype(int)
    true, found, pixels = count_pairs(truth, prediction)
    classes, rows = np.unique(true, return_inverse=True)
    clusters, columns = np.unique(found, return_inverse=True)
    table = np.zeros((len(classes), len(clusters)), np.int64)
    table[rows, columns] = pixels
    number = np.full(len(clusters), -1)
    row, column = linear_sum_assignment(table, maximize=True)
    number[column] = classes[row]
    left = np.flatnonzero(number < 0)
    number[left] = classes[-1] + 1 + np.arange(len(left))
    return number[np.searchsorted(clusters, prediction)]


def nmi(truth, prediction, mean="arithmetic"):
    """Return the normalised mutual information of two label maps: 0 to 1, no matching needed.

        I(U; V) / mean of H(U) and H(V)

    Args:
        truth, prediction: integer (*spatial).
        mean: "arithmetic", "geometric" (as JULE's code has it), "max" or "min" of the entropies.

    Returns: float; NaN without pixels, or if both maps hold one number only.
    Raises: GeometryError, LabelError as every metric; ConfigError for another mean.
    Source: Strehl, Ghosh, J. Machine Learning Research 3:583 (2002), there the geometric mean.
    """
    means = {
        "arithmetic": lambda u, v: (u + v) / 2,
        "geometric": lambda u, v: np.sqrt(u * v),
        "max": max,
        "min": min,
    }
    if mean not in means:
        raise ConfigError(f"nmi: mean is {mean!r}; choose one of {', '.join(map(repr, means))}.")
    truth, prediction = label_pair(truth, prediction)
    if not truth.size:
        return float("nan")
    true, found, pixels = count_pairs(truth, prediction)
    h_true, h_found = entropy(np.bincount(true, pixels)), entropy(np.bincount(found, pixels))
    if h_true == h_found == 0:
        return float("nan")
    common = h_true + h_found - entropy(pixels)
    scale = means[mean](h_true, h_found)
    return float(np.clip(common / scale, 0, 1)) if scale > 0 else 0.0


def entropy(counts):
    share = counts[counts > 0] / counts.sum()
    return max(float(-(share * np.log(share)).sum()), 0.0)
