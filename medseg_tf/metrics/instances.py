"""Scores that count objects, one by one: cells, nuclei, lesions."""

import numpy as np

from medseg_tf.errors import GeometryError
from medseg_tf.metrics.checks import count_pairs, label_pair


def seg(truth, prediction):
    """Return the SEG measure: the mean over true objects of each one's overlap with its match.

    A true object R is matched by the predicted object S that holds more than half of it (strictly,
    so there is at most one); it scores |R and S| / |R or S|, and 0 if it has no match. Objects
    that were only predicted cost nothing.

    Args:
        truth, prediction: object numbers, 0 outside, integer (*spatial); or two equally long lists
            of such frames, whose objects are then averaged all together, not frame by frame.

    Returns: float from 0 to 1; NaN if there is no true object.
    Raises: GeometryError, LabelError as every metric.
    Source: Maska et al., Bioinformatics 30, 2014 (Cell Tracking Challenge).
    """
    truths, predictions = _frames(truth), _frames(prediction)
    if len(truths) != len(predictions):
        raise GeometryError(
            f"truth has {len(truths)} frames and prediction {len(predictions)}; "
            "give one prediction for each frame of the truth."
        )
    pairs = zip(truths, predictions, strict=True)
    scores = np.concatenate([seg_per_object(*pair)[1] for pair in pairs] or [np.empty(0)])
    return float(scores.mean()) if scores.size else float("nan")


def seg_per_object(truth, prediction):
    """Return the true objects' numbers, ascending, and each one's SEG score: (n,) and (n,) arrays.

    truth, prediction: object numbers, 0 outside, integer (*spatial).
    """
    truth, prediction = label_pair(truth, prediction)
    if not truth.size:
        return np.empty(0, int), np.empty(0)
    true, predicted, overlap = count_pairs(truth, prediction)
    true_names, true_place = np.unique(true, return_inverse=True)
    _, predicted_place = np.unique(predicted, return_inverse=True)
    true_sizes = np.bincount(true_place, overlap)
    predicted_sizes = np.bincount(predicted_place, overlap)

    scores = np.zeros(len(true_names))
    match = (predicted > 0) & (2 * overlap > true_sizes[true_place])
    union = true_sizes[true_place] + predicted_sizes[predicted_place] - overlap
    scores[true_place[match]] = (overlap / union)[match]
    return true_names[true_names > 0], scores[true_names > 0]


def _frames(labels):
    """Return a list of frames: the list given, or the one array in a list."""
    if isinstance(labels, list | tuple) and all(isinstance(one, np.ndarray) for one in labels):
        return labels
    return [labels]
