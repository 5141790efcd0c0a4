"""The set-up cell in a fresh environment with a stand-in for google.colab and no index."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from medseg_tf.lesson import notebook

ROOT = Path(__file__).parents[2]
STAND_IN = "import sys, types; sys.modules['google.colab'] = types.ModuleType('google.colab')\n"
QUIET = {"PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The package as a wheel: the one that MEDSEG_WHEEL names, or built without the network."""
    if "MEDSEG_WHEEL" in os.environ:
        return Path(os.environ["MEDSEG_WHEEL"])
    folder = tmp_path_factory.mktemp("wheel")
    tree = folder / "tree"  # a copy, as building leaves files behind
    shutil.copytree(ROOT / "medseg_tf", tree / "medseg_tf")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "-w", folder, tree], check=True, env=os.environ | QUIET)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def colab(tmp_path_factory):
    """Python of an environment that has every package of this one, except ours."""
    folder = tmp_path_factory.mktemp("colab")
    venv.create(folder, symlinks=True)
    variables = {"base": str(folder), "platbase": str(folder)}
    packages = Path(sysconfig.get_path("purelib", "venv", variables))
    others = folder / "others"
    others.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if "medseg" not in entry.name:
            (others / entry.name).symlink_to(entry)
    (packages / "others.pth").write_text(str(others))
    return Path(sysconfig.get_path("scripts", "venv", variables)) / "python"


def run(python, folder, text):
    """Run a cell by IPython in an empty folder; returns what it printed."""
    (folder / "cell.ipy").write_text(text, encoding="utf-8")
    run = subprocess.run(
        [python, "-m", "IPython", "--no-banner", "cell.ipy"],
        cwd=folder,
        env=os.environ | QUIET | {"IPYTHONDIR": str(folder)},
        capture_output=True,
        text=True,
    )
    return run.stdout + run.stderr


def setup_cell(wheel):
    source = ROOT / "notebooks" / "source" / "03_unet.py"
    cells = notebook.build(source, solved=False).cells
    text = next(cell.source for cell in cells if "setup" in cell.metadata.get("tags", []))
    return text.replace(f"git+{notebook.repository(source)}", str(wheel))


def test_on_colab_the_setup_cell_installs_the_package_and_nothing_else(colab, wheel, tmp_path):
    before = set(colab.parent.parent.rglob("*.dist-info"))
    report = "\nimport medseg_tf; print('from', medseg_tf.__file__)"
    printed = run(colab, tmp_path, STAND_IN + setup_cell(wheel) + report)
    assert "precision:" in printed
    assert f"from {colab.parent.parent}" in printed
    new = set(colab.parent.parent.rglob("*.dist-info")) - before
    assert [path.name.split("-")[0] for path in new] == ["medseg_tf"]


def test_elsewhere_the_setup_cell_installs_nothing(colab, tmp_path):
    until_pip = "\n\n".join(setup_cell("no-such.whl").split("\n\n")[:2])
    printed = run(colab, tmp_path, f"{until_pip}\nprint('done')")
    assert "done" in printed and "no-such.whl" not in printed
