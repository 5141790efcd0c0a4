"""Lesson A2: an order that a resumed run finds again, and the batch that fits into memory."""

import numpy as np

from . import TO_DO, Exercise


def check_order(order):
    """Check order(seed, epoch, count) -> the images' numbers in that epoch's order."""
    first = order(3, 5, 40)
    if first is None:
        return TO_DO.format("order")
    first = np.asarray(first)
    if first.shape != (40,) or sorted(first.tolist()) != list(range(40)):
        return "Not yet: order(3, 5, 40) must hold each number from 0 to 39 once. Hint: permute."
    unlike = {
        "the next epoch has the same order": ("the epoch must decide, too", (3, 6)),
        "another seed has the same order": ("the seed must decide, too", (4, 5)),
        "seed 4 in epoch 4 has the order of seed 3 in epoch 5": (
            "a sum mixes the two up; default_rng takes a list",
            (4, 4),
        ),
    }
    for text, (hint, asked) in unlike.items():
        if np.array_equal(order(*asked, 40), first):
            return f"Not yet: {text}. Hint: {hint}."
    np.random.seed(1)  # as a process that started anew has another state
    for epoch in range(5):
        order(3, epoch, 40)
    again = order(3, 5, 40)
    if not np.array_equal(again, first):
        hint = "make a generator of its own from seed and epoch, and nothing else, at each call"
        return f"Not yet: asked again, epoch 5 has another order. Hint: {hint}."
    return "Yes: a run that goes on in epoch 5 sees what the unbroken one would have seen."


def solve_order(seed, epoch, count):
    return np.random.default_rng([seed, epoch]).permutation(count)


def shared_generator():
    """An order that depends on how often it was asked for."""
    rng = np.random.default_rng(0)
    return lambda seed, epoch, count: rng.permutation(count)


def wrong_sum(seed, epoch, count):
    return np.random.default_rng(seed + epoch).permutation(count)


# bytes of one image's maps, weights, bytes of memory
MACHINES = [
    (10, 3, 117),
    (2_000_000_000, 31_030_658, 16_000_000_000),
    (800_000_000, 65_000_000, 12_000_000_000),
    (1_000, 10, 1_160),
    (9_000, 100, 5_000),
    (1_000, 1_000, 12_000),
]


def check_batch(largest_batch):
    """Check largest_batch(map_bytes, weights, memory) -> the largest batch that fits."""
    for arguments in MACHINES:
        got = largest_batch(*arguments)
        if got is None:
            return TO_DO.format("largest_batch")
        right = solve_batch(*arguments)
        if got != right:
            slips = {hint: slip(*arguments) for hint, slip in BATCH_SLIPS.items()}
            hints = [hint for hint, wrong in slips.items() if got == wrong]
            hint = hints[0] if hints else "what the weights leave, divided by an image's maps"
            return f"Not yet {arguments}: batch {got}, right is {right}. Hint: {hint}."
    return "Yes: the weights are paid once, the maps for every image."


def solve_batch(map_bytes, weights, memory):
    return max(int((memory - 16 * weights) // map_bytes), 0)


BATCH_SLIPS = {
    "where the weights alone do not fit, no batch does: 0": lambda m, w, s: (s - 16 * w) // m,
    "the weights take memory, too": lambda m, w, s: s // m,
    "beside a weight lie its gradient and Adam's two averages": lambda m, w, s: max(
        (s - 4 * w) // m, 0
    ),
    "a part of an image does not fit: round down": lambda m, w, s: max(-((16 * w - s) // m), 0),
    "a batch is a whole number": lambda m, w, s: max((s - 16 * w) / m, 0),
}


EXERCISES = [
    Exercise(
        check_order,
        solve_order,
        [
            (lambda seed, epoch, count: np.random.default_rng(seed).permutation(count), "epoch"),
            (lambda seed, epoch, count: np.random.default_rng(epoch).permutation(count), "seed"),
            (wrong_sum, "a sum mixes"),
            (lambda seed, epoch, count: np.random.permutation(count), "at each call"),
            (shared_generator(), "at each call"),
            (lambda seed, epoch, count: np.random.default_rng(0).integers(0, 40, 40), "permute"),
        ],
    ),
    Exercise(check_batch, solve_batch, [(slip, hint) for hint, slip in BATCH_SLIPS.items()]),
]
