"""Lesson A1: what two rules of decay leave of a weight, and components of many classes."""

import numpy as np
from scipy import ndimage

from . import TO_DO, Exercise

RATES = {"a constant rate": [0.1] * 10, "a rate that falls": [0.1] * 5 + [0.01] * 5}


def check_left(left):
    """Check left(rates, decay, rule) -> the share of a weight that decay alone leaves."""
    for name, rates in RATES.items():
        for rule in ("tfa", "keras"):
            got = left(list(rates), 0.2, rule)
            if got is None:
                return TO_DO.format("left")
            right = solve_left(rates, 0.2, rule)
            if np.shape(got) != () or not np.isclose(got, right):
                hints = [
                    h for h, slip in LEFT_SLIPS.items() if np.isclose(got, slip(rates, 0.2, rule))
                ]
                hint = hints[0] if hints else "multiply what is left, step by step"
                return (
                    f"Not yet ({name}, rule {rule!r}): {np.round(got, 4)} is left, right is "
                    f"{right:.4f}. Hint: {hint}."
                )
    return "Yes: one rule does not know the rate, the other follows it."


def solve_left(rates, decay, rule):
    shares = np.full(len(rates), decay) if rule == "tfa" else decay * np.array(rates)
    return float(np.prod(1 - shares))


def swapped(rates, decay, rule):
    return solve_left(rates, decay, "keras" if rule == "tfa" else "tfa")


def straight(rates, decay, rule):
    return 1 - decay * (len(rates) if rule == "tfa" else sum(rates))


def first_rate(rates, decay, rule):
    return solve_left([rates[0]] * len(rates), decay, rule)


LEFT_SLIPS = {
    "TFA's decay does not know the rate; the two rules differ": swapped,
    "each step takes its share of what is left, not of the first weight": straight,
    "Keras takes the rate of each step, not that of the first": first_rate,
}

MAPS = {
    "two parts of one class": [[1, 1, 0], [0, 0, 0], [0, 1, 1]],
    "a class in two parts between others": [[2, 1, 2], [2, 1, 2], [0, 0, 3]],
    "two classes that touch": [[1, 1, 2], [1, 2, 2], [0, 0, 0]],
    "corners that touch": [[3, 0, 0], [0, 3, 0], [0, 0, 3]],
}


def check_components(components):
    """Check components(label) -> the number of each pixel's component, 0 on the background."""
    for name, label in MAPS.items():
        got = components(np.array(label))
        if got is None:
            return TO_DO.format("components")
        got, right = np.asarray(got), solve_components(np.array(label))
        if got.shape != right.shape or not same_parts(got, right):
            hint = "as many numbers as there are parts of one class"
            if got.shape == right.shape:
                hint = next(filter(None, (rule(got, right) for rule in PART_HINTS)), hint)
            return f"Not yet ({name}): {got.tolist()}, right is {right.tolist()}. Hint: {hint}."
    return "Yes: one value, four neighbours, and no number twice."


def same_parts(one, other):
    """True if two maps of numbers, 0 for the background, differ in the numbers alone."""
    pairs = {(int(a), int(b)) for a, b in zip(one.flat, other.flat, strict=True)}
    return all((a == 0) == (b == 0) for a, b in pairs) and (
        len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})
    )


def solve_components(label):
    numbers = np.zeros(label.shape, int)
    for value in np.unique(label[label > 0]):
        parts, _ = ndimage.label(label == value)
        numbers[parts > 0] = parts[parts > 0] + numbers.max()
    return numbers


def joined(label):
    return ndimage.label(label > 0)[0]


def diagonal(label):
    numbers = np.zeros(label.shape, int)
    for value in np.unique(label[label > 0]):
        parts, _ = ndimage.label(label == value, np.ones((3, 3)))
        numbers[parts > 0] = parts[parts > 0] + numbers.max()
    return numbers


def from_one_again(label):
    return sum(ndimage.label(label == value)[0] for value in np.unique(label[label > 0]))


def with_background(label):
    numbers = np.zeros(label.shape, int)
    for value in np.unique(label):
        parts, _ = ndimage.label(label == value)
        numbers[parts > 0] = parts[parts > 0] + numbers.max()
    return numbers


PART_HINTS = [
    lambda got, right: "the background is no component: 0" if np.any(got[right == 0]) else "",
    lambda got, right: (
        "four neighbours, so corners do not join" if got.max() == 1 and right.max() == 3 else ""
    ),
    lambda got, right: (
        "classes that touch are joined: take one class at a time"
        if np.array_equal(got, joined(right))
        else ""
    ),
    lambda got, right: (
        "two components have one number: go on counting from class to class"
        if len(np.unique(got)) < len(np.unique(right))
        else ""
    ),
]

EXERCISES = [
    Exercise(
        check_left,
        solve_left,
        [
            (swapped, "does not know the rate"),
            (straight, "of what is left"),
            (first_rate, "not that of the first"),
            (lambda rates, decay, rule: 0.5, "step by step"),
        ],
    ),
    Exercise(
        check_components,
        solve_components,
        [
            (joined, "one class at a time"),
            (diagonal, "corners do not join"),
            (from_one_again, "go on counting"),
            (with_background, "no component"),
        ],
    ),
]
