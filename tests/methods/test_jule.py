import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medseg_tf.errors import ConfigError
from medseg_tf.methods import (
    affinity,
    agglomerate,
    cluster_affinity,
    first_clusters,
    jule,
    merge_schedule,
    triplet_loss,
)
from medseg_tf.metrics import match_clusters
from medseg_tf.models import patch_encoder


def groups(each=20, apart=6.0, seed=0):
    """Three groups of points in a plane and their numbers."""
    rng = np.random.default_rng(seed)
    truth = np.repeat([0, 1, 2], each)
    return np.array([(0, 0), (apart, 0), (0, apart)])[truth] + rng.normal(size=(3 * each, 2)), truth


def textures(each=24, seed=0):
    """Patches of stripes along one axis or the other, nearly in step, and their numbers."""
    rng = np.random.default_rng(seed)
    truth = np.repeat([0, 1], each)
    start = rng.uniform(0, 1, 2 * each)
    wave = np.sin(2 * np.pi * np.arange(11) / 4 + start[:, None])
    patches = np.where(truth[:, None, None], wave[:, None], wave[:, :, None]) * np.ones((11, 11))
    return (patches + rng.normal(0, 0.5, patches.shape))[..., None].astype("float32"), truth


def test_each_sample_has_edges_to_its_nearest_neighbours_alone():
    points, _ = groups()
    weights = affinity(points, 5)
    assert np.diff(weights.indptr).tolist() == [5] * 60
    gaps = ((points[:, None] - points) ** 2).sum(-1)
    np.fill_diagonal(gaps, np.inf)
    np.testing.assert_array_equal(np.sort(weights.indices.reshape(60, 5)),
                                  np.sort(gaps.argsort(1)[:, :5]))  # fmt: skip
    assert affinity(points, 500).nnz == 60 * 59
    assert affinity(np.zeros((4, 2)), 2).data.tolist() == [1] * 8


@given(seed=st.integers(0, 99))
def test_affinities_of_clusters_are_those_of_the_definition(seed):
    rng = np.random.default_rng(seed)
    weights = affinity(rng.normal(size=(12, 3)), 4)
    labels = np.concatenate([np.arange(4), rng.integers(0, 4, 8)])
    dense, found = weights.toarray(), cluster_affinity(weights, labels)
    for i in range(4):
        for j in range(4):
            a, b = np.flatnonzero(labels == i), np.flatnonzero(labels == j)
            there, back = dense[np.ix_(a, b)], dense[np.ix_(b, a)]
            expected = (there @ back).sum() / len(a) ** 2 + (back @ there).sum() / len(b) ** 2
            assert found[i, j] == pytest.approx(0 if i == j else expected)


@given(samples=st.integers(3, 2000), clusters=st.integers(2, 9), merge=st.floats(0.05, 0.95))
def test_the_schedule_falls_strictly_to_the_number_asked_for(samples, clusters, merge):
    counts = merge_schedule(samples, clusters, merge)
    assert counts[0] == samples and counts[-1] == min(samples, clusters)
    assert all(later < earlier for earlier, later in zip(counts, counts[1:], strict=False))


def test_groups_are_found_again_from_single_samples():
    points, truth = groups()
    labels = agglomerate(points, np.arange(60), 3, neighbours=8)
    assert sorted(set(labels)) == [0, 1, 2]
    assert (match_clusters(truth, labels) == truth).mean() > 0.95


@pytest.mark.parametrize("absorb, sizes", [(0.25, [20, 20, 22]), (0, [2, 20, 40])])
def test_a_pair_of_outliers_is_absorbed_or_uses_a_cluster_up(absorb, sizes):
    points, _ = groups(apart=4)
    points = np.concatenate([points, [(12, 12), (12, 12.5)]])
    labels = agglomerate(points, np.arange(62), 3, neighbours=10, absorb=absorb)
    assert sorted(np.bincount(labels)) == sizes


def test_first_clusters_hold_each_sample_and_its_nearest_neighbour():
    points, _ = groups()
    labels = first_clusters(points + 20)
    nearest = affinity((points + 20) / np.linalg.norm(points + 20, axis=1, keepdims=True), 1)
    assert (labels == labels[nearest.indices]).all()
    assert 3 < labels.max() + 1 < 30


def test_the_loss_is_the_mean_over_a_batch_s_triplets():
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(7, 3)).astype("float32"), np.array([0, 0, 1, 1, 1, 2, 3])
    gaps = ((features[:, None] - features) ** 2).sum(-1)
    losses = [
        max(0, 2 * gaps[a, p] - gaps[a, n] + 0.2)
        for a, p, n in np.ndindex(7, 7, 7)
        if a != p and labels[a] == labels[p] != labels[n]
    ]
    assert float(triplet_loss(labels, features)) == pytest.approx(np.mean(losses), rel=1e-5)
    assert float(triplet_loss(np.arange(7), features)) == 0
    assert float(triplet_loss(np.zeros(7), features)) == 0


@pytest.fixture(scope="module")
def trained():
    keras.utils.set_random_seed(0)
    samples, truth = textures()
    model = patch_encoder((11, 11, 1), maps=(4, 4), kernel=3, features=8)
    history = jule(model, samples, 2, epochs=8, batch=24, neighbours=8)
    return model, samples, truth, history


def test_clusters_become_fewer_as_scheduled_and_the_loss_falls(trained):
    *_, history = trained
    counts = [labels.max() + 1 for labels in history["labels"]]
    assert counts == merge_schedule(counts[0], 2) and counts[-1] == 2
    assert len(history["loss"]) == 8 * len(counts)
    assert history["loss"][-1] < history["loss"][0]


def test_two_textures_of_one_brightness_end_as_two_clusters(trained):
    _, _, truth, history = trained
    assert (match_clusters(truth, history["labels"][-1]) == truth).mean() > 0.9


def test_numbers_out_of_range_are_refused(trained):
    model, samples, *_ = trained
    with pytest.raises(ConfigError, match="clusters=1"):
        jule(model, samples, 1)
    with pytest.raises(ConfigError, match="fewer than clusters=40"):
        jule(model, samples, 40)
