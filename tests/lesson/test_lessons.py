"""Rules that every lesson of the course keeps."""

import ast
import re
from pathlib import Path

import nbformat
import pytest

from medseg_tf.lesson import notebook

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "notebooks" / "source").glob("*_*.py"))


def each_lesson(function):
    return pytest.mark.parametrize("source", SOURCES, ids=[s.stem for s in SOURCES])(function)


def committed(source):
    """The committed twins of a lesson, the student's first."""
    folder = source.parents[1]
    places = [folder / f"{source.stem}.ipynb", folder / "solutions" / f"{source.stem}.ipynb"]
    missing = [place.name for place in places if not place.is_file()]
    assert not missing, "run: make notebooks"
    return [(place, nbformat.read(place, as_version=4)) for place in places]


def markdown(source):
    return "\n".join(
        text for is_text, _, text in notebook.parse(source.read_text("utf-8")) if is_text
    )


@each_lesson
def test_a_source_is_plain_python(source):
    ast.parse(source.read_text("utf-8"))


@each_lesson
def test_source_and_notebooks_agree(source):
    for (place, twin), solved in zip(committed(source), (False, True), strict=True):
        built = notebook.build(source, solved)
        pairs = zip(built.cells, twin.cells, strict=True)
        assert all(
            (a.cell_type, a.id, a.source, a.metadata) == (b.cell_type, b.id, b.source, b.metadata)
            for a, b in pairs
        ), f"{place.name} is not what its source says; run: make notebooks"
        assert built.metadata == twin.metadata
        nbformat.validate(twin)


@each_lesson
def test_headings_start_with_one_title_and_have_no_gaps(source):
    levels = [len(marks) for marks in re.findall("^(#+) ", markdown(source), re.MULTILINE)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(b <= a + 1 for a, b in zip(levels, levels[1:], strict=False))


@each_lesson
def test_a_cell_has_at_most_25_lines(source):
    lengths = {
        cell.id: len(cell.source.splitlines())
        for cell in notebook.build(source, solved=True).cells
        if cell.cell_type == "code"
    }
    assert {cell: length for cell, length in lengths.items() if length > 25} == {}


@each_lesson
def test_links_lead_to_files_of_the_repository(source):
    for place, twin in committed(source):
        text = "\n".join(cell.source for cell in twin.cells if cell.cell_type == "markdown")
        links = re.findall(r"\]\(([^)#\s]+)", text)
        here = [link for link in links if not re.match("https?:|mailto:", link)]
        assert [link for link in here if not (place.parent / link).exists()] == []


@each_lesson
def test_notebooks_hold_no_absolute_path_and_no_log_lines(source):
    for place, _ in committed(source):
        text = place.read_text("utf-8")
        paths = rf"(?:{ROOT}|/home/|/root/|/Users/|/tmp/).{{,40}}|[A-Z]:\\\\\w+"
        assert re.findall(paths, text) == []
        assert '"name": "stderr"' not in text


@each_lesson
def test_every_picture_has_an_alternative_text(source):
    assert re.findall(r"!\[\s*\]", markdown(source)) == []
    for _, twin in committed(source):
        outputs = [output for cell in twin.cells for output in cell.get("outputs", [])]
        pictures = [output for output in outputs if "image/png" in output.get("data", {})]
        assert all(p.metadata.get("image/png", {}).get("alt", "").strip() for p in pictures)


@each_lesson
def test_a_notebook_has_at_most_300_kilobytes(source):
    sizes = {place.parent.name: place.stat().st_size for place, _ in committed(source)}
    assert {name: size for name, size in sizes.items() if size > 300_000} == {}


@each_lesson
def test_no_cell_of_a_lesson_failed_and_no_output_is_endless(source):
    _, solved = committed(source)[1]
    outputs = [output for cell in solved.cells for output in cell.get("outputs", [])]
    assert [output.evalue for output in outputs if output.output_type == "error"] == []
    assert all(len(output.get("text", "").splitlines()) <= 100 for output in outputs)


@each_lesson
def test_a_lesson_has_exercises_that_their_solutions_pass(source):
    (_, student), (_, solved) = committed(source)
    pairs = zip(student.cells, solved.cells, strict=True)
    code = [(blank, full) for blank, full in pairs if blank.cell_type == "code"]
    exercises = [(blank, full) for blank, full in code if blank.source != full.source]
    assert len(exercises) >= 2
    for blank, full in exercises:
        assert "lesson.exercise(" in blank.source and blank.outputs == []
        assert "Yes" in full.outputs[-1].text


@each_lesson
def test_a_lesson_has_its_setup_and_its_table_of_claims(source):
    tags = [tags for _, tags, _ in notebook.parse(source.read_text("utf-8"))]
    assert tags.count(["setup"]) == 1 and sum("claims" in names for names in tags) == 1
