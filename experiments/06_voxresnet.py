"""VoxResNet on IBSR18 (volumes, T1) and BRATS2013_2D (slices, four contrasts), beside k-means.

Run by `make results LESSON=06 [SEEDS=3]`; writes medseg_tf/results/06_voxresnet.json after each
arm. Of IBSR18 each seed holds back another quarter of the people; BRATS2013_2D, six cases, leaves
one out in turn and another seed changes the networks alone. Auto-context trains three networks, so
its twin is one that trains three times as long. The tissues of BRATS2013_2D are a program's answer:
scores say how well one program agrees with another; class 4 is the tumour, outlined by experts.
"""

from dataclasses import replace

import keras
import measure
import numpy as np

from medseg_tf import data, evaluation, inference, losses, methods, models, training
from medseg_tf.table import Table

# Options of the reader, sides of a patch, patches a batch, and how long a network learns.
SETS = {
    "IBSR18": ({}, (48, 32, 48), 2, {"minutes": 1}),
    "BRATS2013_2D": ({"relabel": {5: 4, 6: 4, 7: 4}}, (128, 128), 4, {"epochs": 2}),
}
ALL = (1, 2, 3, 4)
ARMS = {  # scales with a branch, how many times as long
    "VoxResNet": (ALL, 1),
    "coarsest scale alone": ((4,), 1),
    "T1 alone": (ALL, 1),
    "auto-context": (ALL, 1),
    "three times as long": (ALL, 3),
}
FOLDS = 2


def train(cases, name, seed, scales=ALL, times=1):
    """Train a network with width 8; the slices of IBSR18 lie along axis 1."""
    keras.utils.set_random_seed(seed)
    _, size, batch, length = SETS[name]
    channels, classes = cases[0].image.array.shape[-1], cases[0].classes
    shape = (*(None for _ in size), channels)
    model = models.voxresnet(shape, classes, width=8, scales=scales, slice_axis=1)
    augment = data.compose(data.flip((0,)), data.intensity(blur=0, shading=0))
    patches = data.Patches(
        *(cases, size, batch), augment=augment, seed=seed, normalize=data.z_score_inside, steps=50
    )
    asked = models.deeply_supervised(model) if len(scales) > 1 else model
    length = {unit: times * amount for unit, amount in length.items()}
    training.fit(asked, patches, losses.WeightedCrossEntropy(), learning_rate=3e-3, **length)
    model.learned = int(asked.optimizer.iterations)
    return model


def maps(model, case):
    return inference.probabilities(model, case, overlap=0.25, normalize=data.z_score_inside)


def learn(arm, cases, name, seed):
    """Train an arm: the networks, and the function from a case to its labels."""
    scales, times = ARMS[arm]
    if arm == "auto-context":
        firsts, own = methods.cross_fit(
            cases, lambda some: train(some, name, seed), FOLDS, maps, seed
        )
        both = [methods.add_maps(case, one) for case, one in zip(cases, own, strict=True)]
        second = train(both, name, seed)

        def with_context(case):
            return methods.add_maps(case, methods.mean_maps(firsts, case, maps))

        return [*firsts, second], lambda case: maps(second, with_context(case)).argmax(-1)
    see = t1 if arm == "T1 alone" else lambda case: case
    model = train([see(case) for case in cases], name, seed, scales, times)
    return [model], lambda case: maps(model, see(case)).argmax(-1)


def t1(case):
    return replace(case, image=data.Scan(case.image.array[..., :1], case.image.grid))


def k_means(case):
    """Three clusters of the brain's T1 values: dark, fluid, to bright, white matter."""
    grey = case.image.array[..., :1]
    labels, brain = np.zeros(grey.shape[:-1], int), grey[..., 0] > 0
    labels[brain] = 1 + methods.k_means(grey[brain], 3)
    return labels


def cropped(case):
    """The case without the air around the brain."""
    image, affine = case.image, case.image.grid.affine.copy()
    inside = np.argwhere(image.array.max(-1) > 0)
    first, last = inside.min(0), inside.max(0) + 1
    box = tuple(map(slice, first, last))
    affine[:-1, -1] = image.grid.to_world(first)
    grid = data.Grid(last - first, affine, image.grid.units)
    label = data.Scan(case.label.array[box], grid)
    return replace(case, image=data.Scan(image.array[box], grid), label=label)


def score(table):
    """Mean Dice of the three tissues; of each class Dice, HD95 (mm) and AVD (%)."""
    tissues, means = [row["dice"] for row in table if row["class"] <= 3], evaluation.summary(table)
    scores = {"dice": np.nanmean(tissues), "left_out": max(one["left_out"] for one in means)}
    for one in means:
        number = one["class"]
        volumes = [abs(row["volume_difference"]) for row in table if row["class"] == number]
        volumes = [100 * share for share in volumes if np.isfinite(share)]
        scores |= {f"dice_{number}": one["dice"], f"hd95_{number}": one["hausdorff95"]}
        scores[f"avd_{number}"] = np.mean(volumes) if volumes else np.nan
    return {name: value for name, value in scores.items() if np.isfinite(value)}


def turns(cases, name, seed):
    """Return [(cases to learn from, cases held back)]."""
    if name == "BRATS2013_2D":
        return [([c for c in cases if c is not one], [one]) for one in cases]
    split = data.split_by_subject(cases, (0.25,) * 4)
    held_back = split.pop(-1 - seed % 4)
    return [([case for part in split for case in part], held_back)]


def measure_arm(arm, cases, name, seed):
    """Return the row of one arm, over all turns."""
    clock, table, row = measure.Clock(), Table(), {}
    for rest, test in turns(cases, name, seed):
        label = k_means
        if arm != "k-means":
            networks, label = learn(arm, rest, name, seed)
            row = {"steps": sum(model.learned for model in networks)}
            row |= {"weights": sum(model.count_params() for model in networks)}
            row |= {"minutes": clock.minutes(), "precision": measure.precision()}
        table += evaluation.evaluate(label, test)
    where = {"set": name, "seed": seed, "arm": arm, "test": len({one["case"] for one in table})}
    return where | row | score(table)


if __name__ == "__main__":
    asked = measure.arguments(__doc__)
    rows = measure.measured("06_voxresnet") if asked.resume else []
    for name in [name for name in asked.sets or SETS if measure.present(name)]:
        cases = [cropped(case) for case in data.load(name, **SETS[name][0])]
        contrasts = cases[0].image.array.shape[-1]
        for seed in range(asked.seeds):
            done = [row["arm"] for row in rows if (row["set"], row["seed"]) == (name, seed)]
            for arm in ["k-means", *(arm for arm in ARMS if arm != "T1 alone" or contrasts > 1)]:
                if arm not in done:
                    rows.append(measure_arm(arm, cases, name, seed))
                    measure.record(rows, "06_voxresnet")
