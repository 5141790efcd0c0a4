"""Spread a few labels over many samples, along a graph that says how alike two samples are.

    F <- alpha S F + (1 - alpha) Y        S = D^-1/2 W D^-1/2,  D the sums of W's rows

Y has a one in the row of each labelled sample and rows of zeros elsewhere. `alpha` is the share of
a sample's score that comes from its neighbours: even a labelled one may change its mind. Clamped
labels (`harmonic_labels`) cannot.

Here the graph is given. From features, scikit-learn's LabelSpreading and LabelPropagation build it
and do the same.

Sources: Zhou, Bousquet, Lal, Weston, Schoelkopf, NIPS 2003 (spreading); Zhu, Ghahramani, Lafferty,
ICML 2003 (harmonic).
"""

import numpy as np

from medseg_tf.errors import ConfigError

UNKNOWN = -1  # what scikit-learn, too, writes for a sample without a label


def label_spreading(weights, labels, alpha=0.2):
    """Return where the spreading ends: (1 - alpha) (I - alpha S)^-1 Y, (samples, classes).

    The class is the largest of a row; a row over its sum is a probability.

    Args:
        weights: (samples, samples), symmetric, 0 or more; the diagonal does not count.
        labels: (samples,), classes from 0, -1 for an unlabelled sample.
        alpha: between 0 and 1.

    Raises:
        ConfigError: weights, labels or alpha that are none.
    """
    start, likeness = prepared(weights, labels, alpha)
    return np.linalg.solve(np.eye(len(start)) - alpha * likeness, (1 - alpha) * start)


def spreading_steps(weights, labels, alpha=0.2):
    """Yield the scores (samples, classes) after each step, from F = Y on; it never ends.

    Arguments and errors are those of `label_spreading`.
    """
    start, likeness = prepared(weights, labels, alpha)
    scores = start
    while True:
        scores = alpha * likeness @ scores + (1 - alpha) * start
        yield scores


def harmonic_labels(weights, labels):
    """Spread labels that stay as they are: (samples, classes), rows sum to 1.

    Each unlabelled sample's row is the mean of its neighbours', weighted: f_u = (D_uu - W_uu)^-1
    W_ul Y_l. It is where a random walk first meets a label (`random_walker` on pixels).

    Args:
        weights, labels: as in `label_spreading`.

    Raises:
        ConfigError: as there; or samples that no path leads from to a label.
    """
    scores, _ = prepared(weights, labels)
    graph, open_ = without_diagonal(weights), np.asarray(labels) == UNKNOWN
    if not reached(graph, ~open_).all():
        raise ConfigError(
            "harmonic_labels: no path of weights above 0 leads from some samples to a label. Join "
            "them by more neighbours, or leave them out."
        )
    laplacian = np.diag(graph.sum(1)) - graph
    known = graph[np.ix_(open_, ~open_)] @ scores[~open_]
    scores[open_] = np.linalg.solve(laplacian[np.ix_(open_, open_)], known)
    return scores


def prepared(weights, labels, alpha=0.5):
    """Return Y, (samples, classes), and S, (samples, samples), once the arguments are checked."""
    graph, labels = without_diagonal(weights), np.asarray(labels)
    square = graph.ndim == 2 and graph.shape == (labels.size,) * 2
    if not square or graph.min() < 0 or not np.allclose(graph, graph.T):
        raise ConfigError(
            f"weights of shape {graph.shape} for {labels.size} labels; give a symmetric matrix, "
            "one row and column a sample, no weight below 0. Of neighbours take (W + W.T) / 2."
        )
    if labels.min() < UNKNOWN or labels.max() < 0:
        raise ConfigError(
            f"labels from {labels.min()} to {labels.max()}; classes count from 0, -1 is a sample "
            "without a label, and one at least needs one."
        )
    if not 0 < alpha < 1:
        raise ConfigError(f"alpha={alpha}; the neighbours' share lies between 0 and 1.")
    start = (labels[:, None] == np.arange(labels.max() + 1)).astype(float)
    degree = graph.sum(1)
    root = np.sqrt(np.where(degree > 0, degree, 1))  # a sample without neighbours has a row of 0
    return start, graph / np.outer(root, root)


def without_diagonal(weights):
    """The weights, float: no sample is its own neighbour."""
    weights = np.array(weights, float)
    if weights.ndim == 2:
        np.fill_diagonal(weights, 0)
    return weights


def reached(graph, known):
    """Which samples a path joins to a known one: boolean (samples,)."""
    while True:
        further = known | (graph[:, known] > 0).any(1)
        if (further == known).all():
            return known
        known = further
