"""Imports run downwards only, and the package starts light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import medseg_tf

PACKAGE = Path(medseg_tf.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
EVERYONE = {"errors", "table", "progress", "backend"}
SCORING = {"data", "models", "layers", "losses", "metrics"}
USING = {"training", "inference", "evaluation", "planning", "recipe", "plots"}
MAY_IMPORT = {  # area -> areas; what is not listed here may not exist
    "errors": set(),
    "table": EVERYONE,
    "progress": EVERYONE,
    "backend": EVERYONE,
    "data": EVERYONE,
    "metrics": EVERYONE,
    "losses": EVERYONE,
    "layers": EVERYONE,
    "addons": EVERYONE,
    "models": EVERYONE | {"layers"},
    **dict.fromkeys(USING, EVERYONE | SCORING | USING),
    "methods": EVERYONE | SCORING | USING,
    "lesson": EVERYONE | SCORING | USING | {"methods"},
    "cli": EVERYONE | SCORING | USING | {"methods", "lesson"},
    "__init__": EVERYONE,
}
FRAMEWORKS = {"keras", "tensorflow", "jax", "torch"}
SLOW = {"skimage", "sklearn", "matplotlib", "nbclient", "nbconvert", "nbformat", "IPython"}


def area(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(nodes, path):
    """Full dotted names of what these nodes import; relative ones are resolved."""
    here = ["medseg_tf", *path.relative_to(PACKAGE).parts]
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = [*here[: -node.level], node.module] if node.level else [node.module]
            base = ".".join(filter(None, base))
            yield from (f"{base}.{alias.name}" for alias in node.names)


def everywhere(path):
    return list(imports(ast.walk(ast.parse(path.read_text("utf-8"))), path))


def on_import(path):
    return list(imports(ast.parse(path.read_text("utf-8")).body, path))


def each_file(function):
    names = [str(path.relative_to(PACKAGE)) for path in FILES]
    return pytest.mark.parametrize("path", FILES, ids=names)(function)


@each_file
def test_imports_run_downwards_only(path):
    own = [name.split(".") for name in everywhere(path) if name.split(".")[0] == "medseg_tf"]
    used = {parts[1] for parts in own if len(parts) > 1} - {"__version__"}
    assert used <= MAY_IMPORT[area(path)] | {area(path)}


@each_file
def test_data_and_metrics_work_without_a_framework(path):
    if area(path) in ("data", "metrics") and path.name != "patches.py":
        assert not {name.split(".")[0] for name in everywhere(path)} & FRAMEWORKS


@each_file
def test_slow_libraries_are_imported_where_they_are_used(path):
    drawing = {"matplotlib"} if area(path) == "plots" else set()
    assert not {name.split(".")[0] for name in on_import(path)} & (SLOW - drawing)


@each_file
def test_no_file_passes_400_lines(path):
    assert len(path.read_text("utf-8").splitlines()) < 400


def loaded_by(code):
    code += "; import sys; print(*(name for name in sys.modules if '.' not in name))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_importing_the_package_loads_neither_a_framework_nor_numpy():
    loaded = loaded_by("import medseg_tf")
    assert not loaded & (FRAMEWORKS | SLOW | {"numpy", "scipy"})


def test_data_and_metrics_load_neither_a_framework_nor_slow_libraries():
    loaded = loaded_by("import medseg_tf; medseg_tf.data, medseg_tf.metrics")
    assert "numpy" in loaded and not loaded & (FRAMEWORKS | SLOW)


def test_the_command_line_answers_without_a_framework():
    loaded = loaded_by("import medseg_tf.cli, medseg_tf.lesson.notebook")
    assert not loaded & (FRAMEWORKS | SLOW)


def test_every_public_name_loads():
    assert all(getattr(medseg_tf, name) is not None for name in medseg_tf.__all__)
