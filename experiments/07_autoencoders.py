"""Patch matching on Task04_Hippocampus by plain patches, PCA and SAE features, beside the vote.

Run by `make results LESSON=07 [SEEDS=3]`; writes medseg_tf/results/07_autoencoders.json after each
arm. All seeds ask for the same people, a fixed part of the fifth that lesson 04 holds back; another
seed draws other atlases. Nothing is registered: volumes are laid centre on centre, which works
because the set's owners cut them round the hippocampus. Two further sets are simulated, as their
names say: infants in T1 and T2, matched alike, and pathways found by parts.
"""

import keras
import measure
import numpy as np
from scipy import ndimage
from sklearn.decomposition import PCA

from medseg_tf import data, methods, metrics, models, training

REAL, INFANTS, PATHWAYS = (
    "Task04_Hippocampus",
    "infant hippocampus, simulated",
    "visual pathway, simulated",
)
# Side of a patch, of the search, candidates, units, atlases, people asked for.
MATCHING = {
    REAL: (7, 5, 30, (128, 64, 32), 10, 10),
    INFANTS: (9, 9, 60, (100, 50, 25), 10, 20),
}
# Features, weights of the candidates.
MATCHED = {
    "plain patches": ("plain", 0.05),
    "PCA": ("PCA", 0.05),
    "SAE": ("SAE", 0.05),
    "SAE, T1 alone": ("SAE", 0.05),
    "plain patches, by distance": ("plain", None),
    "SAE, by distance": ("SAE", None),
}
FOUND = {  # features, side of a patch, contrasts, a shape model for each part
    "grey 3 x 3": ("plain", 3, 3, True),
    "plain patches": ("plain", 11, 3, True),
    "PCA": ("PCA", 11, 3, True),
    "SAE": ("SAE", 11, 3, True),
    "SAE, T1 alone": ("SAE", 11, 1, True),
    "SAE, one shape": ("SAE", 11, 3, False),
}
ROUNDS, PATCHES = 8, 10_000  # epochs of each layer and together; patches to learn a code from
ALONG, RADII = [(0, -1), (0, -1), (1, 0)], (2.0, 2.0, 2.6)  # of the pathway's parts


def learn_code(kind, rows, units, seed):
    """Return a function from patches (count, values) to features, learned without labels."""
    if kind == "plain":
        return lambda patches: patches
    rows = np.random.default_rng(seed).permutation(rows)[:PATCHES]
    if kind == "PCA":
        return PCA(units[-1], random_state=seed).fit(rows).transform
    keras.utils.set_random_seed(seed)
    model = models.autoencoder(rows.shape[1:], units, hidden="elu")
    methods.greedy(model, rows, ROUNDS, ROUNDS, seed=seed)
    encoder = models.encoder_of(model)
    return lambda patches: keras.ops.convert_to_numpy(encoder(patches))


def laid(array, shape):
    """An array on a grid of another spatial shape, centre on centre, its border repeated."""
    for axis, size in enumerate(shape):
        gap = size - array.shape[axis]
        before = abs(gap) // 2
        pads = [(0, 0)] * array.ndim
        pads[axis] = (before, gap - before) if gap > 0 else (0, 0)
        array = np.pad(array, pads, mode="edge")
        array = array.take(range(before, before + size), axis) if gap < 0 else array
    return array


def people(name, seed):
    """Return atlases and the people asked for."""
    atlases, asked = MATCHING[name][-2:]
    if name == INFANTS:
        cases = data.phantoms.infant_hippocampus(atlases + asked, seed=seed, size=(7, 44, 32))
        cases = [data.slices(case, axis=0)[1] for case in cases]
        return cases[:atlases], cases[atlases:]
    learn, test = data.split_by_subject(data.load(name), (0.8, 0.2))
    chosen = np.random.default_rng(seed).choice(len(learn), atlases, replace=False)
    return [learn[number] for number in chosen], test[:asked]


def match(arm, name, atlases, asked, seed):
    """Return the labels of the people asked for, by one arm."""
    side, search, candidates, units = MATCHING[name][:4]
    labels = [case.label.array.astype(int) for case in atlases]
    channels = 1 if arm.endswith("T1 alone") else None

    def vectors(case):
        return methods.patch_vectors(data.z_score(case.image.array)[..., :channels], side)

    if arm != "majority vote":
        kind, sparsity = MATCHED[arm]
        near = [ndimage.binary_dilation(label > 0, iterations=3) for label in labels]
        own = [vectors(case) for case in atlases]
        rows = np.concatenate([one[place] for one, place in zip(own, near, strict=True)])
        code = learn_code(kind, rows, units, seed)

        def coded(some):
            return code(some.reshape(-1, some.shape[-1])).reshape(*some.shape[:-1], -1)

        own = [coded(one) for one in own]
    found = []
    for case in asked:
        shape, classes = case.image.grid.shape, case.classes
        here = [laid(label, shape) for label in labels]
        if arm == "majority vote":
            votes = [np.mean(np.equal(here, number), axis=0) for number in range(classes)]
            found.append(np.argmax(votes, axis=0))
            continue
        region = ndimage.binary_dilation(np.any(here, axis=0), iterations=2)
        there, how = [laid(one, shape) for one in own], {"region": region, "sparsity": sparsity}
        how |= {"classes": classes, "search": search, "candidates": candidates}
        shares = methods.match_patches(coded(vectors(case)), there, here, **how)
        found.append(shares.argmax(-1))
    return found


def overlap(cases, found):
    """Mean Dice of all classes, and of each."""
    pairs = [(case.label.array.astype(int), one) for case, one in zip(cases, found, strict=True)]
    each = np.nanmean([metrics.dice(*pair, cases[0].classes)[1:] for pair in pairs], axis=0)
    return {"dice": each.mean()} | {f"dice_{n}": one for n, one in enumerate(each, start=1)}


def landmarks(case):
    parts = [case.label.array == part for part in (1, 2, 3)]
    return [methods.centre_line(part, 14, way) for part, way in zip(parts, ALONG, strict=True)]


def pathways(seed):
    """Return images to learn from, their lines, and 10 cases of each group held back."""
    groups = [
        data.phantoms.visual_pathway(18, seed=2 * seed + ill, swollen=bool(ill)) for ill in (0, 1)
    ]
    rest = groups[0][:8] + groups[1][:8]
    images = [data.z_score(case.image.array) for case in rest]
    return images, [landmarks(case) for case in rest], [cases[8:] for cases in groups]


def find(arm, images, lines, seed):
    """Return the function from a case to the lines of its parts, by one arm."""
    if arm == "mean place":
        return lambda case: np.mean(lines, axis=0)
    kind, side, channels, parted = FOUND[arm]

    def patches(image, places):
        return methods.patches_at(image[..., :channels], places, side)

    rng, rows = np.random.default_rng(seed), []
    for image, own in zip(images, lines, strict=True):
        places = np.repeat(np.concatenate(own), 10, axis=0)
        rows.append(patches(image, places + rng.uniform(-8, 8, places.shape)))
    code = learn_code(kind, np.concatenate(rows), (128, 64, 32), seed)

    def features(image, places):
        return code(patches(image, places))

    model = methods.learn_parts(images, lines, features, parted=parted)
    return lambda case: methods.find_parts(model, data.z_score(case.image.array), features)


def score_lines(find, healthy, swollen):
    """Mean Dice of the pathway in each group; of the healthy also that of nerves and chiasm."""
    rows = {"healthy": [], "swollen": []}
    for cases, group in zip((healthy, swollen), rows.values(), strict=True):
        for case in cases:
            truth = case.label.array.astype(int)
            found = methods.draw_parts(find(case), RADII, truth.shape).astype(int)
            parts = metrics.dice(truth, found, 4)
            whole = metrics.dice((truth > 0) + 0, (found > 0) + 0)[1]
            group.append([whole, np.mean(parts[1:3]), parts[3]])
    names = ("dice_healthy", "dice_nerves", "dice_chiasm")
    row = dict(zip(names, np.mean(rows["healthy"], axis=0), strict=True))
    row["dice_swollen"] = np.mean([one[0] for one in rows["swollen"]])
    return {"dice": (row["dice_healthy"] + row["dice_swollen"]) / 2} | row


def measure_arm(arm, name, seed, material):
    """Return the row of one arm."""
    clock = measure.Clock()
    if name == PATHWAYS:
        images, lines, groups = material
        count = len(images), sum(map(len, groups))
        scores = score_lines(find(arm, images, lines, seed), *groups)
    else:
        atlases, asked = material
        count = len(atlases), len(asked)
        scores = overlap(asked, match(arm, name, atlases, asked, seed))
    where = {"set": name, "seed": seed, "arm": arm, "learn": count[0], "test": count[1]}
    return where | {"minutes": clock.minutes(), "precision": measure.precision()} | scores


if __name__ == "__main__":
    asked = measure.arguments(__doc__)
    training.set_precision("float32")  # features are compared: their last digits count
    rows = measure.measured("07_autoencoders") if asked.resume else []
    sets = asked.sets or [REAL, INFANTS, PATHWAYS]
    for name in [name for name in sets if "simulated" in name or measure.present(name)]:
        arms = ["mean place", *FOUND] if name == PATHWAYS else ["majority vote", *MATCHED]
        if name == REAL:  # it has no other contrast
            arms.remove("SAE, T1 alone")
        for seed in range(asked.seeds):
            material = pathways(seed) if name == PATHWAYS else people(name, seed)
            done = [row["arm"] for row in rows if (row["set"], row["seed"]) == (name, seed)]
            for arm in [arm for arm in arms if arm not in done]:
                rows.append(measure_arm(arm, name, seed, material))
                measure.record(rows, "07_autoencoders")
