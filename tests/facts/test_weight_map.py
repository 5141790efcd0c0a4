"""Ronneberger, Fischer, Brox, MICCAI 2015, equation 2: the weight map, on cells drawn by hand."""

import numpy as np
import pytest

from medseg_tf.data import unet_weight_map

TWO_CELLS = np.array(
    [
        [0, 0, 0, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 2, 2, 2, 0],
        [1, 1, 0, 0, 2, 2, 2, 0],
        [1, 1, 0, 0, 2, 2, 2, 0],
        [0, 0, 0, 0, 0, 0, 0, 0],
    ]
)
OUTER = [6.9160, 8.0717, 8.6606, 8.6606, 8.0717, 6.9160, 5.7523, 4.2495]
INNER = [1, 1, 9.3527, 9.3527, 1, 1, 1, 4.7531]


def test_two_cells_two_pixels_apart_have_the_weights_of_the_formula():
    expected = [OUTER, INNER, INNER, INNER, OUTER]
    np.testing.assert_allclose(unet_weight_map(TWO_CELLS), expected, atol=1e-4)
    assert unet_weight_map(TWO_CELLS).sum() == pytest.approx(199.9722, abs=1e-3)


def test_balanced_weights_start_from_half_over_each_class_share():
    expected = [1.3333, 1.3333, 9.1527, 9.1527, 1.3333, 1.3333, 1.3333, 4.5531]
    np.testing.assert_allclose(unet_weight_map(TWO_CELLS, balance=True)[2], expected, atol=1e-4)


def test_balanced_weights_without_a_border_term_have_mean_one():
    assert unet_weight_map(TWO_CELLS, w0=0, balance=True).mean() == pytest.approx(1)


TERMS = [9.2312, 8.3527, 7.2615, 6.0653, 4.8675, 3.7531, 2.7804, 1.9790, 1.3534, 0.8892]


@pytest.mark.parametrize("gap", range(1, 11))
def test_every_pixel_of_a_straight_gap_has_one_border_term(gap):
    row = [1, 1, 1, *[0] * gap, 2, 2, 2]
    weights = unet_weight_map(np.tile(row, (9, 1)))
    np.testing.assert_allclose(weights[:, 3 : 3 + gap], 1 + TERMS[gap - 1], atol=1e-4)


@pytest.mark.parametrize("cells", [0, 1])
def test_with_fewer_than_two_cells_there_is_no_border_term(cells):
    label = np.where(TWO_CELLS <= cells, TWO_CELLS, 0)
    np.testing.assert_array_equal(unet_weight_map(label), 1)


def test_w0_scales_the_border_term_alone():
    once, twice = (unet_weight_map(TWO_CELLS, w0=w0) for w0 in (10, 20))
    np.testing.assert_allclose(twice - 1, 2 * (once - 1), rtol=1e-6)


def test_the_same_cells_in_three_equal_planes_have_the_same_weights():
    weights = unet_weight_map(np.repeat(TWO_CELLS[None], 3, axis=0))
    np.testing.assert_allclose(weights, np.repeat(unet_weight_map(TWO_CELLS)[None], 3, axis=0))
