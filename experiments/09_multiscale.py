"""Several kernel sizes and one, the walk and its twins, and label fusion, beside a vote of atlases.

Run by `make results LESSON=09 [SEEDS=3]`; writes medseg_tf/results/09_multiscale.json after each
arm. OASIS-TRT-20_slices (axial slices, aligned): each seed holds back another third of the people.
Task04_Hippocampus (volumes): all seeds hold back the same fifth, that of lesson 04; atlases are
resized to each volume. A fifth, or in the second set a twentieth, of the cases to learn from is set
aside to choose the walk and the blur; the others are the networks' training cases and the atlases
alike. Networks of a set have about equal weights and take equally many steps; those without
normalisation are measured on slices, where steps are cheap.
"""

import time
from functools import partial

import keras
import measure
import numpy as np
from scipy import ndimage

from medseg_tf import data, evaluation, inference, losses, methods, training
from medseg_tf.data.resample import resize
from medseg_tf.models import multiscale

# Sides of a patch, patches a batch, steps, sizes of label fusion.
SETS = {
    "OASIS-TRT-20_slices": ((96, 96), 4, 1200, {"patch": 5, "search": 9}),
    "Task04_Hippocampus": ((32, 40, 32), 2, 720, {"patch": 3, "search": 5}),
}
ARMS = {  # kernels, channels a stream in slices and in volumes, normalisation
    "3, 5 and 7": ((3, 5, 7), {2: 8, 3: 4}, "batch"),
    "7 alone": ((7,), {2: 11, 3: 5}, "batch"),
    "5 alone": ((5,), {2: 15, 3: 8}, "batch"),
    "3 alone": ((3,), {2: 25, 3: 18}, "batch"),
    "3, 5 and 7, not normalised": ((3, 5, 7), {2: 8}, None),
    "7 alone, not normalised": ((7,), {2: 11}, None),
}
BETAS, GAMMAS, SIGMAS = (0, 10, 30, 90), (0.1, 0.3, 1, 3), (0.5, 1, 1.5)


def load(name):
    """Load a set: grey values of 0 to about 1, the air round all aligned brains cut off."""
    cases = data.load(name)
    box = (...,)
    if name == "OASIS-TRT-20_slices":
        inside = np.argwhere(np.any([case.image.array[..., 0] > 0 for case in cases], axis=0))
        box = tuple(map(slice, inside.min(0), inside.max(0) + 1))
    return [ready(case, box) for case in cases]


def ready(case, box):
    image, label = case.image.array[box], case.label.array[box]
    image = np.clip(image / np.percentile(image, 99), 0, None).astype("float32")
    grid = data.Grid.from_spacing(label.shape, case.image.grid.spacing)
    scans = data.Scan(image, grid), data.Scan(label, grid)
    return data.Case(case.subject, *scans, classes=case.classes, name=case.name)


def split(cases, name, seed):
    """Return the cases to learn from, those set aside to choose settings, those held back."""
    if name == "Task04_Hippocampus":
        learn, test = data.split_by_subject(cases, (0.8, 0.2))
        return *data.split_by_subject(learn, (0.95, 0.05)), test
    thirds = data.split_by_subject(cases, (1 / 3,) * 3)
    test = thirds.pop(-1 - seed % 3)
    return *data.split_by_subject(thirds[0] + thirds[1], (0.8, 0.2)), test


def train(arm, cases, name, seed):
    keras.utils.set_random_seed(seed)
    size, batch, steps, _ = SETS[name]
    kernels, width, norm = ARMS[arm]
    shape = (*(None for _ in size), 1)
    model = multiscale(shape, cases[0].classes, kernels=kernels, width=width[len(size)], norm=norm)
    augment = data.compose(data.flip((0,)), data.intensity(blur=0))
    patches = data.Patches(cases, size, batch, augment=augment, seed=seed, steps=steps // 10)
    training.fit(model, patches, losses.WeightedCrossEntropy(), epochs=10, learning_rate=3e-3)
    return model


def smooth(probabilities, case, beta=None, gamma=None, sigma=None):
    """Walk on the image, blur by sigma, or let the 3 x 3 (x 3) neighbours vote."""
    rank = probabilities.ndim - 1
    if beta is not None:
        return methods.random_walker(case.image.array, probabilities, beta=beta, gamma=gamma)
    if sigma is not None:
        return ndimage.gaussian_filter(probabilities, (*[sigma] * rank, 0))
    votes = np.eye(case.classes, dtype="float32")[probabilities.argmax(-1)]
    return ndimage.uniform_filter(votes, (*[3] * rank, 1))


def choose(maps, cases, settings):
    """Return the setting of `smooth` of the largest mean Dice on the cases set aside."""

    def dice(setting):
        found = {
            id(c): smooth(p, c, **setting).argmax(-1) for c, p in zip(cases, maps, strict=True)
        }
        return evaluation.evaluate(lambda case: found[id(case)], cases).mean("dice")

    return max(settings, key=dice)


def resized(atlases, target):
    """The atlases' images and labels on the grid of the target."""
    shape = target.image.grid.shape
    return (
        [resize(one.image.array, shape) for one in atlases],
        [resize(one.label.array, shape, is_label=True) for one in atlases],
    )


def vote(atlases, case):
    labels = resized(atlases, case)[1]
    return np.stack([np.mean(np.equal(labels, c), axis=0) for c in range(case.classes)], -1)


def pbl(atlases, name, case):
    """Fuse the labels of the ten nearest atlases; where none of all has any, there is nothing."""
    images, labels = resized(atlases, case)
    sizes = SETS[name][3]
    reach = sizes["patch"] // 2 + sizes["search"] // 2
    found = np.argwhere(np.any([label > 0 for label in labels], axis=0))
    box = tuple(map(slice, np.maximum(found.min(0) - reach, 0), found.max(0) + 1 + reach))
    result = np.eye(case.classes, dtype="float32")[np.zeros(case.label.array.shape, int)]
    images, labels = ([one[box] for one in some] for some in (images, labels))
    options = {"classes": case.classes, "nearest": 10, **sizes}
    result[box] = methods.patch_fusion(case.image.array[box], images, labels, **options)
    return result


def pieces(label):
    return sum(ndimage.label(label == number)[1] for number in range(1, label.max() + 1))


def score(label, cases):
    """Score a function from a case to probabilities: Dice, HD95 (mm), islands, seconds a case."""
    clock = time.process_time()
    labels = {id(case): label(case).argmax(-1) for case in cases}
    row = {"seconds": (time.process_time() - clock) / len(cases)}
    table = evaluation.evaluate(lambda case: labels[id(case)], cases)
    for one in evaluation.summary(table):
        row[f"dice_{one['class']}"] = one["dice"]
    extra = [pieces(labels[id(case)]) - pieces(case.label.array) for case in cases]
    row |= {"dice": table.mean("dice"), "hd95": table.mean("hausdorff95")}
    return row | {"islands": np.mean(extra)}


def smoothed(model, chosen_on, test):
    """Return a row for each way to smooth a network's maps, its setting chosen on other cases."""
    maps = [inference.probabilities(model, case) for case in chosen_on]
    walks = [{"beta": beta, "gamma": gamma} for beta in BETAS for gamma in GAMMAS]
    ways = {"... and walk": walks, "... and blind walk": walks[: len(GAMMAS)]}
    ways |= {"... and blur": [{"sigma": sigma} for sigma in SIGMAS], "... and 3 x 3 vote": [{}]}
    rows = []
    for arm, settings in ways.items():
        best = choose(maps, chosen_on, settings)

        def label(case, best=best):
            return smooth(inference.probabilities(model, case), case, **best)

        rows.append({"arm": arm} | best | score(label, test))
    return rows


def measure_arm(arm, learn, chosen_on, test, name, seed):
    """Return the rows of a network; behind that of several sizes those of its smoothed maps."""
    clock = measure.Clock()
    model = train(arm, learn, name, seed)
    row = {"arm": arm, "minutes": clock.minutes(), "steps": int(model.optimizer.iterations)}
    row |= {"weights": model.count_params(), "precision": measure.precision()}
    row |= score(partial(inference.probabilities, model), test)
    return [row, *(smoothed(model, chosen_on, test) if arm == "3, 5 and 7" else [])]


def measure_set(name, seed, rows):
    learn, chosen_on, test = split(load(name), name, seed)
    where = {"set": name, "seed": seed, "learn": len(learn), "test": len(test)}
    done = [row["arm"] for row in rows if (row["set"], row["seed"]) == (name, seed)]
    rivals = {"vote of the atlases": partial(vote, learn), "PBL": partial(pbl, learn, name)}
    arms = [arm for arm, (_, width, _) in ARMS.items() if len(SETS[name][0]) in width]
    for arm in [arm for arm in (*rivals, *arms) if arm not in done]:
        if arm in rivals:
            found = [{"arm": arm} | score(rivals[arm], test)]
        else:
            found = measure_arm(arm, learn, chosen_on, test, name, seed)
        rows += [where | row for row in found]
        measure.record(rows, "09_multiscale")


if __name__ == "__main__":
    asked = measure.arguments(__doc__)
    rows = measure.measured("09_multiscale") if asked.resume else []
    for seed in range(asked.seeds):
        for name in [name for name in asked.sets or SETS if measure.present(name)]:
            measure_set(name, seed, rows)
