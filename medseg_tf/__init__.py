"""Convolutional networks for medical image segmentation, as published, in Keras.

Subpackages load on first use, so `import medseg_tf` loads no framework.
"""

import importlib

__version__ = "0.1.0"
__all__ = [
    "addons",
    "data",
    "errors",
    "evaluation",
    "inference",
    "layers",
    "lesson",
    "load_model",
    "losses",
    "methods",
    "metrics",
    "models",
    "planning",
    "plots",
    "recipe",
    "training",
]
NEEDS_KERAS = {"addons", "evaluation", "inference", "layers", "losses", "models", "planning"}
NEEDS_KERAS |= {"methods", "recipe", "training"}


def __getattr__(name):
    if name == "load_model":
        return __getattr__("recipe").load_model
    if name not in __all__:
        raise AttributeError(f"module 'medseg_tf' has no attribute {name!r}")
    if name in NEEDS_KERAS:
        from medseg_tf.backend import require_backend

        require_backend()
    return importlib.import_module(f"medseg_tf.{name}")


def __dir__():
    return sorted([*__all__, "__version__"])
