"""Simulated infants: contrasts that turn round with age, and little of either."""

import numpy as np
import pytest
from scipy import ndimage

from medseg_tf import data
from medseg_tf.data import phantoms
from medseg_tf.data.phantoms.infant_hippocampus import ADULT, T1, T2, ripened
from medseg_tf.errors import ConfigError

INFANTS = phantoms.infant_hippocampus(8)


def test_a_case_has_two_contrasts_and_a_hippocampus_of_its_own():
    for case in INFANTS:
        assert case.image.array.shape == (32, 44, 32, 2) and case.image.array.dtype == "uint16"
        assert np.unique(case.label.array).tolist() == [0, 1] and case.classes == 2
        assert 0.015 < case.label.array.mean() < 0.045
        assert case.image.grid.axes == "RAS"
    assert len({case.subject for case in INFANTS}) == len(INFANTS)


def test_the_hippocampus_is_one_piece_in_the_middle_left_of_the_middle_of_the_head():
    for case in INFANTS:
        inside = case.label.array == 1
        pieces = np.bincount(ndimage.label(inside)[0][inside])
        assert pieces.max() > 0.98 * pieces.sum()
        centre = np.argwhere(inside).mean(0)
        assert np.abs(centre - [15.5, 21.5, 15.5]).max() < 4
        assert case.image.grid.to_world(centre)[0] < -12


def test_an_infants_hippocampus_is_smaller_than_an_adults():
    (adult,), (infant,) = phantoms.hippocampus(1, size=48), phantoms.infant_hippocampus(1, size=48)
    assert 0.25 < infant.label.array.sum() / (adult.label.array > 0).sum() < 0.65


def test_names_say_the_age_from_two_weeks_to_nine_months_and_it_differs():
    ages = [float(case.name.split(", ")[1].removesuffix(" months")) for case in INFANTS]
    assert min(ages) >= 0.5 and max(ages) <= 9 and max(ages) > min(ages) + 3


def test_white_matter_is_darker_than_grey_in_t1_of_a_newborn_and_brighter_at_nine_months():
    difference = [np.diff(ripened(np.array(ADULT), age, T1)[1:])[0] for age in (0.5, 5, 9)]
    assert difference[0] < -0.05 and abs(difference[1]) < 0.03 and difference[2] > 0.05


def test_t2_turns_round_the_other_way_and_shows_fluid_brightest():
    newborn, older = (ripened(np.array(ADULT), age, T2) for age in (0.5, 9))
    assert newborn[2] > newborn[1] + 0.05 and older[2] < older[1] - 0.05
    assert newborn.argmax() == older.argmax() == 0


def best_interval(image, mask):
    """The best Dice that a lower and an upper threshold on grey values reach."""
    edges = np.quantile(image, np.linspace(0, 1, 60))
    found = np.r_[0, np.histogram(image[mask], edges)[0].cumsum()]
    called = np.r_[0, np.histogram(image, edges)[0].cumsum()]
    low, high = np.triu_indices(len(edges), 1)
    return (2 * (found[high] - found[low]) / (called[high] - called[low] + mask.sum())).max()


def test_no_pair_of_thresholds_on_either_contrast_finds_the_hippocampus():
    for case in INFANTS:
        for channel in (0, 1):
            assert best_interval(case.image.array[..., channel], case.label.array == 1) < 0.25


def test_slices_are_cases_of_the_same_infant():
    cut = data.slices(INFANTS[0], axis=0)
    assert cut[16].image.array.shape == (44, 32, 2) and cut[16].subject == INFANTS[0].subject
    assert cut[16].label.array.any()


def test_case_i_of_a_seed_does_not_depend_on_how_many_are_asked_for():
    few, many = (phantoms.infant_hippocampus(n, seed=3, size=12) for n in (1, 2))
    np.testing.assert_array_equal(few[0].image.array, many[0].image.array)
    assert not np.array_equal(many[0].image.array, many[1].image.array)


@pytest.mark.parametrize("wrong", [dict(size=0), dict(size=(9, 9)), dict(spacing=(1, 1, -1))])
def test_a_size_or_spacing_that_no_volume_has_is_refused(wrong):
    with pytest.raises(ConfigError, match=f"infant_hippocampus\\({next(iter(wrong))}="):
        phantoms.infant_hippocampus(1, **wrong)
