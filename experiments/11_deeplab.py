"""DeepLab's heads on VGG-16, each before and after a dense CRF, on PH2, beside Otsu's threshold.

Run by `make results LESSON=11 [SEEDS=3]`; writes medseg_tf/results/11_deeplab.json after each arm.
Each seed holds back another fifth of the images, the same as lesson 05. All networks learn equally
many steps from random weights; "no atrous" has LargeFOV's weights in a classifier's strides. The
map has half the paper's positions, so rates are half the paper's. The CRF's weights are chosen for
each network on images that no network learns from or is tested on; its twin, "smoothed", is the
same without a look at the image.
"""

import importlib

import keras
import measure
import numpy as np

from medseg_tf import data, inference, losses, methods, metrics, models, training
from medseg_tf.data.resample import resize

skin = importlib.import_module("05_residual")  # its folds, its pictures, its scores
SIZE, EPOCHS, STEPS = (161, 193), 16, 50
ARMS = {
    "LargeFOV": {"rates": (6,)},
    "ASPP-S": {"rates": (1, 2, 4, 6)},
    "ASPP-L": {"rates": (3, 6, 9, 12)},
    "no atrous": {"rates": (1,), "stride": 32},
}
FIXED = {"alpha": 20, "w2": 3, "gamma": 1}  # of the CRF, in the pixels that the networks see
CHOICES = [{"w1": w1, "beta": beta} for w1 in (2, 5) for beta in (8, 16)]
NEAR = 8  # pixels from the border, two of those that the networks see


def train(arm, cases, seed):
    keras.utils.set_random_seed(seed)
    model = models.deeplab((None, None, 3), 2, width=8, dropout=0.2, **ARMS[arm])
    shapes = data.warp(degrees=180, low=0.75, high=1.33, sd=4, points=4)
    augment = data.compose(data.flip(), shapes, data.intensity())
    patches = data.Patches(cases, SIZE, 4, augment=augment, seed=seed, steps=STEPS)
    training.fit(model, patches, losses.WeightedCrossEntropy(), epochs=EPOCHS)
    return model


def score(cases, found, how=None):
    """Scores on the cases' own pixels of probabilities on those that the networks see."""
    labels, border = [], []
    for case, values in zip(cases, found, strict=True):
        if how:
            values = methods.dense_crf(skin.seen(case).image.array, values, **FIXED | how)
        labels.append(resize(values, case.image.grid.shape).argmax(-1))
        border.append(metrics.boundary_error(case.label.array, labels[-1], NEAR))
    return skin.score(cases, labels) | {"boundary_error": np.nanmean(border)}


def choose(cases, found):
    """The CRF's weights with the best Jaccard."""
    return max(CHOICES, key=lambda how: score(cases, found, how)["jaccard"])


if __name__ == "__main__":
    asked = measure.arguments(__doc__)
    rows = measure.measured("11_deeplab") if asked.resume else []
    cases = data.load(skin.SET) if measure.present(skin.SET) else []
    for seed in range(asked.seeds if cases else 0):
        rest, test = skin.fold(cases, seed)
        aside, learn = rest[::20], [c for place, c in enumerate(rest) if place % 20]
        where = {"set": skin.SET, "seed": seed, "learn": len(learn), "test": len(test)}
        done = [row["arm"] for row in rows if row["seed"] == seed]
        if "Otsu" not in done:
            rows.append(where | {"arm": "Otsu"} | skin.otsu(test))
        for arm in [arm for arm in ARMS if arm not in done]:
            clock = measure.Clock()
            model = train(arm, [skin.seen(case) for case in learn], seed)
            took = {"minutes": clock.minutes(), "steps": int(model.optimizer.iterations)}
            took |= {"weights": model.count_params(), "macs": models.macs(model, SIZE)}
            took |= {"precision": measure.precision()}
            own, held = (
                [inference.probabilities(model, skin.seen(case)) for case in part]
                for part in (aside, test)
            )
            best = choose(aside, own)
            ways = {"": None, ", CRF": best, ", smoothed": best | {"w1": 0}}
            for name, how in ways.items():
                row = where | {"arm": f"{arm}{name}"} | took | score(test, held, how)
                rows.append(row | (how or {}))
            measure.record(rows, "11_deeplab")
