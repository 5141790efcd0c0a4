"""Time the sides of one piece of work in turn, each in a process of its own.

A comparison is a file that ends with `measure.main(__doc__, ROWS)`. A side is a function that
prepares its work and returns a function that does it once. What that one returns is compared:
a dict of numbers, of which those that two sides share must agree. A "seconds" among them is the
time that counts, for work in a process of its own.

    python benchmarks/surface.py [FOLDER]     writes FOLDER/surface.json, by default in results/
"""

import importlib.metadata
import json
import math
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median

HOME = Path(__file__).resolve().parent
HERE, PEERS = sys.executable, str(HOME.parent / ".venv-peers" / "bin" / "python")
OURS = "medseg_tf"
LIBRARIES = {"keras", "tensorflow", "numpy", "scipy", "nibabel", "torch"}
LIBRARIES |= {"monai", "torchio", "SimpleITK", "surface_distance", "isal"}
SETTINGS = {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow", "PYTHONWARNINGS": "ignore"}
SHORTEST = 0.2  # seconds that a round takes at least; shorter work is repeated in it
PAUSE = 0.05  # seconds after which idle threads of the side before have gone to sleep


@dataclass
class Row:
    """One line of the table: the same work by us and by peers."""

    work: str
    ours: Callable
    peers: dict[str, Callable]
    mark: float | None = None  # times as fast as the fastest peer that we want to be
    limit: float | None = None  # seconds that we want to stay within
    reason: str = ""  # told where a mark is missed, or a peer is faster
    python: str = PEERS  # the interpreter that peers run in
    tolerance: float = 1e-6  # relative difference of answers
    rounds: int = 7


class Side:
    """A process that does one side's work whenever it is asked."""

    def __init__(self, python, index, name):
        command = [python, os.path.abspath(sys.argv[0]), "side", str(index), name]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, env=os.environ | SETTINGS, **pipes)
        self.name, self.rounds = name, []
        self.answer, self.versions = self.ask("warm")

    def ask(self, word):
        print(word, file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} ended with code {self.process.wait()}.")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def serve(side):
    """Do a side's work when a line comes in: first warm up, then one timed round a line."""
    pipe, sys.stdout = sys.stdout, sys.stderr
    once, calls = side(), 1
    for line in sys.stdin:
        if line.strip() == "warm":
            once()
            seconds, answer = clock(once, 1)
            calls = max(1, math.ceil(SHORTEST / seconds))
            reply = answer, versions()
        else:
            reply = clock(once, calls)[0]
        print(json.dumps(reply), file=pipe, flush=True)


def clock(once, calls):
    """Return the seconds that one call takes, and the last one's answer."""
    start = time.perf_counter()
    for _ in range(calls):
        answer = once()
    seconds = (time.perf_counter() - start) / calls
    answer = answer or {}
    return answer.get("seconds", seconds), answer


def versions():
    loaded = sorted(LIBRARIES & set(sys.modules))
    names = importlib.metadata.packages_distributions()
    return {name: importlib.metadata.version(names[name][0]) for name in loaded}


def compare(index, row):
    """Run one row: its results, and the versions that were met."""
    sides = [Side(HERE, index, OURS), *(Side(row.python, index, name) for name in row.peers)]
    ours = sides[0]
    for side in sides[1:]:
        for key in side.answer.keys() & ours.answer.keys() - {"seconds"}:
            pair = ours.answer[key], side.answer[key]
            if not math.isclose(*pair, rel_tol=row.tolerance):
                raise SystemExit(f"{row.work}: {key} is {pair[0]} here, {pair[1]} by {side.name}.")
    for _ in range(row.rounds):
        for side in sides:
            time.sleep(PAUSE)
            side.rounds.append(side.ask("time"))
    for side in sides:
        side.close()
    return judge(row, {side.name: side.rounds for side in sides}, ours.answer), {
        side.name: side.versions for side in sides
    }


def judge(row, rounds, answer):
    """Return a row's results: medians, ratio to the fastest peer, and whether its mark is met."""
    medians = {name: median(seconds) for name, seconds in rounds.items()}
    ours = medians.pop(OURS)
    fastest = min(medians, key=medians.get)
    ratio = medians[fastest] / ours
    met = (row.mark is None or ratio >= row.mark) and (row.limit is None or ours <= row.limit)
    return {
        "work": row.work,
        "seconds": ours,
        "fastest_peer": fastest,
        "peer_seconds": medians[fastest],
        "ratio": ratio,
        "mark": row.mark,
        "limit": row.limit,
        "met": met,
        "reason": "" if met and ratio >= 1 else row.reason or "not known",
        "answer": answer,
        "rounds": rounds,
    }


def processor():
    lines = Path("/proc/cpuinfo")
    lines = lines.read_text().splitlines() if lines.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def main(title, rows):
    if sys.argv[1:2] == ["side"]:
        row, name = rows[int(sys.argv[2])], sys.argv[3]
        return serve(row.ours if name == OURS else row.peers[name])
    folder = Path(sys.argv[1]) if sys.argv[1:] else HOME / "results"
    name, load, start = Path(sys.argv[0]).stem, os.getloadavg()[0], time.monotonic()
    results, found = [], {}
    for index, row in enumerate(rows):
        result, used = compare(index, row)
        results.append(result)
        found |= used
        times = ", ".join(f"{who} {1e3 * median(s):.4g}" for who, s in result["rounds"].items())
        print(f"{row.work}: {times} ms; {result['ratio']:.2f} times as fast, met: {result['met']}")
    record = {
        "title": title.strip().splitlines()[0],
        "command": f"python benchmarks/{name}.py",
        "date": date.today().isoformat(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "load_before": round(load, 2),
        "seconds": round(time.monotonic() - start),
        "python": platform.python_version(),
        "versions": found,
        "rows": results,
    }
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
