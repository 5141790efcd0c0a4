"""FCRN of three depths, and its head on VGG-16 and GoogLeNet, on PH2, beside Otsu's threshold.

Run by `make results LESSON=05 [SEEDS=3]`; writes medseg_tf/results/05_residual.json after each arm.
Each seed holds back another fifth of the images, and every score stands beside Otsu's (of its two
polarities the better one) on the same images. All five networks have one head, widths that give
them about as many multiply-adds a picture, and equally many steps from random weights; what that
takes in minutes depends on the machine and is written down.
"""

from functools import partial

import keras
import measure
import numpy as np

from medseg_tf import data, inference, losses, methods, metrics, models, training
from medseg_tf.data.resample import resize

SET = "PH2"
# Columns that the networks see of each picture, rows and columns of a patch, steps of training.
COLUMNS, SIZE, EPOCHS, STEPS, PARTS = 192, (160, 192), 20, 50, 5
rival = partial(models.fcn, padding="same", upsampling="grouped")
ARMS = {  # with 0.38 to 0.41 thousand million multiply-adds a patch
    "FCRN-50": partial(models.fcrn, depth=50, width=26),
    "FCRN-38": partial(models.fcrn, depth=38, width=29),
    "FCRN-101": partial(models.fcrn, depth=101, width=18),
    "VGG-16": partial(rival, backbone="vgg16", width=11),
    "GoogLeNet": partial(rival, backbone="googlenet", width=40),
}


def train(arm, cases, seed):
    keras.utils.set_random_seed(seed)
    model = ARMS[arm]((None, None, 3), 2)
    shapes = data.warp(degrees=180, low=0.75, high=1.33, sd=4, points=4)
    augment = data.compose(data.flip(), shapes, data.intensity())
    patches = data.Patches(cases, SIZE, 4, augment=augment, seed=seed, steps=STEPS)
    training.fit(model, patches, losses.WeightedCrossEntropy(), epochs=EPOCHS)
    return model


def seen(case):
    """A case as the networks see it, as wide as all others."""
    grid = case.image.grid
    return data.resample_case(case, grid.spacing[1] * grid.shape[1] / COLUMNS)


def labels(model, case):
    """Label a case on its own pixels, from those that the network sees."""
    probabilities = inference.probabilities(model, seen(case))
    return resize(probabilities, case.image.grid.shape).argmax(-1)


def score(cases, found):
    """The scores of ISIC 2016, means over images."""
    pairs = [(c.label.array.astype(int), one) for c, one in zip(cases, found, strict=True)]
    of_lesion = {"sensitivity": metrics.sensitivity, "specificity": metrics.specificity}
    of_lesion |= {"dice": metrics.dice, "jaccard": metrics.iou}
    means = {name: np.mean([f(*pair)[1] for pair in pairs]) for name, f in of_lesion.items()}
    return {"accuracy": np.mean([metrics.pixel_accuracy(*pair) for pair in pairs])} | means


def otsu(cases):
    """The better polarity of Otsu's threshold on these very images."""
    bright = [methods.otsu(case.image.array).astype(int) for case in cases]
    sides = [score(cases, bright), score(cases, [1 - one for one in bright])]
    return max(sides, key=lambda row: row["jaccard"])


def fold(cases, seed):
    split = data.split_by_subject(cases, (1 / PARTS,) * PARTS)
    held_back = split.pop(-1 - seed % PARTS)
    return [case for part in split for case in part], held_back


if __name__ == "__main__":
    asked = measure.arguments(__doc__)
    rows = measure.measured("05_residual") if asked.resume else []
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
            took |= {"weights": model.count_params(), "macs": models.macs(model, SIZE)}
            took |= {"precision": measure.precision()}
            scores = score(test, [labels(model, case) for case in test])
            rows.append(where | {"arm": arm} | took | scores)
            measure.record(rows, "05_residual")
