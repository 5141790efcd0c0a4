"""From a percent script with solutions between marks to the two notebooks of a lesson.

A source is a text of cells; each starts with `# %%` or `# %% [markdown]`, the latter's lines with
`# `. `tags=["setup"]` behind it marks the set-up cell, `tags=["claims"]` the table of claims. Lines
between `### BEGIN SOLUTION` and `### END SOLUTION` are what the student's notebook leaves blank.
"""

import ast
import hashlib
import json
import os
import re
import sys
import tomllib
from pathlib import Path

from medseg_tf.errors import ConfigError, DataNotFoundError
from medseg_tf.progress import progress

HEADER = re.compile(r"# %%( \[markdown\])?(?: tags=(\[.*\]))?$")
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
COLAB = """\
import sys

if "google.colab" in sys.modules:
    %pip install -q --no-deps {package}

"""
BADGE = "https://colab.research.google.com/assets/colab-badge.svg"
# nbconvert's own page leaves the pictures' alternative text out.
PAGE = """\
{%- extends 'lab/index.html.j2' -%}
{%- block data_png scoped -%}
<div class="jp-RenderedImage jp-OutputArea-output">
<img src="data:image/png;base64,{{ output.data['image/png'] }}"
alt="{{ output.metadata.get('image/png', {}).get('alt', '') | escape }}">
</div>
{%- endblock data_png -%}
"""
LOG = re.compile(r"^(?:WARNING: All log messages before absl|[IWE]\d{4} ).*\n?", re.MULTILINE)
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def course():
    """Return the folder of the checkout that holds notebooks/source, seen from here or above."""
    here = Path.cwd()
    for folder in [here, *here.parents, Path(__file__).parents[2]]:
        if (folder / "notebooks" / "source").is_dir():
            return folder
    raise DataNotFoundError(
        f"no folder notebooks/source in {here} or above; the lessons are not part of the installed "
        "package. Clone the repository and run this inside it."
    )


def sources():
    """Return {number: path} of the lessons' sources, e.g. {"03": .../source/03_unet.py}."""
    paths = sorted((course() / "notebooks" / "source").glob("*_*.py"))
    return {path.stem.split("_")[0]: path for path in paths}


def repository(source):
    """Return the repository's address from the pyproject.toml of the source's checkout."""
    settings = tomllib.loads((source.parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    return settings["project"]["urls"]["Repository"]


def parse(text):
    """Split a source into cells: a list of (is_markdown, tags, text).

    Raises:
        ConfigError: text before the first cell, or a header that is none.
    """
    cells = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("# %%"):
            header = HEADER.match(line.rstrip())
            if not header:
                raise ConfigError(
                    f"line {number}: {line!r} starts no cell; write '# %%' or '# %% [markdown]', "
                    'with tags=["..."] behind it where needed.'
                )
            cells.append((bool(header[1]), json.loads(header[2] or "[]"), []))
        elif cells:
            cells[-1][2].append(re.sub("^# ?", "", line) if cells[-1][0] else line)
        elif line.strip():
            raise ConfigError(f"line {number}: text before the first '# %%' belongs to no cell.")
    return [(markdown, tags, "\n".join(lines).strip()) for markdown, tags, lines in cells]


def blank(code, solved):
    """Take the marks out of an exercise; unless `solved`, put a blank that runs between them."""

    def fill(match):
        indent, solution = match[1], match[2]
        if solved:
            return solution
        if indent:  # the inside of a function, which now returns nothing
            return f"{indent}...  # your code here\n"
        names = [name.id for line in ast.parse(solution).body for name in line.targets]
        return "".join(f"{name} = ...  # your answer here\n" for name in names)

    marked = rf"^([ ]*){BEGIN}\n(.*?)^[ ]*{END}(?:\n|\Z)"
    return re.sub(marked, fill, code, flags=re.DOTALL | re.MULTILINE).rstrip()


def build(source, solved):
    """Return the notebook of a source, not executed, with or without its solutions."""
    import nbformat

    text, url = source.read_text(encoding="utf-8"), repository(source)
    colab = url.replace("github.com", "colab.research.google.com/github")
    badge = f"[![Open in Colab]({BADGE})]({colab}/blob/main/notebooks/{source.stem}.ipynb)"
    notebook = nbformat.v4.new_notebook(
        metadata=METADATA | {"medseg": {"source_sha256": digest(text)}}
    )
    for index, (markdown, tags, content) in enumerate(parse(text)):
        if markdown:
            if index == 0:
                title, _, rest = content.partition("\n")
                content = f"{title}\n\n{badge}\n{rest}"
            if solved:  # one folder further down
                content = content.replace("](../", "](../../")
            cell = nbformat.v4.new_markdown_cell(content)
        else:
            if "setup" in tags:
                content = COLAB.format(package=f"git+{url}") + content
            cell = nbformat.v4.new_code_cell(blank(content, solved))
        cell.id = f"cell-{index:02d}"  # the same at each build
        cell.metadata = {"tags": tags} if tags else {}
        notebook.cells.append(cell)
    return notebook


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


def execute(notebook, scale, folder, built_in=False):
    """Execute a notebook in place, cell by cell, with a progress bar that names the section.

    Args:
        notebook: what `build` returned.
        scale: "smoke", "desktop" or "paper".
        folder: where its kernel runs.
        built_in: use simulated data even where real sets are there.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed; the notebook holds its output.
    """
    from nbclient import NotebookClient

    own = {"MEDSEG_SCALE": scale, "TF_CPP_MIN_LOG_LEVEL": "3"}
    own |= {"MEDSEG_BUILT_IN": "1"} if built_in else {}
    client = NotebookClient(
        notebook,
        resources={"metadata": {"path": str(folder)}},
        timeout=None,
        record_timing=False,
        coalesce_streams=True,
        extra_arguments=["--log-level=CRITICAL"],
    )

    def follow(outs, message, *where):
        if message["msg_type"] == "stream":
            text = message["content"]["text"] = LOG.sub("", message["content"]["text"])
            if not text:
                return None
            if lines := text.strip().splitlines():  # the last one goes behind the bar
                bar.set_postfix_str(lines[-1][:60], refresh=live)
        return NotebookClient.output(client, outs, message, *where)

    client.output = follow
    live = sys.stderr.isatty()
    count = sum(cell.cell_type == "code" for cell in notebook.cells)
    with progress(total=count, desc="start") as bar, client.setup_kernel(env=os.environ | own):
        for index, cell in enumerate(notebook.cells):
            if cell.cell_type == "code":
                client.execute_cell(cell, index)
                bar.update()
            elif heading := re.search("^#+ (.*)", cell.source, re.MULTILINE):
                bar.set_description(heading[1], refresh=live)
    notebook.metadata |= METADATA  # without the kernel's own version, which changes


def write(text, path):
    """Write a text under a temporary name, then rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def run(source, scale):
    """Execute a lesson; return its notebook and the paths it was written to: .ipynb, .html.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed; the notebook is written all the same.
    """
    import nbformat

    notebook = build(source, solved=True)
    place = source.parents[1] / "executed" / f"{source.stem}.ipynb"
    try:
        execute(notebook, scale, source.parents[1])
    finally:
        write(nbformat.writes(notebook), place)
    write(page(notebook), place.with_suffix(".html"))
    return notebook, place, place.with_suffix(".html")


def page(notebook):
    """Return a notebook as an HTML page whose pictures carry their alternative text."""
    from jinja2 import DictLoader
    from nbconvert import HTMLExporter

    loader = DictLoader({"page.html.j2": PAGE})
    exporter = HTMLExporter(extra_loaders=[loader], template_file="page.html.j2")
    return exporter.from_notebook_node(notebook)[0]


def claims(notebook):
    """Return the text of the outputs of the cells tagged "claims"."""
    outputs = [
        output
        for cell in notebook.cells
        if "claims" in cell.metadata.get("tags", [])
        for output in cell.outputs
    ]
    texts = [
        output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs
    ]
    return "\n".join(text.rstrip() for text in texts)


def update(source):
    """Write both twins of a lesson, executed only if its source changed; return whether it was."""
    import nbformat

    place = source.parents[1] / "solutions" / f"{source.stem}.ipynb"
    solved, student = build(source, solved=True), build(source, solved=False)
    old = nbformat.read(place, as_version=4) if place.is_file() else None
    changed = old is None or old.metadata.get("medseg") != solved.metadata.medseg
    if changed:
        execute(solved, "desktop", source.parents[1], built_in=True)
        old = solved
    for mine, executed, his in zip(solved.cells, old.cells, student.cells, strict=True):
        if mine.cell_type == "code":
            mine.outputs, mine.execution_count = executed.outputs, executed.execution_count
            if his.source == mine.source:  # an exercise would show the solution's answer
                his.outputs, his.execution_count = mine.outputs, mine.execution_count
    write(nbformat.writes(solved), place)
    write(nbformat.writes(student), source.parents[1] / place.name)
    return changed


def main():
    """Bring the notebooks of every lesson, and the README's table of them, up to date."""
    from medseg_tf.lesson import front

    for number, source in sources().items():
        print(f"{number}: {'executed and written' if update(source) else 'up to date'}", flush=True)
    front.update(course())


if __name__ == "__main__":
    sys.exit(main())
