import numpy as np
import pytest

from medseg_tf import metrics
from medseg_tf.errors import ConfigError, GeometryError

# Two cells and a membrane of one pixel, as in tests/facts/test_rand.py.
TRUTH = np.array([[1, 1, 1, 1, 0, 2, 2, 2, 2]] * 5)


def test_a_class_map_and_segment_numbers_score_alike():
    prediction = np.array([[1, 1, 0, 1, 1, 1, 1, 1, 1]] * 5)
    as_numbers = metrics.rand_foreground(TRUTH, prediction * [7, 7, 0, 3, 3, 3, 3, 3, 3])
    assert metrics.rand_foreground(TRUTH > 0, prediction) == as_numbers


def test_cells_that_touch_by_a_corner_only_are_two():
    corner = np.eye(2, dtype=int)
    assert metrics.rand_split_merge(corner, corner * [[1, 0], [0, 2]]) == (1, 1)


def test_only_the_foreground_of_the_truth_counts():
    prediction = TRUTH.copy()
    prediction[:, 4] = 1
    prediction[:2, 4] = 9
    assert metrics.rand_foreground(TRUTH, prediction) == 1


def test_each_pixel_predicted_as_membrane_is_a_segment_of_its_own():
    """Four pixels of one cell, none found: only the 4 of 16 pairs of a pixel with itself agree."""
    split, merge = metrics.rand_split_merge(np.ones((2, 2), int), np.zeros((2, 2), int))
    assert (split, merge) == (1 / 4, 1)


def test_a_truth_without_cells_scores_nan():
    assert np.isnan(metrics.rand_foreground(np.zeros((2, 2), int), np.ones((2, 2), int)))


def test_thinning_leaves_a_dividing_line_of_one_pixel():
    thick = np.array([[1, 1, 1, 0, 0, 0, 1, 1, 1]] * 5)
    assert (metrics.thin(thick) > 0).tolist() == [[True] * 4 + [False] + [True] * 4] * 5


def test_scores_are_the_same_in_a_volume_of_equal_slices():
    prediction = np.array([[1, 1, 0, 1, 0, 2, 2, 2, 0]] * 5)
    volume = metrics.rand_split_merge(np.stack([TRUTH] * 2, -1), np.stack([prediction > 0] * 2, -1))
    assert volume[1] == metrics.rand_split_merge(TRUTH, prediction)[1] == 1
    assert volume[0] < metrics.rand_split_merge(TRUTH, prediction)[0]  # single pixels weigh half


def test_the_best_threshold_is_found_over_all_images_together():
    probability = np.where(TRUTH > 0, 0.85, 0.45)
    probability[2, 4] = 0.65  # below .65 the cells run together
    best = metrics.best_rand([TRUTH, TRUTH], [probability, probability])
    assert best == (1, pytest.approx(0.7))


def test_images_without_cells_do_not_count_for_the_best_threshold():
    empty = np.zeros_like(TRUTH)
    probability = np.where(TRUTH > 0, 0.85, 0.45)
    assert metrics.best_rand([TRUTH, empty], [probability, probability])[0] == 1
    with pytest.raises(ConfigError, match="no truth has foreground"):
        metrics.best_rand([empty], [probability])


def test_a_probability_map_with_its_channel_axis_is_refused():
    with pytest.raises(GeometryError, match="argmax"):
        metrics.best_rand([TRUTH], [np.zeros((5, 9, 2))])
    with pytest.raises(ConfigError, match="1 truths and 2"):
        metrics.best_rand([TRUTH], [TRUTH, TRUTH])
