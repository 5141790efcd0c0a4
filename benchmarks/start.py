"""Seconds to import the package and its parts, each in a fresh process, best of five."""

import subprocess
import sys

PARTS = ["medseg_tf", "medseg_tf.data", "medseg_tf.metrics", "medseg_tf.cli", "keras"]


def seconds(name):
    code = f"import time; t = time.perf_counter(); import {name}; print(time.perf_counter() - t)"
    command = [sys.executable, "-c", code]
    runs = [subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(5)]
    return min(float(run.stdout) for run in runs)


if __name__ == "__main__":
    for part in PARTS:
        print(f"import {part:20} {seconds(part):6.3f} s")
