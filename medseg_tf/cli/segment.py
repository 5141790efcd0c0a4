"""`medseg segment`: label the reader's own scans, each on its own grid.

OUT/report.json has a row for each scan: what became of it. A scan that cannot be read is such a
row, and the others go on.
"""

import json
import sys
import time
from pathlib import Path

from medseg_tf.errors import ConfigError, DataNotFoundError, MedsegError, RunFolderError
from medseg_tf.progress import progress
from medseg_tf.table import Table

REPORT = "report.json"
ENDINGS = {".nii.gz": ".nii.gz", ".nii": ".nii.gz", ".png": ".png", ".tif": ".tif", ".tiff": ".tif"}


def add(commands):
    segment = commands.add_parser(
        "segment",
        help="segment scans with a trained model",
        description="Write a label for each scan, on the scan's own grid, and OUT/report.json. "
        "Scans that were segmented before are skipped.",
    )
    segment.add_argument("model", type=Path, metavar="MODEL", help="folder of a trained model")
    segment.add_argument("scans", type=Path, nargs="+", metavar="IN", help="scans, or folders")
    segment.add_argument("--out", required=True, type=Path, help="folder for the labels")
    segment.set_defaults(run=run)


def run(asked):
    from medseg_tf.backend import require_backend

    places = outputs(asked.scans, asked.out)
    require_backend()
    from medseg_tf import recipe, training

    training.set_precision("auto")
    model = recipe.load_model(asked.model)
    name = model.recipe.get("weights_sha256", str(asked.model))
    asked.out.mkdir(parents=True, exist_ok=True)
    rows, table = earlier(asked.out / REPORT, name), Table()
    for source, place in progress(places.items(), desc="scans"):
        row = {"scan": str(source), "changed": source.stat().st_mtime_ns, "label": str(place)}
        before = rows.get(row["scan"], {})
        known = not before.get("error") and before.get("changed") == row["changed"]
        if known and place.is_file():
            table.append({"scan": source, "label": place, "state": "done before"})
            continue
        start = time.perf_counter()
        row["error"] = label(model, source, place)
        row["seconds"] = round(time.perf_counter() - start, 2)
        # After each scan, so that a run which is broken off goes on from here.
        rows[row["scan"]] = row
        recipe.write_json({"model": name, "scans": list(rows.values())}, asked.out / REPORT)
        state = row["error"] or f"done in {row['seconds']} s"
        table.append({"scan": source, "label": "-" if row["error"] else place, "state": state})
    print(table)
    failed = sum(bool(rows[str(source)]["error"]) for source in places)
    if failed:
        reason = f"{failed} of {len(table)} scans failed, see {asked.out / REPORT}"
        print(f"medseg: {reason}", file=sys.stderr)
    return int(failed > 0)


def label(model, source, place):
    """Segment one scan and write its label; return what went wrong, "" for nothing."""
    from medseg_tf import inference
    from medseg_tf.data import Scan

    several = model.input_shape[-1] > 1
    if ending(source) in (".nii", ".nii.gz"):
        how = {"volume": "all"} if several else {}
    else:
        how = {"channels": "rgb" if several else "gray"}
    try:
        scan = Scan.read(source, **how)
        work = inference.segment_objects if "objects" in model.recipe else inference.segment
        work(model, scan).write(place)
    except (MedsegError, OSError) as error:  # the second: no permission, a full disk
        return f"{type(error).__name__}: {error}"
    return ""


def outputs(scans, folder):
    """Return {scan: place of its label}; folders stand for the scans in them."""
    if folder.is_file():
        raise ConfigError(f"--out {folder} is a file; name a folder.")
    sources = []
    for path in scans:
        if path.is_dir():
            found = sorted(child for child in path.iterdir() if ending(child))
            if not found:
                raise DataNotFoundError(f"{path} holds no scan ({', '.join(ENDINGS)}).")
            sources += found
        elif not path.exists():
            raise DataNotFoundError(f"{path}: no such file or folder.")
        elif not ending(path):
            raise ConfigError(f"{path}: a scan ends in {', '.join(ENDINGS)}.")
        else:
            sources.append(path)
    places = {}
    for source in dict.fromkeys(sources):
        end = ending(source)
        place = folder / (source.name[: -len(end)] + ENDINGS[end])
        if place in places.values():
            other = next(one for one, there in places.items() if there == place)
            raise ConfigError(f"{other} and {source} would both become {place}; rename one.")
        if place.resolve() == source.resolve():
            raise ConfigError(f"{source} would be overwritten by its label; choose another --out.")
        places[source] = place
    return places


def ending(path):
    """Return the ending of a scan's name, in small letters; "" for other files, and hidden ones."""
    name = path.name.lower()
    if name.startswith("."):
        return ""
    return next((end for end in ENDINGS if name.endswith(end)), "")


def earlier(path, model):
    """Return {scan: row} of an earlier run's report; RunFolderError for another model's."""
    if not path.exists():
        return {}
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        rows = {row["scan"]: row for row in report["scans"]}
        before = report["model"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunFolderError(f"{path} is damaged ({error}). Remove it to start anew.") from error
    if before != model:
        raise RunFolderError(
            f"{path.parent} holds the labels of another model; choose another --out for this one."
        )
    return rows
