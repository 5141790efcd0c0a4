"""One pass of the dense twin beside windows, on 256 x 256 pixels with lesson 01's network.

Windows come in the batch that is fastest here; both are timed in turn, warmed up.
"""

import time
from statistics import median

import numpy as np

from medseg_tf import data, inference, models

SIDE, WINDOW, BATCHES = 256, 31, (64, 256, 1024, 4096)


def seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


if __name__ == "__main__":
    net = models.sliding_window((WINDOW, WINDOW, 1), maps=(16, 16), kernels=(4, 3), dense=(32,))
    twin, case = models.dense_twin(net), data.phantoms.membranes(1, size=SIDE)[0]

    def by_windows(batch):
        return inference.by_windows(net, case, batch)

    def at_once():
        return inference.probabilities(twin, case)

    trials = {}
    for batch in BATCHES:
        by_windows(batch)
        trials[batch] = seconds(lambda batch=batch: by_windows(batch))
    fastest = min(trials, key=trials.get)
    difference = np.abs(by_windows(fastest) - at_once()).max()
    rounds = [(seconds(at_once), seconds(lambda: by_windows(fastest))) for _ in range(5)]
    fast, slow = (median(column) for column in zip(*rounds, strict=True))
    work = SIDE**2 * models.macs(net) / models.macs(twin, (SIDE + WINDOW - 1,) * 2)
    print("windows a run: " + ", ".join(f"{b}: {s:.2f} s" for b, s in trials.items()))
    print(f"largest difference {difference:.1e}")
    print(f"dense twin {1e3 * fast:.0f} ms, {SIDE**2} windows {1e3 * slow:.0f} ms")
    print(f"ratio of times {slow / fast:.1f}, of multiply-adds {work:.1f}")
