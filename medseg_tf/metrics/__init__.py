"""Scores of a prediction against the truth. Labels in, numbers out; no framework is loaded.

One rule for empty masks: a class (or object) absent from truth and prediction scores NaN, which
means leave out; a class that only one of them holds has overlap 0.
"""

from .boundary import boundary_error
from .instances import seg, seg_per_object
from .membranes import best_rand, rand_after_thinning, rand_foreground, rand_split_merge, thin
from .overlap import (
    confusion,
    dice,
    iou,
    pixel_accuracy,
    sensitivity,
    specificity,
    volume_difference,
)

__all__ = [
    "best_rand",
    "boundary_error",
    "confusion",
    "dice",
    "iou",
    "pixel_accuracy",
    "rand_after_thinning",
    "rand_foreground",
    "rand_split_merge",
    "seg",
    "seg_per_object",
    "sensitivity",
    "specificity",
    "thin",
    "volume_difference",
]
