"""What every metric asks of its two label arrays."""

import numpy as np

from medseg_tf.errors import ConfigError, GeometryError, LabelError


def label_pair(truth, prediction):
    """Return two integer arrays of one shape, none of them negative; no copy where none is needed.

    Raises:
        GeometryError: the shapes differ.
        LabelError: an array holds fractions (probabilities?), negative numbers or no numbers.
    """
    truth, prediction = _labels(truth, "truth"), _labels(prediction, "prediction")
    if truth.shape != prediction.shape:
        hint = "put the prediction onto the truth's grid first, with nearest neighbour."
        if prediction.shape[:-1] == truth.shape:
            hint = "is its last axis one of channels? Take one class a pixel: argmax(axis=-1)."
        raise GeometryError(
            f"truth has shape {truth.shape} and prediction {prediction.shape}; "
            f"they must agree: {hint}"
        )
    return truth, prediction


def class_pair(truth, prediction, classes):
    """Return two integer arrays of one shape that hold 0..classes - 1 only.

    Raises:
        GeometryError, LabelError: as label_pair; LabelError for a number that is no class.
        ConfigError: classes is below 2.
    """
    if classes < 2:
        raise ConfigError(f"classes={classes}; at least 2: the background counts as one.")
    truth, prediction = label_pair(truth, prediction)
    for name, array in (("truth", truth), ("prediction", prediction)):
        if array.size and (highest := array.max()) >= classes:
            raise LabelError(
                f"{name} holds class {highest}; classes={classes} allows 0..{classes - 1}. "
                "Pass the number of classes, background included, or map other values to them."
            )
    return truth, prediction


def _labels(array, name):
    array = np.asarray(array)
    if array.dtype == bool:
        return array.view(np.uint8)
    if array.dtype.kind not in "iu":
        raise LabelError(
            f"{name} is of type {array.dtype}; scores need integer labels. Probabilities become "
            "labels by argmax(axis=-1), whole numbers by astype(int), a Scan by its .array."
        )
    if array.dtype.kind == "i" and array.size and array.min() < 0:
        raise LabelError(
            f"{name} holds {array.min()}; labels count from 0. "
            "Give pixels to be ignored the same class in truth and prediction."
        )
    return array


def count_pairs(truth, prediction):
    """Count pixels by their pair of numbers.

    truth, prediction: from label_pair, with at least one pixel.
    Returns: three arrays over the pairs that occur: true number, predicted number, pixels.
    """
    width = int(prediction.max()) + 1
    codes = truth.ravel().astype(np.int64) * width + prediction.ravel().astype(np.int64)
    if codes.max() < 8 * codes.size + 1000:  # counting is faster than sorting while numbers are low
        pixels = np.bincount(codes)
        codes = np.flatnonzero(pixels)
        pixels = pixels[codes]
    else:
        codes, pixels = np.unique(codes, return_counts=True)
    return codes // width, codes % width, pixels
