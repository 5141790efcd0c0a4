"""The notebook machinery on a small lesson."""

import re

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError

from medseg_tf.errors import ConfigError, DataNotFoundError
from medseg_tf.lesson import notebook

SMALL = '''\
# %% [markdown]
# # 01 A small lesson
#
# See [the page](../docs/page.md).

# %% tags=["setup"]
import os

# %%
print(os.environ["MEDSEG_SCALE"], os.environ.get("MEDSEG_BUILT_IN"))

# %% tags=["exercise"]
def double(number):
    """Return twice the number."""
    ### BEGIN SOLUTION
    twice = 2 * number
    return twice
    ### END SOLUTION


### BEGIN SOLUTION
half = 1 / 2
### END SOLUTION
print(double(2), half)

# %% tags=["claims"]
print("the table")
'''


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A course of one lesson; returns the path of its source."""
    source = tmp_path / "notebooks" / "source" / "01_small.py"
    source.parent.mkdir(parents=True)
    source.write_text(SMALL)
    settings = '[project.urls]\nRepository = "https://github.com/someone/some"\n'
    (tmp_path / "pyproject.toml").write_text(settings)
    monkeypatch.chdir(tmp_path)
    return source


def code(source, solved):
    return [
        cell.source for cell in notebook.build(source, solved).cells if cell.cell_type == "code"
    ]


def test_markdown_loses_its_comment_signs_and_tags_are_kept():
    cells = notebook.parse(
        '# %% [markdown]\n# # Title\n#\n# text\n\n# %% tags=["setup"]\nx = 1\n\n'
    )
    assert cells == [(True, [], "# Title\n\ntext"), (False, ["setup"], "x = 1")]


@pytest.mark.parametrize("text", ["# %% [code]\nx = 1", "x = 1\n# %%\n", "# %% tags=setup\nx = 1"])
def test_a_line_that_belongs_to_no_cell_is_an_error_with_its_number(text):
    with pytest.raises(ConfigError, match="line 1"):
        notebook.parse(text)


def test_the_solved_twin_has_the_solutions_without_their_marks(small):
    assert (
        'number."""\n    twice = 2 * number\n    return twice\n\n\nhalf = 1 / 2\n'
        in code(small, True)[2]
    )


def test_the_students_twin_has_blanks_that_run(small):
    blank = code(small, False)[2]
    found = {}
    exec(blank, found)
    assert found["double"](2) is None and found["half"] is ...
    assert "2 * number" not in blank and "print(double(2), half)" in blank


def test_the_setup_cell_installs_on_colab_only(small):
    first = code(small, True)[0]
    install = "    %pip install -q --no-deps git+https://github.com/someone/some\n"
    assert first.startswith(f'import sys\n\nif "google.colab" in sys.modules:\n{install}')
    assert first.endswith("import os")


def test_the_badge_stands_under_the_title_and_opens_the_students_twin(small):
    title, _, badge, *_ = notebook.build(small, True).cells[0].source.splitlines()
    place = "colab.research.google.com/github/someone/some/blob/main/notebooks/01_small.ipynb"
    assert title == "# 01 A small lesson" and place in badge


def test_links_of_the_solved_twin_go_up_one_folder_more(small):
    texts = [notebook.build(small, solved).cells[0].source for solved in (False, True)]
    assert "(../docs/page.md)" in texts[0] and "(../../docs/page.md)" in texts[1]


def test_two_builds_are_equal_to_the_last_byte(small):
    assert len({nbformat.writes(notebook.build(small, True)) for _ in range(2)}) == 1


def test_an_executed_lesson_is_written_as_notebook_and_page(small):
    executed, place, page = notebook.run(small, "smoke")
    assert executed.cells[2].outputs[0].text == "smoke None\n"
    assert notebook.claims(executed) == "the table"
    assert nbformat.read(place, as_version=4) == executed
    assert "the table" in page.read_text(encoding="utf-8")


def test_both_twins_are_written_and_run_again_only_after_a_change(small, monkeypatch):
    assert notebook.update(small)
    twins = [small.parents[1] / folder / "01_small.ipynb" for folder in ("solutions", ".")]
    solved, student = (nbformat.read(twin, as_version=4).cells for twin in twins)
    assert solved[2].outputs == student[2].outputs
    assert solved[2].outputs[0].text == "desktop 1\n"
    assert solved[3].outputs[0].text == "4 0.5\n" and student[3].outputs == []

    before = [twin.read_bytes() for twin in twins]
    monkeypatch.setattr(notebook, "execute", lambda *_, **__: pytest.fail("executed again"))
    assert not notebook.update(small)
    assert before == [twin.read_bytes() for twin in twins]

    small.write_text(SMALL.replace("2 * number", "number + number"))
    runs = []
    monkeypatch.setattr(notebook, "execute", lambda *_, **__: runs.append(1))
    assert notebook.update(small) and runs == [1]


def test_a_failing_cell_stops_the_run_and_the_notebook_is_kept(small):
    small.write_text("# %% [markdown]\n# # Bad\n\n# %%\nprint('before')\n1 / 0\n")
    with pytest.raises(CellExecutionError, match="1 / 0"):
        notebook.run(small, "smoke")
    executed = nbformat.read(small.parents[1] / "executed" / "01_small.ipynb", as_version=4)
    assert [output.output_type for output in executed.cells[1].outputs] == ["stream", "error"]


def test_lessons_are_found_from_any_folder_of_the_checkout(small, monkeypatch):
    monkeypatch.chdir(small.parent)
    assert notebook.sources() == {"01": small}


def test_appendices_are_numbered_by_a_letter_and_come_after_the_lessons(small):
    appendix = small.with_name("A2_more.py")
    appendix.write_text(SMALL.replace("# 01 A small", "# A2 One more"))
    small.with_name("14_last.py").write_text(SMALL)
    assert list(notebook.sources()) == ["01", "14", "A2"]
    assert notebook.sources()["A2"] == appendix
    assert notebook.build(appendix, solved=True).cells[0].source.startswith("# A2 One more")


def test_without_a_checkout_the_lessons_are_not_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(notebook, "__file__", str(tmp_path / "a" / "b" / "c.py"))
    with pytest.raises(DataNotFoundError, match="Clone the repository"):
        notebook.course()


def test_the_page_keeps_the_alternative_text_of_pictures():
    picture = nbformat.v4.new_output(
        "display_data", {"image/png": "AAAA"}, metadata={"image/png": {"alt": 'a "U" of boxes'}}
    )
    cells = [nbformat.v4.new_code_cell("1", outputs=[picture])]
    page = notebook.page(nbformat.v4.new_notebook(cells=cells, metadata=notebook.METADATA))
    assert re.search("""<img alt=.a "U" of boxes. src="data:image/png;base64,AAAA""", page)
