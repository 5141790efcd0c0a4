"""Every picture of the course. Each function returns a figure; `show` puts it on the page.

Images are grey, scalar maps cividis, signed maps RdBu_r about 0. A class has one colour all course
long (CLASS_COLOURS, class 1 first). Errors are orange where invented, blue where missed.
"""

import importlib

from .curves import show_curves, show_scores
from .features import show_features
from .figures import CLASS_COLOURS, show
from .images import show_cases, show_error, show_image, show_instances, show_map, show_maps
from .volumes import show_planes, show_slices, slide

__all__ = [
    "CLASS_COLOURS",
    "show",
    "show_cases",
    "show_curves",
    "show_error",
    "show_features",
    "show_image",
    "show_instances",
    "show_map",
    "show_maps",
    "show_network",
    "show_planes",
    "show_scores",
    "show_slices",
    "show_surface",
    "slide",
]

# Loaded on first use: one reads the graph of a model, which needs Keras; mplot3d is slow to load.
HOMES = {"show_network": "networks", "show_surface": "surfaces"}


def __getattr__(name):
    if name in HOMES:
        return getattr(importlib.import_module(f"medseg_tf.plots.{HOMES[name]}"), name)
    raise AttributeError(f"module 'medseg_tf.plots' has no attribute {name!r}")
