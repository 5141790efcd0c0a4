"""JULE + k-means on LungCT, ProtonLungMRI and PTBP, beside multi-Otsu, k-means and fair twins.

Run by `make results LESSON=08 [SEEDS=3]`; writes medseg_tf/results/08_unsupervised.json after each
arm. Each image is clustered for itself, without labels; these serve to score. nmi and accuracy
(best one-to-one renaming) are means over images, with as many clusters as classes; nmi_one_more
with one more. A brain is scored inside the mask that its labels give, which all arms know; the
tissues of PTBP are a program's answer, so scores say how well two programs agree.
"""

import keras
import measure
import numpy as np
from scipy import ndimage

from medseg_tf import data, methods, metrics, models

# The set, its reader's options, spacing that images are brought to, side of a block.
SETS = {
    "LungCT": ("LungCT", {}, 2, 4),
    "ProtonLungMRI": ("ProtonLungMRI", {}, None, 4),
    "PTBP, T1": ("PTBP", {}, None, 3),
    "PTBP, four contrasts": ("PTBP", {"contrasts": True}, None, 3),
}
PATCH, PATCHES, EPOCHS = 13, 600, 10
ARMS = ["multi-Otsu", "k-means", "k-means, blurred", "mean and spread", "random weights"]
ARMS += ["JULE + k-means"]


def prepare(case, name):
    """Return image, truth and the voxels to cluster; of a brain its box, both lungs one class."""
    if spacing := SETS[name][2]:
        case = data.resample_case(case, spacing)
    image, truth = case.image.array, case.label.array.astype(int)
    if name.startswith("PTBP"):
        image = np.where(truth[..., None] > 0, image, 0)
        within = np.argwhere(truth > 0)
        box = tuple(map(slice, within.min(0), within.max(0) + 1))
        return data.z_score_inside(image[box]), truth[box], truth[box] > 0
    if name == "LungCT":  # air to bone, in Hounsfield units; beyond the scanner's field is less
        image = np.clip(image, -1000, 400)
    return data.z_score(image), (truth > 0).astype(int), np.ones(truth.shape, bool)


def draw(image, inside, count, seed):
    """Patches whose middle lies inside; beyond the border the image is mirrored."""
    half = [(PATCH // 2,) * 2] * inside.ndim
    mirrored = np.pad(image, [*half, (0, 0)], mode="reflect")
    both = np.concatenate([mirrored, np.pad(inside, half)[..., None]], axis=-1)
    many = methods.draw_patches(both, 8 * count, PATCH, seed)
    middle = (slice(None), *[PATCH // 2] * inside.ndim, -1)
    return many[many[middle] > 0][:count, ..., :-1]


def moments(patches):
    flat = patches.reshape(len(patches), -1, patches.shape[-1])
    return np.concatenate([flat.mean(axis=1), flat.std(axis=1)], axis=1)


def encoder(arm, image, inside, classes, seed):
    """A function from patches to features, and how many steps it learned."""
    if arm == "mean and spread":
        return moments, 0
    keras.utils.set_random_seed(seed)
    shape = (*[PATCH] * inside.ndim, image.shape[-1])
    model = models.patch_encoder(shape, (16,) * 3, 3, dense=(64,), features=32)
    patches = draw(image, inside, PATCHES, seed)
    if arm == "JULE + k-means":
        methods.jule(model, patches, classes, epochs=EPOCHS, seed=seed)
        return model.predict_on_batch, int(model.optimizer.iterations)
    for _ in range(40):  # its normalisation has seen the patches
        model(patches[:100], training=True)
    return model.predict_on_batch, 0


def cluster(arm, image, inside, classes, stride, seed):
    """Return a function from a number of clusters to the labels inside, and steps of learning."""
    if arm == "multi-Otsu":  # of the first channel: a mean of contrasts would mean nothing
        return lambda number: methods.multi_otsu(image[inside][:, :1], number), 0
    if arm == "k-means":
        return lambda number: methods.k_means(image[inside], number, seed), 0
    if arm == "k-means, blurred":
        sigma = (*[PATCH / 5] * inside.ndim, 0)
        blurred = ndimage.gaussian_filter(image, sigma)[inside]
        return lambda number: methods.k_means(blurred, number, seed), 0
    encode, steps = encoder(arm, image, inside, classes, seed)
    features = methods.block_features(image, encode, PATCH, stride)
    blocks = tuple(np.argwhere(inside).T // stride)  # each voxel's own
    used = np.zeros(features.shape[:-1], bool)
    used[blocks] = True

    def labels(number):
        found = np.zeros(used.shape, int)
        found[used] = methods.k_means(features[used], number, seed)
        return found[blocks]

    return labels, steps


def measure_arm(arm, cases, name, seed):
    """Return the row of one arm."""
    clock, scores, steps = measure.Clock(), [], 0
    for case in cases:
        image, truth, inside = prepare(case, name)
        true = truth[inside]
        classes = len(np.unique(true))
        label, learned = cluster(arm, image, inside, classes, SETS[name][3], seed)
        found, more = label(classes), label(classes + 1)
        right = metrics.match_clusters(true, found) == true
        scores.append([metrics.nmi(true, found), right.mean(), metrics.nmi(true, more)])
        steps += learned
    means = dict(zip(("nmi", "accuracy", "nmi_one_more"), np.mean(scores, axis=0), strict=True))
    took = {"images": len(cases), "minutes": clock.minutes(), "steps": steps}
    return {"set": name, "seed": seed, "arm": arm} | took | means


if __name__ == "__main__":
    asked = measure.arguments(__doc__)
    rows = measure.measured("08_unsupervised") if asked.resume else []
    for name in [name for name in asked.sets or SETS if measure.present(SETS[name][0])]:
        cases = data.load(SETS[name][0], **SETS[name][1])
        for seed in range(asked.seeds):
            done = [row["arm"] for row in rows if (row["set"], row["seed"]) == (name, seed)]
            for arm in [arm for arm in ARMS if arm not in done]:
                rows.append(measure_arm(arm, cases, name, seed))
                measure.record(rows, "08_unsupervised")
