"""Scores from counting pixels: who was given which class.

truth, prediction: integer labels of one shape (*spatial), in 2-D or 3-D. Each score is an array
over all classes, background (class 0) included. With T, P and TP the numbers of pixels that the
truth, the prediction and both give to a class, of N pixels in all:

    dice                2 TP / (T + P)              iou            TP / (T + P - TP)
    sensitivity         TP / T                      specificity    (N - T - P + TP) / (N - T)
    volume_difference   (P - T) / T

A class with T = P = 0 scores NaN everywhere; with only one of them 0, dice, iou and sensitivity
are 0, and a volume invented from nothing differs by infinity.
"""

import numpy as np

from medseg_tf.metrics.checks import class_pair, label_pair


def confusion(truth, prediction, classes=2):
    """Count pixels by true class (row) and predicted class (column): (classes, classes) int array.

    Raises:
        GeometryError: the shapes differ.
        LabelError: an array holds fractions, or values outside 0..classes - 1.
        ConfigError: classes is below 2.
    """
    truth, prediction = class_pair(truth, prediction, classes)
    if classes == 2:
        return _count_two(truth, prediction)
    if classes <= 16:
        return _count_in_bytes(truth, prediction, classes)
    codes = truth.ravel().astype(np.intp) * classes + prediction.ravel().astype(np.intp)
    return np.bincount(codes, minlength=classes**2).reshape(classes, classes)


def _count_two(truth, prediction):
    """Count zeros and ones, which need no codes."""
    both = np.count_nonzero(np.logical_and(truth, prediction))
    missed = np.count_nonzero(truth) - both
    invented = np.count_nonzero(prediction) - both
    return np.array([[truth.size - both - missed - invented, invented], [missed, both]])


def _count_in_bytes(truth, prediction, classes):
    """Count up to 16 classes: two pixels' codes of a byte each are read as one number."""
    codes = np.zeros(truth.size + truth.size % 2, np.uint8)
    inside = codes[: truth.size].reshape(truth.shape)
    np.multiply(truth, classes, out=inside, casting="unsafe", dtype=np.uint8)
    np.add(inside, prediction, out=inside, casting="unsafe", dtype=np.uint8)
    twos = np.bincount(codes.view(np.uint16), minlength=2**16).reshape(256, 256)
    counts = (twos.sum(axis=0) + twos.sum(axis=1))[: classes**2]
    counts[0] -= codes.size - truth.size  # the byte that made the number of pixels even
    return counts.reshape(classes, classes)


def dice(truth, prediction, classes=2):
    """Return 2 TP / (T + P) per class: (classes,) float array (Dice, Ecology, 1945)."""
    both, true, predicted, _ = _counts(truth, prediction, classes)
    return _ratio(2 * both, true + predicted)


def iou(truth, prediction, classes=2):
    """Return intersection over union per class: (classes,) float array (Jaccard, 1912)."""
    both, true, predicted, _ = _counts(truth, prediction, classes)
    return _ratio(both, true + predicted - both)


def sensitivity(truth, prediction, classes=2):
    """Return the share of each class that was found: (classes,) float array.

    A class that the prediction alone holds scores 0, by the rule for overlaps.
    """
    both, true, predicted, _ = _counts(truth, prediction, classes)
    return np.where((true == 0) & (predicted > 0), 0.0, _ratio(both, true))


def specificity(truth, prediction, classes=2):
    """Return the share of all other pixels that was rightly kept out of each class: (classes,)."""
    both, true, predicted, pixels = _counts(truth, prediction, classes)
    empty = true + predicted == 0
    return np.where(empty, np.nan, _ratio(pixels - true - predicted + both, pixels - true))


def volume_difference(truth, prediction, classes=2):
    """Return (P - T) / T per class: (classes,) float array; +0.1 is a tenth too large."""
    _, true, predicted, _ = _counts(truth, prediction, classes)
    return _ratio(predicted - true, true)


def pixel_accuracy(truth, prediction):
    """Return the share of pixels with the right label: a float, NaN for empty arrays."""
    truth, prediction = label_pair(truth, prediction)
    return float(np.count_nonzero(truth == prediction) / truth.size) if truth.size else float("nan")


def _counts(truth, prediction, classes):
    """Return TP, T and P per class and N."""
    counts = confusion(truth, prediction, classes)
    return np.diag(counts), counts.sum(axis=1), counts.sum(axis=0), counts.sum()


def _ratio(above, below):
    """Divide; 0 / 0 is NaN and n / 0 infinite, without a warning."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return above / below
