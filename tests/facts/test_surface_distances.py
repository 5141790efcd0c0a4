"""Surface distances of drawn masks, by hand: how far, in which units, and by which convention."""

import numpy as np
import pytest

from medseg_tf import metrics
from medseg_tf.metrics import surface


def block(shape, *sides):
    """A mask of a box; each side is (first, last)."""
    mask = np.zeros(shape, bool)
    mask[tuple(slice(first, last + 1) for first, last in sides)] = True
    return mask


RECTANGLES = block((6, 8), (1, 4), (1, 4)), block((6, 8), (1, 4), (2, 6))
CUBES = block((5, 5, 5), (1, 3), (1, 3), (1, 3)), block((5, 5, 5), (2, 4), (1, 3), (1, 3))
SQUARE = block((20, 20), (5, 14), (5, 14))
STRAY = SQUARE | block((20, 20), (0, 0), (0, 0))


def scores(pair, spacing):
    """Hausdorff distance, HD95 and ASSD of the foreground."""
    every = metrics.hausdorff, metrics.hausdorff95, metrics.assd
    return tuple(float(score(*pair, spacing=spacing)[1]) for score in every)


def overlap(pair):
    return float(metrics.dice(*pair)[1]), float(metrics.volume_difference(*pair)[1])


def test_the_rectangles_have_12_and_14_surface_pixels():
    assert [len(one) for one in metrics.surface_distances(*RECTANGLES)] == [12, 14]
    assert overlap(RECTANGLES) == pytest.approx((2 / 3, 1 / 4))
    assert metrics.iou(*RECTANGLES)[1] == 1 / 2


@pytest.mark.parametrize(
    "spacing, hd, total", [((1, 1), 2, 18), ((1, 0.5), 1, 10), ((3, 1), 2, 20)]
)
def test_distances_of_the_rectangles_depend_on_the_spacing_of_each_axis(spacing, hd, total):
    assert scores(RECTANGLES, spacing) == pytest.approx((hd, hd, total / 26))


def test_the_mean_of_the_directed_means_is_another_number_than_assd():
    means = [one.mean() for one in metrics.surface_distances(*RECTANGLES)]
    assert np.mean(means) == pytest.approx(0.678571, abs=5e-7)
    assert scores(RECTANGLES, 1)[2] == pytest.approx(0.692308, abs=5e-7)


@pytest.mark.parametrize("spacing, hd, total", [((1, 1, 1), 1, 10), ((1.5, 1, 1), 1.5, 14.5)])
def test_a_cube_moved_by_a_slice_is_as_far_off_as_the_slice_is_thick(spacing, hd, total):
    assert scores(CUBES, spacing) == pytest.approx((hd, hd, total / 26))
    assert overlap(CUBES) == pytest.approx((2 / 3, 0))


def test_a_stray_pixel_ruins_the_hausdorff_distance_alone():
    pair = SQUARE, STRAY
    assert scores(pair, 1) == pytest.approx((50**0.5, 0, 50**0.5 / (36 + 37)))
    assert scores(pair, 1) == pytest.approx((7.071068, 0, 0.096864), abs=5e-7)
    assert overlap(pair) == pytest.approx((200 / 201, 0.01))


def test_hd95_is_3_by_direction_where_pooled_lists_give_0():
    there, back = np.array([0.0] * 18 + [3, 3]), np.zeros(40)
    assert surface.farthest95(there, back) == surface.farthest95(back, there) == 3
    assert np.percentile(np.concatenate([there, back]), 95) == 0
