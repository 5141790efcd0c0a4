"""What the front pages show of lessons and methods: made from notebooks and results, not typed."""

import base64
import functools
import json
import math
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
KNOWN = tomllib.loads(Path(__file__).with_name("systems.toml").read_text(encoding="utf-8"))
ENGLISH = {
    "lessons": ("lesson", "claims that held", "on real sets, mean over seeds (without learning)"),
    "systems": (
        "method",
        "lesson",
        "here",
        "published",
        "measured (without learning, or the twin)",
    ),
}
CHINESE = {
    "lessons": ("课", "成立的论断", "真实数据，随机种子的平均（不学习的方法）"),
    "systems": ("方法", "课", "函数", "论文", "测得（不学习的方法或对照组）"),
}


def lessons(head, titles=None):
    """Return the table of lessons in Markdown: title, claims judged, and scores on real sets.

    titles: {number: title} in another language than the lessons' own.
    """
    import nbformat

    lines = [line(head), line(["---"] * len(head))]
    for number, source in notebook.sources().items():
        solved = nbformat.read(source.parents[1] / "solutions" / f"{source.stem}.ipynb", 4)
        title = solved.cells[0].source.splitlines()[0].lstrip("# ")
        title = f"{number} {titles[number]}" if titles else title
        claims = notebook.claims(solved)
        count = len(claims.strip().splitlines()) - 1
        held = count - claims.count("did not hold") - claims.count("undecided")
        link = f"[{title}](notebooks/{source.stem}.ipynb)"
        lines.append(line([link, f"{held} / {count}", real_scores(source.stem)]))
    return "\n".join(lines)


def line(cells):
    return f"| {' | '.join(cells)} |"


def real_scores(name):
    """Return one lesson's scores on real sets in words; a dash where nothing was measured.

    Shown is the lesson's first method that was measured on a set, else the first arm that learns.
    """
    path = RESULTS / f"{name}.json"
    if not path.is_file():
        return "-"
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
    methods = [one for one in KNOWN["system"] if one["lesson"] == name]
    named = [one for method in reversed(methods) for one in reversed(method["measured"])]
    arms = {one["set"]: (one["arm"], one["score"]) for one in named if "set" in one}
    texts = []
    for data_set in dict.fromkeys(row["set"] for row in rows):
        of_set = [row for row in rows if row["set"] == data_set]
        _, *learned = dict.fromkeys(row["arm"] for row in of_set)  # the first learns nothing
        if learned:
            score = next(key for key in SCORES if key in of_set[0])
            arm, score = arms.get(data_set, (learned[0], score))
            texts.append(f"{data_set}: {arm}, {scored(of_set, arm, score)}")
    return "; ".join(texts)


def scored(rows, arm, score):
    """Return an arm's mean over seeds in words, behind it that of the first arm of these rows."""
    of = {one: [row[score] for row in rows if row["arm"] == one] for one in (rows[0]["arm"], arm)}
    plain, found = (f"{mean(values):.3f}" for values in of.values())
    return f"{SCORES[score]} {found} ({plain})"


def systems(head):
    """Return the table of the methods that the review names: function, published, measured."""
    lines = [line(head), line(["---"] * len(head))]
    for one in KNOWN["system"]:
        lesson = f"[{one['lesson'][:2]}](notebooks/{one['lesson']}.ipynb)"
        here = ", ".join(f"`{name}`" for name in one["functions"])
        found = "; ".join(measured(one["lesson"], **where) for where in one["measured"])
        lines.append(line([one["method"], lesson, here, one["published"] or "-", found]))
    return "\n".join(lines)


def measured(lesson, **where):
    """Return in words what we measured of a method: see systems.toml."""
    if "weights" in where:
        return f"{weights(where['weights']):,} weights"
    if "claim" in where:
        judged = claim(lesson, where["claim"])
        return f"simulated: {judged['what']} {judged['measured']} ({judged['against']})"
    rows = json.loads((RESULTS / f"{lesson}.json").read_text(encoding="utf-8"))["rows"]
    rows = [row for row in rows if row["set"] == where["set"]]
    return f"{where['set']}: {where['arm']}, {scored(rows, where['arm'], where['score'])}"


@functools.cache
def weights(builder):
    from medseg_tf import models

    model = getattr(models, builder)()
    return sum(math.prod(one.shape) for one in model.trainable_weights)


def claim(lesson, words):
    """Return the row of a lesson's table of claims that begins with these words, as a dict."""
    import nbformat

    path = notebook.course() / "notebooks" / "solutions" / f"{lesson}.ipynb"
    head, *lines = notebook.claims(nbformat.read(path, 4)).strip().splitlines()
    columns = [name.span() for name in re.finditer(r"\S+(?: \S+)*", head)]
    ends = [start for start, _ in columns[1:]] + [None]
    found = next(one for one in lines if one.startswith(words))
    spans = zip(columns, ends, strict=True)
    return {head[slice(*name)]: found[name[0] : end].strip() for name, end in spans}


def tables():
    """Return the front pages' tables: {file: {the name between its marks: Markdown}}."""
    pages = {"README.md": (ENGLISH, None), "README.zh-CN.md": (CHINESE, KNOWN["titles_zh"])}
    return {
        page: {"lessons": lessons(head["lessons"], titles), "systems": systems(head["systems"])}
        for page, (head, titles) in pages.items()
    }


def update(folder):
    """Write the tables into the front pages, and the first picture tagged "front" to docs/."""
    import nbformat

    for page, made in tables().items():
        text = (folder / page).read_text(encoding="utf-8")
        for name, table in made.items():
            start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
            before, rest = text.split(start)
            text = f"{before}{start}\n{table}\n{end}{rest.split(end)[1]}"
        notebook.write(text, folder / page)
    for path in sorted((folder / "notebooks" / "solutions").glob("*.ipynb")):
        for cell in nbformat.read(path, 4).cells:
            if "front" in cell.metadata.get("tags", []):
                picture = base64.b64decode(cell.outputs[-1].data["image/png"])
                (folder / "docs" / "front.png").write_bytes(picture)
                return
