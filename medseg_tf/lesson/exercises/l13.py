"""Lesson 13: where spreading ends, labels round by round, a calibration error."""

import numpy as np

from . import TO_DO, Exercise


def graphs():
    """Return [(name, weights, labels, alpha)]; the first two are the lesson's chain."""
    chain = np.diag([1.0, 1.0, 0.2, 1.0], 1)
    ends = np.array([0, -1, -1, -1, 1])
    places = np.array([0.0, 1, 2, 4, 5])
    near = np.exp(-((places[:, None] - places) ** 2))
    return [
        ("the chain, alpha .8", chain + chain.T, ends, 0.8),
        ("the chain, alpha .2", chain + chain.T, ends, 0.2),
        ("weights with a diagonal", near, ends, 0.8),
        ("three classes", near, np.array([2, -1, 1, -1, 0]), 0.5),
    ]


def check_spread(spread):
    """Check spread(weights, labels, alpha) -> (samples, classes)."""
    for name, *case in graphs():
        got = spread(*(np.copy(one) for one in case))
        if got is None:
            return TO_DO.format("spread")
        got, right = np.asarray(got), solve_spread(*case)
        if got.shape != right.shape:
            hint = "one row a sample, one column a class; the scores, not the largest of them"
            return f"Not yet ({name}): shape {got.shape}, right is {right.shape}. Hint: {hint}."
        if not np.allclose(got, right, atol=1e-6):
            hints = [
                hint
                for hint, slip in SPREAD_SLIPS.items()
                if np.allclose(got, solve_spread(*case, slip=slip), atol=1e-6)
            ]
            hint = hints[0] if hints else "(1 - alpha) (I - alpha S)^-1 Y, then each row by its sum"
            shown = f"{got[2, 0]:.4f}, right is {right[2, 0]:.4f}"
            return f"Not yet ({name}): sample 3, class 0: {shown}. Hint: {hint}."
    return "Yes: the weak edge is the border, and scikit-learn's LabelSpreading ends there too."


def solve_spread(weights, labels, alpha, slip=None):
    """Right without a slip; `slip` names what is wrong with it."""
    if slip != "diagonal":
        weights = weights - np.diag(np.diag(weights))
    degree = weights.sum(1)
    likeness = weights / np.sqrt(np.outer(degree, degree))
    if slip == "rows":
        likeness = weights / degree[:, None]
    elif slip == "plain":
        likeness = weights
    start = (labels[:, None] == np.arange(labels.max() + 1)).astype(float)
    if slip == "last":
        start = np.eye(labels.max() + 1)[labels]  # -1 is the last class in an index
    share = 1 - alpha if slip == "alpha" else alpha
    sign = -1 if slip == "sign" else 1
    scores = np.linalg.solve(np.eye(len(labels)) - sign * share * likeness, (1 - share) * start)
    if slip == "one step":
        scores = share * likeness @ start + (1 - share) * start
    if slip == "scores":
        return scores
    total = np.abs(scores).sum(1, keepdims=True)
    return scores / np.where(total > 0, total, 1)


SPREAD_SLIPS = {
    "divide each row by its sum at the end": "scores",
    "no sample is its own neighbour: take the diagonal out before the degrees": "diagonal",
    "S divides by the roots of both degrees, the row's and the column's": "rows",
    "W is not yet S: divide by the roots of both degrees": "plain",
    "alpha is the neighbours' share, 1 - alpha that of the own label": "alpha",
    "I minus alpha S, not plus": "sign",
    "that is one step; the end needs the inverse": "one step",
    "-1 means no label: such a row of Y holds zeros": "last",
}


def labelled_rounds():
    """Return [(name, given, truth, rounds)]; the first has 5 rounds of the sizes in the text."""
    counts, hits = [292, 244, 105, 40, 419], [275, 216, 82, 30, 278]
    given = np.concatenate([np.arange(n) < r for n, r in zip(counts, hits, strict=True)])
    given = np.r_[np.ones(100, int), given.astype(int)]
    rounds = np.r_[np.zeros(100, int), np.repeat(np.arange(1, 6), counts)]
    small = np.array([1, 0, 1, 1, 0, 2]), np.array([1, 1, 1, 0, 0, 2]), np.array([2, 0, 1, 2, 0, 1])
    return [
        ("1,100 labels in 5 rounds", given, np.ones(1200, int), rounds),
        ("six samples, mixed order", *small),
    ]


def check_report(per_round_report):
    """Check per_round_report(given, truth, rounds) -> (rounds, 3)."""
    for name, *case in labelled_rounds():
        got = per_round_report(*(np.copy(one) for one in case))
        if got is None:
            return TO_DO.format("per_round_report")
        got, right = np.asarray(got, float), solve_report(*case)
        if got.shape != right.shape:
            hint = "a row a round from 1 on, three numbers each; round 0 is left out"
            return f"Not yet ({name}): shape {got.shape}, right is {right.shape}. Hint: {hint}."
        if not np.allclose(got, right, atol=1e-6):
            hints = [
                hint
                for hint, slip in REPORT_SLIPS.items()
                if np.allclose(got, solve_report(*case, slip=slip), atol=1e-6)
            ]
            hint = hints[0] if hints else "labels, share right, share right in all rounds up to it"
            shown = f"{np.round(got[-1], 4).tolist()}, right is {np.round(right[-1], 4).tolist()}"
            return f"Not yet ({name}): last round {shown}. Hint: {hint}."
    return "Yes: the first round is best, and .801 of all given labels are right."


def solve_report(given, truth, rounds, slip=None):
    """Right without a slip; `slip` names what is wrong with it."""
    hits, rows = given == truth, []
    for number in range(1, rounds.max() + 1):
        own = rounds == number
        so_far = (rounds <= number) & (rounds > (-1 if slip == "known" else 0))
        share, all_share = hits[own].mean(), hits[so_far].mean()
        if slip == "mean":
            all_share = np.mean([row[1] for row in rows] + [share])
        elif slip == "counts":
            share, all_share = hits[own].sum(), hits[so_far].sum()
        elif slip == "of all":
            share, all_share = hits[own].sum() / hits.size, hits[so_far].sum() / hits.size
        rows.append((so_far.sum() if slip == "sums" else own.sum(), share, all_share))
    return np.array(rows, float)


REPORT_SLIPS = {
    "samples labelled from the start do not count, not even in the share so far": "known",
    "rounds differ in size: so far is right labels over labels, not a mean of shares": "mean",
    "shares, not numbers of right ones": "counts",
    "divide by the labels of the round, not by all samples": "of all",
    "the first column counts this round's labels alone": "sums",
}


def calibrations():
    """Return [(name, confidence, right, bins)]."""
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1, 200)
    ten = np.arange(10)
    return [
        ("confidence .9, 6 of 10 right", np.full(10, 0.9), ten < 6, 10),
        (
            "two bins that err both ways",
            np.repeat([0.55, 0.95], [30, 10]),
            np.arange(40) % 4 > 0,
            10,
        ),
        ("honest, confidence .7", np.full(10, 0.7), ten < 7, 10),
        ("200 answers, one of them sure", np.r_[confidence, 1.0], rng.random(201) < 0.7, 5),
    ]


def check_ece(ece):
    """Check ece(confidence, right, bins) -> a number."""
    for name, *case in calibrations():
        got = ece(np.copy(case[0]), np.copy(case[1]), case[2])
        if got is None:
            return TO_DO.format("ece")
        right = solve_ece(*case)
        if not np.isclose(got, right, atol=1e-6):
            hints = [
                hint
                for hint, slip in ECE_SLIPS.items()
                if np.isclose(got, solve_ece(*case, slip=slip), atol=1e-6)
            ]
            hint = hints[0] if hints else "per bin |share right - mean confidence|, weighted"
            return f"Not yet ({name}): {float(got):.4f}, right is {right:.4f}. Hint: {hint}."
    return "Yes: 0 for honest answers, .3 for those that say .9 and are right in .6."


def solve_ece(confidence, right, bins, slip=None):
    """Right without a slip; `slip` names what is wrong with it."""
    if slip == "one bin":
        return abs(right.mean() - confidence.mean())
    own = np.minimum((confidence * bins).astype(int), bins - 1)
    parts = [own == number for number in np.unique(own)]
    gaps = np.array([right[part].mean() - confidence[part].mean() for part in parts])
    weights = np.array([part.mean() for part in parts])
    if slip == "signed":
        return -float(gaps @ weights)
    if slip == "equal":
        return np.abs(gaps).mean()
    if slip == "largest":
        return np.abs(gaps).max()
    if slip == "squares":
        return float(gaps**2 @ weights)
    if slip == "errors":
        return 1 - right.mean()
    return float(np.abs(gaps) @ weights)


ECE_SLIPS = {
    "how often it is wrong is another number; compare with the confidence": "errors",
    "take each bin's absolute gap: otherwise two errors cancel": "signed",
    "first into bins, then the gaps: over all answers two errors cancel": "one bin",
    "weigh each bin by its share of the answers": "equal",
    "the mean of the gaps, not the largest": "largest",
    "absolute gaps, not squares": "squares",
}


def wrong_answers(solve, slips):
    return [
        (lambda *case, slip=slip: solve(*case, slip=slip), hint) for hint, slip in slips.items()
    ]


EXERCISES = [
    Exercise(
        check_spread,
        solve_spread,
        [
            *wrong_answers(solve_spread, SPREAD_SLIPS),
            (lambda *case: solve_spread(*case).argmax(1), "the scores, not the largest"),
        ],
    ),
    Exercise(
        check_report,
        solve_report,
        [
            *wrong_answers(solve_report, REPORT_SLIPS),
            (lambda *case: solve_report(*case)[:, :2], "three numbers each"),
        ],
    ),
    Exercise(check_ece, solve_ece, wrong_answers(solve_ece, ECE_SLIPS)),
]
