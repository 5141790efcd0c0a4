"""Numbers of Sun et al. (2017) and of labelling in rounds that need no training."""

import keras
import numpy as np
import pytest
from sklearn.decomposition import PCA

from medseg_tf.methods import agreed, calibration_error, label_report


def midpoint(negative, positive):
    """A classifier of one number: probabilities (samples, 2), .5 halfway between two samples."""

    def says(x):
        positive_ = 1 / (1 + np.exp(-2 * (np.asarray(x) - (negative + positive) / 2)))
        return np.stack([1 - positive_, positive_], axis=-1)

    return says


def test_two_halves_accept_what_both_say_and_refuse_what_lies_between_their_thresholds():
    first, second = midpoint(0, 6), midpoint(1, 9)  # thresholds 3 and 5
    left = [2, 4, 5.5, 8]
    assert agreed(first(left), second(left), tau=0.5).tolist() == [0, -1, 1, 1]
    assert agreed(first(left), second(left), tau=0.85).tolist() == [0, -1, -1, 1]


def test_label_accuracy_so_far_follows_from_the_rounds_counts():
    labels = [292, 244, 105, 40, 419]
    right = [275, 216, 82, 30, 278]
    given = np.concatenate([np.arange(n) < r for n, r in zip(labels, right, strict=True)])
    rounds = np.repeat([1, 2, 3, 4, -1], labels)
    report = label_report(given.astype(int), np.ones(1100, int), rounds)
    assert report.column("labels") == labels
    assert report.column("round") == [1, 2, 3, 4, "forced"]
    np.testing.assert_allclose(
        report.column("right"), [0.942, 0.885, 0.781, 0.75, 0.663], atol=6e-4
    )
    so_far = report.column("right so far")
    np.testing.assert_allclose(so_far, [0.942, 0.916, 0.894, 0.885, 0.801], atol=6e-4)


def test_the_papers_gap_of_3_points_is_96_percent_and_more_than_the_luck_of_3158_samples():
    reached, all_true = 0.8243, 0.8552
    assert reached / all_true == pytest.approx(0.9639, abs=5e-5)
    assert all_true - reached == pytest.approx(0.0309)
    luck = (np.random.default_rng(0).binomial(3158, reached, 200_000) / 3158).std()
    assert luck == pytest.approx(0.0068, abs=1e-4)
    assert luck == pytest.approx(np.sqrt(reached * (1 - reached) / 3158), rel=0.01)


def test_given_labels_as_a_ruler_show_69_percent_for_a_network_that_is_right_in_82():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 400_000)
    says, given = (np.where(rng.random(truth.size) < q, truth, 1 - truth) for q in (0.8243, 0.8))
    shown = np.mean(says == given)
    assert shown == pytest.approx(0.8243 * 0.8 + 0.1757 * 0.2, abs=0.003)
    assert shown == pytest.approx(0.6946, abs=0.003)
    assert np.mean(truth == given) == pytest.approx(0.8, abs=0.003)  # who is never wrong


def test_the_calibration_error_is_0_for_honest_and_03_for_boasting_confidence():
    right = np.arange(1000) % 10 < 7
    assert calibration_error(np.full(1000, 0.7), right) == pytest.approx(0, abs=1e-12)
    assert calibration_error(np.full(10, 0.9), np.arange(10) < 6) == pytest.approx(0.3)


def test_two_bins_errors_do_not_cancel():
    confidence, right = (
        np.repeat([0.55, 0.95], 100),
        np.r_[np.arange(100) < 75, np.arange(100) < 75],
    )
    assert confidence.mean() == pytest.approx(right.mean())
    assert calibration_error(confidence, right) == pytest.approx(0.2)


def test_four_points_on_two_axes_have_shares_of_8_and_2_tenths():
    found = PCA().fit(np.array([[2.0, 0], [0, 1], [-2, 0], [0, -1]]))
    np.testing.assert_allclose(found.explained_variance_, [8 / 3, 2 / 3])
    np.testing.assert_allclose(found.explained_variance_ratio_, [0.8, 0.2])


def average_after(steps, momentum=0.99):
    """A mean teacher's weight, from 0, when its student's is 1 for so many steps."""
    student = keras.Variable(np.zeros(1, "float32"))
    optimizer = keras.optimizers.SGD(use_ema=True, ema_momentum=momentum)
    optimizer.build([student])
    still = [np.zeros(1, "float32")]
    optimizer.apply(still, [student])  # the average starts as the student: 0
    student.assign(np.ones(1, "float32"))
    for _ in range(steps):
        optimizer.apply(still, [student])
    optimizer.finalize_variable_values([student])
    return float(np.asarray(student)[0])


def test_a_mean_teacher_has_gone_half_of_the_way_after_69_steps():
    assert average_after(3) == pytest.approx(0.029701, abs=1e-6)
    assert average_after(68) < 0.5 < average_after(69)
    half = [np.log(0.5) / np.log(momentum) for momentum in (0.99, 0.999)]
    assert half == pytest.approx([69.0, 692.8], abs=0.05)


def test_keras_averages_weights_when_asked_with_momentum_99_percent():
    optimizer = keras.optimizers.SGD()
    assert optimizer.use_ema is False and optimizer.ema_momentum == 0.99
