"""Lesson 06: a VoxRes module, a deeply supervised loss, maps by who never saw the case."""

import numpy as np

from . import TO_DO, Exercise

FLAT, FULL = (3, 3, 1), (3, 3, 3)


def check_voxres(voxres):
    """Check voxres(x) on a Keras tensor (batch, x, y, z, channels)."""
    import keras

    inputs = keras.Input((6, 6, 4, 8))
    x = voxres(inputs)
    if x is None:
        return TO_DO.format("voxres")
    if tuple(x.shape[1:]) != (6, 6, 4, 8):
        found = f"{tuple(x.shape[1:])}, right is (6, 6, 4, 8)"
        hint = 'padding="same" keeps the size, and as many channels leave as enter'
        return f"Not yet: the module gives {found}. Hint: {hint}."
    model = keras.Model(inputs, x)
    convolutions = [layer for layer in model.layers if "Conv" in type(layer).__name__]
    kernels = [tuple(layer.kernel_size) for layer in convolutions]
    if kernels != [FLAT, FULL]:
        return f"Not yet: kernels of {kernels}. Hint: {kernel_hint(kernels)}."
    norms = sum("Normalization" in type(layer).__name__ for layer in model.layers)
    if norms != 2:
        hint = "each of the two convolutions has its own normalisation before it"
        return f"Not yet: {norms} normalisations, right is 2. Hint: {hint}."
    if not all(layer.use_bias for layer in convolutions):
        return "Not yet: a convolution without bias. Hint: both have one, as Keras gives it."
    for layer in convolutions:
        layer.set_weights([0 * array for array in layer.get_weights()])
    image = np.random.default_rng(0).normal(size=(1, 6, 6, 4, 8)).astype("float32")
    if not np.array_equal(keras.ops.convert_to_numpy(model(image)), image):
        hint = zero_hint(keras.ops.convert_to_numpy(model(image)), image)
        return f"Not yet: with kernels of 0 the input does not pass as it is. Hint: {hint}."
    got, right = (answer(one, image) for one in (model, keras.Model(inputs, solve_voxres(inputs))))
    if not np.allclose(got, right, atol=1e-4):
        hints = [
            hint
            for hint, slip in MODULE_SLIPS.items()
            if np.allclose(got, answer(keras.Model(inputs, module(inputs, slip)), image), atol=1e-4)
        ]
        hint = hints[0] if hints else "normalise, ReLU, convolve; twice; then add the input"
        return f"Not yet: with other weights the output is another one. Hint: {hint}."
    return "Yes: what enters leaves, plus what two convolutions make of it."


def kernel_hint(kernels):
    if (1, 3, 3) in kernels:
        return "the slices lie along the last axis: flat is 3 x 3 x 1"
    if kernels == [FULL, FLAT]:
        return "the flat kernel comes first"
    return "two convolutions: the first within its slice, 3 x 3 x 1, the second 3 x 3 x 3"


def zero_hint(got, image):
    if np.allclose(got, np.maximum(image, 0)):
        return "no activation after the addition: it cuts off what is negative"
    if not got.any():
        return "add the module's input"
    return "it is the input itself that is added, not yet normalised, and nothing follows"


def answer(model, image):
    """What a module makes of an image, with weights of all kinds away from their first values."""
    rng = np.random.default_rng(1)
    for kind in ("Normalization", "Conv"):
        for layer in [one for one in model.layers if kind in type(one).__name__]:
            arrays = [0.5 + rng.random(w.shape) for w in layer.get_weights()]
            layer.set_weights([a - (kind == "Conv") for a in arrays])
    return np.asarray(model(image))


def module(x, slip=None):
    """A VoxRes module; `slip` names what is wrong with it."""
    from keras import layers

    def norm(y):
        return layers.BatchNormalization()(y)

    def relu(y):
        return layers.Activation("relu")(y)

    y = x
    kernels = {"first axis": [(1, 3, 3), FULL], "full": [FULL, FULL], "turned": [FULL, FLAT]}
    for kernel in kernels.get(slip, [FLAT, FULL]):
        if slip == "relu first":
            y = norm(relu(y))
        elif slip == "no relu":
            y = norm(y)
        elif slip not in ("after", "bare"):
            y = relu(norm(y))
        y = layers.Conv3D(x.shape[-1], kernel, padding="same")(y)
        if slip == "after":
            y = relu(norm(y))
    if slip == "alone":
        return y
    y = layers.Add()([x, y])
    return relu(y) if slip == "activation" else y


MODULE_SLIPS = {  # those that kernels of 0 do not show
    "normalisation and ReLU come before each convolution, not after it": "after",
    "first normalise, then ReLU: the other way round half of what it sees is cut off": "relu first",
    "a ReLU stands between normalisation and convolution": "no relu",
}


def solve_voxres(x):
    return module(x)


def loss_cases():
    """Return [(name, labels (voxels,), fused (voxels, classes), branches, step, steps)]."""
    rng = np.random.default_rng(0)
    even = np.full((5, 4), 0.25)
    five = rng.dirichlet(np.ones(4), (5, 5))  # (outputs, voxels, classes)
    truth = np.array([0, 1, 2, 3, 1])
    return [
        ("nothing learned, first step", truth, even, [even] * 4, 0, 100),
        ("step 40 of 100", truth, five[0], list(five[1:]), 40, 100),
        ("the last step", truth, five[0], list(five[1:]), 99, 100),
        ("two branches, step 3 of 20", truth, five[0], list(five[1:3]), 3, 20),
    ]


def check_supervised_loss(supervised_loss):
    """Check supervised_loss(truth, fused, branches, step, steps) -> a number."""
    for name, *case in loss_cases():
        got = supervised_loss(*case)
        if got is None:
            return TO_DO.format("supervised_loss")
        right = solve_supervised_loss(*case)
        if not np.isclose(got, right, atol=1e-6):
            hints = [
                hint
                for hint, slip in LOSS_SLIPS.items()
                if np.isclose(got, solve_supervised_loss(*case, **slip), atol=1e-6)
            ]
            hint = hints[0] if hints else "fused + w * (the branches' sum), each a cross-entropy"
            return f"Not yet ({name}): {float(got):.6f}, right is {right:.6f}. Hint: {hint}."
    return "Yes: 5 ln 4 at the first step, and at the end the fused output nearly alone."


def solve_supervised_loss(
    truth,
    fused,
    branches,
    step,
    steps,
    over=np.mean,
    sign=-1,
    join=np.sum,
    floor=1e-3,
    end=0.8,
    share=1.0,
    fade=True,
):
    """Right with its defaults; the other values are the slips that hints are for."""

    def cross_entropy(p):
        return sign * over(np.log(p[np.arange(len(truth)), truth]))

    weight = max(floor, 1 - step / (end * steps)) if fade else 1.0
    own = weight if share is None else share
    return own * cross_entropy(fused) + weight * join([cross_entropy(p) for p in branches])


LOSS_SLIPS = {
    "a cross-entropy is a mean over the voxels": {"over": np.sum},
    "minus the logarithm: the loss falls where the probability rises": {"sign": 1},
    "the branches' losses are summed, not averaged": {"join": np.mean},
    "the weight ends at 0.001, not at 0 or below": {"floor": -np.inf},
    "the weight has fallen to its end after 0.8 of the steps": {"end": 1.0},
    "the fused output always counts with 1": {"share": None},
    "the weight of the branches falls with the step": {"fade": False},
}


def fold_cases():
    """Return [(name, scans, subjects, folds)]."""
    one = [f"scan {number}" for number in range(6)]
    two = [f"scan {number}" for number in range(10)]
    return [
        ("six people", one, list("abcdef"), 3),
        ("ten scans of seven people", two, list("abcadefbga"), 2),
    ]


def check_out_of_fold_maps(out_of_fold_maps):
    """Check out_of_fold_maps(scans, subjects, folds, fit, predict) -> maps, by a fit that spies."""
    for name, scans, subjects, folds in fold_cases():
        runs = []
        for _ in range(2):
            trained = []

            def fit(some, trained=trained):
                trained.append(tuple(some))
                return trained[-1]

            def predict(model, scan):
                return scan, model

            got = out_of_fold_maps(list(scans), list(subjects), folds, fit, predict)
            if got is None:
                return TO_DO.format("out_of_fold_maps")
            problem = fold_problem(list(got), trained, scans, subjects, folds)
            if problem:
                return f"Not yet ({name}): {problem}."
            runs.append([sorted(model) for _, model in got])
        if runs[0] != runs[1]:
            hint = "no chance, or a generator with a seed"
            return f"Not yet ({name}): a second call has other folds. Hint: {hint}."
    return "Yes: no network maps whom it has seen, and the maps are in the order of the scans."


def fold_problem(got, trained, scans, subjects, folds):
    """Say what is wrong with maps and trainings, with a hint; None if nothing is."""
    if len(got) != len(scans):
        return f"{len(got)} maps for {len(scans)} scans. Hint: one map a scan"
    mapped = [scan for scan, _ in got]
    if mapped != scans:
        first = next(k for k in range(len(scans)) if mapped[k] != scans[k])
        found = f"map {first} is of {mapped[first]}, right is {scans[first]}"
        return f"{found}. Hint: put each map at its scan's place, not fold after fold"
    subject_of = dict(zip(scans, subjects, strict=True))
    for scan, model in got:
        if scan in model:
            return f"{scan} was mapped by a network trained on it. Hint: leave its fold out"
        twins = [other for other in model if subject_of[other] == subject_of[scan]]
        if twins:
            found = f"{scan} was mapped by a network that saw {twins[0]}, of the same person"
            return f"{found}. Hint: deal people to folds, not scans"
    if len(trained) != folds:
        hint = "train once a fold, outside the loop over scans"
        return f"{len(trained)} networks for {folds} folds. Hint: {hint}"
    for scan in scans:
        without = sum(scan not in model for model in trained)
        if without != 1:
            found = f"{without} of {folds} networks were trained without {scan}, right is 1"
            return f"{found}. Hint: a network learns from all other folds, not from one"
    return None


def solve_out_of_fold_maps(scans, subjects, folds, fit, predict, slip=None, rng=None):
    """Right by default; `slip` names what is wrong."""
    people = list(dict.fromkeys(scans if slip == "scans" else subjects))
    if slip == "chance":
        people = rng.permutation(people).tolist()
    keys = scans if slip == "scans" else subjects
    fold = [people.index(key) % folds for key in keys]
    pairs = list(zip(scans, fold, strict=True))
    if slip == "each":
        return [predict(fit([s for s, f in pairs if f != fold]), scan) for scan, fold in pairs]

    def part(number):
        if slip == "leak":
            return scans
        if slip == "one":
            return [scan for scan, own in pairs if own == (number + 1) % folds]
        return [scan for scan, own in pairs if own != number]

    models = [fit(part(number)) for number in range(folds)]
    if slip == "order":
        pairs = sorted(pairs, key=lambda pair: pair[1])
    return [predict(models[own], scan) for scan, own in pairs]


def wrong_folds(slip):
    """Return an out_of_fold_maps with one mistake."""
    rng = np.random.default_rng(0)  # goes on from call to call
    return lambda *given: solve_out_of_fold_maps(*given, slip=slip, rng=rng)


EXERCISES = [
    Exercise(
        check_voxres,
        solve_voxres,
        [
            (lambda x, slip=slip: module(x, slip), hint)
            for slip, hint in [
                ("first axis", "along the last axis"),
                ("full", "within its slice"),
                ("turned", "flat kernel comes first"),
                ("bare", "its own normalisation"),
                ("activation", "no activation after the addition"),
                ("alone", "add the module's input"),
                ("relu first", "first normalise, then ReLU"),
                ("no relu", "a ReLU stands between"),
                ("after", "before each convolution, not after"),
            ]
        ],
    ),
    Exercise(
        check_supervised_loss,
        solve_supervised_loss,
        [
            (lambda *case, slip=slip: solve_supervised_loss(*case, **slip), hint)
            for hint, slip in LOSS_SLIPS.items()
        ],
    ),
    Exercise(
        check_out_of_fold_maps,
        solve_out_of_fold_maps,
        [
            (wrong_folds("leak"), "leave its fold out"),
            (wrong_folds("scans"), "deal people to folds"),
            (wrong_folds("order"), "not fold after fold"),
            (wrong_folds("one"), "from all other folds"),
            (wrong_folds("each"), "train once a fold"),
            (wrong_folds("chance"), "a generator with a seed"),
            (lambda scans, *_: [(scans[0], ())], "one map a scan"),
        ],
    ),
]
