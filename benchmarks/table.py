"""The speed table of README.md: made from benchmarks/results/*.json, never typed."""

import json
from pathlib import Path

HOME = Path(__file__).resolve().parent
START, END = "<!-- speed -->", "<!-- /speed -->"
# In the order of the table; a comparison that was not run leaves its rows out.
ORDER = (
    *("training", "inference", "tiles", "dense_twin", "elastic"),
    *("reading", "surface", "dice", "weight_map", "start"),
)


def table(folder=HOME / "results"):
    """Return the table in Markdown, and below it on what it was measured and why rows are slow."""
    paths = [folder / f"{name}.json" for name in ORDER]
    records = [json.loads(path.read_text(encoding="utf-8")) for path in paths if path.exists()]
    lines = [
        "| work | here | fastest peer | times as fast | mark |",
        "|---|---|---|---|---|",
    ]
    reasons = []
    for row in (row for record in records for row in record["rows"]):
        note = ""
        if row["reason"]:
            reasons += [row["reason"]] if row["reason"] not in reasons else []
            note = f" ({reasons.index(row['reason']) + 1})"
        peer = f"{row['fastest_peer']} {duration(row['peer_seconds'])}"
        cells = row["work"], duration(row["seconds"]), peer, f"{row['ratio']:.3g}{note}", mark(row)
        lines.append(f"| {' | '.join(cells)} |")
    notes = [f"{number}. {reason}" for number, reason in enumerate(reasons, 1)]
    lines += ["", *notes, ""] if notes else [""]
    return "\n".join([*lines, *measured(records)])


def duration(seconds):
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1e3 * seconds:.3g} ms"


def mark(row):
    """What the row wanted to reach, and whether it did."""
    if row["limit"] is not None:
        wanted = f"within {row['limit']:g} s"
    elif row["mark"] is not None:
        wanted = f"{row['mark']:g} times"
    else:
        return "-"
    return wanted + (": met" if row["met"] else ": missed")


def measured(records):
    """One line a machine and day: what was measured there, and with which libraries."""
    groups = {}
    for record in records:
        where = f"{record['date']} on {record['cores']} cores of {record['processor']}"
        for versions in record["versions"].values():
            groups.setdefault(where, {}).update(versions)
    return [
        f"Measured {where}, with "
        + ", ".join(f"{name} {number}" for name, number in sorted(libraries.items()))
        + "; medians of rounds in which the sides took turns."
        for where, libraries in groups.items()
    ]


def update(readme):
    """Write the table between its marks in README.md."""
    before, rest = readme.read_text(encoding="utf-8").split(START)
    after = rest.split(END)[1]
    readme.write_text(f"{before}{START}\n{table()}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    update(HOME.parent / "README.md")
