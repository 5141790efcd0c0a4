"""Scores of a prediction against the truth. Labels in, numbers out; no framework is loaded.

One rule for empty masks: a class (or object) absent from truth and prediction scores NaN, which
means leave out; a class that only one of them holds has overlap 0 and is infinitely far away.
"""

from .boundary import boundary_error
from .clustering import match_clusters, nmi
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
from .sparseness import sparseness
from .surface import assd, hausdorff, hausdorff95, surface_distances

__all__ = [
    "assd",
    "best_rand",
    "boundary_error",
    "confusion",
    "dice",
    "hausdorff",
    "hausdorff95",
    "iou",
    "match_clusters",
    "nmi",
    "pixel_accuracy",
    "rand_after_thinning",
    "rand_foreground",
    "rand_split_merge",
    "seg",
    "seg_per_object",
    "sensitivity",
    "sparseness",
    "specificity",
    "surface_distances",
    "thin",
    "volume_difference",
]
