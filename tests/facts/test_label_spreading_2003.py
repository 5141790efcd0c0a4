"""Numbers of label spreading that pencil and paper, or scikit-learn, give too."""

import itertools

import numpy as np
import pytest
from sklearn.semi_supervised import LabelPropagation, LabelSpreading

from medseg_tf.methods import harmonic_labels, label_spreading, spreading_steps

CHAIN = np.diag([1.0, 1.0, 0.2, 1.0], 1)
CHAIN += CHAIN.T
ENDS = [0, -1, -1, -1, 1]
PLACES = np.array([0.0, 1, 2, 4, 5])[:, None]
NEARNESS = np.exp(-((PLACES - PLACES.T) ** 2))  # an rbf kernel, gamma 1; its diagonal is 1


def shares(scores):
    return scores[:, 0] / scores.sum(1)


def test_the_chains_likeness_divides_weights_by_the_roots_of_both_degrees():
    # Where each node is a class of its own the first step is .8 S + .2 I.
    step = next(spreading_steps(CHAIN, np.arange(5), 0.8))
    likeness = (step - 0.2 * np.eye(5)) / 0.8
    np.testing.assert_allclose(np.diag(likeness, 1), [0.7071, 0.6455, 0.1667, 0.9129], atol=5e-5)
    np.testing.assert_allclose(np.diag(likeness), 0, atol=1e-12)


def test_at_alpha_08_the_chains_scores_are_those_of_the_closed_form():
    right = [[0.3589, 0.0315], [0.2809, 0.0556], [0.1508, 0.0732], [0.0431, 0.3339]]
    right.append([0.0315, 0.4439])
    np.testing.assert_allclose(label_spreading(CHAIN, ENDS, 0.8), right, atol=5e-5)


@pytest.mark.parametrize(
    "alpha, right",
    [
        (0.2, [0.9999, 0.9943, 0.7474, 0.0034, 0.0001]),
        (0.8, [0.9194, 0.8347, 0.6731, 0.1143, 0.0662]),
        (0.99, [0.5490, 0.5341, 0.5188, 0.4457, 0.4320]),
    ],
)
def test_the_weak_edge_of_the_chain_is_the_border_at_every_alpha(alpha, right):
    found = shares(label_spreading(CHAIN, ENDS, alpha))
    np.testing.assert_allclose(found, right, atol=6e-5)
    assert (found > 0.5).tolist() == [True, True, True, False, False]


@pytest.mark.parametrize("alpha, steps", [(0.2, 8), (0.8, 58), (0.99, 1293)])
def test_so_many_steps_from_the_labels_move_a_score_by_a_millionth_or_more(alpha, steps):
    last = np.eye(2)[[0, 0, 0, 0, 1]] * np.array([1, 0, 0, 0, 1])[:, None]
    moved = 0
    for scores in spreading_steps(CHAIN, ENDS, alpha):
        if np.abs(scores - last).max() < 1e-6:
            break
        last, moved = scores, moved + 1
    assert moved == steps
    np.testing.assert_allclose(scores, label_spreading(CHAIN, ENDS, alpha), atol=1e-4)


def test_clamped_labels_of_the_chain_give_7_8_6_8_and_1_8():
    found = harmonic_labels(CHAIN, ENDS)
    np.testing.assert_allclose(found[:, 0], [1, 0.875, 0.75, 0.125, 0], atol=1e-12)
    np.testing.assert_allclose(found.sum(1), 1)


@pytest.mark.parametrize(
    "alpha, right",
    [
        (0.2, [0.9999, 0.9980, 0.9359, 0.0014, 0.0001]),
        (0.8, [0.9655, 0.9311, 0.8653, 0.0406, 0.0253]),
    ],
)
def test_scikit_learn_spreads_as_we_do_with_a_zero_diagonal(alpha, right):
    ours = shares(label_spreading(NEARNESS, ENDS, alpha))
    theirs = LabelSpreading(kernel="rbf", gamma=1, alpha=alpha, max_iter=5000, tol=1e-9)
    np.testing.assert_allclose(ours, right, atol=6e-5)
    np.testing.assert_allclose(theirs.fit(PLACES, ENDS).label_distributions_[:, 0], ours, atol=1e-6)


def test_degrees_that_count_the_diagonal_would_give_another_answer():
    degree = np.sqrt(NEARNESS.sum(1))
    likeness = (NEARNESS - np.eye(5)) / np.outer(degree, degree)
    start = np.eye(2)[[0, 0, 0, 0, 1]] * np.array([1, 0, 0, 0, 1])[:, None]
    other = shares(np.linalg.solve(np.eye(5) - 0.8 * likeness, start))
    assert other[2] == pytest.approx(0.9518, abs=6e-5)


def test_harmonic_labels_are_where_scikit_learns_propagation_ends():
    theirs = LabelPropagation(kernel="rbf", gamma=1, max_iter=50_000, tol=1e-12)
    found = theirs.fit(PLACES, ENDS).label_distributions_[1:4, 0]
    ours = harmonic_labels(NEARNESS, ENDS)[1:4, 0]
    np.testing.assert_allclose(ours, [0.9598, 0.9198, 0.0439], atol=6e-5)
    np.testing.assert_allclose(ours, found, atol=1e-6)


def test_a_step_moves_labels_one_edge_further():
    steps = itertools.islice(spreading_steps(CHAIN, ENDS, 0.8), 3)
    reach = [int((scores[:, 0] > 0).sum()) for scores in steps]
    assert reach == [2, 3, 4]
