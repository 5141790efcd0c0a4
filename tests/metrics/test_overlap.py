import numpy as np
import pytest

from medseg_tf import metrics
from medseg_tf.errors import ConfigError, GeometryError, LabelError

TRUTH = np.array([[0, 1, 1], [0, 2, 2]])
PREDICTION = np.array([[0, 1, 0], [1, 2, 2]])


def test_confusion_has_true_classes_as_rows_and_predicted_ones_as_columns():
    counts = metrics.confusion(TRUTH, PREDICTION, classes=3)
    assert counts.tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 2]]


def test_each_score_is_an_array_over_all_classes_with_the_background_first():
    assert metrics.dice(TRUTH, PREDICTION, 3).tolist() == [1 / 2, 1 / 2, 1]
    assert metrics.iou(TRUTH, PREDICTION, 3).tolist() == [1 / 3, 1 / 3, 1]
    assert metrics.sensitivity(TRUTH, PREDICTION, 3).tolist() == [1 / 2, 1 / 2, 1]
    assert metrics.specificity(TRUTH, PREDICTION, 3).tolist() == [3 / 4, 3 / 4, 1]


def test_volume_difference_is_signed_and_relative_to_the_truth():
    truth, prediction = np.array([1, 1, 1, 1, 0, 0]), np.array([1, 1, 1, 0, 0, 0])
    assert metrics.volume_difference(truth, prediction).tolist() == [1 / 2, -1 / 4]


def test_pixel_accuracy_is_the_share_of_right_pixels():
    assert metrics.pixel_accuracy(TRUTH, PREDICTION) == pytest.approx(4 / 6)


SCORES = [metrics.dice, metrics.iou, metrics.sensitivity, metrics.specificity]


@pytest.mark.parametrize("score", [*SCORES, metrics.volume_difference])
def test_a_class_absent_from_truth_and_prediction_scores_nan(score):
    assert np.isnan(score(TRUTH, PREDICTION, classes=4)[3])


@pytest.mark.parametrize("score", [metrics.dice, metrics.iou, metrics.sensitivity])
def test_a_class_that_only_one_side_holds_has_overlap_zero(score):
    empty, full = np.zeros(4, int), np.array([0, 0, 1, 1])
    assert score(empty, full)[1] == 0
    assert score(full, empty)[1] == 0


def test_a_volume_invented_from_nothing_differs_by_infinity_and_a_missed_one_by_minus_one():
    empty, full = np.zeros(4, int), np.array([0, 0, 1, 1])
    assert metrics.volume_difference(empty, full)[1] == np.inf
    assert metrics.volume_difference(full, empty)[1] == -1


def test_specificity_counts_false_alarms_where_the_class_is_absent():
    assert metrics.specificity(np.zeros(4, int), np.array([0, 0, 0, 1]))[1] == 3 / 4


@pytest.mark.parametrize("classes", [2, 3, 16, 17])  # two ways of counting change at 3 and 17
@pytest.mark.parametrize("kinds", [("uint8", "int64"), ("uint16", "uint64"), ("int16", "int16")])
def test_fast_counting_equals_counting_one_by_one(classes, kinds):
    rng = np.random.default_rng(0)
    truth, prediction = (rng.integers(0, classes, (3, 5, 7)).astype(kind) for kind in kinds)
    slow = np.zeros((classes, classes), int)
    np.add.at(slow, (truth.astype(int), prediction.astype(int)), 1)
    assert (metrics.confusion(truth, prediction, classes) == slow).all()


def test_masks_of_booleans_and_transposed_arrays_count_alike():
    truth, prediction = TRUTH > 0, PREDICTION > 0
    expected = metrics.dice(TRUTH > 0, (PREDICTION > 0).astype("uint8"))
    assert metrics.dice(truth.T, prediction.T).tolist() == expected.tolist()


def test_probabilities_are_refused_with_the_advice_to_take_argmax():
    with pytest.raises(LabelError, match="argmax"):
        metrics.dice(TRUTH, np.full(TRUTH.shape, 0.5))


def test_a_channel_axis_is_refused_with_the_advice_to_take_argmax():
    with pytest.raises(GeometryError, match="argmax"):
        metrics.dice(TRUTH, np.zeros((2, 3, 2), int))


def test_shapes_that_differ_are_refused_although_they_could_be_broadcast():
    with pytest.raises(GeometryError, match=r"\(2, 3\).*\(1, 3\)"):
        metrics.pixel_accuracy(TRUTH, PREDICTION[:1])


def test_a_value_that_is_no_class_is_refused_by_name():
    with pytest.raises(LabelError, match="prediction holds class 255"):
        metrics.dice(np.zeros(3, int), np.array([0, 255, 0]))
    with pytest.raises(LabelError, match="truth holds -1"):
        metrics.dice(np.array([0, -1, 0]), np.zeros(3, int))


def test_a_single_class_is_refused():
    with pytest.raises(ConfigError, match="background"):
        metrics.dice(TRUTH, PREDICTION, classes=1)
