"""Dividing co-training on two clouds that touch."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from medseg_tf.errors import ConfigError
from medseg_tf.methods import co_training, label_report

CLASSIFIER = LogisticRegression()


def clouds(apart=2.0, labelled=20, n=400):
    """Features (n, 2), truth (n,), labels of which all but the first are unknown."""
    rng = np.random.default_rng(0)
    truth = np.arange(n) % 2
    features = rng.normal(size=(n, 2)) + apart * truth[:, None] * [1, 0]
    return features, truth, np.where(np.arange(n) < labelled, truth, -1)


def test_all_samples_get_a_label_and_known_ones_keep_theirs():
    features, truth, labels = clouds()
    before = labels.copy()
    given, rounds = co_training(features, labels, CLASSIFIER)
    assert set(given) == {0, 1}
    np.testing.assert_array_equal(given[:20], truth[:20])
    assert (rounds[:20] == 0).all() and (rounds[20:] != 0).all()
    np.testing.assert_array_equal(labels, before)
    assert not hasattr(CLASSIFIER, "coef_")  # it was cloned


def test_accepted_labels_are_right_more_often_than_forced_ones():
    features, truth, labels = clouds()
    given, rounds = co_training(features, labels, CLASSIFIER, tau=0.9)
    report = label_report(given, truth, rounds)
    assert report[0]["right"] > 0.95 > report[-1]["right"] + 0.1
    assert report[-1]["round"] == "forced"
    assert sum(report.column("labels")) == 380
    assert report[-1]["right so far"] == pytest.approx(np.mean((given == truth)[20:]))


def test_a_threshold_that_nobody_passes_forces_all_by_the_mean_probability():
    features, truth, labels = clouds(apart=6)
    given, rounds = co_training(features, labels, CLASSIFIER, tau=1.0)
    assert (rounds[20:] == -1).all() and np.mean(given == truth) > 0.99


def test_a_threshold_that_all_pass_takes_one_round():
    features, _, labels = clouds(apart=20)
    assert set(co_training(features, labels, CLASSIFIER, tau=0.5)[1]) == {0, 1}


def test_a_wrong_majority_in_a_forced_round_is_counted_as_what_it_is():
    report = label_report([1, 1, 1, 0], [1, 0, 1, 1], [0, 1, 1, -1])
    assert report.column("right") == [0.5, 0] and report.column("right so far") == [0.5, 1 / 3]
    assert report.column("commonest class") == [1, 1]


def test_halves_depend_on_the_seed_alone():
    features, _, labels = clouds(apart=1)
    one, again, other = (co_training(features, labels, CLASSIFIER, seed=s)[0] for s in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


@pytest.mark.parametrize(
    "labels, words",
    [
        (np.full(10, -1), r"\[0, 0\] labelled"),
        (np.r_[0, 0, 1, np.full(7, -1)], r"\[2, 1\] labelled"),
        (np.r_[0, 0, 2, 2, np.full(6, -1)], r"\[2, 0, 2\] labelled"),
        (np.zeros(9, int), "give"),
    ],
)
def test_labels_that_cannot_be_halved_are_refused(labels, words):
    with pytest.raises(ConfigError, match=words):
        co_training(np.zeros((10, 3)), labels, CLASSIFIER)
