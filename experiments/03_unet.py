"""U-Net on the real sets that are there, and lesson 03's claims with their twins.

Run by `make results LESSON=03 [SEEDS=3]`; writes medseg_tf/results/03_unet.json after each arm.
Each seed holds back another quarter of the subjects (sequences, frame blocks, images), and every
score stands beside Otsu's threshold on the same held-back cases.
"""

import keras
import measure
import numpy as np

from medseg_tf import data, inference, losses, methods, metrics, models, training
from medseg_tf.data.resample import resize

# Distance between pixels to work at, in the units of the set (None: as stored), minutes, side of a
# patch, learning rate.
SETS = {
    "PhC-C2DH-U373": (None, 3.5, 256, 1e-3),
    "DIC-C2DH-HeLa": (0.38, 7, 256, 3e-3),
    "ISBI2012-EM": (None, 2, 256, 1e-3),
    "DSB2018-nuclei": (None, 1, 192, 1e-3),
}
# The twins learn on the set whose cells touch, half as fine again, in equally many steps.
CLAIMS, SPACING, SIZE, RATE, EPOCHS = "DIC-C2DH-HeLa", 0.76, 128, 1e-3, 12


def train(cases, size, rate, seed, elastic=True, weights=data.unet_weight_map, skips=True, **how):
    """Train a U-Net; `how` has minutes, or epochs of 50 steps."""
    keras.utils.set_random_seed(seed)
    shape = (None, None, 1)
    model = models.unet(shape, 2, 16, padding="same", norm="batch", dropout=0, skips=skips)
    shapes = data.warp(degrees=180, low=0.75, high=1.33, sd=size / 32 * elastic, points=4)
    augment = data.compose(data.flip(), shapes, data.intensity())
    patches = data.Patches(cases, size, 2, augment=augment, weights=weights, seed=seed, steps=50)
    training.fit(model, patches, losses.WeightedCrossEntropy(), learning_rate=rate, **how)
    return model


def score(cases, maps, cut=None):
    """Scores of foreground probabilities, (*spatial) each, against the cases' labels.

    cut: arguments of `inference.instances`, or None.
    """
    truth = [case.label.array for case in cases]
    pairs = [
        ((label > 0).astype(int), (m > 0.5).astype(int))
        for label, m in zip(truth, maps, strict=True)
    ]
    row = {
        "iou": np.mean([metrics.iou(*pair)[1] for pair in pairs]),
        "dice": np.mean([metrics.dice(*pair)[1] for pair in pairs]),
        "pixel_error": 1 - np.mean([metrics.pixel_accuracy(*pair) for pair in pairs]),
        "border_error": np.mean([metrics.boundary_error(*pair) for pair in pairs]),
    }
    if cases[0].instances:
        found = [inference.instances(both(m), **(cut or {"smallest": 100})) for m in maps]
        row["seg"] = metrics.seg(truth, found)
    else:
        row["rand"], _ = metrics.best_rand(truth, maps, score=metrics.rand_foreground)
        row["rand_thinned"], _ = metrics.best_rand(truth, maps)
    return row


def both(foreground):
    """Probabilities of background and foreground, (*spatial, 2)."""
    return np.stack([1 - foreground, foreground], -1)


def otsu(cases, bright):
    return [(methods.otsu(case.image.array) == bright).astype("float32") for case in cases]


def foreground(model, cases, spacing):
    """Probability of the foreground on each case's own grid, the mean over turned pictures."""
    maps = [inference.probabilities(model, at(case, spacing), turns=True) for case in cases]
    return [resize(m, c.image.grid.shape)[..., 1] for m, c in zip(maps, cases, strict=True)]


def at(case, spacing):
    return data.resample_case(case, spacing) if spacing else case


def measure_set(name, seed, twins, done):
    """Yield a row for Otsu and one for the network, or with `twins` one for each twin.

    done: arms that were measured before.
    """
    learn, test = fold(data.load(name), seed)
    subjects = list(dict.fromkeys(case.subject for case in test))
    held_back = "; ".join(subjects) if len(subjects) < 4 else f"{len(subjects)} images"
    where = {"set": name, "seed": seed, "held_back": held_back, "test": len(test)}
    if not twins and "Otsu" not in done:
        sides = [score(test, otsu(test, bright)) | {"bright": bright} for bright in (0, 1)]
        yield where | {"arm": "Otsu"} | max(sides, key=lambda row: row["dice"])
    chosen = short_arms(learn) if twins else {"U-Net": (learn, {"minutes": SETS[name][1]})}
    spacing, _, size, rate = (SPACING, None, SIZE, RATE) if twins else SETS[name]
    for arm, (cases, how) in chosen.items():
        if arm in done:
            continue
        clock, coarse = measure.Clock(), [at(case, spacing) for case in cases]
        model = train(coarse, size, rate, seed, **how)
        took = {"minutes": clock.minutes(), "steps": int(model.optimizer.iterations)}
        took["precision"] = measure.precision()
        cut = None
        if test[0].instances:
            some = cases[:: max(1, len(cases) // 8)]
            maps = [both(m) for m in foreground(model, some, spacing)]
            cut = inference.choose_cut([case.label.array for case in some], maps, smallest=100)
            took |= {"threshold": cut["threshold"], "cores": cut["seeds"] or 0}
        scores = score(test, foreground(model, test, spacing), cut)
        yield where | {"arm": arm, "learn": len(cases)} | took | scores


def fold(cases, seed):
    """Part cases by subject into four (two, where there are two); each seed holds back another."""
    parts = min(4, len({case.subject for case in cases}))
    split = data.split_by_subject(cases, (1 / parts,) * parts)
    held_back = split.pop(-1 - seed % parts)
    return [case for part in split for case in part], held_back


def short_arms(cases):
    """Return {arm: (cases to learn from, what changes)}, all of one number of steps."""
    budget = {"epochs": EPOCHS}
    chosen = {
        "short": (cases, budget),
        "no skips": (cases, budget | {"skips": False}),
        "no weight map": (cases, budget | {"weights": None}),
    }
    for count in (1, 4, 16):
        few = cases[:: max(1, len(cases) // count)][:count]
        chosen[f"{count}, elastic"] = few, budget
        chosen[f"{count}"] = few, budget | {"elastic": False}
    return chosen


if __name__ == "__main__":
    asked = measure.arguments(__doc__)
    names = [name for name in asked.sets or SETS if measure.present(name)]
    rows = measure.measured("03_unet") if asked.resume else []
    runs = [(name, seed, False) for seed in range(asked.seeds) for name in names]
    runs += [(CLAIMS, seed, True) for seed in range(asked.seeds) if CLAIMS in names]
    for name, seed, twins in runs:
        done = [row["arm"] for row in rows if row["set"] == name and row["seed"] == seed]
        for row in measure_set(name, seed, twins, done):
            rows.append(row)
            measure.record(rows, "03_unet")
