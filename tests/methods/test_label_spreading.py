"""What label spreading refuses, and what it does in corners."""

import numpy as np
import pytest

from medseg_tf.errors import ConfigError
from medseg_tf.methods import harmonic_labels, label_spreading, spreading_steps

PAIR = np.array([[0.0, 1], [1, 0]])


def test_a_sample_without_neighbours_gets_no_score_and_harms_nobody():
    weights = np.zeros((3, 3))
    weights[:2, :2] = PAIR
    scores = label_spreading(weights, [0, -1, -1], 0.5)
    assert scores[2].tolist() == [0] and scores[1, 0] > 0


def test_the_diagonal_does_not_count_and_the_weights_stay_as_they_are():
    heavy = PAIR + 7 * np.eye(2)
    before = heavy.copy()
    np.testing.assert_array_equal(
        label_spreading(heavy, [1, -1], 0.5), label_spreading(PAIR, [1, -1], 0.5)
    )
    np.testing.assert_array_equal(heavy, before)


def test_a_wrong_label_among_many_is_outvoted_when_soft_and_stays_when_clamped():
    weights = np.ones((6, 6))
    labels = [0, 0, 0, 0, 1, -1]
    assert label_spreading(weights, labels, 0.95)[4].argmax() == 0
    assert harmonic_labels(weights, labels)[4].tolist() == [0, 1]


def test_three_classes_have_three_columns():
    assert label_spreading(np.ones((4, 4)), [0, 2, 1, -1]).shape == (4, 3)


def test_a_part_without_any_label_has_no_harmonic_one():
    weights = np.kron(np.eye(2), PAIR)
    with pytest.raises(ConfigError, match="no path"):
        harmonic_labels(weights, [0, -1, -1, -1])
    assert harmonic_labels(weights, [0, -1, 1, -1])[:, 0].tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize(
    "weights, labels, alpha, words",
    [
        (np.ones((2, 3)), [0, -1], 0.2, r"shape \(2, 3\)"),
        (np.ones((2, 2)), [0, -1, -1], 0.2, "3 labels"),
        ([[0, 1], [2, 0]], [0, -1], 0.2, "symmetric"),
        (-PAIR, [0, -1], 0.2, "below 0"),
        (PAIR, [-1, -1], 0.2, "needs one"),
        (PAIR, [-2, 0], 0.2, "from -2"),
        (PAIR, [0, -1], 1.0, "alpha=1.0"),
        (PAIR, [0, -1], 0.0, "alpha=0.0"),
    ],
)
def test_what_is_no_graph_or_no_label_is_refused(weights, labels, alpha, words):
    with pytest.raises(ConfigError, match=words):
        label_spreading(weights, labels, alpha)
    with pytest.raises(ConfigError, match=words):
        next(spreading_steps(weights, labels, alpha))
