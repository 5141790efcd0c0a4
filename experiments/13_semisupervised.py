"""Few labels on a table of breast masses, and few masks on PH2 and BUSI.

Run by `make results LESSON=13 [SEEDS=3]`; writes medseg_tf/results/13_semisupervised.json after
each arm. The table is scikit-learn's (569 masses, 30 measures): each seed holds back another fifth
and labels 20 of the others, in 20 draws, whose means are written down. On the images each seed
holds back another fifth of PH2, another quarter of BUSI (its pictures with a lesion), and outlines
the first few of the others; students learn as many steps as the teacher, and the fair twin is a
teacher of three times as many. All stand beside what learns nothing: two clusters, Otsu's threshold
(of its two polarities the better one).
"""

import keras
import measure
import numpy as np
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import LabelSpreading

from medseg_tf import data, inference, losses, methods, metrics, models, training
from medseg_tf.data.resample import resize

NAME, TABLE = "13_semisupervised", "breast-cancer table"
LABELLED, DRAWS = 20, 20
CLASSIFIER = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
# Options of the reader, parts of which one is held back, outlined cases, size that networks see.
SETS = {
    "PH2": ({}, 5, 5, (80, 96)),
    "BUSI": ({"kinds": ["benign", "malignant"]}, 4, 4, (80, 96)),
}
EPOCHS, STEPS, STUDENTS, TAU = 10, 30, 2, 0.9


def given_labels(z, labels, seed):
    """Labels of all samples, by arm; z is standardised."""
    known = labels >= 0
    clusters = KMeans(2, n_init=5, random_state=seed).fit_predict(z)
    votes = [np.bincount(labels[known & (clusters == k)], minlength=2).argmax() for k in (0, 1)]
    commonest = np.bincount(labels[known]).argmax()
    graph = LabelSpreading(kernel="knn", n_neighbors=10, alpha=0.2, max_iter=1000)
    return {
        "commonest class": np.full(len(z), commonest),
        "two clusters, named": np.array(votes)[clusters],
        "at once": clone(CLASSIFIER).fit(z[known], labels[known]).predict(z),
        "in rounds": methods.co_training(z, labels, CLASSIFIER, seed=seed)[0],
        "graph": graph.fit(z, labels).transduction_,
    }


def table_rows(seed):
    """One row an arm: right labels of the unlabelled; scores of a classifier on the held back."""
    x, y = load_breast_cancer(return_X_y=True)
    x, x_test, y, y_test = train_test_split(x, y, test_size=0.2, stratify=y, random_state=seed)
    scale = StandardScaler().fit(x)
    z, z_test = scale.transform(x), scale.transform(x_test)
    found = {}
    for draw in range(DRAWS):
        _, some = train_test_split(
            np.arange(len(z)), test_size=LABELLED, stratify=y, random_state=1000 * seed + draw
        )
        labels = np.full(len(z), -1)
        labels[some] = y[some]
        arms = {f"{LABELLED} alone": labels, "all true": y} | given_labels(z, labels, seed)
        for arm, given in arms.items():
            own = given >= 0
            row = {"labels": np.mean((given == y)[labels < 0])} if own.all() else {}
            if len(set(given[own])) == 2:
                p = clone(CLASSIFIER).fit(z[own], given[own]).predict_proba(z_test)[:, 1]
            else:
                p = np.full(len(y_test), float(given[own][0]))
            row |= {"accuracy": np.mean((p > 0.5) == y_test), "auc": roc_auc_score(y_test, p)}
            found.setdefault(arm, []).append(row)
    for arm, rows in found.items():
        means = {score: np.mean([row[score] for row in rows]) for score in rows[0]}
        yield {"set": TABLE, "seed": seed, "arm": arm, "draws": DRAWS} | means


def train(cases, size, seed, times=1):
    """Train a U-Net on cases, some of whose pixels may be unknown."""
    keras.utils.set_random_seed(seed)
    shape = (None, None, cases[0].image.array.shape[-1])
    model = models.unet(shape, 2, width=16, depth=4, padding="same", norm="batch", dropout=0)
    shapes = data.warp(degrees=30, low=0.8, high=1.25, sd=4, points=4)
    augment = data.compose(data.flip(), shapes, data.intensity())
    options = {"classes": 2, "augment": augment, "seed": seed, "steps": STEPS, "balance": 0}
    patches = methods.KnownPatches(cases, size, 4, **options)
    loss, epochs = losses.WeightedCrossEntropy(), times * EPOCHS
    training.fit(model, patches, loss, epochs=epochs, learning_rate=3e-3)
    return model


def seen(case, size):
    """A case as the networks see it, at most as large as `size`."""
    grid = case.image.grid
    return data.resample_case(case, max(grid.spacing * grid.shape / size))


def dice(cases, found):
    """Mean Dice of the lesion over cases."""
    pairs = zip(cases, found, strict=True)
    return np.nanmean([metrics.dice(c.label.array.astype(int), one)[1] for c, one in pairs])


def otsu(cases):
    bright = [methods.otsu(case.image.array).astype(int) for case in cases]
    return max(dice(cases, bright), dice(cases, [1 - one for one in bright]))


def labels(model, case, size):
    """Label a case on its own pixels, from those that the network sees."""
    probabilities = inference.probabilities(model, seen(case, size))
    return resize(probabilities, case.image.grid.shape).argmax(-1)


def image_rows(name, cases, seed, done):
    """One row an arm, as soon as it is measured; arms in `done` are not measured again."""
    _, parts, few, size = SETS[name]
    split = data.split_by_subject(cases, (1 / parts,) * parts)
    test = split.pop(-1 - seed % parts)
    learn = [case for part in split for case in part]
    order = np.random.default_rng(seed).permutation(len(learn))
    coarse = [seen(learn[place], size) for place in order]
    outlined, bare = coarse[:few], coarse[few:]
    where = {"set": name, "seed": seed, "outlined": few, "learn": len(learn), "test": len(test)}

    def scored(arm, model):
        score = dice(test, [labels(model, case, size) for case in test])
        return where | {"arm": arm, "dice": score, "precision": measure.precision()}

    if "Otsu" not in done:
        yield where | {"arm": "Otsu", "dice": otsu(test)}
    if "self-training" not in done:
        clock = measure.Clock()
        # A teacher that collapsed has fewer students, which the row says.
        chain = methods.self_training(
            outlined, bare, lambda some: train(some, size, seed), STUDENTS, TAU
        )
        last = chain[-2] if len(chain) > 1 else chain[-1]
        answers = [inference.segment(last, case).array for case in bare]
        row = scored("self-training", chain[-1]) | {"students": len(chain) - 1}
        yield row | {"minutes": clock.minutes(), "pseudo_dice": dice(bare, answers)}
        yield scored("few", chain[0])
    arms = {"few, three times as long": (outlined, 3), "all outlined": (coarse, 1)}
    for arm, (some, times) in arms.items():
        if arm not in done:
            clock = measure.Clock()
            row = scored(arm, train(some, size, seed, times))
            yield row | {"minutes": clock.minutes()}


if __name__ == "__main__":
    asked = measure.arguments(__doc__)
    rows = measure.measured(NAME) if asked.resume else []
    for name in asked.sets or [TABLE, *SETS]:
        cases = []
        if name != TABLE and measure.present(name):
            cases = data.load(name, **SETS[name][0])
        for seed in range(asked.seeds if cases or name == TABLE else 0):
            done = [row["arm"] for row in rows if (row["set"], row["seed"]) == (name, seed)]
            if name == TABLE:
                found = [] if done else table_rows(seed)
            else:
                found = image_rows(name, cases, seed, done)
            for row in found:
                rows.append(row)
                measure.record(rows, NAME)
