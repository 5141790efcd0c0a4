"""What all tests share: quiet TensorFlow, no windows, and a line that says what was tested."""

import importlib.metadata
import os
import platform
import sys

import hypothesis
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["MPLBACKEND"] = "Agg"

# Examples are the same in each run, and a busy machine is no failure.
hypothesis.settings.register_profile("medseg", deadline=None, derandomize=True, max_examples=50)
hypothesis.settings.load_profile("medseg")


@pytest.fixture(autouse=True)
def float32_again():
    """A training sets the precision that fits the processor; the next test starts in float32."""
    yield
    if "keras" in sys.modules:
        sys.modules["keras"].config.set_dtype_policy("float32")


def pytest_report_header(config):
    names = ["keras", "tensorflow", "tensorflow-cpu", "numpy", "scipy", "nibabel", "scikit-image"]
    found = {name: version(name) for name in names}
    versions = ", ".join(f"{name} {number}" for name, number in found.items() if number)
    return f"tested with Python {platform.python_version()}, {versions}"


def version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
