"""Lesson 11: an atrous convolution from slices, a dense CRF's mean field, the poly schedule."""

import numpy as np

from . import TO_DO, Exercise

LINE = np.zeros((3, 8))
LINE[1] = np.arange(1, 9)
LOOK_BACK = np.array([[0, 0, 0], [1, 0, -1], [0, 0, 0]])


def atrous_cases():
    """Return [(name, picture, kernel, rate)]."""
    rng = np.random.default_rng(0)
    picture, kernel = rng.normal(size=(9, 11)), rng.normal(size=(3, 3))
    return [
        ("1 2 ... 8, taps 1 0 -1, rate 2", LINE, LOOK_BACK, 2),
        ("a random picture, rate 1", picture, kernel, 1),
        ("the same, rate 3", picture, kernel, 3),
    ]


def check_atrous(atrous):
    """Check atrous(picture, kernel, rate) -> a picture of the same size."""
    for name, picture, kernel, rate in atrous_cases():
        got = atrous(picture.copy(), kernel.copy(), rate)
        if got is None:
            return TO_DO.format("atrous")
        got, right = np.asarray(got), solve_atrous(picture, kernel, rate)
        if got.shape != right.shape:
            hint = f"put {rate} zeros around the picture first, as many as the rate"
            return f"Not yet ({name}): it gives {got.shape}, right is {right.shape}. Hint: {hint}."
        if not np.allclose(got, right):
            slips = {hint: slip(picture, kernel, rate) for hint, slip in ATROUS_SLIPS.items()}
            hints = [hint for hint, wrong in slips.items() if np.allclose(got, wrong)]
            hint = hints[0] if hints else "add nine shifted pictures, each times its tap"
            largest = abs(got - right).max()
            return f"Not yet ({name}): a pixel is off by {largest:.3g}. Hint: {hint}."
    return "Yes: nine taps, however far apart they lie."


def solve_atrous(picture, kernel, rate, mode="constant"):
    rows, columns = picture.shape
    padded = np.pad(picture, rate, mode=mode)
    return sum(
        kernel[i, j] * padded[i * rate : i * rate + rows, j * rate : j * rate + columns]
        for i in range(3)
        for j in range(3)
    )


ATROUS_SLIPS = {
    "the first tap is the one above and to the left: nothing is flipped": (
        lambda picture, kernel, rate: solve_atrous(picture, kernel[::-1, ::-1], rate)
    ),
    "rows first: kernel[i, j] looks i rows down and j columns to the right": (
        lambda picture, kernel, rate: solve_atrous(picture, kernel.T, rate)
    ),
    "the rate is the way from one tap to the next: 1 means neighbours": (
        lambda picture, kernel, rate: solve_atrous(picture, kernel, rate + 1)
    ),
    "taps next to one another: they lie `rate` pixels apart": (
        lambda picture, kernel, rate: solve_atrous(picture, kernel, 1)
    ),
    "outside of the picture lie zeros, not its own border": (
        lambda picture, kernel, rate: solve_atrous(picture, kernel, rate, "edge")
    ),
    "outside of the picture lie zeros, not its other side": (
        lambda picture, kernel, rate: solve_atrous(picture, kernel, rate, "wrap")
    ),
}


def field_cases():
    """Return [(name, P, pairs, iterations)]."""
    foreground = np.array([0.2, 0.3, 0.8, 0.9, 0.1, 0.6, 0.45, 0.8, 0.2, 0.3, 0.7, 0.9])
    places = np.indices((3, 4)).reshape(2, -1).T
    apart = ((places[:, None] - places) ** 2).sum(-1)
    side = places[:, 1] > 1
    pairs = np.exp(-apart / 8) * (side[:, None] == side) + np.exp(-apart / 2) / 2
    np.fill_diagonal(pairs, 0)
    rng = np.random.default_rng(0)
    three, weights = rng.dirichlet([2, 2, 2], 6), rng.random((6, 6))
    weights = np.triu(weights, 1) + np.triu(weights, 1).T
    two = np.stack([1 - foreground, foreground], axis=-1)
    return [
        ("no pair speaks", three, 0 * weights, 3),
        ("two classes, one update", two, pairs, 1),
        ("two classes, ten updates", two, pairs, 10),
        ("three classes, two updates", three, weights, 2),
    ]


def check_mean_field(mean_field):
    """Check mean_field(P, pairs, iterations) -> Q (pixels, classes)."""
    for name, found, pairs, iterations in field_cases():
        got = mean_field(found.copy(), pairs.copy(), iterations)
        if got is None:
            return TO_DO.format("mean_field")
        got, right = np.asarray(got), solve_mean_field(found, pairs, iterations)
        if got.shape != right.shape:
            return f"Not yet ({name}): it gives {got.shape}, right is {right.shape}."
        if not np.allclose(got, right, atol=1e-6):
            slips = {hint: slip(found, pairs, iterations) for hint, slip in FIELD_SLIPS.items()}
            hints = [hint for hint, wrong in slips.items() if np.allclose(got, wrong, atol=1e-6)]
            if not hints and not np.allclose(got.sum(-1), 1):
                hints = ["divide by the sum over the classes at each update"]
            hint = hints[0] if hints else "P times exp(pairs @ Q), divided by its sum; again"
            largest = abs(got - right).max()
            return f"Not yet ({name}): a probability is off by {largest:.3g}. Hint: {hint}."
    return "Yes: each pixel hears all others, and its own evidence every time."


def solve_mean_field(found, pairs, iterations):
    q = found
    for _ in range(iterations):
        q = found * np.exp(pairs @ q)
        q = q / q.sum(-1, keepdims=True)
    return q


def share(q):
    return q / q.sum(-1, keepdims=True)


def in_turn(found, pairs, iterations):
    q = found.copy()
    for _ in range(iterations):
        for pixel in range(len(q)):
            q[pixel] = share(found[pixel] * np.exp(pairs[pixel] @ q))
    return q


def repeated(step, found, iterations):
    q = found
    for _ in range(iterations):
        q = step(q)
    return q


FIELD_SLIPS = {
    "the evidence is P itself; in an exponent it would be its logarithm": (
        lambda p, k, n: repeated(lambda q: share(np.exp(p + k @ q)), p, n)
    ),
    "the energy is -log P; you took P for it, and everything turned round": (
        lambda p, k, n: repeated(lambda q: share(np.exp(-p + k @ q)), share(np.exp(-p)), n)
    ),
    "neighbours that agree make a class more likely: the sign": (
        lambda p, k, n: repeated(lambda q: share(p * np.exp(-k @ q)), p, n)
    ),
    "each update starts from P, the evidence, not from the last Q": (
        lambda p, k, n: repeated(lambda q: share(q * np.exp(k @ q)), p, n)
    ),
    "the evidence P is missing from the update": (
        lambda p, k, n: repeated(lambda q: share(np.exp(k @ q)), p, n)
    ),
    "what is heard is Q of the last update, not P": (
        lambda p, k, n: repeated(lambda q: share(p * np.exp(k @ p)), p, n)
    ),
    "all pixels at once: all hear the Q of the update before": in_turn,
    "one update more or fewer: `iterations` of them": (
        lambda p, k, n: solve_mean_field(p, k, n + 1)
    ),
}

POLY = [(0, 100, 1e-3), (25, 100, 1e-3), (50, 100, 4e-3), (99, 100, 1e-3), (100, 100, 1e-3)]
POLY += [(130, 100, 1e-3)]


def check_poly(poly):
    """Check poly(step, steps, base) -> the learning rate."""
    for step, steps, base in POLY:
        got, right = poly(step, steps, base), solve_poly(step, steps, base)
        if got is None:
            return TO_DO.format("poly")
        if not np.isclose(got, right, rtol=1e-6, atol=0):
            slips = {hint: slip(step, steps, base) for hint, slip in POLY_SLIPS.items()}
            hints = [hint for hint, wrong in slips.items() if np.isclose(got, wrong, rtol=1e-6)]
            if step > steps:
                hints = ["behind the last step it stays 0: what is raised must not be negative"]
            hint = hints[0] if hints else "base times what is left of the steps, to the power 0.9"
            where = f"step {step} of {steps}, base {base}"
            return f"Not yet ({where}): it gives {got:.6g}, right is {right:.6g}. Hint: {hint}."
    return "Yes: from base to 0, and 0 it stays."


def solve_poly(step, steps, base):
    return base * max(0.0, 1 - step / steps) ** 0.9


POLY_SLIPS = {
    "0.9 is a power, not a factor": lambda step, steps, base: base * (1 - step / steps) * 0.9,
    "the power 0.9 is missing: a straight line": lambda step, steps, base: (
        base * (1 - step / steps)
    ),
    "the power is that of the whole bracket": (
        lambda step, steps, base: base * (1 - (step / steps) ** 0.9)
    ),
    "it falls: 1 minus the share of the steps that are done": (
        lambda step, steps, base: base * (step / steps) ** 0.9
    ),
    "the base stands outside of the power": (
        lambda step, steps, base: (base * (1 - step / steps)) ** 0.9
    ),
}


def negative_root(step, steps, base):
    left = 1 - step / steps
    return base * np.sign(left) * abs(left) ** 0.9


EXERCISES = [
    Exercise(
        check_atrous,
        solve_atrous,
        [(slip, hint) for hint, slip in ATROUS_SLIPS.items()]
        + [(lambda picture, kernel, rate: picture[rate:-rate, rate:-rate], "zeros around")],
    ),
    Exercise(
        check_mean_field,
        solve_mean_field,
        [(slip, hint) for hint, slip in FIELD_SLIPS.items()]
        + [
            (
                lambda p, k, n: repeated(lambda q: p * np.exp(k @ q), p, n),
                "sum over the classes",
            )
        ],
    ),
    Exercise(
        check_poly,
        solve_poly,
        [(slip, hint) for hint, slip in POLY_SLIPS.items()]
        + [(negative_root, "must not be negative")],
    ),
]
