"""Lesson 01: dilations of a dense twin, the Rand score, and the ceiling of a window."""

import numpy as np
from scipy.ndimage import maximum_filter

from . import TO_DO, Exercise

N4 = [(4, 1), (2, 2), (5, 1), (2, 2), (4, 1), (2, 2), (4, 1), (2, 2), (3, 1)]
NETWORKS = {
    "N4": (N4, ([1, 1, 2, 2, 4, 4, 8, 8, 16], 95)),
    "pooling of 3, 2 apart": ([(3, 1), (3, 2), (3, 1), (3, 2), (6, 1)], ([1, 1, 2, 2, 4], 33)),
    "a strided convolution": ([(5, 2), (2, 2), (3, 1), (6, 1)], ([1, 2, 4, 4], 35)),
}


def check_dilations(dense_dilations):
    """Check dense_dilations(layers) -> (dilations, pixels seen), for (kernel, stride) pairs."""
    for name, (layers, (dilations, sees)) in NETWORKS.items():
        got = dense_dilations(layers)
        if got is None:
            return TO_DO.format("dense_dilations")
        found, pixels = [int(d) for d in got[0]], int(got[1])
        if (found, pixels) == (dilations, sees):
            continue
        if found != dilations:
            hint = dilation_hint(layers, found)
        elif pixels == sees - 1:
            hint = "the first pixel counts, too"
        else:
            hint = "k samples that lie d apart reach over (k - 1) d more pixels"
        right = f"right is ({dilations}, {sees})"
        return f"Not yet ({name}): gave ({found}, {pixels}), {right}. Hint: {hint}."
    return "Yes: each layer's stride counts for all layers behind it, whatever its kernel."


def dilation_hint(layers, found):
    own = np.cumprod([stride for _, stride in layers]).tolist()
    by_kernel = [1, *np.cumprod([k if s > 1 else 1 for k, s in layers]).tolist()][:-1]
    summed = [1, *(1 + np.cumsum([s if s > 1 else 0 for _, s in layers]) - 1).tolist()][:-1]
    if found == own:
        return "a stride counts for the layers behind, not for its own"
    if found == by_kernel:
        return "multiply by the stride, not by the kernel or the pool's window"
    if found == [max(d, 1) for d in summed]:
        return "strides multiply, they do not add up"
    return "start at 1; behind a layer of stride s everything lies s times as far apart"


def solve_dilations(layers):
    apart, sees, dilations = 1, 1, []
    for kernel, stride in layers:
        dilations.append(apart)
        sees += (kernel - 1) * apart
        apart *= stride
    return dilations, sees


def walls():
    """Return {name: (truth, found)}, segment numbers of two cells and what was found of them."""
    truth = np.array([[1, 1, 1, 1, 0, 2, 2, 2, 2]] * 5)
    gap, second, wide, hole = (truth.copy() for _ in range(4))
    gap[gap > 0] = gap[2, 4] = 1
    second[:, 2] = 0
    second[:, 3] = 3
    wide[:, 3:6] = 0
    hole[2, 3] = 0
    return {
        "as it should be": (truth, 5 * truth),
        "a gap in the wall": (truth, gap),
        "a wall too many": (truth, second),
        "a wall three wide": (truth, wide),
        "a hole in a cell": (truth, hole),
    }


def check_rand(rand):
    """Check rand(truth, found) -> number, for two maps of segment numbers."""
    from medseg_tf.metrics import rand_foreground

    for name, (truth, found) in walls().items():
        got = rand(truth.copy(), found.copy())
        if got is None:
            return TO_DO.format("rand")
        right, got = rand_foreground(truth, found), float(got)
        if not np.isclose(got, right, atol=1e-6):
            close = [
                hint for hint, wrong in MISTAKES.items() if np.isclose(wrong(truth, found), got)
            ]
            hint = close[0] if close else "count by hand: n is 40 here, 20 a cell"
            return f"Not yet ({name}): gave {got:.4f}, right is {right:.4f}. Hint: {hint}."
    return "Yes: a gap of one pixel costs a third, a hole of one pixel next to nothing."


def solve_rand(truth, found, everywhere=False, one_segment=False, left_out=False):
    inside = (truth >= 0) if everywhere else (truth > 0)
    if left_out:
        inside &= found > 0
    true, found = truth[inside], found[inside].astype(int)
    alone = found == 0
    if not one_segment:
        found[alone] = found.max() + 1 + np.arange(alone.sum())
    pairs = np.unique(np.stack([true, found]), axis=1, return_counts=True)[1]
    of_true, of_found = (np.unique(part, return_counts=True)[1] for part in (true, found))
    return 2 * (pairs**2).sum() / ((of_true**2).sum() + (of_found**2).sum())


MISTAKES = {
    "pixels that are membrane in the truth do not count": lambda truth, found: solve_rand(
        truth, found, everywhere=True
    ),
    "missed pixels are a segment each, not one segment together": lambda truth, found: solve_rand(
        truth, found, one_segment=True
    ),
    "missed pixels stay in: n is fixed by the truth": lambda truth, found: solve_rand(
        truth, found, left_out=True
    ),
}


def scenes():
    """Return {name: (line, inside, w)}, pictures of rings."""
    rows, columns = np.indices((31, 37))
    distance = np.hypot(rows - 15, columns - 15)
    line, inside = abs(distance - 10) < 1.2, distance < 8.8
    return {
        "a window of 5": (line, inside, 5),
        "a window of 9": (line, inside, 9),
        "a window that always sees a line": (line, inside, 61),
        "no line at all": (line & False, rows < 10, 5),
    }


def check_ceiling(window_ceiling):
    """Check window_ceiling(line, inside, w) -> number, for two boolean maps."""
    for name, scene in scenes().items():
        got = window_ceiling(*(np.copy(part) for part in scene[:2]), scene[2])
        if got is None:
            return TO_DO.format("window_ceiling")
        right, got = solve_ceiling(*scene), float(got)
        if not np.isclose(got, right, atol=1e-9):
            close = [hint for hint, wrong in TOO_HIGH.items() if np.isclose(wrong(*scene), got)]
            hint = close[0] if close else "right wherever a line is in sight, plus the best guess"
            return f"Not yet ({name}): gave {got:.4f}, right is {right:.4f}. Hint: {hint}."
    return "Yes: it grows with w, and is 1 once every window sees a line."


def solve_ceiling(line, inside, w):
    blind = ~maximum_filter(line, w, mode="constant")[~line]
    answers = inside[~line][blind]
    return 1 - blind.mean() + max(answers.sum(), (~answers).sum()) / blind.size


def with_lines(line, inside, w):
    blind = ~maximum_filter(line, w, mode="constant")
    answers = inside[blind]
    return 1 - blind.mean() + max(answers.sum(), (~answers).sum()) / blind.size


def as_a_coin(line, inside, w):
    blind = ~maximum_filter(line, w, mode="constant")[~line]
    return 1 - blind.mean() / 2


def of_all_pixels(line, inside, w):
    blind, answers = ~maximum_filter(line, w, mode="constant")[~line], inside[~line]
    return 1 - blind.mean() + blind.mean() * max(answers.mean(), 1 - answers.mean())


def sight_of_a_radius(line, inside, w):
    return solve_ceiling(line, inside, 2 * w + 1)


TOO_HIGH = {
    "pixels on a line are left out": with_lines,
    "without a line the better of two guesses is right more often than a coin": as_a_coin,
    "the majority is that among the windows without a line": of_all_pixels,
    "w is the side of the window, not what it sees to each side": sight_of_a_radius,
}

EXERCISES = [
    Exercise(
        check_dilations,
        solve_dilations,
        [
            (lambda ls: (np.cumprod([s for _, s in ls]), 95), "not for its own"),
            (lambda ls: ([1, *np.cumprod([k if s > 1 else 1 for k, s in ls])][:-1],
                         solve_dilations(ls)[1]), "not by the kernel"),
            (lambda ls: ([max(sum(s for _, s in ls[:i] if s > 1), 1) for i in range(len(ls))], 95),
             "strides multiply"),
            (lambda ls: (solve_dilations(ls)[0], solve_dilations(ls)[1] - 1), "first pixel"),
            (lambda ls: (solve_dilations(ls)[0], 1 + sum(k - 1 for k, _ in ls)), "reach over"),
        ],
    ),
    Exercise(check_rand, solve_rand, [(wrong, hint) for hint, wrong in MISTAKES.items()]),
    Exercise(check_ceiling, solve_ceiling, [(wrong, hint) for hint, wrong in TOO_HIGH.items()]),
]  # fmt: skip
