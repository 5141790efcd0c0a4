"""What all experiments share: their arguments, and the JSON file that lessons show."""

import argparse
import datetime
import importlib.metadata
import json
import os
import time
from pathlib import Path

import keras

from medseg_tf import data, training

RESULTS = Path(__file__).parents[1] / "medseg_tf" / "results"


def arguments(description):
    """Read --seeds, --sets and --resume; set the precision."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds, from 0")
    parser.add_argument("--sets", nargs="*", help="only these data sets")
    parser.add_argument("--resume", action="store_true", help="keep the arms measured so far")
    chosen = parser.parse_args()
    training.set_precision("auto")
    return chosen


def present(name):
    """Whether a set lies in a data folder; what is missing is said, never replaced."""
    there = data.sets.find(name) is not None
    if not there:
        print(f"SKIPPED: {data.sets.how_to_get(name)}")
    return there


def measured(name):
    """Return the rows that an earlier run left in medseg_tf/results/NAME.json, or []."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text())["rows"] if path.is_file() else []


def record(rows, name):
    """Write medseg_tf/results/NAME.json: the rows so far, and what one needs to repeat them."""
    installed = {dist.name.lower().replace("_", "-") for dist in importlib.metadata.distributions()}
    packages = sorted(installed & {"keras", "tensorflow-cpu", "tensorflow", "numpy", "scipy"})
    content = {
        "date": datetime.date.today().isoformat(),
        "command": f"make results LESSON={name[:2]} SEEDS={1 + max(row['seed'] for row in rows)}",
        "versions": {package: importlib.metadata.version(package) for package in packages},
        "cores": os.cpu_count(),
        "rows": [{key: plain(value) for key, value in row.items()} for row in rows],
    }
    temporary = RESULTS / f".{name}.json"
    temporary.write_text(json.dumps(content, indent=1) + "\n")
    os.replace(temporary, RESULTS / f"{name}.json")
    print(content["rows"][-1], flush=True)


def plain(value):
    """A value as JSON holds it, numbers with the digits that mean something."""
    if isinstance(value, (bool, int, str)):
        return value
    return round(float(value), 5)


def precision():
    """The number format that new models compute in: it decides how much a minute is worth."""
    return keras.config.dtype_policy().name


class Clock:
    """Minutes since it was made."""

    def __init__(self):
        self.start = time.monotonic()

    def minutes(self):
        return round((time.monotonic() - self.start) / 60, 2)
