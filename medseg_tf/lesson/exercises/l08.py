"""Lesson 08: the affinity of two clusters, numbers of clusters by period, scores without names."""

import math

import numpy as np

from . import TO_DO, Exercise


def affinity_cases():
    """Return [(name, weights (n, n), first, second)]."""
    five = np.zeros((5, 5))
    edges = {(0, 1): 0.939, (0, 2): 0.778, (1, 0): 0.939, (1, 2): 0.939, (2, 1): 0.939}
    edges |= {(2, 0): 0.778, (3, 4): 0.939, (4, 3): 0.939, (3, 2): 0.018, (4, 2): 0.006}
    for edge, weight in edges.items():
        five[edge] = weight
    rng = np.random.default_rng(0)
    many = rng.random((9, 9)) * (rng.random((9, 9)) < 0.7)
    return [
        ("two samples that point at each other", five, np.array([0]), np.array([1])),
        ("edges that lead one way only", five, np.array([0, 1, 2]), np.array([3, 4])),
        ("clusters of two and one", five, np.array([0, 1]), np.array([2])),
        ("clusters of four and three", many, np.array([0, 2, 5, 7]), np.array([1, 3, 8])),
    ]


def check_pair_affinity(pair_affinity):
    """Check pair_affinity(weights, first, second) -> a number."""
    for name, weights, first, second in affinity_cases():
        got = pair_affinity(weights.copy(), first.copy(), second.copy())
        if got is None:
            return TO_DO.format("pair_affinity")
        if np.ndim(got):
            return f"Not yet: the result has shape {np.shape(got)}; it is one number, a sum."
        right = solve_pair_affinity(weights, first, second)
        if not np.isclose(got, right, atol=1e-9):
            hint = fitting(AFFINITY_SLIPS, got, weights, first, second)
            hint = hint or "weights[np.ix_(first, second)] are the edges from first to second"
            return f"Not yet ({name}): {float(got):.4f}, right is {right:.4f}. Hint: {hint}."
    return "Yes: what does not point back counts nothing, and large clusters have no advantage."


def solve_pair_affinity(weights, first, second):
    there, back = blocks(weights, first, second)
    return (there @ back).sum() / len(first) ** 2 + (back @ there).sum() / len(second) ** 2


def blocks(weights, first, second):
    """Edges from the first cluster to the second, and back."""
    return weights[np.ix_(first, second)], weights[np.ix_(second, first)]


def one_way(weights, first, second):
    there, back = blocks(weights, first, second)
    return there.sum() / len(first) ** 2 + back.sum() / len(second) ** 2


def not_divided(weights, first, second):
    there, back = blocks(weights, first, second)
    return (there @ back).sum() + (back @ there).sum()


def not_squared(weights, first, second):
    there, back = blocks(weights, first, second)
    return (there @ back).sum() / len(first) + (back @ there).sum() / len(second)


def half(weights, first, second):
    there, back = blocks(weights, first, second)
    return (there @ back).sum() / len(first) ** 2


def swapped(weights, first, second):
    there, back = blocks(weights, first, second)
    return (there @ back).sum() / len(second) ** 2 + (back @ there).sum() / len(first) ** 2


def by_elements(weights, first, second):
    there, back = blocks(weights, first, second)
    both = (there * back.T).sum()
    return both / len(first) ** 2 + both / len(second) ** 2


AFFINITY_SLIPS = {
    "an edge counts only with one that leads back: multiply the two blocks": one_way,
    "both terms: the clusters exchange their parts": half,
    "divide by the squared sizes": not_divided,
    "divide by the size squared, not by the size": not_squared,
    "W12 @ W21 has the size of the first cluster on both sides: divide by that": swapped,
    "the matrix product, @, not * entry by entry": by_elements,
}


def fitting(slips, got, *case):
    """The first hint whose slip gives what was got, or None."""
    return next((hint for hint, slip in slips.items() if np.allclose(got, slip(*case))), None)


COUNT_CASES = [(250, 3, 0.9), (250, 3, 0.2), (500, 10, 0.9), (100, 3, 0.55), (3, 3, 0.9)]


def check_cluster_counts(cluster_counts):
    """Check cluster_counts(samples, clusters, merge) -> list of numbers."""
    for case in COUNT_CASES:
        got = cluster_counts(*case)
        if got is None:
            return TO_DO.format("cluster_counts")
        got, right = list(got), solve_cluster_counts(*case)
        if got != right:
            hints = [hint for hint, slip in COUNT_SLIPS.items() if got == slip(*case)]
            hint = (
                hints[0] if hints else "merge away ceil(merge * the last number), stop at clusters"
            )
            found = f"{got[:6]}{' ...' * (len(got) > 6)}, right is {right[:6]}"
            found += " ..." * (len(right) > 6)
            return f"Not yet {case}: {found}. Hint: {hint}."
    return "Yes: it falls in each period and ends where it should."


def solve_cluster_counts(
    samples, clusters, merge, away=lambda x: math.ceil(x - 1e-9), floor=True, start=True
):
    """Right by default; other values are the slips that hints are for."""
    counts = [samples]
    while counts[-1] > clusters:
        left = counts[-1] - max(away(merge * counts[-1]), 1)
        counts.append(max(clusters, left) if floor else left)
    return counts if start else counts[1:]


def kept(samples, clusters, merge):
    return solve_cluster_counts(samples, clusters, 1 - merge)


COUNT_SLIPS = {
    "never below the number asked for": lambda *case: solve_cluster_counts(*case, floor=False),
    "the share is merged away, not kept": kept,
    "rounded up, not down": lambda *case: solve_cluster_counts(*case, away=math.floor),
    "rounded up, not to the nearest": lambda *case: solve_cluster_counts(*case, away=round),
    "the list begins with the first clusters": lambda *c: solve_cluster_counts(*c, start=False),
    "0.55 * 100 is a little above 55 in floating point: take 1e-9 off before you round up": (
        lambda *case: solve_cluster_counts(*case, away=math.ceil)
    ),
}


def score_cases():
    """Return [(name, truth (n,), clusters (n,))]."""
    tables = {
        "other names for the right clusters": [[0, 4, 0], [0, 0, 5], [3, 0, 0]],
        "twelve pixels": [[0, 1, 3], [4, 0, 0], [1, 3, 0]],
        "two clusters want one class": [[4, 0, 5], [0, 0, 4], [2, 3, 0]],
        "more clusters than classes": [[5, 1, 2, 0], [0, 4, 1, 3]],
    }
    return [
        (
            name,
            *(np.repeat(index.ravel(), np.ravel(table)) for index in np.indices(np.shape(table))),
        )
        for name, table in tables.items()
    ]


def check_cluster_scores(cluster_scores):
    """Check cluster_scores(truth, found) -> (accuracy, NMI)."""
    for name, truth, found in score_cases():
        got = cluster_scores(truth.copy(), found.copy())
        if got is None:
            return TO_DO.format("cluster_scores")
        if np.shape(got) != (2,):
            return f"Not yet: cluster_scores gave {got}; right are two numbers, accuracy and NMI."
        right = solve_cluster_scores(truth, found)
        for place, (score, slips) in enumerate(SCORE_SLIPS.items()):
            if not np.isclose(got[place], right[place]):
                hint = fitting(slips, got[place], count(truth, found))
                hint = hint or f"{score} follows from the table of counts, classes by clusters"
                numbers = f"{score} is {float(got[place]):.6f}, right is {right[place]:.6f}"
                return f"Not yet ({name}): {numbers}. Hint: {hint}."
    return "Yes: the best renaming, one class a cluster, and a score that needs no names."


def count(truth, found):
    """Numbers of pixels, (classes, clusters)."""
    table = np.zeros((truth.max() + 1, found.max() + 1))
    np.add.at(table, (truth, found), 1)
    return table


def solve_cluster_scores(truth, found):
    table = count(truth, found)
    return best(table), information(table)


def best(table):
    from scipy.optimize import linear_sum_assignment

    return table[linear_sum_assignment(table, maximize=True)].sum() / table.sum()


def greedy(table):
    left, right = table.copy(), 0
    for _ in range(min(table.shape)):
        row, column = np.unravel_index(left.argmax(), left.shape)
        right += left[row, column]
        left[row], left[:, column] = 0, 0
    return right / table.sum()


def entropy(counts):
    share = counts / counts.sum()
    return -(share[share > 0] * np.log(share[share > 0])).sum()


def information(table, mean=lambda u, v: (u + v) / 2):
    """Mutual information over a mean of the entropies."""
    h_truth, h_found = entropy(table.sum(axis=1)), entropy(table.sum(axis=0))
    return (h_truth + h_found - entropy(table)) / mean(h_truth, h_found)


SCORE_SLIPS = {
    "accuracy": {
        "the clusters' numbers carry no meaning: rename them first": lambda t: (
            np.trace(t) / t.sum()
        ),
        "each cluster gets another class; to take each one's majority lets two share a class": (
            lambda t: t.max(axis=0).sum() / t.sum()
        ),
        "the largest first is not always best for all: linear_sum_assignment": greedy,
        "a share of the pixels, not a count": lambda t: best(t) * t.sum(),
    },
    "NMI": {
        "the arithmetic mean of the entropies, not the geometric one": (
            lambda t: information(t, lambda u, v: np.sqrt(u * v))
        ),
        "divide by the mean of the two entropies": lambda t: information(t, lambda u, v: 1.0),
        "the mean of the two entropies, not the larger one": lambda t: information(t, max),
        "the mean of the two entropies, not their sum": lambda t: information(t) / 2,
    },
}


def wrong_scores(accuracy=best, shared=information):
    return lambda truth, found: (accuracy(count(truth, found)), shared(count(truth, found)))


EXERCISES = [
    Exercise(
        check_pair_affinity,
        solve_pair_affinity,
        [(slip, hint) for hint, slip in AFFINITY_SLIPS.items()]
        + [(lambda weights, first, second: np.zeros((2, 2)), "one number")],
    ),
    Exercise(
        check_cluster_counts,
        solve_cluster_counts,
        [(slip, hint) for hint, slip in COUNT_SLIPS.items()],
    ),
    Exercise(
        check_cluster_scores,
        solve_cluster_scores,
        [(wrong_scores(accuracy=slip), hint) for hint, slip in SCORE_SLIPS["accuracy"].items()]
        + [(wrong_scores(shared=slip), hint) for hint, slip in SCORE_SLIPS["NMI"].items()]
        + [(lambda truth, found: 0.5, "two numbers")],
    ),
]
