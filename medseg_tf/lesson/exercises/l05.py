"""Lesson 05: the three shortcuts, scores added on the way up, the five scores of ISIC."""

import numpy as np

from . import TO_DO, Exercise

# option, channels in and out, strides, numbers in the shortcut's weights
SHORTCUTS = [
    ("A", 4, 4, 1, 0),
    ("A", 4, 8, 2, 0),
    ("B", 4, 4, 1, 0),
    ("B", 4, 8, 2, 4 * 8 + 4 * 8),
    ("C", 4, 4, 1, 4 * 4 + 4 * 4),
]


def check_shortcut(shortcut):
    """Check shortcut(x, channels, strides, option) on Keras tensors."""
    import keras

    picture = np.random.default_rng(0).normal(size=(1, 6, 6, 4)).astype("float32")
    for option, given, channels, strides, numbers in SHORTCUTS:
        name = f'option "{option}", {given} to {channels} channels, strides {strides}'
        inputs = keras.Input((6, 6, given))
        x = shortcut(inputs, channels, strides, option)
        if x is None:
            return TO_DO.format("shortcut")
        wanted = (6 // strides, 6 // strides, channels)
        if tuple(x.shape[1:]) != wanted:
            found = f"{tuple(x.shape[1:])}, right is {wanted}"
            hint = "the addition needs the shape of the block's output: strides halve the map"
            return f"Not yet ({name}): it gives {found}. Hint: {hint}."
        # Identity: a model whose output is its input is none in older Keras.
        model = keras.Model(inputs, keras.layers.Identity()(x))
        if model.count_params() != numbers:
            found = f"{model.count_params()} numbers in weights, right is {numbers}"
            hint = count_hint(option, model.count_params(), given, channels, numbers)
            return f"Not yet ({name}): {found}. Hint: {hint}."
        if numbers:
            continue
        got, right = keras.ops.convert_to_numpy(model(picture)), subsampled(picture, strides, 8)
        if not np.allclose(got, right[..., :channels]):
            hint = value_hint(got, picture, strides)
            return f"Not yet ({name}): the values differ. Hint: {hint}."
    return "Yes: A and B let pass what need not change, and only projections have weights."


def subsampled(picture, strides, channels):
    """Every second row and column, zeros for the channels that are missing."""
    few = picture[:, ::strides, ::strides]
    return np.pad(few, [(0, 0)] * 3 + [(0, channels - few.shape[-1])])


def count_hint(option, found, given, channels, right):
    if option == "A":
        return "option A has no weights: leave positions out, then append channels of zeros"
    if option == "B" and right == 0:
        return "option B projects only where the shape changes"
    if found == 0:
        return f"option {option} projects here, by a 1 x 1 convolution"
    if found == right + channels:
        return "no bias: the normalisation behind it would take it out again"
    if found in (given * channels, given * channels + channels):
        return "batch normalisation follows the convolution: scale, shift, mean and variance"
    return "its kernel is 1 x 1: one matrix from the old channels to the new ones"


def value_hint(got, picture, strides):
    if strides == 1:
        return "where the shape stays, the block's input goes on untouched"
    halves = picture.reshape(1, 3, 2, 3, 2, 4)
    if np.allclose(got[..., :4], halves.mean(axis=(2, 4))):
        return "leave every second row and column out, do not average"
    if np.allclose(got[..., :4], halves.max(axis=(2, 4))):
        return "leave every second row and column out, do not take the largest of four"
    few = subsampled(picture, strides, 4)
    if np.allclose(got[..., 4:], few):
        return (
            "the new channels are zeros, no copies"
            if np.any(got[..., :4])
            else "the zeros come after the channels that are there"
        )
    return "x[:, ::strides, ::strides] in the first channels, zeros in the others"


def solve_shortcut(x, channels, strides, option):
    import keras

    changes = strides > 1 or x.shape[-1] != channels
    if option == "C" or (option == "B" and changes):
        x = keras.layers.Conv2D(channels, 1, strides, use_bias=False)(x)
        return keras.layers.BatchNormalization()(x)
    if not changes:
        return x
    missing = channels - x.shape[-1]
    return keras.ops.pad(x[:, ::strides, ::strides], [(0, 0), (0, 0), (0, 0), (0, missing)])


def wrong_shortcut(mistake):
    """Return a shortcut with one mistake."""

    def shortcut(x, channels, strides, option):
        from keras import layers, ops

        changes = strides > 1 or x.shape[-1] != channels
        always, never = mistake == "always", mistake == "never"
        if mistake == "project" or (option == "C" and not never) or (option == "B" and always):
            return layers.Conv2D(channels, 1, strides)(x)
        if option == "B" and changes:
            kernel = 3 if mistake == "kernel" else 1
            bias = mistake == "bias"
            x = layers.Conv2D(channels, kernel, strides, "same", use_bias=bias)(x)
            return x if mistake == "bare" else layers.BatchNormalization()(x)
        if not changes:
            return 2 * x if mistake == "twice" else x
        if mistake in ("mean", "max"):
            kind = layers.AveragePooling2D if mistake == "mean" else layers.MaxPooling2D
            x = kind(2)(x)
        else:
            step = 1 if mistake == "stride" else strides
            x = x[:, ::step, ::step]
        if mistake == "copy":
            return ops.concatenate([x, x], axis=-1)
        missing = channels - x.shape[-1]
        ends = (missing, 0) if mistake == "front" else (0, missing)
        return ops.pad(x, [(0, 0), (0, 0), (0, 0), ends])

    return shortcut


def enlarge(scores, factor):
    """Enlarge scores (rows, columns, classes) by a bilinear deconvolution."""
    from medseg_tf.layers import BilinearUpsampling

    return np.asarray(BilinearUpsampling(factor)(np.asarray(scores, "float32")[None]))[0]


def check_fuse(fuse):
    """Check fuse(eight, sixteen, thirty_two, enlarge) -> scores on the image's own pixels."""
    rng = np.random.default_rng(0)
    maps = [rng.normal(size=(8 // k, 12 // k, 2)).astype("float32") for k in (1, 2, 4)]
    got = fuse(*[one.copy() for one in maps], enlarge)
    if got is None:
        return TO_DO.format("fuse")
    got, right = np.asarray(got), solve_fuse(*maps, enlarge)
    if got.shape != right.shape:
        hint = (
            "add, do not put side by side: the channels stay those of the classes"
            if got.ndim == 3 and got.shape[-1] != 2
            else "from stride 8 to the image's own pixels it is 8 times"
        )
        return f"Not yet: the result is {got.shape}, right is {right.shape}. Hint: {hint}."
    if not np.allclose(got, right, atol=1e-5):
        slips = {hint: slip(*maps, enlarge) for hint, slip in FUSE_SLIPS.items()}
        hints = [hint for hint, wrong in slips.items() if np.allclose(got, wrong, atol=1e-5)]
        hint = hints[0] if hints else "begin with the coarsest map and add the finer ones in turn"
        largest = abs(got - right).max()
        return f"Not yet: a score is off by {largest:.3f}. Hint: {hint}."
    return "Yes: each map adds what it knows, the coarsest first."


def solve_fuse(eight, sixteen, thirty_two, enlarge):
    return enlarge(enlarge(enlarge(thirty_two, 2) + sixteen, 2) + eight, 8)


FUSE_SLIPS = {
    "twice as large, add, twice as large, add: it is the sum that is enlarged further": (
        lambda a, b, c, up: up(a, 8) + up(b, 16) + up(c, 32)
    ),
    "the scores of stride 16 are missing": lambda a, b, c, up: up(up(up(c, 2), 2) + a, 8),
    "the scores of stride 8 are missing": lambda a, b, c, up: up(up(up(c, 2) + b, 2), 8),
    "the sum is not divided": lambda a, b, c, up: up((up((up(c, 2) + b) / 2, 2) + a) / 2, 8),
    "the last step is 8 at once, one kernel 16 wide": (
        lambda a, b, c, up: up(up(up(up(up(c, 2) + b, 2) + a, 2), 2), 2)
    ),
}


def isic_cases():
    """Return [(name, truths, predictions)]."""

    def masks(*pixels):
        return np.repeat([1, 0, 1, 0], pixels), np.repeat([1, 1, 0, 0], pixels)

    one, large, small = masks(12, 8, 4, 24), masks(80, 10, 20, 890), masks(1, 0, 9, 990)
    empty = masks(0, 0, 0, 48)
    return [
        (name, *zip(*pairs, strict=True))
        for name, pairs in [
            ("one image", [large]),
            ("an image of other size", [one]),
            ("two images", [large, small]),
            ("an image without lesion, none found", [one, empty]),
        ]
    ]


NAMES = ("AC", "SE", "SP", "DI", "JA")


def check_isic(isic):
    """Check isic(truths, predictions) -> the means of AC, SE, SP, DI, JA over images."""
    for name, truths, predictions in isic_cases():
        with np.errstate(divide="ignore", invalid="ignore"):
            got = isic([t.copy() for t in truths], [p.copy() for p in predictions])
        if got is None:
            return TO_DO.format("isic")
        if np.shape(got) != (5,):
            return f"Not yet: isic gave {got}; right are five numbers: {', '.join(NAMES)}."
        right = solve_isic(truths, predictions)
        for place, score in enumerate(NAMES):
            if np.isclose(got[place], right[place]):
                continue
            hint = isic_hint(place, got, truths, predictions)
            numbers = f"{score} is {got[place]:.6f}, right is {right[place]:.6f}"
            return f"Not yet ({name}): {numbers}. Hint: {hint}."
    return "Yes: image by image, then the mean, and what is 0 / 0 is left out."


def of_image(truth, prediction):
    """AC, SE, SP, DI and JA of one image; 0 / 0 is NaN."""
    truth, prediction = np.asarray(truth) > 0, np.asarray(prediction) > 0
    hit, right = (truth & prediction).sum(), (~truth & ~prediction).sum()
    invented, missed = (~truth & prediction).sum(), (truth & ~prediction).sum()
    above = np.array([hit + right, hit, right, 2 * hit, hit])
    below = [truth.size, hit + missed, right + invented, 2 * hit + invented + missed]
    below += [hit + invented + missed]
    with np.errstate(divide="ignore", invalid="ignore"):
        return above / np.array(below)


def solve_isic(truths, predictions):
    return np.nanmean([of_image(*pair) for pair in zip(truths, predictions, strict=True)], axis=0)


def isic_hint(place, got, truths, predictions):
    if np.isnan(got[place]):
        return "what is 0 / 0 is left out of the mean: np.nanmean"
    slips = isic_slips(truths, predictions)
    fitting = [hint for hint, wrong in slips.items() if np.isclose(got[place], wrong[place])]
    return fitting[0] if fitting else "count hits, invented, missed and rightly left out pixels"


def isic_slips(truths, predictions):
    """Return what typical mistakes give: {hint: five numbers}."""
    each = np.array([of_image(*pair) for pair in zip(truths, predictions, strict=True)])
    turned = np.array([of_image(*pair) for pair in zip(predictions, truths, strict=True)])
    right = np.nanmean(each, axis=0)
    swapped = right[[0, 2, 1, 3, 4]]
    from_mean = np.r_[right[:3], 2 * right[4] / (1 + right[4]), right[4]]
    return {
        "each image counts once: score it, then take the mean": of_image(
            np.concatenate(truths), np.concatenate(predictions)
        ),
        "what is 0 / 0 is left out of the mean, not counted as 0": np.nan_to_num(each).mean(axis=0),
        "sensitivity looks at lesion, specificity at skin": swapped,
        "divide by the true pixels, not by those that were found": np.nanmean(turned, axis=0),
        "the mean of DI is no function of the mean of JA": from_mean,
    }


EXERCISES = [
    Exercise(
        check_shortcut,
        solve_shortcut,
        [
            (wrong_shortcut("project"), "has no weights"),
            (wrong_shortcut("always"), "only where the shape changes"),
            (wrong_shortcut("never"), "projects here"),
            (wrong_shortcut("bias"), "no bias"),
            (wrong_shortcut("bare"), "normalisation follows"),
            (wrong_shortcut("kernel"), "1 x 1"),
            (wrong_shortcut("twice"), "untouched"),
            (wrong_shortcut("mean"), "do not average"),
            (wrong_shortcut("max"), "largest of four"),
            (wrong_shortcut("copy"), "no copies"),
            (wrong_shortcut("front"), "come after"),
            (wrong_shortcut("stride"), "strides halve the map"),
        ],
    ),
    Exercise(
        check_fuse,
        solve_fuse,
        [(slip, hint) for hint, slip in FUSE_SLIPS.items()]
        + [
            (
                lambda a, b, c, up: np.concatenate([up(a, 8), up(b, 16), up(c, 32)], axis=-1),
                "do not put side by side",
            ),
            (lambda a, b, c, up: up(up(c, 2) + b, 2) + a, "8 times"),
        ],
    ),
    Exercise(
        check_isic,
        solve_isic,
        [
            (lambda truths, found, hint=hint: isic_slips(truths, found)[hint], hint)
            for hint in isic_slips(*isic_cases()[0][1:])
        ]
        + [
            (
                lambda truths, found: np.mean(
                    [of_image(*pair) for pair in zip(truths, found, strict=True)], axis=0
                ),
                "np.nanmean",
            ),
            (lambda truths, found: 0.5, "five numbers"),
        ],
    ),
]
