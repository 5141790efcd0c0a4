import subprocess
import sys

import pytest

from medseg_tf.backend import require_backend
from medseg_tf.errors import BackendError, MedsegError


def test_an_installed_backend_passes(monkeypatch):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    assert require_backend() is None


def test_a_missing_backend_names_the_three_ways_to_install_one(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "no_such_framework")
    with pytest.raises(BackendError, match=r"\[cpu\].*\[tensorflow\].*\[gpu\]"):
        require_backend()


def test_the_error_is_of_the_family_and_an_import_error():
    assert issubclass(BackendError, MedsegError) and issubclass(BackendError, ImportError)


def test_first_use_of_a_part_that_needs_keras_says_what_to_install():
    code = "import medseg_tf; print(medseg_tf.errors); medseg_tf.models"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={"KERAS_BACKEND": "no_such_framework"},
        capture_output=True,
        text=True,
    )
    assert "medseg_tf.errors" in run.stdout
    assert "BackendError: Keras needs no_such_framework, which is not installed." in run.stderr
