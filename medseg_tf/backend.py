"""Say what to install where no framework is found, instead of Keras' long traceback."""

import importlib.util
import os

from medseg_tf.errors import BackendError


def require_backend():
    """Raise BackendError unless the framework that Keras will load is installed."""
    name = os.environ.get("KERAS_BACKEND", "tensorflow")
    if importlib.util.find_spec(name) is None:
        raise BackendError(
            f"Keras needs {name}, which is not installed. Install one of: "
            "pip install 'medseg-tf[cpu]' (Linux, Windows), 'medseg-tf[tensorflow]' (macOS), "
            "'medseg-tf[gpu]' (Linux with an NVIDIA card)."
        )
