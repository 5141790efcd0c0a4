import keras
import numpy as np
import pytest

from medseg_tf import data, lesson
from medseg_tf.errors import ConfigError
from medseg_tf.lesson import core


@pytest.fixture(autouse=True)
def fresh_lesson(monkeypatch):
    monkeypatch.delenv("MEDSEG_SCALE", raising=False)
    monkeypatch.delenv("MEDSEG_BUILT_IN", raising=False)
    core._claims.clear()


def case(side=4):
    array = np.zeros((side, side, 1), "uint8")
    return data.Case("one", data.Scan(array, data.Grid((side, side), units="pixel")))


def test_the_scale_is_desktop_where_nothing_is_set():
    assert lesson.scale(smoke=1, desktop=2, paper=3) == 2


@pytest.mark.parametrize("name, value", [("smoke", 1), ("desktop", 2), ("paper", 3)])
def test_the_environment_chooses_the_scale(monkeypatch, name, value):
    monkeypatch.setenv("MEDSEG_SCALE", name)
    assert lesson.scale(smoke=1, desktop=2, paper=3) == value


def test_paper_scale_without_a_value_of_its_own_takes_the_desktops(monkeypatch):
    monkeypatch.setenv("MEDSEG_SCALE", "paper")
    assert lesson.scale(smoke=1, desktop=2) == 2
    assert lesson.scale(smoke=1, desktop=2, paper=None) is None


def test_an_unknown_scale_is_an_error_that_lists_the_known(monkeypatch):
    monkeypatch.setenv("MEDSEG_SCALE", "huge")
    with pytest.raises(ConfigError, match="'huge'.*smoke, desktop, paper"):
        lesson.scale(smoke=1, desktop=2)


@pytest.mark.parametrize(
    "holds, verdict", [(True, "held"), (np.False_, "did not hold"), (None, "undecided")]
)
def test_a_claim_is_held_or_not_or_undecided(capsys, holds, verdict):
    lesson.claim("skips help", measured=0.02, against=0.05, holds=holds)
    assert lesson.claims_table().column("verdict") == [verdict]
    assert capsys.readouterr().out == f"skips help: {verdict} (0.02 against 0.05)\n"


def test_a_gain_within_the_spread_over_seeds_is_undecided():
    lesson.claim("small gain", measured=0.82, against=0.80, holds=True, spread=0.03)
    lesson.claim("large gain", measured=0.90, against=0.80, holds=True, spread=0.03)
    assert lesson.claims_table().column("verdict") == ["undecided", "held"]


def test_at_smoke_scale_no_claim_is_judged(monkeypatch):
    monkeypatch.setenv("MEDSEG_SCALE", "smoke")
    lesson.claim("skips help", measured=0.02, against=0.05, holds=True)
    assert lesson.claims_table().column("verdict") == ["not judged at this scale"]


def test_a_cell_run_twice_leaves_one_row():
    for measured in (1, 2):
        lesson.claim("again", measured=measured, against=0, holds=True)
    assert lesson.claims_table().column("measured") == [2]


def test_the_table_leaves_out_columns_that_no_claim_fills():
    lesson.claim("a", measured=1, against=0, holds=True, source="figure 1")
    lesson.claim("b", measured=1, against=0, holds=False)
    columns = ["claim", "measured", "against", "verdict", "source"]
    assert lesson.claims_table().columns == columns


def test_the_claims_table_prints_numbers_of_numpy_like_pythons():
    lesson.claim("a", measured=np.float32(0.1), against=np.float64(0.25), holds=True)
    assert "0.1 " in str(lesson.claims_table())


def test_a_table_without_claims_is_empty():
    assert lesson.claims_table() == []


def test_a_banner_of_phantoms_says_why_and_forgets_earlier_claims(capsys):
    lesson.claim("of the lesson before", measured=1, against=0, holds=True)
    lesson.banner([case(), case()], "no download needed")
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith("Simulated data, 2 cases (no download needed). Scale: desktop. ")
    assert "Keras" in line
    assert lesson.claims_table() == []


def test_a_banner_of_a_real_set_names_owner_and_licence(capsys, monkeypatch):
    cases = [case()]
    monkeypatch.setattr(data.sets, "find", lambda name: "a folder")
    monkeypatch.setattr(data, "load", lambda name, limit: cases)
    lesson.banner(lesson.real("DSB2018-nuclei"))
    line = capsys.readouterr().out
    assert line.startswith("Real data: DSB2018-nuclei, 1 case (Carpenter lab")
    assert "CC0" in line


def test_a_real_set_that_is_not_there_is_no_case(monkeypatch, tmp_path):
    monkeypatch.setattr(data.sets, "find", lambda name: None)
    assert lesson.real("DSB2018-nuclei") == []


@pytest.mark.parametrize("name, value", [("MEDSEG_SCALE", "smoke"), ("MEDSEG_BUILT_IN", "1")])
def test_smoke_runs_and_committed_notebooks_use_no_real_set(monkeypatch, name, value):
    monkeypatch.setattr(data.sets, "find", lambda name: "a folder")
    monkeypatch.setenv(name, value)
    assert lesson.real("DSB2018-nuclei") == []


def check_double(double):
    return "Yes." if double(2) == 4 else "Not yet."


def test_an_exercise_is_checked_in_float32_whatever_the_lesson_computes_in(capsys):
    keras.config.set_dtype_policy("mixed_bfloat16")
    lesson.exercise(lambda answer: keras.config.dtype_policy().name, 1)
    lesson.exercise(lambda answer: answer[1], (1,))
    assert "float32" in capsys.readouterr().out
    assert keras.config.dtype_policy().name == "mixed_bfloat16"


def test_an_exercise_prints_its_checkers_line(capsys):
    lesson.exercise(check_double, lambda x: 2 * x)
    assert capsys.readouterr().out == "Yes.\n"


@pytest.mark.parametrize("blank", [None, ...])
def test_a_blank_value_is_still_to_do(capsys, blank):
    lesson.exercise(check_double, blank)
    assert capsys.readouterr().out.startswith("Still to do")


def test_an_answer_that_raises_gets_a_kind_line_with_the_place(capsys):
    def double(x):
        return x / 0

    lesson.exercise(check_double, double)
    line = capsys.readouterr().out
    assert line.startswith("Not yet: your answer stopped with ZeroDivisionError")
    assert "return x / 0" in line


def test_source_prints_the_function_itself(capsys):
    lesson.source(check_double)
    assert capsys.readouterr().out.startswith("def check_double(double):")


def test_results_that_are_missing_say_how_to_make_them(capsys):
    assert lesson.results("99_nothing") is None
    assert capsys.readouterr().out == "No measured results yet: make results LESSON=99\n"


def test_results_say_when_and_how_they_were_measured(capsys, monkeypatch, tmp_path):
    (tmp_path / "results").mkdir()
    text = '{"date": "2026-11-01", "versions": {"keras": "3.15"}, "command": "make results"}'
    (tmp_path / "results" / "98_some.json").write_text(text)
    monkeypatch.setattr(core.resources, "files", lambda package: tmp_path)
    assert lesson.results("98_some")["date"] == "2026-11-01"
    line = "Measured on 2026-11-01, not now (make results; keras 3.15).\n"
    assert capsys.readouterr().out == line
