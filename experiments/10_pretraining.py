"""The encoder network on open_ms_data, from four kinds of first weights, beside a FLAIR threshold.

Run by `make results LESSON=10 [SEEDS=3]`; writes medseg_tf/results/10_pretraining.json after each
arm. There are two people: the network learns from axial slices of one and labels the other, in
turn, which says nothing of the spread over people. Pretraining sees all slices of the first person,
training eight: of eight equal stretches of the head the slice with most lesion; every threshold is
chosen on these. Another seed changes the networks and the order of patches alone.
"""

import keras
import measure
import numpy as np

from medseg_tf import data, losses, methods, metrics, models, training
from medseg_tf.data.patches import cut

SET, CONTRASTS = "open_ms_data", 2  # FLAIR and T1, as in the lesson
SIDE, LABELLED, EPOCHS, STEPS = 96, 8, 8, 50
HOW = {"width": 16, "kernels": (7, 6)}
ARMS = {  # start, locked, deviation, loss
    "He": (None, False, None, losses.SensitivitySpecificity(0.05)),
    "RBM": ("rbm", False, None, losses.SensitivitySpecificity(0.05)),
    "sparse autoencoder": ("sparse", False, None, losses.SensitivitySpecificity(0.05)),
    "He, locked": (None, True, None, losses.SensitivitySpecificity(0.05)),
    "RBM, locked": ("rbm", True, None, losses.SensitivitySpecificity(0.05)),
    "small random": (None, False, 0.01, losses.SensitivitySpecificity(0.05)),
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


def arrays(slices):
    images = np.stack([one.image.array for one in slices]).astype("float32")
    return images, np.stack([one.label.array for one in slices]).astype(int)


def network(seed, deviation=None):
    keras.utils.set_random_seed(seed)
    return models.encoder_network((SIDE, SIDE, CONTRASTS), **HOW, deviation=deviation)


def pretrained(kind, images, seed):
    model = network(seed)
    learn = {"rbm": methods.pretrain_rbm, "sparse": methods.pretrain_sparse}[kind]
    learn(model, images, steps=300, batch=16, seed=seed)
    return model


def train(arm, start, labelled, seed):
    _, locked, deviation, loss = ARMS[arm]
    model = network(seed, deviation)
    if start is not None:
        models.hand_on(start, model)
    for name in ("encode1", "encode2"):
        model.get_layer(name).trainable = not locked
    patches = data.Patches(labelled, SIDE, 8, seed=seed, steps=STEPS, normalize=np.asarray)
    training.fit(model, patches, loss, keras.optimizers.Adam(2e-3), epochs=EPOCHS)
    return model


def score(values, label, new, truth):
    """Scores on the other person, at the threshold that is best on the labelled slices."""
    cuts = np.quantile(values, np.linspace(0.8, 0.999, 100))
    best = max(cuts, key=lambda at: metrics.dice(label, values > at)[1])
    pair = truth, new > best
    row = {"dice": metrics.dice(*pair)[1], "sensitivity": metrics.sensitivity(*pair)[1]}
    return row | {"precision": metrics.sensitivity(*pair[::-1])[1], "threshold": best}


if __name__ == "__main__":
    asked = measure.arguments(__doc__)
    rows = measure.measured("10_pretraining") if asked.resume else []
    people = [axial(case) for case in data.load(SET)] if measure.present(SET) else []
    for seed in range(asked.seeds if people else 0):
        for rest, test in (people[::-1], people):
            name = f"{SET}, {test[0].subject} held back"
            (images, _), labelled, (new, truth) = arrays(rest), few(rest), arrays(test)
            own, label = arrays(labelled)
            done = [row["arm"] for row in rows if (row["set"], row["seed"]) == (name, seed)]
            where = {"set": name, "seed": seed, "learn": LABELLED, "test": len(test)}
            if "threshold of FLAIR" not in done:
                scores = score(own[..., 0], label, new[..., 0], truth)
                rows.append(where | {"arm": "threshold of FLAIR"} | scores)
            starts = {None: (None, 0.0)}
            for arm in [arm for arm in ARMS if arm not in done]:
                kind = ARMS[arm][0]
                if kind not in starts:
                    clock = measure.Clock()
                    starts[kind] = pretrained(kind, images, seed), clock.minutes()
                clock = measure.Clock()
                model = train(arm, starts[kind][0], labelled, seed)
                took = {"minutes": clock.minutes() + starts[kind][1], "steps": EPOCHS * STEPS}
                took |= {"weights": model.count_params(), "numbers": measure.precision()}
                known, found = (model.predict(x, verbose=0)[..., 1] for x in (own, new))
                rows.append(where | {"arm": arm} | took | score(known, label, found, truth))
                measure.record(rows, "10_pretraining")
