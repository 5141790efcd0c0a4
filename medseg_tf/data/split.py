"""Split cases so that no subject is on both sides."""

import math

import numpy as np

from medseg_tf.errors import ConfigError


def split_by_subject(cases, fractions, seed=0):
    """Split cases into parts, every subject in one part only.

    Args:
        cases: list of Case.
        fractions: share of the subjects for each part, e.g. (0.8, 0.2); where they sum to less
            than 1 the remaining subjects are left out.
        seed: int or numpy Generator that shuffles the subjects.

    Returns:
        A list of lists of Case, one a fraction, cases in the order they came in. Shares that are
        no whole number of subjects are rounded by largest remainder; a part whose fraction is
        above 0 has at least one subject.

    Raises:
        ConfigError: fractions are negative or sum to more than 1, or there are fewer subjects
            than parts.
    """
    subjects = list(dict.fromkeys(case.subject for case in cases))
    counts = share_out(len(subjects), fractions)
    order = np.random.default_rng(seed).permutation(len(subjects))
    part_of = {}
    for part, end in enumerate(np.cumsum(counts)):
        part_of |= {subjects[i]: part for i in order[end - counts[part] : end]}
    return [
        [case for case in cases if part_of.get(case.subject) == part] for part in range(len(counts))
    ]


def share_out(subjects, fractions):
    """Return how many of `subjects` (int) each fraction gets, by largest remainder."""
    total, parts = sum(fractions), sum(fraction > 0 for fraction in fractions)
    if not all(fraction >= 0 for fraction in fractions) or total > 1 + 1e-9:
        raise ConfigError(
            f"fractions {tuple(fractions)} sum to {total:.6g}; each must be 0 or more and their "
            "sum at most 1."
        )
    if subjects < parts:
        raise ConfigError(
            f"{parts} parts need at least {parts} subjects, but the cases come from {subjects}; "
            "load more cases, or split into fewer parts."
        )
    exact = [fraction * subjects for fraction in fractions]
    counts = [math.floor(share) for share in exact]
    by_remainder = sorted(range(len(exact)), key=lambda part: counts[part] - exact[part])
    for part in by_remainder[: round(sum(exact)) - sum(counts)]:
        counts[part] += 1
    for part, fraction in enumerate(fractions):
        if fraction > 0 and counts[part] == 0:
            if sum(counts) == subjects:
                counts[counts.index(max(counts))] -= 1
            counts[part] = 1
    return counts
