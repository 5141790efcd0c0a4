"""Lesson 00: places and distances in mm, Dice with its rule for empty masks, a split by subject."""

import numpy as np
from scipy.spatial.transform import Rotation

from . import TO_DO, Exercise


def place_cases():
    """Return [(name, affine, a, b)]: affine (4, 4), voxels a and b."""
    shifted, thick, turned = np.eye(4), np.diag([1.0, 1, 3, 1]), np.eye(4)
    shifted[:3, 3] = 10, -20, 5
    thick[:3, 3] = -90, -126, -72
    turned[:3, :3] = Rotation.from_euler("z", 30, degrees=True).as_matrix() @ np.diag([-1.5, 2, 3])
    turned[:3, 3] = 10, -20, 5
    a, b = np.array([4, 3, 2]), np.array([10, 3, 6])
    return [
        ("voxels of 1 mm, only shifted", shifted, a, b),
        ("slices 3 mm thick", thick, a, b),
        ("a scan turned by 30 degrees, x mirrored", turned, a, b),
    ]


def check_measure(measure):
    """Check measure(affine, a, b) -> (place of voxel a, distance from a to b), in mm."""
    for name, affine, a, b in place_cases():
        got = measure(affine.copy(), a.copy(), b.copy())
        if got is None:
            return TO_DO.format("measure")
        place, distance = np.asarray(got[0], float), float(got[1])
        right_place, right = solve_measure(affine, a, b)
        mistakes = measure_mistakes(affine, a, b).items()
        if place.shape != (3,):
            found = f"a place of shape {place.shape}, right is (3,): x, y and z"
            return f"Not yet ({name}): {found}. Hint: the fourth number, 1, is only there to shift."
        if not np.allclose(place, right_place):
            hints = [hint for hint, (wrong, _) in mistakes if np.allclose(place, wrong)]
            hint = hints[0] if hints else "affine @ (i, j, k, 1), its first three numbers"
            found = (
                f"the place is {place.round(2).tolist()}, right is {right_place.round(2).tolist()}"
            )
            return f"Not yet ({name}): {found}. Hint: {hint}."
        if not np.isclose(distance, right):
            hints = [hint for hint, (_, wrong) in mistakes if np.isclose(distance, wrong)]
            hint = hints[0] if hints else "both voxels' places first, then Pythagoras"
            return (
                f"Not yet ({name}): the distance is {distance:.4f}, right is {right:.4f} mm. "
                f"Hint: {hint}."
            )
    return "Yes: places and distances in mm, however the scan lies."


def measure_mistakes(affine, a, b):
    """Return what typical mistakes give: {hint: (place, distance)}."""
    place, distance = solve_measure(affine, a, b)
    linear, shift, step = affine[:3, :3], affine[:3, 3], b - a
    return {
        "the last column shifts: each place needs it": (linear @ a, distance),
        "columns of the affine belong to i, j and k: affine @ voxel, not voxel @ affine": (
            linear.T @ a + shift,
            np.linalg.norm(linear.T @ step),
        ),
        "a turned scan has numbers off the diagonal, too": (
            np.diag(linear) * a + shift,
            np.linalg.norm(np.diag(linear) * step),
        ),
        "that is a distance in voxels; in which mm do they lie": (place, np.linalg.norm(step)),
        "take the root of the sum of squares": (place, distance**2),
        "as the crow flies: the root of the sum of squares, not the sum of the steps": (
            place,
            np.abs(linear @ step).sum(),
        ),
        "a distance is a difference of two places: the shift cancels": (
            place,
            np.linalg.norm(linear @ step + shift),
        ),
    }


def solve_measure(affine, a, b):
    places = np.array([a, b]) @ affine[:3, :3].T + affine[:3, 3]
    return places[0], np.linalg.norm(places[1] - places[0])


def dice_cases():
    """Return [(name, a, b)]: two masks."""
    half = np.array([1, 1, 0, 0, 0]), np.array([0, 1, 1, 0, 0])
    nothing, all_on = np.zeros(5, bool), np.ones(5, bool)
    return [
        ("half overlap", *(mask.astype(bool) for mask in half)),
        ("the same as whole numbers", *half),
        ("a small mask in a large one", half[0].astype(bool), all_on),
        ("one empty", half[0].astype(bool), nothing),
        ("both empty", nothing, nothing),
    ]


def check_dice(dice):
    """Check dice(a, b) for two masks of one shape, of True and False or of 1 and 0."""
    for name, a, b in dice_cases():
        try:
            got = dice(a.copy(), b.copy())
        except ZeroDivisionError:
            return f"Not yet ({name}): 0 / 0 stopped it. Hint: our rule for 0 / 0 is NaN."
        if got is None:
            return TO_DO.format("dice")
        right = solve_dice(a, b)
        if not np.isclose(got, right, equal_nan=True):
            mistakes = dice_mistakes(a, b).items()
            hints = [hint for hint, wrong in mistakes if np.isclose(got, wrong, equal_nan=True)]
            hint = hints[0] if hints else "2 * pixels in both / (pixels of a + pixels of b)"
            return f"Not yet ({name}): got {float(got):.4g}, right is {right:.4g}. Hint: {hint}."
    return "Yes: right for overlapping and for empty masks, whatever type they have."


def dice_mistakes(a, b):
    """Return what typical mistakes give: {hint: number}."""
    a, b = a.astype(bool), b.astype(bool)
    both, either, pixels = (a & b).sum(), (a | b).sum(), len(a)
    if not either:
        return {
            "nothing to find and nothing found says nothing: NaN, and means skip it": 1.0,
            "0 would punish a case in which nothing is wrong: NaN, and means skip it": 0.0,
        }
    sizes = a.sum() + b.sum()
    return {
        "the overlap counts twice, once for each mask": both / sizes,
        "that is the IoU: Dice divides by the sum of both sizes": both / either,
        "that is accuracy: pixels outside both masks do not count": (a == b).sum() / pixels,
        "for True and False, a + b is 'or': count each mask by itself": 2 * both / either,
        "only a case with both masks empty is NaN": np.nan,
    }


def solve_dice(a, b):
    a, b = a.astype(bool), b.astype(bool)
    total = a.sum() + b.sum()
    return float(2 * (a & b).sum() / total) if total else np.nan


SUBJECTS = ["anna"] * 4 + ["ben"] * 10 + ["cleo"] * 2 + ["dana"] * 6 + ["emil"] * 8
SUBJECTS = [SUBJECTS[(7 * place) % len(SUBJECTS)] for place in range(len(SUBJECTS))]


def check_hold_back(hold_back):
    """Check hold_back(subjects, fraction, rng) -> True for each slice to be held back."""
    drawn = set()
    for fraction in (0.4, 0.2, 0.6):
        for seed in range(8):
            got = hold_back(list(SUBJECTS), fraction, np.random.default_rng(seed))
            if got is None:
                return TO_DO.format("hold_back")
            got = np.asarray(got)
            name = f"{fraction:.0%} of 5 subjects, seed {seed}"
            if got.shape != (len(SUBJECTS),) or got.dtype != bool:
                found = f"an array of {got.dtype}, shape {got.shape}"
                return (
                    f"Not yet ({name}): {found}. Hint: one True or False a slice, "
                    f"({len(SUBJECTS)},) in all."
                )
            held = {who for who, out in zip(SUBJECTS, got, strict=True) if out}
            kept = {who for who, out in zip(SUBJECTS, got, strict=True) if not out}
            if both := sorted(held & kept):
                return (
                    f"Not yet ({name}): {both[0]} is on both sides. Hint: draw subjects, not "
                    "slices; then ask of each slice whose it is."
                )
            if len(held) != round(5 * fraction):
                return (
                    f"Not yet ({name}): {len(held)} subjects are held back, right is "
                    f"{round(5 * fraction)}. Hint: the fraction counts each subject once, however "
                    "many slices it has; without replacement."
                )
            drawn.add((fraction, tuple(sorted(held))))
    if len(drawn) < 9:
        return (
            "Not yet (other seeds): always the same subjects are held back. Hint: let rng draw "
            "them, or the order of the files decides."
        )
    return "Yes: no subject on both sides, and chance decides who is held back."


def solve_hold_back(subjects, fraction, rng):
    names = sorted(set(subjects))
    held = rng.choice(names, round(fraction * len(names)), replace=False)
    return np.isin(subjects, held)


def hold_back_slices(subjects, fraction, rng):
    return rng.random(len(subjects)) < fraction


def hold_back_first(subjects, fraction, rng):
    names = sorted(set(subjects))
    return np.isin(subjects, names[: round(fraction * len(names))])


def hold_back_twice(subjects, fraction, rng):
    names = sorted(set(subjects))
    return np.isin(subjects, [names[0]] * round(fraction * len(names)))


def answer(mistakes, hint):
    """Return a function that makes one mistake; where the mistake does not show it is right."""
    return lambda *given: mistakes(*given).get(hint, RIGHT[mistakes](*given))


RIGHT = {measure_mistakes: solve_measure, dice_mistakes: solve_dice}

EXERCISES = [
    Exercise(
        check_measure,
        solve_measure,
        [(answer(measure_mistakes, hint), hint) for hint in measure_mistakes(*place_cases()[0][1:])]
        + [(lambda affine, a, b: ([0, 0, 0, 1], 0), "the fourth number")],
    ),
    Exercise(
        check_dice,
        solve_dice,
        [
            (answer(dice_mistakes, hint), hint)
            for name, *masks in dice_cases()
            if name in ("half overlap", "both empty")
            for hint in dice_mistakes(*masks)
        ]
        + [(lambda a, b: 2 * int((a & b).sum()) / int(a.sum() + b.sum()), "0 / 0 is NaN")],
    ),
    Exercise(
        check_hold_back,
        solve_hold_back,
        [
            (hold_back_slices, "draw subjects, not slices"),
            (hold_back_first, "let rng draw"),
            (hold_back_twice, "counts each subject once"),
            (
                lambda subjects, fraction, rng: sorted(set(subjects))[:2],
                "one True or False a slice",
            ),
        ],
    ),
]
