"""U-Nets handed on between HC18 and BUSI, two kinds of ultrasound, beside Otsu and the mean mask.

Run by `make results LESSON=12 [SEEDS=3]`; writes medseg_tf/results/12_transfer.json after each arm.
A network learns all of one set. Then, on few labelled pictures of the other, it is tuned as a
whole, or with its way down frozen; the twin starts from fresh weights; all take equally many steps.
Half of the set is held back; each seed deals other halves. The mean mask (pixels that lie in most
of the few labels) and Otsu's threshold (the better of its two polarities) know no network. Pictures
are reduced to 128 columns; those of BUSI without a lesion are left out.
"""

import keras
import measure
import numpy as np

from medseg_tf import data, evaluation, inference, losses, methods, models, training
from medseg_tf.data.resample import resize

NAME = "12_transfer"
# Options of the reader, and how many labelled pictures.
SETS = {"HC18": ({}, (2, 8)), "BUSI": ({"kinds": ("benign", "malignant")}, (2, 8))}
COLUMNS, SIZE, STEPS = 128, (96, 128), 50  # steps an epoch, of 4 pictures
WAYS = {"fresh": (False, ()), "tuned": (True, ()), "way down frozen": (True, ("down", "bottom"))}


def train(cases, seed, epochs, start=None, frozen=()):
    keras.utils.set_random_seed(seed)
    model = models.unet((None, None, 1), 2, 8, padding="same", norm="batch", dropout=0)
    for layer in model.layers:  # for runs of some hundred steps
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.9
    if start is not None:
        model.set_weights(start.get_weights())
    methods.freeze(model, frozen)
    shapes = data.warp(degrees=20, low=0.75, high=1.33, sd=3)
    augment = data.compose(data.flip((1,)), shapes, data.intensity())
    patches = data.Patches(cases, SIZE, 4, augment=augment, seed=seed, steps=STEPS)
    training.fit(model, patches, losses.DiceCrossEntropy(), epochs=epochs, learning_rate=3e-3)
    return model


def small(case):
    """A case reduced to so many columns."""
    grid = case.image.grid
    return data.resample_case(case, grid.spacing[1] * grid.shape[1] / COLUMNS)


def mean_mask(cases):
    """The label that most of these pictures have at a place, on any picture's own grid."""
    masks = [resize(case.label.array, SIZE, is_label=True) for case in cases]
    mean = (np.mean(masks, axis=0) > 0.5).astype("uint8")
    return lambda case: resize(mean, case.label.array.shape, is_label=True)


def score(label, cases):
    """Mean Dice and HD95 (HC18: mm, BUSI: the files' own pixels), and how many have no distance."""
    (row,) = evaluation.summary(evaluation.evaluate(label, cases))
    scores = {"dice": row["dice"], "hausdorff95": row["hausdorff95"]}
    finite = {name: value for name, value in scores.items() if np.isfinite(value)}
    return finite | {"left_out": row["left_out"]}


def baselines(learn, test, counts):
    """Rows of Otsu and of the mean mask."""
    rows = []
    for turned in (False, True):
        rows.append(
            {"arm": "Otsu"} | score(lambda c, t=turned: methods.otsu(c.image.array) ^ t, test)
        )
    best = max(rows, key=lambda row: row["dice"])
    masks = {count: mean_mask(learn[:count]) for count in counts}
    return [best | {"labelled": min(counts)}] + [
        {"arm": f"mean mask, {count} labelled", "labelled": count} | score(mask, test)
        for count, mask in masks.items()
    ]


if __name__ == "__main__":
    asked = measure.arguments(__doc__)
    rows = measure.measured(NAME) if asked.resume else []
    there = {name: [small(c) for c in data.load(name, **SETS[name][0])]
             for name in SETS if measure.present(name)}  # fmt: skip
    for seed in range(asked.seeds if len(there) == len(SETS) else 0):
        for name in asked.sets or SETS:
            (other,) = set(SETS) - {name}
            counts = SETS[name][1]
            learn, test = data.split_by_subject(there[name], (0.5, 0.5), seed)
            np.random.default_rng(seed).shuffle(learn)
            where = {"set": name, "seed": seed, "test": len(test)}
            done = [row["arm"] for row in rows if (row["set"], row["seed"]) == (name, seed)]
            if "Otsu" not in done:
                rows += [where | row for row in baselines(learn, test, counts)]
            arms = [(way, count) for count in counts for way in WAYS]
            arms = [(w, c) for w, c in arms if f"{w}, {c} labelled" not in done]
            source = train(there[other], seed, 8) if arms else None
            for way, count in arms:
                clock, (handed_on, frozen) = measure.Clock(), WAYS[way]
                model = train(learn[:count], seed, 4, source if handed_on else None, frozen)
                row = {"arm": f"{way}, {count} labelled", "labelled": count, "from": other}
                row |= {"steps": int(model.optimizer.iterations), "minutes": clock.minutes()}
                found = score(lambda case, m=model: inference.segment(m, case).array, test)
                rows.append(where | row | {"weights": model.count_params()} | found)
                measure.record(rows, NAME)
