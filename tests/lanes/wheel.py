"""What the installed wheel does where Keras has no backend: wheel.py FOLDER, an empty place.

Run by the Python of an environment that holds the wheel and what it asks for, nothing else.
"""

import contextlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import medseg_tf
from medseg_tf.errors import BackendError

TREE = Path(__file__).parents[2] / "medseg_tf"
INSTALLED = Path(medseg_tf.__file__).parent
WAYS = ("medseg-tf[cpu]", "medseg-tf[tensorflow]", "medseg-tf[gpu]")


def nothing_computes_here():
    for name in ("tensorflow", "jax", "torch"):
        assert importlib.util.find_spec(name) is None, f"{name} is installed: not a clean place"
    assert Path(sys.prefix) in INSTALLED.parents, f"{INSTALLED} is not the installed package"


def every_file_of_the_package_is_there():
    """Not only the code: registries, results, whatever a module reads."""
    files = {path.relative_to(TREE) for path in TREE.rglob("*") if path.is_file()}
    wanted = {path for path in files if path.suffix not in (".pyc", ".pyo")}
    missing = sorted(str(path) for path in wanted if not (INSTALLED / path).exists())
    assert not missing, f"not in the wheel: {', '.join(missing)}; see package-data"
    print(f"{len(wanted)} files, as in the checkout")


def what_needs_no_backend_works():
    import numpy as np

    from medseg_tf import data, metrics
    from medseg_tf.lesson import core

    (case,) = data.phantoms.cells(1, size=32)
    assert metrics.dice(case.label.array > 0, case.label.array > 0)[1] == 1
    assert np.isfinite(data.unet_weight_map(case.label.array)).all()
    assert "Task04_Hippocampus" in str(data.available())
    names = [path.stem for path in (TREE / "results").glob("*.json")]
    with contextlib.redirect_stdout(None):  # says when each was measured
        assert names and all(core.results(name)["rows"] for name in names)
    print(f"a phantom, its score, the registry and {len(names)} results")


def first_use_of_the_rest_says_what_to_install():
    refused = []
    for name in medseg_tf.__all__:
        try:
            getattr(medseg_tf, name)
        except BackendError as error:
            assert all(way in str(error) for way in WAYS), f"{name}: {error}"
            refused.append(name)
    assert {"models", "layers", "losses", "training", "inference", "load_model"} <= set(refused)
    print(f"BackendError from {', '.join(refused)}")


def the_command_line_answers(folder):
    for arguments, code, said in [
        ("--help", 0, "lessons"),
        ("data list", 0, "Task04_Hippocampus"),
        ("lessons", 4, "Clone the repository"),
        ("train Task04_Hippocampus --out run", 5, "Keras needs tensorflow"),
    ]:
        command = [Path(sys.executable).with_name("medseg"), *arguments.split()]
        run = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        text = run.stdout + run.stderr
        assert run.returncode == code and said in text, f"medseg {arguments}: {text}"
        print(f"medseg {arguments}: {code}, {text.strip().splitlines()[-1][:70]}")


if __name__ == "__main__":
    os.environ.pop("KERAS_BACKEND", None)
    nothing_computes_here()
    every_file_of_the_package_is_there()
    what_needs_no_backend_works()
    first_use_of_the_rest_says_what_to_install()
    the_command_line_answers(sys.argv[1])
