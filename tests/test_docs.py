"""The pages that people read first lead somewhere, and their example runs."""

import importlib
import re
import shlex
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medseg_tf import cli

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "data" / "README.md"]


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_links_lead_to_files_of_the_repository(page):
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text("utf-8"))
    here = [link for link in links if not re.match("https?:|mailto:", link)]
    assert [link for link in here if not (page.parent / link).exists()] == []


def test_every_target_of_the_makefile_is_in_its_help():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.search(r"\.PHONY: (.*)", makefile)[1].split()) - {"help"}
    assert targets == set(re.findall(r'"make (\w+)', makefile))


def test_the_readmes_example_trains_and_writes_a_prediction(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cells = np.zeros((40, 40), "uint8")
    cells[10:20, 10:20] = cells[25:35, 20:30] = 1
    Image.fromarray(cells * 200).save("cells.png")
    Image.fromarray(cells).save("label.png")
    example = re.search("```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)[
        1
    ]
    for long, short in {
        "width=16": "width=2, depth=2",
        "size=128": "size=16",
        "=20)": "=1)",
    }.items():
        assert long in example
        example = example.replace(long, short)
    exec(example, {})
    prediction = np.asarray(Image.open("prediction.png"))
    assert prediction.shape == (40, 40) and set(np.unique(prediction)) <= {0, 1}


def test_the_commands_that_pages_name_are_ones_that_medseg_understands():
    text = "\n".join(page.read_text("utf-8") for page in PAGES)
    commands = re.findall(r"^(?:\s*# )?medseg (.*)$", text, re.MULTILINE)
    assert len(commands) > 3
    for command in commands:
        assert cli.parser().parse_args(shlex.split(command, comments=True)).run


def test_the_front_pages_show_lessons_and_methods_as_notebooks_and_results_have_them():
    from medseg_tf.lesson import front

    for page, made in front.tables().items():
        text = (ROOT / page).read_text("utf-8")
        assert [name for name, table in made.items() if table not in text] == [], "make notebooks"


def test_the_table_of_methods_names_functions_that_exist():
    path = ROOT / "medseg_tf" / "lesson" / "systems.toml"
    for system in tomllib.loads(path.read_text("utf-8"))["system"]:
        for name in system["functions"]:
            part, function = name.split(".")
            assert hasattr(importlib.import_module(f"medseg_tf.{part}"), function), name
