"""The encoder network from several first weights, on open_ms_data and PH2, beside a threshold.

Run by `make results LESSON=10 [SEEDS=3]`; writes medseg_tf/results/10_pretraining.json after each
arm. Pretraining sees all images to learn from, training eight labelled ones; thresholds, that of
the grey values too, are chosen on these eight. open_ms_data has two people: the network learns from
axial slices of one (labelled: of eight equal stretches of the head the slice with most lesion) and
labels the other, in turn, which says nothing of the spread over people; another seed changes the
networks and the order of patches alone. Of PH2 each seed holds back another fifth of the images, as
in lesson 05. Scores count the pixels of all held-back images together.
"""

import importlib

import keras
import measure
import numpy as np

from medseg_tf import data, losses, methods, metrics, models, training
from medseg_tf.data.patches import cut
from medseg_tf.data.resample import resize

skin = importlib.import_module("05_residual")  # its folds

BRAINS, SKIN = "open_ms_data", "PH2"
CONTRASTS, SIDE, SIZE = 2, 96, (96, 128)  # FLAIR and T1, as in the lesson; pixels of a picture
LABELLED, EPOCHS, STEPS = 8, 8, 50
HOW = {"width": 16, "kernels": (7, 6)}
R = {
    BRAINS: 0.05,
    SKIN: 0.5,
}  # of the loss: as for rare lesions; even, for a mole fills a third of its picture
ARMS = {  # start, locked, deviation, loss; None: sensitivity and specificity, weighed by R
    "He": (None, False, None, None),
    "RBM": ("rbm", False, None, None),
    "sparse autoencoder": ("sparse", False, None, None),
    "He, locked": (None, True, None, None),
    "RBM, locked": ("rbm", True, None, None),
    "small random": (None, False, 0.01, None),
    "He, r = .02": (None, False, None, losses.SensitivitySpecificity(0.02)),
    "He, r = .3": (None, False, None, losses.SensitivitySpecificity(0.3)),
    "He, cross-entropy": (None, False, None, losses.WeightedCrossEntropy()),
}


def axial(case):
    """The slices that hold brain, SIDE pixels wide, standardised as a volume: cases in 2-D."""
    image = data.z_score_inside(case.image.array[..., :CONTRASTS])
    brain = case.image.array[..., 0] > 0
    start = (np.array(brain.shape[:2]) - SIDE) // 2
    found = []
    for z in np.flatnonzero(brain.any(axis=(0, 1))):
        grid = data.Grid.from_spacing((SIDE, SIDE), case.image.grid.spacing[:2])
        parts = (cut(array[:, :, z], start, (SIDE, SIDE)) for array in (image, case.label.array))
        scan, label = (data.Scan(part, grid) for part in parts)
        found.append(data.Case(case.subject, scan, label, name=f"{case.subject}, slice {z}"))
    return found


def few(slices):
    """The LABELLED slices: of equal stretches of the head the one with most lesion."""
    stretches = np.array_split(np.arange(len(slices)), LABELLED)
    amounts = np.array([one.label.array.sum() for one in slices])
    return [slices[stretch[amounts[stretch].argmax()]] for stretch in stretches]


def brains(cases, seed):
    """Yield each person in turn: name, slices of the other, the labelled ones, slices to label."""
    people = [axial(case) for case in cases]
    for rest, test in (people[::-1], people):
        yield f"{BRAINS}, {test[0].subject} held back", rest, few(rest), test


def lesions(cases, seed):
    """Yield one turn of pictures of the skin, dark made bright."""
    found = []
    for case in cases:
        image = -data.z_score(resize(case.image.array, SIZE))
        label = resize(case.label.array, SIZE, is_label=True)
        grid = data.Grid(SIZE, units="pixel")
        scans = data.Scan(image, grid), data.Scan(label, grid)
        found.append(data.Case(case.subject, *scans, name=case.name))
    rest, test = skin.fold(found, seed)
    order = np.random.default_rng(seed).permutation(len(rest))
    yield SKIN, rest, [rest[place] for place in order[:LABELLED]], test


def arrays(cases):
    images = np.stack([one.image.array for one in cases]).astype("float32")
    return images, np.stack([one.label.array for one in cases]).astype(int)


def network(seed, shape, deviation=None):
    keras.utils.set_random_seed(seed)
    return models.encoder_network(shape, **HOW, deviation=deviation)


def pretrained(kind, images, seed):
    model = network(seed, images.shape[1:])
    learn = {"rbm": methods.pretrain_rbm, "sparse": methods.pretrain_sparse}[kind]
    learn(model, images, steps=300, batch=16, seed=seed)
    return model


def train(arm, start, labelled, r, seed):
    _, locked, deviation, loss = ARMS[arm]
    loss = loss or losses.SensitivitySpecificity(r)
    shape = labelled[0].image.array.shape
    model = network(seed, shape, deviation)
    if start is not None:
        models.hand_on(start, model)
    for name in ("encode1", "encode2"):
        model.get_layer(name).trainable = not locked
    patches = data.Patches(labelled, shape[:-1], 8, seed=seed, steps=STEPS, normalize=np.asarray)
    training.fit(model, patches, loss, keras.optimizers.Adam(2e-3), epochs=EPOCHS)
    return model


def score(values, label, new, truth):
    """Scores on the held-back images, at the threshold that is best on the labelled slices."""
    cuts = np.quantile(values, np.linspace(0.8, 0.999, 100))
    best = max(cuts, key=lambda at: metrics.dice(label, values > at)[1])
    pair = truth, new > best
    row = {"dice": metrics.dice(*pair)[1], "sensitivity": metrics.sensitivity(*pair)[1]}
    return row | {"precision": metrics.sensitivity(*pair[::-1])[1], "threshold": best}


def measure_turn(name, learn, labelled, test, seed, rows):
    """Add a row for each arm that this turn still lacks."""
    (images, _), (own, label), (new, truth) = map(arrays, (learn, labelled, test))
    done = [row["arm"] for row in rows if (row["set"], row["seed"]) == (name, seed)]
    where = {"set": name, "seed": seed, "learn": len(labelled), "test": len(test)}
    if "threshold of grey values" not in done:
        scores = score(own[..., 0], label, new[..., 0], truth)
        rows.append(where | {"arm": "threshold of grey values"} | scores)
    starts = {None: (None, 0.0)}
    for arm in [arm for arm in ARMS if arm not in done]:
        kind = ARMS[arm][0]
        if kind not in starts:
            clock = measure.Clock()
            starts[kind] = pretrained(kind, images, seed), clock.minutes()
        clock = measure.Clock()
        model = train(arm, starts[kind][0], labelled, R[name.split(",")[0]], seed)
        took = {"minutes": clock.minutes() + starts[kind][1], "steps": EPOCHS * STEPS}
        took |= {"weights": model.count_params(), "numbers": measure.precision()}
        known, found = (model.predict(x, verbose=0)[..., 1] for x in (own, new))
        rows.append(where | {"arm": arm} | took | score(known, label, found, truth))
        measure.record(rows, "10_pretraining")


if __name__ == "__main__":
    asked = measure.arguments(__doc__)
    rows = measure.measured("10_pretraining") if asked.resume else []
    for name, turns in {BRAINS: brains, SKIN: lesions}.items():
        cases = data.load(name) if name in (asked.sets or [name]) and measure.present(name) else []
        for seed in range(asked.seeds if cases else 0):
            for turn in turns(cases, seed):
                measure_turn(*turn, seed, rows)
