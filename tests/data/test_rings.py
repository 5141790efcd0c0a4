"""Rings: what the ambiguity of lesson 01 needs of its pictures."""

import numpy as np
import pytest
from scipy import ndimage

from medseg_tf.data import phantoms
from medseg_tf.data.phantoms.rings import RADII

RINGS = phantoms.rings(6)


def test_inside_and_outside_have_the_same_grey_values():
    grey = {
        part: np.concatenate([c.image.array[..., 0][c.label.array == part] for c in RINGS])
        for part in (0, 1, 2)
    }
    assert grey[0].mean() == pytest.approx(grey[1].mean(), abs=3)
    assert grey[0].std() == pytest.approx(grey[1].std(), abs=3)
    assert grey[2].mean() > grey[0].mean() + 3 * grey[0].std()


def test_each_ring_is_a_disc_of_a_radius_in_range_with_a_line_around_and_none_inside():
    for case in RINGS:
        discs, count = ndimage.label(case.label.array == 1)
        assert 5 <= count <= 7
        for number in range(1, count + 1):
            disc = discs == number
            radius = np.sqrt(disc.sum() / np.pi)
            assert RADII[0] - 2 < radius < RADII[1]
            around = ndimage.binary_dilation(disc) & ~disc
            assert set(case.label.array[around]) == {2}
            assert ndimage.binary_fill_holes(disc).sum() == disc.sum()


def test_there_are_pieces_of_line_that_are_no_ring():
    lines, count = ndimage.label(RINGS[0].label.array == 2, np.ones((3, 3)))
    around_discs = ndimage.binary_dilation(RINGS[0].label.array == 1)
    pieces = set(range(1, count + 1)) - set(lines[around_discs])
    assert len(pieces) >= 5


def test_a_window_of_25_sees_a_line_from_every_inside_pixel_and_one_of_9_does_not():
    for side, all_see in ((9, False), (25, True)):
        seen = [ndimage.maximum_filter(c.label.array == 2, side)[c.label.array == 1] for c in RINGS]
        assert np.concatenate(seen).all() == all_see


def test_case_i_of_a_seed_does_not_depend_on_how_many_are_asked_for():
    few, many = phantoms.rings(1, seed=3, size=60), phantoms.rings(2, seed=3, size=60)
    assert np.array_equal(few[0].image.array, many[0].image.array)
    assert not np.array_equal(many[0].image.array, many[1].image.array)


@pytest.mark.parametrize("size", [8, 33, 70])
def test_any_size_will_do(size):
    (case,) = phantoms.rings(1, size=size)
    assert case.image.array.shape == (size, size, 1) and case.image.array.dtype == np.uint8
    assert case.label.array.shape == (size, size) and case.label.array.max() <= 2
