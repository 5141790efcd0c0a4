"""Lesson 10: the loss of two means, two ways to average a code, a standardisation folded away."""

import numpy as np

from . import TO_DO, Exercise


def loss_cases():
    """Return [(name, truth, answers, r)]."""
    rng = np.random.default_rng(0)
    truth = np.array([1, 1, 0, 0, 0, 0, 0, 0, 0, 0])
    says = np.array([0.8, 0.4, 0.3, 0.1, 0, 0, 0, 0, 0, 0])
    square = rng.random((2, 4, 5))
    return [
        ("ten pixels, r = .02", truth, says, 0.02),
        ("r the share of the lesion", truth, says, 0.2),
        ("two images", (square > 0.8).astype(int), rng.random((2, 4, 5)), 0.05),
        ("no lesion at all", 0 * truth, says, 0.05),
        ("nothing but lesion", 0 * truth + 1, says, 0.05),
    ]


def check_loss(loss):
    """Check loss(truth, says, r) -> a number; truth of 0 and 1, says of one shape."""
    for name, *case in loss_cases():
        got = loss(*case)
        if got is None:
            return TO_DO.format("loss")
        right = solve_loss(*case)
        if not np.isclose(got, right, atol=1e-7):
            hints = [
                hint
                for hint, slip in LOSS_SLIPS.items()
                if np.isclose(got, wrong_loss(slip)(*case), atol=1e-7, equal_nan=True)
            ]
            hint = hints[0] if hints else "a mean of squares on the lesion, another one elsewhere"
            return f"Not yet ({name}): {float(got):.5f}, right is {right:.5f}. Hint: {hint}."
    return "Yes: two means, weighed by r; with r the lesion's share it is the plain one."


def solve_loss(truth, says, r):
    error = (truth - says) ** 2
    lesion = (truth * error).sum() / max(truth.sum(), 1)
    rest = ((1 - truth) * error).sum() / max((1 - truth).sum(), 1)
    return r * lesion + (1 - r) * rest


def wrong_loss(slip):
    """The loss with one typical mistake."""

    def loss(truth, says, r):
        error = abs(truth - says) if slip == "absolute" else (truth - says) ** 2
        lesion, rest = (truth * error).sum(), ((1 - truth) * error).sum()
        if slip == "sizes":
            return (r * lesion + (1 - r) * rest) / truth.size
        if slip == "sums":
            return r * lesion + (1 - r) * rest
        counts = truth.sum(), (1 - truth).sum()
        if slip != "empty":
            counts = np.maximum(counts, 1)
        with np.errstate(invalid="ignore", divide="ignore"):
            lesion, rest = np.divide((lesion, rest), counts)
        if slip == "swapped":
            return (1 - r) * lesion + r * rest
        return lesion + rest if slip == "without r" else r * lesion + (1 - r) * rest

    return loss


LOSS_SLIPS = {
    "r belongs to the lesion, 1 - r to the rest": "swapped",
    "divide each sum by its own number of pixels, not both by that of all": "sizes",
    "means, not sums: divide each by its number of pixels": "sums",
    "squares, not absolute values": "absolute",
    "weigh the two means by r and 1 - r": "without r",
    "where no pixel is of one kind, its sum is 0: divide by 1 at least": "empty",
}


def activation_cases():
    """Return [(name, activations (samples, rows, columns, units))]."""
    rng = np.random.default_rng(0)
    code = np.array([[0.9, 0.1, 0, 0], [0.1, 0.8, 0, 0.1], [0, 0.9, 0.1, 0]])
    uneven = rng.random((3, 4, 5, 4))
    return [
        ("three samples, four units, flat maps", np.tile(code[:, None, None], (1, 2, 3, 1))),
        ("uneven maps", np.maximum(uneven - 0.4, 0)),
        ("a dead unit", uneven * [1, 1, 0, 1]),
    ]


def check_means(means):
    """Check means(activations) -> (lifetime means (units,), population means (samples,))."""
    for name, activations in activation_cases():
        got = means(activations)
        if got is None:
            return TO_DO.format("means")
        right = solve_means(activations)
        for kind, found, wanted in zip(("lifetime", "population"), got, right, strict=True):
            found = np.asarray(found, float)
            if found.shape != wanted.shape:
                hint = shape_hint(kind, found.shape, activations.shape)
                shapes = f"{found.shape}, right is {wanted.shape}"
                return f"Not yet ({name}): {kind} means of shape {shapes}. Hint: {hint}."
            if not np.allclose(found, wanted):
                numbers = f"{found.round(4).tolist()}, right is {wanted.round(4).tolist()}"
                hint = value_hint(found, wanted, activations)
                return f"Not yet ({name}): {kind} means {numbers}. Hint: {hint}."
    return "Yes: down the columns for a unit's lifetime, along the rows for a sample's population."


def shape_hint(kind, found, shape):
    samples, *_, units = shape
    swapped = (units,) if kind == "population" else (samples,)
    if found == swapped:
        return "a lifetime mean belongs to a unit, a population mean to a sample"
    return "average over rows and columns first"


def value_hint(found, wanted, activations):
    space = activations.shape[1] * activations.shape[2]
    if np.allclose(found, wanted * space):
        return "means over the positions, not sums"
    if np.any(found > wanted * 1.5):
        return "the mean of all activations, zeros included, not the largest or the active ones"
    return "the mean over all other axes"


def solve_means(activations):
    code = np.mean(activations, axis=(1, 2))
    return code.mean(axis=0), code.mean(axis=1)


def fold_cases():
    """Return [(name, x, filters (rows, columns, channels, maps), bias, mean, sd)]."""
    rng = np.random.default_rng(0)
    cases = []
    for name, kernel, channels in [("1 x 1, one channel", 1, 1), ("3 x 3, two channels", 3, 2)]:
        filters = rng.normal(size=(kernel, kernel, channels, 4))
        x = rng.normal(3, 2, (1, 6, 6, channels))
        mean, sd = rng.normal(3, 1, channels), rng.uniform(0.5, 3, channels)
        cases.append((name, x, filters, rng.normal(size=4), mean, sd))
    return cases


def convolve(x, filters, bias):
    """Convolution without padding: (1, rows, columns, channels) -> (1, ..., maps)."""
    windows = np.lib.stride_tricks.sliding_window_view(x, filters.shape[:2], axis=(1, 2))
    return np.einsum("nrcdij,ijdm->nrcm", windows, filters) + bias


def check_fold(fold):
    """Check fold(filters, bias, mean, sd) -> (filters, bias) that take x as it is."""
    for name, x, filters, bias, mean, sd in fold_cases():
        got = fold(filters.copy(), bias.copy(), mean, sd)
        if got is None:
            return TO_DO.format("fold")
        found = [np.asarray(part, float) for part in got]
        if [part.shape for part in found] != [filters.shape, bias.shape]:
            hint = "filters and bias keep their shapes; mean and sd belong to the channels"
            return f"Not yet ({name}): shapes {[part.shape for part in found]}. Hint: {hint}."
        right = convolve((x - mean) / sd, filters, bias)
        if not np.allclose(convolve(x, *found), right, atol=1e-5):
            hints = [
                hint
                for hint, slip in FOLD_SLIPS.items()
                if all(map(np.allclose, found, wrong_fold(slip)(filters, bias, mean, sd)))
            ]
            hint = hints[0] if hints else "write W * (x - mean) / sd + c as W' * x + c'"
            error = abs(convolve(x, *found) - right).max()
            return f"Not yet ({name}): the maps differ by up to {error:.2g}. Hint: {hint}."
    return "Yes: the same maps, and the network needs no standardisation in between."


def solve_fold(filters, bias, mean, sd):
    folded = filters / sd[:, None]
    return folded, bias - (folded * mean[:, None]).sum(axis=(0, 1, 2))


def wrong_fold(slip):
    """The folding with one typical mistake."""

    def fold(filters, bias, mean, sd):
        folded = filters * sd[:, None] if slip == "times" else filters / sd[:, None]
        weigh = filters if slip == "old filters" else folded
        shift = (weigh * mean[:, None]).sum(axis=(0, 1, 2))
        if slip == "one position":
            shift = (weigh[0, 0] * mean[:, None]).sum(axis=0)
        return folded, {"plus": bias + shift, "no bias": bias}.get(slip, bias - shift)

    return fold


FOLD_SLIPS = {
    "divide the filters by sd": "times",
    "the mean is subtracted, so the bias gets less": "plus",
    "the mean's share goes into the bias": "no bias",
    "the mean meets the divided filters": "old filters",
    "every position of the kernel meets the mean: sum over them all": "one position",
}

EXERCISES = [
    Exercise(
        check_loss,
        solve_loss,
        [(wrong_loss(slip), hint) for hint, slip in LOSS_SLIPS.items()],
    ),
    Exercise(
        check_means,
        solve_means,
        [
            (lambda a: solve_means(a)[::-1], "a lifetime mean belongs to a unit"),
            (lambda a: (a.mean(axis=0), a.mean(axis=3)), "average over rows and columns first"),
            (
                lambda a: (a.sum(axis=(1, 2)).mean(axis=0), a.sum(axis=(1, 2)).mean(axis=1)),
                "means over the positions",
            ),
            (lambda a: (a.max(axis=(0, 1, 2)), a.max(axis=(1, 2, 3))), "zeros included"),
        ],
    ),
    Exercise(
        check_fold,
        solve_fold,
        [(wrong_fold(slip), hint) for hint, slip in FOLD_SLIPS.items()],
    ),
]
