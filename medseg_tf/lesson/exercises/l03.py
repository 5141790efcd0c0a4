"""Lesson 03: the sizes of a U-Net, its weight map, and the SEG measure."""

import numpy as np
from scipy.ndimage import distance_transform_edt

from . import TO_DO, Exercise

FITTING = {  # (side, depth): (output, crops a side from the deepest skip up)
    (572, 4): (388, [4, 16, 40, 88]),
    (188, 4): (4, [4, 16, 40, 88]),
    (92, 3): (4, [4, 16, 40]),
}


def check_sizes(sizes):
    """Check sizes(side, depth) -> (output side, crops), or None for a side that does not fit."""
    for (side, depth), (output, crops) in FITTING.items():
        got = sizes(side, depth)
        if got is None and side == 572:
            return TO_DO.format("sizes")
        if got is None:
            hint = "only a pooling needs an even side"
            return f"Not yet: sizes({side}, {depth}) gave None, but it fits. Hint: {hint}."
        found, cut = int(got[0]), [int(crop) for crop in got[1]]
        if found != output:
            hint = size_hint(found - output, depth)
        elif cut != crops:
            hint = crop_hint(cut, crops)
        else:
            continue
        right = f"right is ({output}, {crops})"
        return f"Not yet: sizes({side}, {depth}) gave ({found}, {cut}), {right}. Hint: {hint}."
    for side, depth in [(570, 4), (512, 4), (94, 3)]:
        if (got := sizes(side, depth)) is not None:
            hint = "a pooling needs an even side; // 2 also halves an odd one, silently"
            return f"Not yet: sizes({side}, {depth}) gave {got}, right is None. Hint: {hint}."
    return "Yes: the output, the crops, and which sides do not fit."


def size_hint(excess, depth):
    missing = {
        4 * 2**depth: "two convolutions stand at the bottom, too",
        4 * (2**depth - 1): "two convolutions follow each up-convolution",
        6 * 2**depth - 4: "each stage has two convolutions",
    }
    return missing.get(excess, "follow 572 by hand through the table of the lesson")


def crop_hint(cut, crops):
    if cut == crops[::-1]:
        return "start with the deepest skip"
    if cut == [2 * crop for crop in crops]:
        return "half of the difference is cut on each side"
    return "compare a skip's side with the side right after the up-convolution"


def solve_sizes(side, depth):
    skips, crops = [], []
    for _ in range(depth):
        side -= 4
        if side % 2:
            return None
        skips.append(side)
        side //= 2
    side -= 4
    for skip in reversed(skips):
        side *= 2
        crops.append((skip - side) // 2)
        side -= 4
    return side, crops


def check_border_weight(border_weight):
    """Check border_weight(label, w0, sigma) -> weights, for a label of object numbers."""
    from medseg_tf.data import unet_weight_map

    two = np.zeros((5, 8), int)
    two[1:4, 0:2], two[1:4, 4:7] = 1, 2
    three = np.zeros((7, 7), int)
    three[0:2, 0:2], three[0:2, 4:7], three[5:7, 2:5] = 1, 2, 3
    for name, label in {"two cells": two, "three cells": three, "one cell": two % 2}.items():
        got = border_weight(label, 10, 5)
        if got is None:
            return TO_DO.format("border_weight")
        right, got = unet_weight_map(label, 10, 5), np.asarray(got, float)
        if got.shape != right.shape:
            hint = "one weight a pixel"
            return f"Not yet ({name}): shape {got.shape}, right is {right.shape}. Hint: {hint}."
        if np.allclose(got, right, atol=1e-4):
            continue
        if name == "one cell":
            hint = "without a second cell there is no gap: the weight is 1 everywhere"
        else:
            mistakes = border_mistakes(label, 10, 5).items()
            hints = [hint for hint, wrong in mistakes if np.allclose(got, wrong, atol=1e-4)]
            hint = hints[0] if hints else "compare d1 and d2 at this pixel with a ruler"
        where = tuple(int(i) for i in np.unravel_index(abs(got - right).argmax(), got.shape))
        numbers = f"weight {got[where]:.4f} at {where}, right is {right[where]:.4f}"
        return f"Not yet ({name}): {numbers}. Hint: {hint}."
    return "Yes: dear in the gaps, 1 inside the cells, and nothing special about a single cell."


def border_mistakes(label, w0, sigma):
    """Return the maps that typical mistakes give: {hint: map}."""
    cells = range(1, label.max() + 1)
    distances = np.sort([distance_transform_edt(label != cell) for cell in cells], axis=0)
    d1, d2, d_last = distances[0], distances[min(1, label.max() - 1)], distances[-1]
    outside, wide = label == 0, 2 * sigma**2
    return {
        "inside a cell the weight stays 1": 1 + w0 * np.exp(-((d1 + d2) ** 2) / wide),
        "add the 1 that every pixel has": outside * w0 * np.exp(-((d1 + d2) ** 2) / wide),
        "d2 belongs to another cell than d1; one map of all cells together knows no second cell": 1
        + outside * w0 * np.exp(-((2 * d1) ** 2) / wide),
        "add the distances first, then square": 1 + outside * w0 * np.exp(-(d1**2 + d2**2) / wide),
        "divide by two sigma squared": 1 + outside * w0 * np.exp(-(((d1 + d2) / sigma) ** 2)),
        "d2 is the second smallest of all distances": 1
        + outside * w0 * np.exp(-((d1 + d_last) ** 2) / wide),
    }


def solve_border_weight(label, w0, sigma):
    cells = np.unique(label[label > 0])
    if len(cells) < 2:
        return np.ones(label.shape)
    distances = np.sort([distance_transform_edt(label != cell) for cell in cells], axis=0)
    gap = distances[0] + distances[1]
    return 1 + (label == 0) * w0 * np.exp(-(gap**2) / (2 * sigma**2))


def seg_cases():
    """Return [(name, truth, result, right, {wrong number: hint})]."""
    truth, result = np.zeros((6, 10), int), np.zeros((6, 10), int)
    truth[0:3, 0:4], truth[0:3, 6:10], truth[4:6, 0:4] = 1, 2, 3
    result[0:3, 0:3], result[0:3, 6:8], result[0:3, 8:10], result[3:6, 0:4] = 5, 7, 8, 9
    row = np.arange(24)[None]
    one = (row < 10) * 1
    return [
        (
            "three cells, one of them cut in half",
            truth,
            result,
            (9 / 12 + 0 + 8 / 12) / 3,
            {
                (9 / 12 + 6 / 12 + 8 / 12) / 3: "exactly half is not more than half: no match",
                (9 / 12 + 8 / 12) / 2: "a cell without a match counts as 0 in the mean",
                (9 / 12 + 8 / 12) / 4: "the mean is over the true cells, not over the result's",
                29 / 36: "score each cell by itself, not all pixels together",
            },
        ),
        (
            "a result far larger than its cell",
            one,
            ((row >= 2) * 1),
            8 / 24,
            {0: "the match asks for more than half of the true cell, whatever their IoU"},
        ),
        ("an object too many", one, one + 2 * (row > 20), 1, {}),
        ("an empty result", one, 0 * one, 0, {}),
    ]


def check_seg(seg):
    """Check seg(truth, result) -> number, for two labels of object numbers."""
    for name, truth, result, right, hints in seg_cases():
        got = seg(truth, result)
        if got is None:
            return TO_DO.format("seg")
        if not np.isclose(got, right):
            close = [hint for wrong, hint in hints.items() if np.isclose(got, wrong)]
            hint = close[0] if close else "one score for each true cell, then their mean"
            return f"Not yet ({name}): seg gave {got:.4f}, right is {right:.4f}. Hint: {hint}."
    return "Yes: matches by more than half, missed cells count 0, extra objects cost nothing."


def solve_seg(truth, result):
    scores = []
    for cell in np.unique(truth[truth > 0]):
        inside, score = truth == cell, 0
        for number in np.unique(result[inside & (result > 0)]):
            found = result == number
            if (inside & found).sum() > inside.sum() / 2:
                score = (inside & found).sum() / (inside | found).sum()
        scores.append(score)
    return np.mean(scores)


def seg_at_half(truth, result):
    return solve_seg(truth, result) + ((truth == 2) & (result == 7)).sum() / 12 / 3


EXERCISES = [
    Exercise(
        check_sizes,
        solve_sizes,
        [
            (lambda side, depth: (side - 8 * 2**depth + 8, []), "stand at the bottom"),
            (lambda side, depth: (side - 8 * 2**depth + 4, []), "follow each up-convolution"),
            (lambda side, depth: (side - 6 * 2**depth + 4, []), "each stage has two"),
            (lambda side, depth: (388, [88, 40, 16, 4]), "deepest skip"),
            (lambda side, depth: (388, [8, 32, 80, 176]), "on each side"),
            (lambda side, depth: (388, [6, 18, 42, 90]), "right after the up-convolution"),
            (lambda side, depth: FITTING.get((side, depth), (side - 184, [])), "even side"),
        ],
    ),
    Exercise(
        check_border_weight,
        solve_border_weight,
        [
            (lambda label, w0, sigma, hint=hint: border_mistakes(label, w0, sigma)[hint], hint)
            for hint in border_mistakes(np.eye(2, dtype=int), 10, 5)
        ],
    ),
    Exercise(
        check_seg,
        solve_seg,
        [
            (seg_at_half, "exactly half"),
            (lambda truth, result: 29 / 36, "each cell by itself"),
            (lambda truth, result: (9 / 12 + 8 / 12) / 2, "counts as 0"),
            (lambda truth, result: (9 / 12 + 8 / 12) / 4, "not over the result's"),
        ],
    ),
]
