"""Lesson 09: a walk on a graph, a map that its neighbours correct, patches that vote."""

import numpy as np

from . import TO_DO, Exercise


def grid_of_nine(across=1.0):
    """Weights (9, 9) of a grid of 3 x 3; `across` are those between its last two columns."""
    weights = np.zeros((9, 9))
    for place in range(9):
        row, column = divmod(place, 3)
        if column < 2:
            weights[place, place + 1] = across if column == 1 else 1
        if row < 2:
            weights[place, place + 3] = 1
    return weights + weights.T


def path(*conductances):
    """Weights of nodes in a row."""
    weights = np.diag(conductances, 1).astype(float)
    return weights + weights.T


def walk_cases():
    """Return [(name, weights (n, n), seeds (n,))]."""
    corners, three = np.full((2, 9), -1)
    corners[[0, 8]] = 0, 1
    three[[0, 2, 7]] = 0, 1, 2
    return [
        ("five in a row", path(1, 1, 1, 1), np.array([0, -1, -1, -1, 1])),
        ("four in a row, the middle edge 1/4", path(1, 0.25, 1), np.array([0, -1, -1, 1])),
        ("3 x 3, two corners known", grid_of_nine(), corners),
        ("3 x 3, a step between columns", grid_of_nine(0.5), corners),
        ("3 x 3, three classes", grid_of_nine(0.5), three),
    ]


def check_walk(walk):
    """Check walk_on_graph(weights, seeds) -> probabilities (n, classes)."""
    for name, weights, seeds in walk_cases():
        got = walk(weights.copy(), seeds.copy())
        if got is None:
            return TO_DO.format("walk_on_graph")
        got, right = np.asarray(got, float), solve_walk(weights, seeds)
        if got.shape != right.shape:
            hint = "a row for each node, a column for each class; seeds have theirs, too"
            return f"Not yet ({name}): {got.shape}, right is {right.shape}. Hint: {hint}."
        if not np.allclose(got, right, atol=1e-9):
            hints = [
                hint
                for hint, slip in WALK_SLIPS.items()
                if np.allclose(got, solve_walk(weights, seeds, slip), atol=1e-9)
            ]
            hint = hints[0] if hints else "L x = 0 at each node whose class is not known"
            place, number = np.unravel_index(np.abs(got - right).argmax(), got.shape)
            found = f"{got[place, number]:.4f}, right is {right[place, number]:.4f}"
            return f"Not yet ({name}): class {number} at node {place} is {found}. Hint: {hint}."
    return "Yes: each node is the weighted mean of its neighbours, and rows sum to 1."


def solve_walk(weights, seeds, slip=None):
    """Right by default; `slip` names what is wrong."""
    if slip == "equal edges":
        weights = (weights > 0).astype(float)
    free, known = np.flatnonzero(seeds < 0), np.flatnonzero(seeds >= 0)
    degrees = weights.sum(0)
    if slip == "degree among the free":
        degrees = weights[free].sum(0)
    laplacian = np.diag(degrees) - weights
    if slip == "no degree":
        laplacian = -weights + 1e-9 * np.eye(len(seeds))
    result = np.eye(seeds.max() + 1)[np.maximum(seeds, 0)]
    sign = 1 if slip == "sign" else -1
    inner = laplacian[np.ix_(free, free)]
    if slip == "degree among the free":
        inner = inner + 1e-9 * np.eye(len(free))
    result[free] = np.linalg.solve(inner, sign * laplacian[np.ix_(free, known)] @ result[known])
    if slip == "seeds left out":
        result[known] = 0
    return result


WALK_SLIPS = {
    "L holds minus the weights: the right side is minus L's part at the seeds": "sign",
    "edges differ: sum and use the weights, do not count them": "equal edges",
    "a seed is of its class with probability 1": "seeds left out",
}


def steady_cases():
    """Return [(name, image (n,), prior (n, classes), beta, gamma)]."""

    def two(*first):
        return np.stack([first, 1 - np.array(first)], axis=1)

    rng = np.random.default_rng(0)
    grey, three = rng.random(6), rng.dirichlet(np.ones(3), 6)
    return [
        ("beta 0", np.array([0.0, 1, 3]), two(0.9, 0.5, 0.1), 0.0, 1.0),
        ("a lone dissenter, gamma 1", np.array([0.0, 1, 3]), two(0.9, 0.4, 0.9), 0.0, 1.0),
        ("the same, gamma 10", np.array([0.0, 1, 3]), two(0.9, 0.4, 0.9), 0.0, 10.0),
        ("three classes, beta 5", grey, three, 5.0, 0.3),
        ("an image without contrast", np.full(3, 7.0), two(0.9, 0.4, 0.9), 30.0, 1.0),
    ]


def check_steady(steady):
    """Check steady(image, prior, beta, gamma) -> probabilities (n, classes), a row of voxels."""
    for name, image, prior, beta, gamma in steady_cases():
        with np.errstate(divide="ignore", invalid="ignore"):
            got = steady(image.copy(), prior.copy(), beta, gamma)
        if got is None:
            return TO_DO.format("steady")
        got, right = np.asarray(got, float), solve_steady(image, prior, beta, gamma)
        if got.shape != right.shape:
            hint = "a row for each voxel, a column for each class"
            return f"Not yet ({name}): {got.shape}, right is {right.shape}. Hint: {hint}."
        if np.isnan(got).any():
            hint = "where no two voxels differ, do not divide by the largest difference, 0"
            return f"Not yet ({name}): it gives NaN. Hint: {hint}."
        if not np.allclose(got, right, atol=1e-6):
            hints = [
                hint
                for hint, slip in STEADY_SLIPS.items()
                if np.allclose(got, solve_steady(image, prior, beta, gamma, slip), atol=1e-6)
            ]
            hint = hints[0] if hints else "(L + gamma * identity) x = gamma * prior"
            found = f"{got[0, 0]:.4f} {got[1, 0]:.4f} ..., right is {right[0, 0]:.4f} "
            found += f"{right[1, 0]:.4f} ..."
            return f"Not yet ({name}): class 0 is {found}. Hint: {hint}."
    return "Yes: the dissenter yields at gamma 1 and stays at gamma 10, and edges are respected."


def solve_steady(image, prior, beta, gamma, slip=None):
    """Right by default; `slip` names what is wrong."""
    gaps = np.abs(np.diff(image)) ** (1 if slip == "not squared" else 2)
    largest = 1 if slip == "not scaled" else gaps.max() or 1
    weights = np.exp((1 if slip == "grows" else -1) * beta * gaps / largest)
    if slip == "beta ignored":
        weights = np.ones_like(gaps)
    joined = path(*weights)
    laplacian = np.diag(joined.sum(0)) - joined
    pull = 1 if slip == "left only" else gamma
    kept = 1 if slip == "right only" else gamma
    found = np.linalg.solve(laplacian + kept * np.eye(len(image)), pull * prior)
    return found.argmax(1)[:, None] == np.arange(prior.shape[1]) if slip == "labels" else found


STEADY_SLIPS = {
    "gamma stands on both sides: at the prior, too": "left only",
    "gamma stands on both sides: on the diagonal, too": "right only",
    "the differences of grey values are squared": "not squared",
    "the squared differences are divided by the largest of them": "not scaled",
    "the larger the difference, the smaller the weight: exp of minus beta": "grows",
    "beta and the image decide the weights": "beta ignored",
    "probabilities are asked, not labels": "labels",
}


def vote_cases():
    """Return [(name, patch (n,), library (m, n), labels (m,), threshold)]."""
    patch = np.array([1.0, 2, 3])
    library = np.array([[1, 2, 3.2], [1, 2.2, 3], [1.5, 2, 3], [4, 5, 6]])
    labels = np.array([1, 1, 0, 0])
    # The first is nearest but flat, the last is darker; the others may vote.
    near = np.array([[2, 2, 2.1], [1.9, 2.9, 3.8], [1.6, 3.2, 4.2], [0.1, 0.9, 1.6]])
    return [
        ("four patches", patch, library, labels, 0.95),
        ("every patch votes", patch, library, labels, 0.0),
        ("the nearest may not vote", patch, near, np.array([1, 1, 0, 0]), 0.8),
        ("one is the same", patch, np.vstack([patch, library[:3]]), np.array([0, 1, 1, 1]), 0.9),
        ("none may vote", patch, library[2:], labels[2:] + 1, 0.999),
    ]


def check_vote(vote):
    """Check vote(patch, library, labels, threshold) -> share of the votes for label 1."""
    for name, *case in vote_cases():
        with np.errstate(divide="ignore", invalid="ignore"):
            got = vote(*[np.copy(part) for part in case[:3]], case[3])
        if got is None:
            return TO_DO.format("vote")
        if np.ndim(got):
            return f"Not yet ({name}): an array of shape {np.shape(got)}. Hint: one share is asked."
        right = solve_vote(*case)
        if np.isnan(got):
            hint = (
                "where no patch may vote, the nearest decides alone"
                if name.startswith("none")
                else "h is the smallest distance plus 0.0001, so that it is never 0"
            )
            return f"Not yet ({name}): it gives NaN, right is {right:.6f}. Hint: {hint}."
        if not np.isclose(got, right, atol=2e-7):
            hints = [
                hint
                for hint, slip in VOTE_SLIPS.items()
                if np.isclose(got, solve_vote(*case, slip), atol=2e-7, equal_nan=True)
            ]
            hint = hints[0] if hints else "weights exp(-d / h) of those above the threshold"
            return f"Not yet ({name}): {float(got):.6f}, right is {right:.6f}. Hint: {hint}."
    return "Yes: the alike vote, the near ones loudest, and nobody divides by 0."


def alike(one, other):
    return 2 * one * other / (one**2 + other**2)


def solve_vote(patch, library, labels, threshold, slip=None):
    """Right by default; `slip` names what is wrong."""
    distances = ((library - patch) ** 2).sum(1)
    if slip == "mean":
        distances = distances / len(patch)
    if slip == "root":
        distances = np.sqrt(distances)
    similar = alike(library.mean(1), patch.mean())
    if slip != "brightness alone":
        similar = similar * alike(library.std(1), patch.std())
    voters = similar > threshold
    if slip == "all vote":
        voters = np.ones(len(library), bool)
    if not voters.any():
        with np.errstate(invalid="ignore"):
            nobody = {"nobody": 0.0, "nan": np.nan}
            return nobody.get(slip, float(labels[distances.argmin()]))
    scale = (distances if slip == "scale of all" else distances[voters]).min()
    scale += 0 if slip in ("no eps", "nan") else 1e-4
    with np.errstate(divide="ignore", invalid="ignore"):
        weights = np.exp(-distances / scale)[voters]
    if slip == "equal":
        weights = np.ones(voters.sum())
    if slip == "not divided":
        return (weights * labels[voters]).sum()
    share = (weights * labels[voters]).sum() / weights.sum()
    return float(share >= 0.5) if slip == "decided" else share


VOTE_SLIPS = {
    "only patches above the threshold vote": "all vote",
    "means and deviations: both factors must be near 1": "brightness alone",
    "the distance is the sum over the patch, not its mean": "mean",
    "the distance is squared: no root": "root",
    "h is the smallest distance among those that vote": "scale of all",
    "near patches count more: exp(-d / h)": "equal",
    "divide by the sum of the weights": "not divided",
    "the share is asked, not the decision": "decided",
    "h is the smallest distance plus 0.0001": "no eps",
    "where no patch may vote, the nearest decides alone": "nobody",
}


EXERCISES = [
    Exercise(
        check_walk,
        solve_walk,
        [
            (lambda weights, seeds, slip=slip: solve_walk(weights, seeds, slip), hint)
            for hint, slip in WALK_SLIPS.items()
        ]
        + [
            (lambda w, s: solve_walk(w, s, "degree among the free"), "L x = 0"),
            (lambda w, s: solve_walk(w, s, "no degree"), "L x = 0"),
            (lambda w, s: solve_walk(w, s).argmax(1), "a column for each class"),
            (lambda w, s: solve_walk(w, s).T, "a row for each node"),
        ],
    ),
    Exercise(
        check_steady,
        solve_steady,
        [
            (lambda *case, slip=slip: solve_steady(*case, slip), hint)
            for hint, slip in STEADY_SLIPS.items()
        ]
        + [
            (
                lambda image, prior, beta, gamma: solve_steady(
                    image / np.sqrt((np.diff(image) ** 2).max()), prior, beta, gamma
                ),
                "do not divide by the largest difference, 0",
            ),
            (lambda image, prior, beta, gamma: prior.T, "a row for each voxel"),
        ],
    ),
    Exercise(
        check_vote,
        solve_vote,
        [
            (lambda *case, slip=slip: solve_vote(*case, slip), hint)
            for hint, slip in VOTE_SLIPS.items()
        ]
        + [
            (lambda *case: solve_vote(*case, "nan"), "plus 0.0001"),
            (lambda *case: case[2] * 1.0, "one share is asked"),
        ],
    ),
]
