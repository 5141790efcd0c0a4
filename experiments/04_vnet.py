"""V-Net, 3-D U-Net and a 2-D U-Net slice by slice on Task04_Hippocampus, each by its own plan.

Run by `make results LESSON=04 [SEEDS=3]`; writes medseg_tf/results/04_vnet.json after each arm.
All seeds hold back the same fifth of the subjects. The arm "atlas" learns nothing from grey values:
each voxel gets the class it has most often in the training labels, resized to the volume.
"""

import time

import keras
import measure
import numpy as np

from medseg_tf import data, evaluation, inference, planning, training
from medseg_tf.data.resample import resize

SET = "Task04_Hippocampus"
MINUTES = 6  # of the plan; the recorded minutes may be more, where a processor slows down
ARMS = {"V-Net": ("vnet", False), "3-D U-Net": ("unet", False), "2-D U-Net": ("unet", True)}


def train(cases, network, seed):
    keras.utils.set_random_seed(seed)
    chosen, reasons = planning.plan(cases, network)
    print(reasons, flush=True)
    model = planning.build(chosen)
    patches = planning.patches(planning.prepare(cases, chosen), chosen, seed)
    rate = chosen["learning_rate"]
    training.fit(model, patches, planning.loss(chosen), minutes=MINUTES, learning_rate=rate)
    model.recipe["scans"] = planning.scans(chosen)
    return model


def by_slices(model):
    """Make a function from a volume to its labels, slice by slice."""

    def segment(case):
        return np.stack([inference.segment(model, one).array for one in data.slices(case)], -1)

    return segment


def atlas(cases):
    """Make a function from a volume to the most frequent class at each place."""
    shape = np.median([case.label.array.shape for case in cases], axis=0).astype(int)
    classes = [resize(case.label.array, shape, is_label=True) for case in cases]
    shares = np.stack([np.mean(np.equal(classes, c), axis=0) for c in range(cases[0].classes)], -1)
    return lambda case: resize(shares, case.image.grid.shape).argmax(-1)


def score(model, cases):
    start = time.perf_counter()
    table = evaluation.evaluate(model, cases)
    row = {"seconds": (time.perf_counter() - start) / len(cases)}
    for one in evaluation.summary(table):
        for name, short in {"dice": "dice", "hausdorff95": "hd95", "assd": "assd"}.items():
            row[f"{short}_{one['class']}"] = one[name]
    row["dice"] = table.mean("dice")
    row["left_out"] = max(one["left_out"] for one in evaluation.summary(table))
    return row


if __name__ == "__main__":
    asked = measure.arguments(__doc__)
    rows = measure.measured("04_vnet") if asked.resume else []
    if measure.present(SET):
        learn, test = data.split_by_subject(data.load(SET), (0.8, 0.2))
        where = {"set": SET, "learn": len(learn), "test": len(test)}
        for seed in range(asked.seeds):
            done = [row["arm"] for row in rows if row["seed"] == seed]
            if seed == 0 and "atlas" not in done:
                rows.append(where | {"seed": 0, "arm": "atlas"} | score(atlas(learn), test))
            for arm, (network, flat) in ARMS.items():
                if arm in done:
                    continue
                cases = [one for case in learn for one in data.slices(case)] if flat else learn
                clock = measure.Clock()
                model = train(cases, network, seed)
                took = {"minutes": clock.minutes(), "steps": int(model.optimizer.iterations)}
                took |= {"weights": model.count_params(), "precision": measure.precision()}
                scores = score(by_slices(model) if flat else model, test)
                rows.append(where | {"seed": seed, "arm": arm} | took | scores)
                measure.record(rows, "04_vnet")
