import numpy as np
import pytest

from medseg_tf import metrics
from medseg_tf.errors import GeometryError, LabelError


def test_exactly_half_an_object_is_no_match_and_one_pixel_more_is():
    truth = np.array([1, 1, 1, 1])
    assert metrics.seg(truth, np.array([5, 5, 0, 0])) == 0
    assert metrics.seg(truth, np.array([5, 5, 5, 0])) == 3 / 4


def test_the_match_is_by_share_of_the_true_object_and_not_by_overlap():
    """The prediction holds all of the object but is four times as large: it matches with 1/4."""
    assert metrics.seg(np.array([1, 0, 0, 0]), np.array([3, 3, 3, 3])) == 1 / 4


def test_objects_that_were_only_predicted_cost_nothing():
    truth = np.array([1, 1, 0, 0, 0, 0])
    assert metrics.seg(truth, np.array([2, 2, 0, 3, 0, 4])) == 1


def test_frames_are_averaged_over_all_their_objects_together():
    one = np.array([1, 1, 0, 0])
    three = np.array([1, 2, 3, 0])
    assert metrics.seg([one, three], [one, np.zeros(4, int)]) == 1 / 4


def test_without_a_true_object_the_score_is_nan():
    empty = np.zeros((2, 2), int)
    assert np.isnan(metrics.seg(empty, np.eye(2, dtype=int)))
    assert np.isnan(metrics.seg([], []))


def test_an_empty_prediction_scores_zero():
    assert metrics.seg(np.eye(3, dtype=int), np.zeros((3, 3), int)) == 0


def test_scores_come_with_the_numbers_of_the_true_objects():
    truth, prediction = np.array([9, 9, 0, 4, 4, 4]), np.array([1, 1, 0, 1, 2, 2])
    numbers, scores = metrics.seg_per_object(truth, prediction)
    assert numbers.tolist() == [4, 9]
    assert scores.tolist() == [2 / 3, 2 / 3]


def test_high_object_numbers_cost_no_memory_and_change_nothing():
    truth, prediction = np.array([[1, 1], [2, 0]]), np.array([[1, 0], [3, 3]])
    high = metrics.seg(truth * 10**9, (prediction * 10**8).astype("uint64"))
    assert high == metrics.seg(truth, prediction) == 1 / 4


def test_a_missing_frame_is_refused():
    with pytest.raises(GeometryError, match="2 frames and prediction 1"):
        metrics.seg([np.eye(2, dtype=int)] * 2, [np.eye(2, dtype=int)])


def test_probabilities_are_no_objects():
    with pytest.raises(LabelError, match="float64"):
        metrics.seg(np.eye(2, dtype=int), np.eye(2))
