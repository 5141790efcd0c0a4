"""What the benchmarks make of their times; nothing is timed here."""

import json
from pathlib import Path

import pytest

HOME = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(autouse=True)
def in_their_folder(monkeypatch):
    monkeypatch.syspath_prepend(str(HOME))


def row(**asked):
    import measure

    return measure.Row("work", None, {"A": None, "B": None}, **asked)


def judge(ours, **asked):
    import measure

    rounds = {measure.OURS: [9.0, ours, ours], "A": [4.0, 4.0, 0.1], "B": [5.0, 5.0, 5.0]}
    return measure.judge(row(**asked), rounds, {})


def test_the_ratio_is_to_the_fastest_peers_median():
    result = judge(2.0)
    assert (result["fastest_peer"], result["ratio"]) == ("A", 2.0)


@pytest.mark.parametrize(
    "asked, met",
    [({"mark": 2}, True), ({"mark": 2.1}, False), ({"limit": 2}, True), ({"limit": 1.9}, False)],
)
def test_a_mark_is_met_from_its_number_on(asked, met):
    assert judge(2.0, **asked)["met"] == met


def test_a_reason_stands_only_where_a_mark_is_missed_or_a_peer_is_faster():
    reasons = [judge(*case, reason="why")["reason"] for case in [(2.0,), (4.5,)]]
    assert reasons == ["", "why"] and judge(2.0, mark=3)["reason"] == "not known"


def test_the_table_numbers_its_reasons(tmp_path):
    import table

    rows = [judge(2.0, mark=2), judge(2.0, mark=3, reason="why"), judge(5.0, reason="how")]
    record = {"date": "2026-01-01", "cores": 2, "processor": "P", "versions": {"A": {"a": "1"}}}
    (tmp_path / "start.json").write_text(json.dumps(record | {"rows": rows}))
    lines = table.table(tmp_path).splitlines()
    assert lines[2:5] == [
        "| work | 2 s | A 4 s | 2 | 2 times: met |",
        "| work | 2 s | A 4 s | 2 (1) | 3 times: missed |",
        "| work | 5 s | A 4 s | 0.8 (2) | - |",
    ]
    assert lines[6:8] == ["1. why", "2. how"]
    assert "2026-01-01 on 2 cores of P, with a 1" in lines[-1]


def test_every_comparison_is_run_and_shown():
    import table

    helpers = {"measure", "nets", "table", "torch_nets"}
    files = {path.stem for path in HOME.glob("*.py")} - helpers
    makefile = (HOME.parent / "Makefile").read_text("utf-8")
    asked = next(line for line in makefile.splitlines() if line.startswith("BENCH ?="))
    assert set(asked.split()[2:]) == set(table.ORDER) == files
