import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medseg_tf.errors import ConfigError, GeometryError, LabelError
from medseg_tf.methods import random_walker
from medseg_tf.methods.random_walker import edge_weights, graph_laplacian


def drawn(shape, classes, seed=0):
    rng = np.random.default_rng(seed)
    prior = rng.random((*shape, classes)) + 0.01
    return rng.random((*shape, 1)), prior / prior.sum(-1, keepdims=True)


@given(
    shape=st.sampled_from([(7,), (4, 5), (3, 3, 4)]),
    beta=st.floats(0, 200),
    gamma=st.floats(1e-2, 1e3),
    seed=st.integers(0, 99),
)
def test_probabilities_sum_to_one_and_stay_between_those_of_the_prior(shape, beta, gamma, seed):
    image, prior = drawn(shape, 3, seed)
    found = random_walker(image, prior, beta=beta, gamma=gamma)
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-9)
    space = tuple(range(len(shape)))
    assert (found <= prior.max(space) + 1e-9).all() and (found >= prior.min(space) - 1e-9).all()


def test_a_large_gamma_returns_the_prior_and_a_small_one_its_mean():
    image, prior = drawn((5, 6), 3)
    np.testing.assert_allclose(random_walker(image, prior, gamma=1e6), prior, atol=1e-4)
    flat = random_walker(image, prior, beta=0, gamma=1e-6)
    np.testing.assert_allclose(flat, np.broadcast_to(prior.mean((0, 1)), flat.shape), atol=1e-4)


def test_where_nothing_is_known_each_voxel_is_the_weighted_mean_of_its_neighbours():
    image, _ = drawn((5, 6), 2)
    seeds = np.full((5, 6), -1)
    seeds[0, 0], seeds[4, 5], seeds[4, 0] = 0, 1, 2
    found = random_walker(image, seeds=seeds, beta=5)
    assert found.shape == (5, 6, 3) and found[4, 0].tolist() == [0, 0, 1]
    laplacian = graph_laplacian(edge_weights(image, 5), (5, 6))
    pull = (laplacian @ found.reshape(-1, 3)).reshape(found.shape)
    assert np.abs(pull[seeds < 0]).max() < 1e-9


def test_a_wall_in_the_image_keeps_the_labels_apart():
    image = np.zeros((6, 6, 1))
    image[:, 3:] = 1
    seeds = np.full((6, 6), -1)
    seeds[2, 0], seeds[2, 5] = 0, 1
    label = random_walker(image, seeds=seeds, beta=90).argmax(-1)
    np.testing.assert_array_equal(label, np.repeat([[0, 0, 0, 1, 1, 1]], 6, axis=0))


def test_a_lone_dissenter_yields_on_a_flat_image_and_is_kept_by_edges_round_it():
    prior = np.full((5, 5, 2), [0.2, 0.8])
    prior[2, 2] = 0.7, 0.3
    flat = random_walker(np.zeros((5, 5, 1)), prior).argmax(-1)
    image = np.zeros((5, 5, 1))
    image[2, 2] = 1
    kept = random_walker(image, prior).argmax(-1)
    assert flat[2, 2] == 1 and kept[2, 2] == 0 and kept.sum() == 24


def test_channels_count_together():
    image, prior = drawn((5, 5), 2)
    two = random_walker(np.concatenate([image, np.zeros_like(image)], -1), prior)
    np.testing.assert_allclose(two, random_walker(image, prior))


def test_a_volume_too_large_for_factors_is_solved_step_by_step_to_the_same():
    image, prior = drawn((19, 19, 18), 3)
    found = random_walker(image, prior, beta=20)
    laplacian = graph_laplacian(edge_weights(image, 20), (19, 19, 18))
    flat = found.reshape(-1, 3)
    np.testing.assert_allclose(laplacian @ flat + flat, prior.reshape(-1, 3), atol=1e-3)


def test_where_all_is_known_nothing_is_solved():
    seeds = np.array([[0, 1], [1, 0]])
    found = random_walker(np.zeros((2, 2, 1)), seeds=seeds)
    np.testing.assert_array_equal(found.argmax(-1), seeds)


def test_what_makes_no_walk_is_refused():
    image, prior = drawn((4, 4), 2)
    with pytest.raises(ConfigError, match="give a prior, or seeds, or both"):
        random_walker(image)
    with pytest.raises(ConfigError, match="no voxel has a seed"):
        random_walker(image, seeds=np.full((4, 4), -1))
    with pytest.raises(ConfigError, match="gamma=0"):
        random_walker(image, prior, gamma=0)
    with pytest.raises(ConfigError, match="negative numbers"):
        random_walker(image, prior - 0.5)
    with pytest.raises(GeometryError, match=r"prior \(3, 4, 2\)"):
        random_walker(image, prior[1:])
    with pytest.raises(LabelError, match="from -1 to 2 for 2 classes"):
        random_walker(image, prior, np.array([[2, -1, -1, -1]] * 4))
