"""What README.md shows of the lessons: made from their notebooks and results, never typed."""

import base64
import json
import re
import tomllib
from pathlib import Path
from statistics import mean

from medseg_tf.lesson import notebook

RESULTS = Path(__file__).parents[1] / "results"
# Of these the first that a set's rows have is shown.
SCORES = {
    "seg": "SEG",
    "dice": "Dice",
    "rand_thinned": "Rand",
    "nmi": "NMI",
    "jaccard": "IoU",
    "accuracy": "accuracy",
}


def table():
    """Return the table of lessons in Markdown: title, claims judged, and scores on real sets."""
    import nbformat

    lines = [
        "| lesson | claims | on real sets, mean over seeds (without learning) |",
        "|---|---|---|",
    ]
    for source in notebook.sources().values():
        solved = nbformat.read(source.parents[1] / "solutions" / f"{source.stem}.ipynb", 4)
        title = solved.cells[0].source.splitlines()[0].lstrip("# ")
        claims = notebook.claims(solved)
        count = len(claims.strip().splitlines()) - 1
        held = count - claims.count("did not hold") - claims.count("undecided")
        link = f"[{title}](notebooks/{source.stem}.ipynb)"
        lines.append(f"| {link} | {held} of {count} held | {real_scores(source.stem)} |")
    return "\n".join(lines)


def real_scores(name):
    """Return one lesson's measured scores in words; a dash where nothing was measured."""
    path = RESULTS / f"{name}.json"
    if not path.is_file():
        return "-"
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
    texts = []
    for data_set in dict.fromkeys(row["set"] for row in rows):
        of_set = [row for row in rows if row["set"] == data_set]
        score = next(key for key in SCORES if key in of_set[0])
        plain, *learned = dict.fromkeys(row["arm"] for row in of_set)  # the first learns nothing
        if learned:
            texts.append(f"{data_set}: {learned[0]}, {scored(of_set, learned[0], score)}")
    return "; ".join(texts)


def scored(rows, arm, score):
    """Return an arm's mean over seeds in words, behind it that of the first arm of these rows."""
    of = {one: [row[score] for row in rows if row["arm"] == one] for one in (rows[0]["arm"], arm)}
    plain, found = (f"{mean(values):.3f}" for values in of.values())
    return f"{SCORES[score]} {found} ({plain})"


def systems():
    """Return the table of the methods that the review names: function, published, measured."""
    lines = [
        "| method | lesson | here | published | measured (without learning, or the twin) |",
        "|---|---|---|---|---|",
    ]
    known = Path(__file__).with_name("systems.toml").read_text(encoding="utf-8")
    for one in tomllib.loads(known)["system"]:
        lesson = f"[{one['lesson'][:2]}](notebooks/{one['lesson']}.ipynb)"
        here = ", ".join(f"`{name}`" for name in one["functions"])
        found = "; ".join(measured(one["lesson"], **where) for where in one["measured"])
        lines.append(
            f"| {one['method']} | {lesson} | {here} | {one['published'] or '-'} | {found} |"
        )
    return "\n".join(lines)


def measured(lesson, **where):
    """Return in words what we measured of a method: see systems.toml."""
    if "weights" in where:
        from medseg_tf import models

        return f"{getattr(models, where['weights'])().count_params():,} weights"
    if "claim" in where:
        row = claim(lesson, where["claim"])
        return f"simulated: {row['what']} {row['measured']} ({row['against']})"
    rows = json.loads((RESULTS / f"{lesson}.json").read_text(encoding="utf-8"))["rows"]
    rows = [row for row in rows if row["set"] == where["set"]]
    return f"{where['set']}: {scored(rows, where['arm'], where['score'])}"


def claim(lesson, words):
    """Return the row of a lesson's table of claims that begins with these words, as a dict."""
    import nbformat

    path = notebook.course() / "notebooks" / "solutions" / f"{lesson}.ipynb"
    head, *lines = notebook.claims(nbformat.read(path, 4)).strip().splitlines()
    columns = [found.span() for found in re.finditer(r"\S+(?: \S+)*", head)]
    ends = [start for start, _ in columns[1:]] + [None]
    line = next(line for line in lines if line.startswith(words))
    spans = zip(columns, ends, strict=True)
    return {head[slice(*name)]: line[name[0] : end].strip() for name, end in spans}


def update(folder):
    """Write the tables into README.md, and the first lesson's picture tagged "front" to docs/."""
    import nbformat

    readme = folder / "README.md"
    text = readme.read_text(encoding="utf-8")
    for name, made in {"lessons": table(), "systems": systems()}.items():
        start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        before, rest = text.split(start)
        text = f"{before}{start}\n{made}\n{end}{rest.split(end)[1]}"
    notebook.write(text, readme)
    for path in sorted((folder / "notebooks" / "solutions").glob("*.ipynb")):
        for cell in nbformat.read(path, 4).cells:
            if "front" in cell.metadata.get("tags", []):
                picture = base64.b64decode(cell.outputs[-1].data["image/png"])
                (folder / "docs" / "front.png").write_bytes(picture)
                return
