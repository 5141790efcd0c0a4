"""Ringed discs: grey values tell discs, only the ring tells which."""

import numpy as np
import pytest
from scipy import ndimage

from medseg_tf.data import phantoms
from medseg_tf.data.phantoms.ringed_discs import DISC, RING
from medseg_tf.errors import ConfigError

CASES = phantoms.ringed_discs(8)


def grey(part):
    return np.concatenate([c.image.array[..., 0][c.label.array == part] for c in CASES])


def test_both_discs_have_the_same_grey_values_and_their_surroundings_others():
    assert grey(1).mean() == pytest.approx(grey(2).mean(), abs=2)
    assert grey(1).std() == pytest.approx(grey(2).std(), abs=2)
    assert grey(1).mean() > grey(0).mean() + 3 * grey(1).std()


def test_each_image_has_one_disc_of_either_kind_and_size():
    for case in CASES:
        for number in (1, 2):
            disc = case.label.array == number
            assert ndimage.label(disc)[1] == 1
            assert np.sqrt(disc.sum() / np.pi) == pytest.approx(DISC, abs=0.7)


def test_only_disc_1_has_a_ring_and_it_is_out_of_reach_of_a_short_sight():
    for case in CASES:
        smooth = ndimage.gaussian_filter(case.image.array[..., 0].astype(float), 1)
        for number, ringed in ((1, True), (2, False)):
            away = ndimage.distance_transform_edt(case.label.array != number)
            between = smooth[(away > 3) & (away < 5)]
            on_the_way = smooth[(away > RING - DISC - 1.5) & (away < RING - DISC + 1.5)]
            assert between.mean() < 95
            assert (on_the_way.mean() > 105) == ringed


def test_scales_enlarge_disc_and_ring():
    cases = phantoms.ringed_discs(12, size=113, scales=(0.6, 1.5))
    radii = [np.sqrt((c.label.array == n).sum() / np.pi) for c in cases for n in (1, 2)]
    small = [r for r in radii if r < 5]
    assert 0 < len(small) < len(radii)
    assert np.mean(small) == pytest.approx(0.6 * DISC, abs=0.4)
    assert max(radii) == pytest.approx(1.5 * DISC, abs=0.8)


def test_case_i_of_a_seed_does_not_depend_on_how_many_are_asked_for():
    few, many = phantoms.ringed_discs(1, seed=3), phantoms.ringed_discs(2, seed=3)
    assert np.array_equal(few[0].image.array, many[0].image.array)
    assert not np.array_equal(many[0].image.array, many[1].image.array)


def test_an_image_too_small_for_a_ring_is_refused():
    with pytest.raises(ConfigError, match="size is 72; .* more than 76 pixels"):
        phantoms.ringed_discs(1, size=72)
