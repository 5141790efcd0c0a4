"""Every picture of the course. Each function returns a figure; `show` puts it on the page.

Images are grey, scalar maps cividis, signed maps RdBu_r about 0. A class has one colour all course
long (CLASS_COLOURS, class 1 first). Errors are orange where invented, blue where missed.
"""

import importlib

from .curves import show_curves, show_scores
from .features import show_features
from .figures import CLASS_COLOURS, show
from .images import show_cases, show_error, show_image, show_instances, show_map, show_maps

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
    "show_scores",
]


def __getattr__(name):
    if name == "show_network":  # reads the graph of a model: the one picture that needs Keras
        return importlib.import_module("medseg_tf.plots.networks").show_network
    raise AttributeError(f"module 'medseg_tf.plots' has no attribute {name!r}")
