"""Lesson 02: where a map lies in the image, a kernel that interpolates, scores of many classes."""

import numpy as np

from . import TO_DO, Exercise


def vgg(border):
    """The layers of VGG-16 up to fc7 as (kind, kernel, stride, padding)."""
    counts = (2, 2, 3, 3, 3)
    layers = [
        layer for count in counts for layer in [("conv", 3, 1, 1)] * count + [("pool", 2, 2, 0)]
    ]
    return [("conv", 3, 1, border), *layers[1:], ("conv", 7, 1, 0), ("conv", 1, 1, 0)]


CAFFENET = [
    ("conv", 11, 4, 100),
    ("pool", 3, 2, 0),
    ("conv", 5, 1, 2),
    ("pool", 3, 2, 0),
    *[("conv", 3, 1, 1)] * 3,
    ("pool", 3, 2, 0),
    ("conv", 6, 1, 0),
    ("conv", 1, 1, 0),
]
TWICE = ("deconv", 4, 2, 0)
CHAINS = {  # name: (layers, offset)
    "a convolution and its way back": ([("conv", 3, 1, 1), ("deconv", 3, 1, 0)], 1),
    "FCN-32s": ([*vgg(100), ("deconv", 64, 32, 0)], 19),
    "FCN-16s": ([*vgg(100), TWICE, ("deconv", 32, 16, 0)], 27),
    "FCN-8s": ([*vgg(100), TWICE, TWICE, ("deconv", 16, 8, 0)], 31),
    "FCN-AlexNet": ([*CAFFENET, ("deconv", 63, 32, 0)], 18),
}


def check_offset(offset):
    """Check offset(layers) -> pixels to crop at the start of the enlarged map."""
    for name, (layers, right) in CHAINS.items():
        got = offset(layers)
        if got is None:
            return TO_DO.format("offset")
        if got == right:
            continue
        hint = offset_hint(layers, got)
        return f"Not yet ({name}): offset gave {got:g}, right is {right}. Hint: {hint}."
    return "Yes: 19, 27, 31 and 18, as in the released networks."


def offset_hint(layers, got):
    for hint, slip in OFFSET_SLIPS.items():
        if got == solve_offset(layers, **slip):
            return hint
    return "follow (step, start) layer by layer, as the table in the lesson does"


def solve_offset(layers, pad=1, sign=-1, half=1, before=False, late=False):
    """Right with its defaults; the other values are the slips that hints are for."""
    step, start = 1, 0
    for kind, kernel, stride, padding in layers:
        if kind == "deconv":
            # The kernel spreads on the finer grid: first the step shrinks.
            moved = step if before else step / stride
            start -= moved * (kernel - half) / 2
            step /= stride
        else:
            moved = step * stride if late else step
            start += moved * ((kernel - half) / 2 - pad * padding)
            step *= stride
    return sign * start


OFFSET_SLIPS = {
    "what was padded in front moves the map to the left: subtract it": {"pad": 0},
    "the crop undoes the start: change its sign": {"sign": 1},
    "the middle of a kernel of 3 is 1 position from its end, not 1.5": {"half": 0},
    "a deconvolution divides the step first; its kernel lies on the finer grid": {"before": True},
    "use the step before the layer, then multiply it by the stride": {"late": True},
}


def check_kernel(kernel):
    """Check kernel(side, classes) -> (side, side, classes, classes)."""
    for side, classes in [(4, 1), (4, 3), (3, 2), (16, 2)]:
        got = kernel(side, classes)
        if got is None:
            return TO_DO.format("kernel")
        got, right = np.asarray(got, float), solve_kernel(side, classes)
        asked = f"kernel({side}, {classes})"
        if got.shape != right.shape:
            hint = "rows, columns, then one matrix from class to class"
            return f"Not yet: {asked} has shape {got.shape}, right is {right.shape}. Hint: {hint}."
        if np.allclose(got, right, atol=1e-6):
            continue
        slips = kernel_slips(side, classes)
        hints = [hint for hint, wrong in slips.items() if np.allclose(got, wrong, atol=1e-6)]
        hint = hints[0] if hints else "print the middle row for side 4: .1875 .5625 .5625 .1875"
        return f"Not yet: {asked} sums to {got.sum():g}, right is {right.sum():g}. Hint: {hint}."
    return "Yes: it interpolates, and no class hears of another."


def tent(side, half=None, middle=None):
    half = (side + 1) // 2 if half is None else half
    middle = (side - 1) / 2 if middle is None else middle
    return 1 - abs(np.arange(side) - middle) / half


def solve_kernel(side, classes):
    return np.outer(tent(side), tent(side))[..., None, None] * np.eye(classes)


def kernel_slips(side, classes):
    plane, ones = solve_kernel(side, 1), np.ones((classes, classes))
    shifted = np.outer(*[np.clip(tent(side, middle=side // 2), 0, None)] * 2)
    shares = plane * np.eye(classes) / plane.sum()
    row = np.broadcast_to(tent(side), (side, side))[..., None, None] * np.eye(classes)
    return {
        "only the diagonal, from a class to itself; full of numbers it mixes the classes": plane
        * ones,
        "the middle of an even side lies between two positions: (side - 1) / 2": shifted[
            ..., None, None
        ]
        * np.eye(classes),
        "do not divide by the sum: each pixel gets its share from several positions": shares,
        "it falls off along both axes: an outer product": row,
    }


def confusions():
    """Return [(name, pixels by true and found class, the four scores)]."""
    worked = np.array([[5, 1, 0], [0, 4, 0], [1, 1, 4]])
    absent = np.array([[6, 2, 0], [1, 1, 0], [0, 0, 0]])
    invented = np.array([[6, 1, 1], [0, 2, 0], [0, 0, 0]])
    return [
        (name, pixels, solve_scores(pixels))
        for name, pixels in [
            ("three classes", worked),
            ("a class that is nowhere", absent),
            ("a class that is only in the prediction", invented),
        ]
    ]


NAMES = ("pixel accuracy", "mean accuracy", "mean IU", "frequency-weighted IU")


def check_scores(scores):
    """Check scores(pixels) -> the four scores of a table of pixels by true and found class."""
    for name, pixels, right in confusions():
        with np.errstate(divide="ignore", invalid="ignore"):
            got = scores(pixels.copy())
        if got is None:
            return TO_DO.format("scores")
        if np.shape(got) != (4,):
            return f"Not yet: scores gave {got}; right are four numbers: {', '.join(NAMES)}."
        for score, found, wanted in zip(NAMES, got, right, strict=True):
            if np.isclose(found, wanted):
                continue
            hint = scores_hint(score, found, pixels)
            return f"Not yet ({name}): {score} is {found:.4f}, right is {wanted:.4f}. Hint: {hint}."
    return "Yes: one table for all images, absent classes left out, a missed one counted as 0."


def scores_hint(score, found, pixels):
    with np.errstate(divide="ignore", invalid="ignore"):
        hit, true, named = np.diag(pixels), pixels.sum(axis=1), pixels.sum(axis=0)
        iou, accuracy = hit / (true + named - hit), hit / true
        if np.isnan(found):
            return "a class that is nowhere is 0 / 0, NaN: leave it out of the mean"
        slips = {
            "a class that is nowhere is left out, not counted as 0": np.nan_to_num(
                accuracy if score == "mean accuracy" else iou
            ).mean(),
            "divide by the union: both sums less what they share": np.nanmean(hit / (true + named)),
            "rows are the truth: its pixels are the sum along a row": np.nanmean(hit / named),
            "weigh each class by its true pixels": np.nansum(named * iou) / pixels.sum(),
        }
    fitting = [hint for hint, wrong in slips.items() if np.isclose(found, wrong)]
    return fitting[0] if fitting else "compute it by hand for this class table"


def solve_scores(pixels):
    hit, true, named = np.diag(pixels), pixels.sum(axis=1), pixels.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        accuracy, iou = hit / true, hit / (true + named - hit)
    return (
        hit.sum() / pixels.sum(),
        np.nanmean(accuracy),
        np.nanmean(iou),
        np.nansum(true * iou) / pixels.sum(),
    )


def slipped_scores(place, slip):
    """The right scores but one, which `slip` computes from hit, true and named pixels."""

    def scores(pixels):
        right = list(solve_scores(pixels))
        right[place] = slip(np.diag(pixels), pixels.sum(axis=1), pixels.sum(axis=0))
        return right

    return scores


EXERCISES = [
    Exercise(
        check_offset,
        solve_offset,
        [
            (lambda layers, slip=slip: solve_offset(layers, **slip), hint)
            for hint, slip in OFFSET_SLIPS.items()
        ]
        + [(lambda layers: 7, "layer by layer")],
    ),
    Exercise(
        check_kernel,
        solve_kernel,
        [
            (lambda side, classes, hint=hint: kernel_slips(side, classes)[hint], hint)
            for hint in kernel_slips(4, 3)
        ]
        + [(lambda side, classes: np.ones((side, side)), "rows, columns, then")],
    ),
    Exercise(
        check_scores,
        solve_scores,
        [
            (slipped_scores(2, lambda h, t, n: np.mean(h / (t + n - h))), "0 / 0"),
            (
                slipped_scores(2, lambda h, t, n: np.nan_to_num(h / (t + n - h)).mean()),
                "not counted as 0",
            ),
            (slipped_scores(2, lambda h, t, n: np.nanmean(h / (t + n))), "divide by the union"),
            (slipped_scores(1, lambda h, t, n: np.nanmean(h / n)), "along a row"),
            (
                slipped_scores(3, lambda h, t, n: np.nansum(n * h / (t + n - h)) / n.sum()),
                "true pixels",
            ),
            (lambda pixels: 0.5, "four numbers"),
        ],
    ),
]
