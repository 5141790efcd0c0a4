import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medseg_tf.errors import ConfigError, GeometryError
from medseg_tf.metrics import match_clusters, nmi, pixel_accuracy

MEANS = ["arithmetic", "geometric", "max", "min"]


def drawn(seed, classes=3, clusters=4):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, 60)
    return truth, np.where(rng.random(60) < 0.6, truth, rng.integers(0, clusters, 60))


@given(seed=st.integers(0, 999))
def test_new_names_of_clusters_change_nothing(seed):
    truth, found = drawn(seed)
    names = np.random.default_rng(seed).permutation(100)[:4]
    np.testing.assert_array_equal(
        match_clusters(truth, names[found]) == truth, match_clusters(truth, found) == truth
    )
    assert nmi(truth, names[found]) == pytest.approx(nmi(truth, found))


@given(seed=st.integers(0, 999), names=st.permutations(range(3)))
def test_no_other_one_to_one_map_is_right_more_often(seed, names):
    truth, found = drawn(seed, clusters=3)
    best = (match_clusters(truth, found) == truth).sum()
    assert (np.array(names)[found] == truth).sum() <= best


@pytest.mark.parametrize("mean", MEANS)
def test_it_is_scikit_learn_s_measure(mean):
    from sklearn.metrics import normalized_mutual_info_score

    for seed in range(5):
        truth, found = drawn(seed)
        expected = normalized_mutual_info_score(truth, found, average_method=mean)
        assert nmi(truth, found, mean) == pytest.approx(expected)
        assert nmi(found, truth, mean) == pytest.approx(expected)


@pytest.mark.parametrize("mean", MEANS)
def test_a_perfect_clustering_scores_one_under_any_names(mean):
    truth = np.array([[0, 0, 1], [2, 2, 1]])
    found = np.array([7, 3, 5])[truth]
    assert nmi(truth, found, mean) == pytest.approx(1)
    np.testing.assert_array_equal(match_clusters(truth, found), truth)
    assert pixel_accuracy(truth, match_clusters(truth, found)) == 1


def test_clusters_beyond_the_classes_get_numbers_of_their_own():
    truth = np.array([0, 0, 0, 2, 2, 2])
    assert match_clusters(truth, np.array([4, 4, 1, 6, 6, 5])).tolist() == [0, 0, 3, 2, 2, 4]


def test_one_cluster_says_nothing_and_nothing_at_all_has_no_score():
    assert nmi([0, 0, 1, 1], [3, 3, 3, 3]) == 0
    assert nmi([0, 0, 1, 1], [3, 3, 3, 3], "min") == 0
    assert np.isnan(nmi([1, 1], [2, 2]))
    empty = np.empty(0, int)
    assert np.isnan(nmi(empty, empty)) and match_clusters(empty, empty).size == 0


def test_shapes_and_means_that_do_not_fit_are_refused():
    with pytest.raises(GeometryError):
        match_clusters([0, 1], [0, 1, 1])
    with pytest.raises(ConfigError, match="mean is 'harmonic'"):
        nmi([0, 1], [0, 1], "harmonic")
