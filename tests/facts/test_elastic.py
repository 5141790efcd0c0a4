"""Ronneberger, Fischer, Brox, MICCAI 2015, section 3.1: elastic deformation."""

import numpy as np
import pytest
from scipy import ndimage

from medseg_tf.data.augment import elastic, smooth_field


def control_values(points, rank):
    return np.random.default_rng(1).normal(0, 10, (points,) * rank)


@pytest.mark.parametrize("shape, points", [((21, 31), 3), ((9, 11, 13), 3), ((19, 13), 4)])
def test_the_field_passes_exactly_through_its_control_points(shape, points):
    values = control_values(points, len(shape))
    field = smooth_field(values, shape)
    places = np.ix_(*[np.linspace(0, n - 1, points).astype(int) for n in shape])
    np.testing.assert_allclose(field[places], values, atol=1e-4)


@pytest.mark.parametrize("shape", [(20, 33), (1, 7), (8, 5, 6)])
def test_the_field_is_the_bicubic_one_of_scipy_with_grid_corners_on_image_corners(shape):
    values = control_values(3, len(shape))
    places = np.meshgrid(*[np.linspace(0, 2, n) if n > 1 else [0.0] for n in shape], indexing="ij")
    expected = ndimage.map_coordinates(values, places, order=3, mode="nearest")
    np.testing.assert_allclose(smooth_field(values, shape), expected, atol=1e-4)


def displacements(draws, **arguments):
    """Shift of every pixel of a ramp along the second axis: (draws, rows, columns)."""
    ramp = np.tile(1000 + np.arange(128, dtype="float32"), (128, 1))[..., None]
    transform, rng = elastic(**arguments), np.random.default_rng(0)
    # Far from the border the mirror image of the ramp is out of reach.
    inner = slice(16, -16)
    moved = [(transform(ramp, None, rng)[0] - ramp)[inner, inner, 0] for _ in range(draws)]
    return np.array(moved)


def test_displacements_of_sd_2_24_on_128_pixels_have_a_root_mean_square_near_1_6():
    # The paper's 10 pixels on 572-pixel tiles, scaled to the tile: 10 * 128 / 572 = 2.24.
    shifts = displacements(60, sd=2.24)
    assert np.sqrt((shifts**2).mean()) == pytest.approx(1.6, abs=0.3)


def test_an_sd_of_zero_along_an_axis_moves_nothing_along_it():
    assert np.abs(displacements(3, sd=(5, 0))).max() < 1e-3
    assert np.abs(displacements(3, sd=(0, 5))).max() > 1
