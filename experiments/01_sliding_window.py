"""A window network, an FCN and a U-Net on real membranes, each learning for the same minutes.

Run by `make results LESSON=01 [SEEDS=3]`; writes medseg_tf/results/01_sliding_window.json after
each arm. Each seed holds back another quarter of the blocks of sections (of two blocks, one), and
every score stands beside Otsu's threshold on the same sections. The window network is used through
its dense twin. Rand scores are taken at the best of eleven thresholds, as in the challenge.
"""

import time

import keras
import measure
import numpy as np

from medseg_tf import data, inference, losses, methods, metrics, models, training

SETS = ("ISBI2012-EM", "VNC-ssTEM")
MINUTES = 1.5
WINDOW = {"input_shape": (49, 49, 1), "maps": (24, 24, 24), "kernels": (4, 4, 3), "dense": (48,)}
SAME = {"input_shape": (None, None, 1), "classes": 2, "width": 16, "padding": "same", "dropout": 0}
ARMS = {  # builder, its arguments, side of a patch, side of its label, batch
    "window": (models.sliding_window, WINDOW, 49, 1, 64),
    "FCN-8s": (models.fcn, SAME, 256, 256, 2),
    "U-Net": (models.unet, SAME | {"norm": "batch"}, 256, 256, 2),
}


def train(arm, cases, seed):
    keras.utils.set_random_seed(seed)
    build, arguments, size, output, batch = ARMS[arm]
    model = build(**arguments)
    augment = data.compose(data.flip(), data.quarter_turns(), data.intensity())
    patches = data.Patches(
        cases, size, batch, output, augment=augment, seed=seed, steps=50, balance=0
    )
    training.fit(model, patches, losses.WeightedCrossEntropy(), minutes=MINUTES)
    return model


def inside_cells(model, cases):
    """Return how likely each pixel is inside a cell, and the seconds an image takes."""
    inference.probabilities(model, cases[0])  # compiles
    start = time.perf_counter()
    maps = [inference.probabilities(model, case)[..., 1] for case in cases]
    return maps, (time.perf_counter() - start) / len(cases)


def score(cases, maps):
    truth = [case.label.array for case in cases]
    right = [metrics.pixel_accuracy(t, m > 0.5) for t, m in zip(truth, maps, strict=True)]
    row = {"pixel_error": 1 - np.mean(right)}
    row["rand"], _ = metrics.best_rand(truth, maps, score=metrics.rand_foreground)
    row["rand_thinned"], row["threshold"] = metrics.best_rand(truth, maps)
    return row


def fold(cases, seed):
    """Part cases by block of sections into four (two, where there are two); hold back one part."""
    parts = min(4, len({case.subject for case in cases}))
    split = data.split_by_subject(cases, (1 / parts,) * parts)
    held_back = split.pop(-1 - seed % parts)
    return [case for part in split for case in part], held_back


def measure_set(name, seed, done):
    """Yield a row for Otsu and one for each network that is not yet among the arms `done`."""
    learn, test = fold(data.load(name), seed)
    where = {"set": name, "seed": seed, "learn": len(learn), "test": len(test)}
    if "Otsu" not in done:
        maps = [methods.otsu(case.image.array).astype(float) for case in test]
        yield where | {"arm": "Otsu"} | score(test, maps)
    for arm in [arm for arm in ARMS if arm not in done]:
        clock = measure.Clock()
        model = train(arm, learn, seed)
        row = {"minutes": clock.minutes(), "steps": int(model.optimizer.iterations)}
        row |= {"weights": model.count_params(), "precision": measure.precision()}
        model = models.dense_twin(model) if arm == "window" else model
        maps, row["seconds"] = inside_cells(model, test)
        yield where | {"arm": arm} | row | score(test, maps)


if __name__ == "__main__":
    asked = measure.arguments(__doc__)
    rows = measure.measured("01_sliding_window") if asked.resume else []
    names = [name for name in asked.sets or SETS if measure.present(name)]
    for seed in range(asked.seeds):
        for name in names:
            done = [row["arm"] for row in rows if (row["set"], row["seed"]) == (name, seed)]
            for row in measure_set(name, seed, done):
                rows.append(row)
                measure.record(rows, "01_sliding_window")
