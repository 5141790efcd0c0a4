import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medseg_tf.data import Case, Grid, Scan, split_by_subject
from medseg_tf.errors import ConfigError, MedsegError


def cases(*subjects):
    image = Scan(np.zeros((2, 2, 1)), Grid((2, 2)))
    return [Case(subject, image, name=str(i)) for i, subject in enumerate(subjects)]


def subjects(part):
    return {case.subject for case in part}


def test_ten_subjects_at_eight_to_two_give_eight_and_two():
    parts = split_by_subject(cases(*"abcdefghij"), (0.8, 0.2))
    assert [len(part) for part in parts] == [8, 2]


def test_a_subject_with_three_cases_stays_whole():
    parts = split_by_subject(cases("a", "b", "a", "b", "a", "b"), (0.5, 0.5))
    assert [len(part) for part in parts] == [3, 3] and not subjects(parts[0]) & subjects(parts[1])


def test_shares_round_by_largest_remainder():
    # 0.2, 0.3 and 0.5 of 7 are 1.4, 2.1 and 3.5: floors 1, 2, 3, and the one left goes to .5
    assert [len(p) for p in split_by_subject(cases(*"abcdefg"), (0.2, 0.3, 0.5))] == [1, 2, 4]


def test_a_small_share_still_gets_one_subject():
    assert [len(part) for part in split_by_subject(cases(*"abcd"), (0.95, 0.05))] == [3, 1]


def test_a_share_of_zero_gets_nothing():
    assert [len(part) for part in split_by_subject(cases(*"abcd"), (1.0, 0.0))] == [4, 0]


def test_fractions_below_one_leave_subjects_out():
    assert [len(part) for part in split_by_subject(cases(*"abcdefghij"), (0.5, 0.2))] == [5, 2]


def test_two_parts_of_one_subject_are_refused_with_the_number_of_subjects():
    with pytest.raises(ConfigError, match="at least 2 subjects, but the cases come from 1"):
        split_by_subject(cases("a", "a"), (0.5, 0.5))


@pytest.mark.parametrize("fractions", [(0.8, 0.3), (1.2, -0.2), (float("nan"), 0.5)])
def test_fractions_that_are_no_shares_are_refused(fractions):
    with pytest.raises(ConfigError, match="at most 1"):
        split_by_subject(cases(*"abcd"), fractions)


def test_another_seed_gives_another_split():
    splits = {frozenset(subjects(split_by_subject(cases(*"abcdefgh"), (0.5, 0.5), seed)[0]))
              for seed in range(10)}  # fmt: skip
    assert len(splits) > 1


fraction_lists = st.lists(st.integers(0, 10), min_size=1, max_size=4).map(
    lambda parts: [part / max(sum(parts), 1) for part in parts]
)


@given(st.lists(st.integers(0, 12), max_size=40), fraction_lists, st.integers(0, 2**32))
def test_every_split_keeps_subjects_whole_cases_in_order_and_positive_parts_filled(
    numbers, fractions, seed
):
    given_cases = cases(*map(str, numbers))
    try:
        parts = split_by_subject(given_cases, fractions, seed)
    except MedsegError:
        assert len(set(numbers)) < sum(fraction > 0 for fraction in fractions)
        return
    names = [[int(case.name) for case in part] for part in parts]
    assert all(part == sorted(part) for part in names)
    assert sum(len(subjects(part)) for part in parts) == len(set.union(*map(subjects, parts)))
    assert all(
        bool(part) == (fraction > 0) for part, fraction in zip(parts, fractions, strict=True)
    )
    if sum(fractions) > 0:
        assert sorted(sum(names, [])) == list(range(len(given_cases)))
    again = split_by_subject(given_cases, fractions, seed)
    assert [[case.name for case in part] for part in again] == [
        [case.name for case in part] for part in parts
    ]


@given(st.integers(4, 60), fraction_lists)
def test_no_part_is_a_whole_subject_away_from_its_share_unless_it_was_lifted_to_one(n, fractions):
    counts = [len(part) for part in split_by_subject(cases(*map(str, range(n))), fractions)]
    lifted = any(0 < fraction * n < 1 for fraction in fractions)
    for count, fraction in zip(counts, fractions, strict=True):
        assert abs(count - fraction * n) < 1 + 1e-9 or lifted
