"""U-Net on the real sets that are there, and lesson 03's claims with their twins.

Run by `make results LESSON=03 [SEEDS=3]`; writes medseg_tf/results/03_unet.json after each arm.
Subjects (sequences, frame blocks, images) are split 3 : 1, and every score stands beside Otsu's
threshold on the same held-back cases.
"""

import keras
import measure
import numpy as np
from skimage.filters import threshold_otsu

from medseg_tf import data, inference, losses, metrics, models, training
from medseg_tf.data.resample import resize

# Working distance between pixels in the set's own units (None: as stored), minutes, side of a patch
# and, where cells touch, the probability above which a pixel is a cell's core (see `instances`).
SETS = {
    "PhC-C2DH-U373": (None, 5, 256, None),
    "DIC-C2DH-HeLa": (0.38, 8, 256, 0.8),
    "ISBI2012-EM": (None, 3, 256, None),
    "DSB2018-nuclei": (None, 2, 192, None),
}
CLAIMS = "DIC-C2DH-HeLa"  # the set whose cells touch
SHAPES = {"degrees": 180, "low": 0.75, "high": 1.33}
ELASTIC = SHAPES | {"sd": 8, "points": 4}


def train(cases, size, minutes, seed, shapes=ELASTIC, weights=data.unet_weight_map, skips=True):
    keras.utils.set_random_seed(seed)
    shape = (None, None, 1)
    model = models.unet(shape, 2, 16, padding="same", norm="batch", dropout=0, skips=skips)
    augment = data.compose(data.flip(), data.warp(**shapes), data.intensity())
    patches = data.Patches(cases, size, 4, augment=augment, weights=weights, seed=seed, steps=50)
    training.fit(model, patches, losses.WeightedCrossEntropy(), minutes=minutes)
    return model


def score(cases, maps, cores):
    """Scores of foreground probabilities, (*spatial) each, against the cases' labels."""
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
        found = [
            inference.instances(np.stack([1 - m, m], -1), seeds=cores, smallest=100) for m in maps
        ]
        row["seg"] = metrics.seg(truth, found)
    else:
        row["rand"], _ = metrics.best_rand(truth, maps, score=metrics.rand_foreground)
        row["rand_thinned"], _ = metrics.best_rand(truth, maps)
    return row


def otsu(cases, bright):
    greys = [case.image.array[..., 0] for case in cases]
    return [((grey > threshold_otsu(grey)) == bright).astype("float32") for grey in greys]


def foreground(model, cases, spacing):
    """Probability of the foreground on each case's own grid, averaged over 8 turns and flips."""
    maps = [inference.probabilities(model, at(case, spacing), turns=True) for case in cases]
    return [resize(m, c.image.grid.shape)[..., 1] for m, c in zip(maps, cases, strict=True)]


def at(case, spacing):
    return data.resample_case(case, spacing) if spacing else case


def measure_set(name, seed, done):
    """Yield a row for Otsu, for the network and, on the claims' set, for each twin.

    done: arms that were measured before.
    """
    spacing, minutes, size, cores = SETS[name]
    learn, test = data.split_by_subject(data.load(name), (0.75, 0.25))
    small = [at(case, spacing) for case in learn]
    where = {"set": name, "seed": seed, "test": len(test)}
    if "Otsu" not in done:
        sides = [score(test, otsu(test, bright), None) | {"bright": bright} for bright in (0, 1)]
        yield where | {"arm": "Otsu"} | max(sides, key=lambda row: row["dice"])
    for arm, (cases, budget, change) in arms(name, small, minutes).items():
        if arm in done:
            continue
        clock = measure.Clock()
        model = train(cases, size, budget, seed, **change)
        took = {"minutes": clock.minutes(), "steps": int(model.optimizer.iterations)}
        scores = score(test, foreground(model, test, spacing), cores)
        yield where | {"arm": arm, "learn": len(cases)} | took | scores


def arms(name, cases, minutes):
    """Return {arm: (cases to learn from, minutes, what changes)}."""
    chosen = {"U-Net": (cases, minutes, {})}
    if name == CLAIMS:
        chosen["short"] = cases, 1, {}
        chosen["no skips"] = cases, 1, {"skips": False}
        chosen["no weight map"] = cases, 1, {"weights": None}
        for count in (1, 4, 16):
            few = cases[:: max(1, len(cases) // count)][:count]
            chosen[f"{count}, elastic"] = few, 1, {}
            chosen[f"{count}"] = few, 1, {"shapes": SHAPES}
    return chosen


if __name__ == "__main__":
    chosen = measure.arguments(__doc__)
    names = [name for name in chosen.sets or SETS if measure.present(name)]
    rows = measure.measured("03_unet") if chosen.resume else []
    for seed in range(chosen.seeds):
        for name in names:
            done = [row["arm"] for row in rows if row["set"] == name and row["seed"] == seed]
            for row in measure_set(name, seed, done):
                rows.append(row)
                measure.record(rows, "03_unet")
