import importlib.metadata
import subprocess
import sys

import pytest

from medseg_tf import cli, errors
from medseg_tf.lesson import notebook


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course of two lessons, one of which fails; returns the folder of its notebooks."""
    sources = tmp_path / "notebooks" / "source"
    sources.mkdir(parents=True)
    claims = '# %% tags=["claims"]\nimport os\nprint("claims at", os.environ["MEDSEG_SCALE"])\n'
    (sources / "01_good.py").write_text(f"# %% [markdown]\n# # 01 Good\n\n{claims}")
    (sources / "02_bad.py").write_text("# %% [markdown]\n# # 02 Bad\n\n# %%\nx = 1\nx / 0\n")
    settings = '[project.urls]\nRepository = "https://github.com/someone/some"\n'
    (tmp_path / "pyproject.toml").write_text(settings)
    monkeypatch.chdir(tmp_path)
    return sources.parent


def test_lessons_are_listed_with_their_titles(course, capsys):
    assert cli.main(["lessons"]) == 0
    header, good, bad = capsys.readouterr().out.splitlines()
    assert good.split()[:3] == ["01", "01", "Good"] and "02_bad.ipynb" in bad


def test_a_lesson_ends_with_its_claims_and_the_places_of_notebook_and_page(course, capsys):
    assert cli.main(["lesson", "01", "--scale", "smoke"]) == 0
    claims, place, page = capsys.readouterr().out.splitlines()[-3:]
    assert claims == "claims at smoke"
    assert place.split()[-1] == str(course / "executed" / "01_good.ipynb")
    assert page.split()[-1] == str(course / "executed" / "01_good.html")


def test_a_failing_cell_is_shown_with_its_error_and_gives_1(course, capsys):
    assert cli.main(["lesson", "02", "--scale", "smoke"]) == 1
    shown = capsys.readouterr().err
    assert "x = 1\nx / 0" in shown and "\x1b" not in shown
    assert shown.splitlines()[-1].endswith("02_bad.py failed: ZeroDivisionError: division by zero")


def test_an_unknown_lesson_gives_2_and_the_known_ones(course, capsys):
    assert cli.main(["lesson", "77"]) == 2
    assert capsys.readouterr().err == "medseg: no lesson '77'; there are 01, 02.\n"


@pytest.mark.parametrize("arguments", [[], ["lesson"], ["lesson", "01", "--scale", "huge"]])
def test_wrong_usage_gives_2(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2


@pytest.mark.parametrize(
    "error, code",
    [
        (errors.ConfigError("no"), 2),
        (errors.LabelError("no"), 3),
        (errors.DataNotFoundError("no"), 4),
        (errors.ModelError("no"), 4),
        (errors.BackendError("no"), 5),
        (ModuleNotFoundError("no"), 5),
        (KeyboardInterrupt(), 130),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_kind_of_error_has_its_exit_code_and_one_sentence(monkeypatch, capsys, error, code):
    def fail():
        raise error

    monkeypatch.setattr(notebook, "sources", fail)
    assert cli.main(["lessons"]) == code
    assert capsys.readouterr().err.startswith("medseg: ")


def test_debug_shows_the_traceback(monkeypatch):
    def fail():
        raise errors.LabelError("no")

    monkeypatch.setattr(notebook, "sources", fail)
    with pytest.raises(errors.LabelError):
        cli.main(["--debug", "lessons"])


def test_the_command_is_installed_and_also_runs_as_a_module(course):
    (script,) = importlib.metadata.entry_points(group="console_scripts", name="medseg")
    assert script.load() is cli.main
    command = [sys.executable, "-m", "medseg_tf.cli", "lessons"]
    assert "01 Good" in subprocess.run(command, capture_output=True, text=True, check=True).stdout
