"""Working resolution on Task04_Hippocampus, a change of acquisition on IBSR18, beside no learning.

Run by `make results LESSON=14 [SEEDS=3]`; writes medseg_tf/results/14_outlook.json after each arm.
Resolution: one 3-D U-Net learns equally many steps at voxels of 1 to 3 mm, once more for about as
long as at 1 mm; its probabilities are enlarged and scored on the file's own grid. "label alone" is
the truth at that spacing and back, what a perfect network would reach; atlas learns no grey values.
Shift: the scans of IBSR18 have three voxel sizes, a mark of how each was acquired; the set names no
machine. Four scans of 0.9375 mm are learned from, and those of the other sizes labelled (dice),
beside one of the same size that was held back (dice_own). The oracle learned the other sizes, half
of the scans at a time, and labels the other half. k-means parts T1 values into three.
"""

import time
from importlib import import_module

import keras
import measure
import numpy as np

from medseg_tf import data, evaluation, inference, losses, models, training
from medseg_tf.data.resample import resize
from medseg_tf.table import Table

atlas = import_module("04_vnet").atlas
brains = import_module("06_voxresnet")
FIELD = np.array((40, 56, 40))  # mm that a patch of the hippocampus shows
STEPS, TEST = 300, 40  # of training; most cases scored
SPACINGS = {  # mm, how many times the steps
    "1 mm": (1, 1),
    "1.5 mm": (1.5, 1),
    "2 mm": (2, 1),
    "3 mm": (3, 1),
    "2 mm, as long as 1 mm": (2, 7),
}
GREY = data.intensity(
    gamma=1.0, shading=0.3, noise=0.3, blur=0
)  # chosen before the scans were seen
SHIFT = {  # mm to work at (None: each scan's own), how grey values change in training
    "z-score": (None, None),
    "z-score, 1 mm": (1, None),
    "random grey values": (None, GREY),
    "oracle: learned the other sizes": (None, None),
}
inside = data.z_score_inside


def train(cases, size, seed, width, steps, normalize=data.z_score, augment=None):
    """Train a 3-D U-Net: the model, and what its training took."""
    keras.utils.set_random_seed(seed)
    shape, classes = (None, None, None, 1), cases[0].classes
    model = models.unet(shape, classes, width, 3, padding="same", norm="batch", dropout=0)
    flips = data.flip((0,) if classes == 4 else ())  # a brain has two sides, a hippocampus one
    augment = data.compose(flips, augment) if augment else flips
    options = {"augment": augment, "seed": seed, "normalize": normalize, "steps": steps}
    patches, ends, clock = data.Patches(cases, size, 2, **options), [], measure.Clock()
    watch = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: ends.append(time.perf_counter())
    )
    loss = losses.DiceCrossEntropy(squared=True)
    training.fit(model, patches, loss, epochs=1, learning_rate=3e-3, callbacks=[watch])
    took = {"minutes": clock.minutes(), "steps": steps, "precision": measure.precision()}
    took["memory_gb"] = models.training_memory(model, 2, size) / 1e9
    return model, took | {"seconds_a_step": np.median(np.diff(ends))}


def scored(label, cases):
    """Mean Dice and HD95 (mm) over cases and classes, and Dice of each class."""
    table = evaluation.evaluate(label, cases)
    means = evaluation.summary(table)
    row = {"dice": table.mean("dice"), "hd95": table.mean("hausdorff95"), "test": len(cases)}
    row["left_out"] = max(one["left_out"] for one in means)
    return row | {f"dice_{one['class']}": one["dice"] for one in means}


def coarser(case, spacing):
    return data.resample_case(case, spacing) if spacing else case


def onto(case, maps):
    """Labels on the case's own grid from probabilities at another spacing."""
    shape = case.image.grid.shape
    return (maps if maps.shape[:-1] == shape else resize(maps, shape)).argmax(-1)


def resolution(arm, learn, test, seed):
    """Return the row of one arm on Task04_Hippocampus."""
    if arm == "atlas":
        return scored(atlas(learn), test)
    if arm.startswith("label alone"):
        spacing = float(arm.split()[-2])

        def alone(case):
            shape = coarser(case, spacing).image.grid.shape
            return onto(case, resize(np.eye(3, dtype="float32")[case.label.array], shape))

        return scored(alone, test)
    spacing, times = SPACINGS[arm]
    size = tuple((8 * np.ceil(FIELD / spacing / 8)).astype(int).tolist())
    coarse = [coarser(case, spacing) for case in learn]
    model, took = train(coarse, size, seed, 16, times * STEPS)

    def label(case):
        return onto(case, inference.probabilities(model, coarser(case, spacing)))

    return took | scored(label, test)


def brain_labels(model, spacing, normalize=inside):
    def label(case):
        seen = coarser(case, spacing)
        return onto(case, inference.probabilities(model, seen, overlap=0.25, normalize=normalize))

    return label


def shift(arm, cases, seed):
    """Return the rows of one arm on IBSR18; the z-score's network labels matched scans, too."""
    kind = [round(float(case.image.grid.spacing[0]), 4) for case in cases]
    known = [case for case, mm in zip(cases, kind, strict=True) if mm == 0.9375]
    others = [case for case, mm in zip(cases, kind, strict=True) if mm != 0.9375]
    own = known.pop(seed % len(known))
    if arm == "k-means":
        return {arm: scored(brains.k_means, others) | own_dice(brains.k_means, own)}
    spacing, augment = SHIFT[arm]

    def learned(some):
        some = [coarser(case, spacing) for case in some]
        return train(some, (48, 32, 48), seed, 8, STEPS, inside, augment)

    if arm.startswith("oracle"):
        table, took = Table(), {}
        for half in (0, 1):
            model, took = learned(others[half::2])
            table += evaluation.evaluate(brain_labels(model, spacing), others[1 - half :: 2])
        each = {f"dice_{k}": table.mean("dice", **{"class": k}) for k in (1, 2, 3)}
        row = {"dice": table.mean("dice"), "hd95": table.mean("hausdorff95"), "test": len(others)}
        return {arm: took | row | each}
    model, took = learned(known)
    label = brain_labels(model, spacing)
    rows = {arm: took | scored(label, others) | own_dice(label, own)}
    if arm == "z-score":
        to_known = data.match_histogram([inside(case.image.array) for case in known])

        def matched(array):  # to a scan that the seed draws
            return to_known(inside(array), None, np.random.default_rng(seed))[0]

        label = brain_labels(model, spacing, matched)
        rows["z-score, histogram matched"] = scored(label, others) | own_dice(label, own)
    return rows


def own_dice(label, case):
    return {"dice_own": evaluation.evaluate(label, [case]).mean("dice")}


if __name__ == "__main__":
    asked = measure.arguments(__doc__)
    rows = measure.measured("14_outlook") if asked.resume else []

    def missing(name, arms, seed):
        done = [row["arm"] for row in rows if (row["set"], row["seed"]) == (name, seed)]
        return [arm for arm in arms if arm not in done]

    name = "Task04_Hippocampus"
    if name in (asked.sets or [name]) and measure.present(name):
        learn, test = data.split_by_subject(data.load(name), (0.8, 0.2))
        alone = [f"label alone, {mm} mm" for mm in ("1.5", "2", "3")]
        for seed in range(asked.seeds):
            for arm in missing(name, ["atlas", *SPACINGS, *alone], seed):
                where = {"set": name, "seed": seed, "arm": arm, "learn": len(learn)}
                rows.append(where | resolution(arm, learn, test[:TEST], seed))
                measure.record(rows, "14_outlook")
    name = "IBSR18"
    if name in (asked.sets or [name]) and measure.present(name):
        cases = [brains.cropped(case) for case in data.load(name)]
        for seed in range(asked.seeds):
            for arm in missing(name, ["k-means", *SHIFT], seed):
                for found, row in shift(arm, cases, seed).items():
                    rows.append({"set": name, "seed": seed, "arm": found} | row)
                measure.record(rows, "14_outlook")
