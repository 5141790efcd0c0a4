"""What README.md shows of the lessons: made from their notebooks and results, never typed."""

import base64
import json
from pathlib import Path
from statistics import mean

from medseg_tf.lesson import notebook

START, END = "<!-- lessons -->", "<!-- /lessons -->"
RESULTS = Path(__file__).parents[1] / "results"
# Of these the first that a set's rows have is shown.
SCORES = {"seg": "SEG", "dice": "Dice", "rand_thinned": "Rand"}


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
        arms = {}
        for row in of_set:
            arms.setdefault(row["arm"], []).append(row[score])
        (_, plain), *learned = arms.items()  # an experiment's first arm learns nothing
        if learned:
            arm, found = learned[0]
            what = f"{data_set}: {arm}, {SCORES[score]}"
            texts.append(f"{what} {mean(found):.3f} ({mean(plain):.3f})")
    return "; ".join(texts)


def update(folder):
    """Write the table into README.md, and the first lesson's picture tagged "front" to docs/."""
    import nbformat

    readme = folder / "README.md"
    before, rest = readme.read_text(encoding="utf-8").split(START)
    after = rest.split(END)[1]
    notebook.write(f"{before}{START}\n{table()}\n{END}{after}", readme)
    for path in sorted((folder / "notebooks" / "solutions").glob("*.ipynb")):
        for cell in nbformat.read(path, 4).cells:
            if "front" in cell.metadata.get("tags", []):
                picture = base64.b64decode(cell.outputs[-1].data["image/png"])
                (folder / "docs" / "front.png").write_bytes(picture)
                return
