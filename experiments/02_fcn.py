"""FCN-32s, 16s and 8s, two twins of FCN-8s and U-Net on PH2, beside Otsu's threshold.

Run by `make results LESSON=02 [SEEDS=3]`; writes medseg_tf/results/02_fcn.json after each arm. Each
seed holds back another fifth of the images, and every score stands beside Otsu's (of its two
polarities the better one) on the same images. All networks learn for equally many minutes.
"""

import keras
import measure
import numpy as np

from medseg_tf import data, inference, losses, methods, metrics, models, training
from medseg_tf.data.resample import resize

SET = "PH2"
# Columns that the networks see of each picture, minutes an arm, rows and columns of a patch.
COLUMNS, MINUTES, SIZE, WIDTH, PARTS = 192, 1.5, (160, 192), 16, 5
ARMS = {
    "FCN-32s": {"stride": 32},
    "FCN-16s": {"stride": 16},
    "FCN-8s": {"stride": 8},
    "FCN-8s, learned upsampling": {"stride": 8, "upsampling": "learned"},
    "FCN-8s, side by side": {"stride": 8, "fuse": "concat"},
    "U-Net": None,
}


def build(arm):
    shape = (None, None, 3)
    if ARMS[arm] is None:
        return models.unet(shape, 2, WIDTH, padding="same", norm="batch", dropout=0)
    return models.fcn(shape, 2, width=WIDTH, padding="same", **ARMS[arm])


def train(arm, cases, seed):
    keras.utils.set_random_seed(seed)
    model = build(arm)
    shapes = data.warp(degrees=180, low=0.75, high=1.33, sd=4, points=4)
    augment = data.compose(data.flip(), shapes, data.intensity())
    patches = data.Patches(cases, SIZE, 4, augment=augment, seed=seed, steps=50)
    training.fit(model, patches, losses.WeightedCrossEntropy(), minutes=MINUTES)
    return model


def seen(case):
    """A case as the networks see it, as wide as all others."""
    return data.resample_case(case, ratio(case))


def ratio(case):
    return case.image.grid.spacing[1] * case.image.grid.shape[1] / COLUMNS


def labels(model, case):
    """Label a case on its own pixels, from those that the network sees."""
    probabilities = inference.probabilities(model, seen(case))
    return resize(probabilities, case.image.grid.shape).argmax(-1)


def score(cases, found):
    """Means over images; near the outline is within 2 of the pixels that the networks see."""
    pairs = [(c.label.array.astype(int), one) for c, one in zip(cases, found, strict=True)]
    near = [2 * max(1, case.image.grid.shape[1] / COLUMNS) for case in cases]
    errors = [metrics.boundary_error(*pair, d) for pair, d in zip(pairs, near, strict=True)]
    return {
        "jaccard": np.mean([metrics.iou(*pair)[1] for pair in pairs]),
        "dice": np.mean([metrics.dice(*pair)[1] for pair in pairs]),
        "pixel_error": 1 - np.mean([metrics.pixel_accuracy(*pair) for pair in pairs]),
        "border_error": np.mean(errors),
    }


def otsu(cases):
    """The better polarity of Otsu's threshold on these very images."""
    bright = [methods.otsu(case.image.array).astype(int) for case in cases]
    sides = [score(cases, bright), score(cases, [1 - one for one in bright])]
    return max(sides, key=lambda row: row["dice"])


def fold(cases, seed):
    split = data.split_by_subject(cases, (1 / PARTS,) * PARTS)
    held_back = split.pop(-1 - seed % PARTS)
    return [case for part in split for case in part], held_back


if __name__ == "__main__":
    asked = measure.arguments(__doc__)
    rows = measure.measured("02_fcn") if asked.resume else []
    cases = data.load(SET) if measure.present(SET) else []
    for seed in range(asked.seeds if cases else 0):
        learn, test = fold(cases, seed)
        coarse = [seen(case) for case in learn]
        where = {"set": SET, "seed": seed, "learn": len(learn), "test": len(test)}
        done = [row["arm"] for row in rows if row["seed"] == seed]
        if "Otsu" not in done:
            rows.append(where | {"arm": "Otsu"} | otsu(test))
        for arm in [arm for arm in ARMS if arm not in done]:
            clock = measure.Clock()
            model = train(arm, coarse, seed)
            took = {"minutes": clock.minutes(), "steps": int(model.optimizer.iterations)}
            took |= {"weights": model.count_params(), "precision": measure.precision()}
            scores = score(test, [labels(model, case) for case in test])
            rows.append(where | {"arm": arm} | took | scores)
            measure.record(rows, "02_fcn")
