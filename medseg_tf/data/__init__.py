"""From files to cases to batches. Importing this loads neither a framework nor scipy."""

import importlib

from medseg_tf.backend import require_backend
from medseg_tf.data.case import Case, Grid, Scan, slices
from medseg_tf.data.normalize import window, z_score, z_score_inside
from medseg_tf.data.sets import available, load
from medseg_tf.data.split import split_by_subject
from medseg_tf.data.weights import separate, unet_weight_map

__all__ = [
    "Case",
    "Grid",
    "Patches",
    "Scan",
    "available",
    "bspline",
    "compose",
    "elastic",
    "flip",
    "intensity",
    "load",
    "match_histogram",
    "mni152",
    "phantoms",
    "quarter_turns",
    "resample_case",
    "rotate",
    "scale",
    "separate",
    "slices",
    "split_by_subject",
    "unet_weight_map",
    "warp",
    "window",
    "z_score",
    "z_score_inside",
]


# Where the names live that load on first use, because keras and scipy.ndimage are slow to import.
TRANSFORMS = [
    "bspline",
    "compose",
    "elastic",
    "flip",
    "intensity",
    "match_histogram",
    "quarter_turns",
    "rotate",
    "scale",
    "warp",
]
HOMES = {"Patches": "patches", "resample_case": "resample", "mni152": "head"} | dict.fromkeys(
    TRANSFORMS, "augment"
)


def __getattr__(name):
    if name == "phantoms":
        return importlib.import_module("medseg_tf.data.phantoms")
    if name == "Patches":  # the one name here that needs Keras
        require_backend()
    if name in HOMES:
        return getattr(importlib.import_module(f"medseg_tf.data.{HOMES[name]}"), name)
    raise AttributeError(f"module 'medseg_tf.data' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
