"""U-Net on the real sets that are there, and lesson 03's claims with their twins.

Run by `make results LESSON=03 [SEEDS=3]`; writes medseg_tf/results/03_unet.json after each arm.
Each seed holds back another quarter of the subjects (sequences, frame blocks, images), and every
score stands beside Otsu's threshold on the same held-back cases.
"""

import itertools

import keras
import measure
import numpy as np
from skimage.filters import threshold_otsu

from medseg_tf import data, inference, losses, metrics, models, training
from medseg_tf.data.resample import resize

# Distance between pixels to work at, in the units of the set (None: as stored), minutes, side of a
# patch.
SETS = {
    "PhC-C2DH-U373": (None, 3.5, 256),
    "DIC-C2DH-HeLa": (0.38, 5.8, 256),
    "ISBI2012-EM": (None, 2, 256),
    "DSB2018-nuclei": (None, 1, 192),
}
# The twins learn on the set whose cells touch, half as fine again, so that half a minute suffices.
CLAIMS, SHORT = "DIC-C2DH-HeLa", (0.76, 0.5, 128)


def train(cases, size, minutes, seed, elastic=True, weights=data.unet_weight_map, skips=True):
    keras.utils.set_random_seed(seed)
    shape = (None, None, 1)
    model = models.unet(shape, 2, 16, padding="same", norm="batch", dropout=0, skips=skips)
    shapes = data.warp(degrees=180, low=0.75, high=1.33, sd=size / 32 * elastic, points=4)
    augment = data.compose(data.flip(), shapes, data.intensity())
    patches = data.Patches(cases, size, 4, augment=augment, weights=weights, seed=seed, steps=50)
    training.fit(model, patches, losses.WeightedCrossEntropy(), minutes=minutes)
    return model


def score(cases, maps, cut=None):
    """Scores of foreground probabilities, (*spatial) each, against the cases' labels.

    cut: (threshold, seeds) of `inference.instances`.
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
        row["seg"] = seg(cases, maps, cut or (0.5, None))
    else:
        row["rand"], _ = metrics.best_rand(truth, maps, score=metrics.rand_foreground)
        row["rand_thinned"], _ = metrics.best_rand(truth, maps)
    return row


def seg(cases, maps, cut):
    found = [inference.instances(np.stack([1 - m, m], -1), *cut, smallest=100) for m in maps]
    return metrics.seg([case.label.array for case in cases], found)


def choose_cut(cases, maps):
    """The (threshold, seeds) with the best SEG on training cases.

    A weight map that makes gaps dear shifts the odds towards background, so 0.5 cuts too much.
    """
    cuts = itertools.product((0.5, 0.4, 0.3, 0.2), (None, 0.7, 0.8, 0.9))
    return max(cuts, key=lambda cut: seg(cases, maps, cut))


def otsu(cases, bright):
    greys = [case.image.array[..., 0] for case in cases]
    return [((grey > threshold_otsu(grey)) == bright).astype("float32") for grey in greys]


def foreground(model, cases, spacing):
    """Probability of the foreground on each case's own grid, averaged over 8 turns and flips."""
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
    chosen = short_arms(learn) if twins else {"U-Net": (learn, SETS[name], {})}
    for arm, (cases, (spacing, minutes, size), change) in chosen.items():
        if arm in done:
            continue
        clock, coarse = measure.Clock(), [at(case, spacing) for case in cases]
        model = train(coarse, size, minutes, seed, **change)
        took = {"minutes": clock.minutes(), "steps": int(model.optimizer.iterations)}
        took["precision"] = measure.precision()
        cut = None
        if test[0].instances:
            some = cases[:: max(1, len(cases) // 8)]
            cut = choose_cut(some, foreground(model, some, spacing))
            took |= {"threshold": cut[0], "cores": cut[1] or 0}
        scores = score(test, foreground(model, test, spacing), cut)
        yield where | {"arm": arm, "learn": len(cases)} | took | scores


def fold(cases, seed):
    """Part cases by subject into four (two, where there are two); each seed holds back another."""
    parts = min(4, len({case.subject for case in cases}))
    split = data.split_by_subject(cases, (1 / parts,) * parts)
    held_back = split.pop(-1 - seed % parts)
    return [case for part in split for case in part], held_back


def short_arms(cases):
    """Return {arm: (cases to learn from, settings, what changes)}, all of one budget."""
    chosen = {
        "short": (cases, SHORT, {}),
        "no skips": (cases, SHORT, {"skips": False}),
        "no weight map": (cases, SHORT, {"weights": None}),
    }
    for count in (1, 4, 16):
        few = cases[:: max(1, len(cases) // count)][:count]
        chosen[f"{count}, elastic"] = few, SHORT, {}
        chosen[f"{count}"] = few, SHORT, {"elastic": False}
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
