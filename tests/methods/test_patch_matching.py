import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medseg_tf.data import phantoms
from medseg_tf.errors import ConfigError, GeometryError
from medseg_tf.methods import match_patches, patch_statistics, patch_vectors, sparse_code
from medseg_tf.metrics import dice


def test_patch_vectors_hold_each_voxel_s_neighbours_all_channels():
    image = np.random.default_rng(0).normal(size=(5, 6, 2)).astype("float32")
    found = patch_vectors(image, 3)
    assert found.shape == (5, 6, 18)
    np.testing.assert_array_equal(found[2, 3].reshape(3, 3, 2), image[1:4, 2:5])
    assert patch_vectors(np.zeros((4, 5, 6, 1)), 3).shape == (4, 5, 6, 27)
    with pytest.raises(ConfigError, match="side=4"):
        patch_vectors(image, 4)


def test_statistics_of_a_ramp_are_its_value_mean_and_slope():
    ramp = np.repeat(np.arange(20.0)[:, None], 20, axis=1)[..., None] * 0.5
    grey, mean, deviation, slope = patch_statistics(ramp, 5)[10, 10]
    assert (grey, mean) == (5, 5)
    assert deviation == pytest.approx(0.5 * np.sqrt(2), rel=1e-4)
    assert slope == pytest.approx(0.5, rel=1e-3)


@given(seed=st.integers(0, 99), sparsity=st.floats(0.01, 0.5))
def test_a_sparse_code_meets_the_conditions_of_the_optimum(seed, sparsity):
    rng = np.random.default_rng(seed)
    atoms = rng.normal(size=(6, 9))
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    target = rng.normal(size=9)
    code = sparse_code(target, atoms, sparsity, steps=3000)
    slope = atoms @ (atoms.T @ code - target) + sparsity
    assert (code >= 0).all() and (slope > -1e-4).all()
    assert np.abs(slope[code > 1e-4]).max(initial=0) < 1e-4


def test_codes_of_many_targets_are_those_of_each():
    rng = np.random.default_rng(0)
    atoms, targets = rng.normal(size=(4, 5, 7)), rng.normal(size=(4, 7))
    together = sparse_code(targets, atoms, 0.1)
    alone = [sparse_code(f, own, 0.1) for f, own in zip(targets, atoms, strict=True)]
    np.testing.assert_allclose(together, alone)
    assert sparse_code(targets, atoms, 1e3).max() == 0


@pytest.mark.parametrize("sparsity", [0.05, None])
@pytest.mark.parametrize("shape", [(7, 8), (4, 5, 6)])
def test_an_atlas_like_the_target_gives_its_label_though_moved(shape, sparsity):
    rng = np.random.default_rng(0)
    features, label = rng.normal(size=(*shape, 8)), rng.integers(0, 3, shape)
    moved = [np.roll(features, 1, axis=0), rng.normal(size=(*shape, 8))]
    labels = [np.roll(label, 1, axis=0), rng.integers(0, 3, shape)]
    found = match_patches(features, moved, labels, classes=3, search=3, sparsity=sparsity)
    assert found.shape == (*shape, 3) and found.dtype == "float32"
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-5)
    inner = slice(0, -1)
    assert (found.argmax(-1) == label)[inner].all()


def test_where_the_code_is_empty_the_nearest_candidate_counts():
    rng = np.random.default_rng(0)
    features, label = rng.normal(size=(5, 5, 8)), rng.integers(0, 2, (5, 5))
    found = match_patches(features, [features], [label], search=3, sparsity=5.0)
    np.testing.assert_array_equal(found[..., 1], label)


def test_outside_the_region_all_is_background():
    features, region = np.ones((5, 5, 2)), np.zeros((5, 5), bool)
    region[2, 2] = True
    found = match_patches(features, [features], [np.ones((5, 5), int)], search=3, region=region)
    assert found[..., 1].sum() == pytest.approx(1) and found[2, 2, 1] == pytest.approx(1)


def test_matching_beats_the_majority_of_the_atlases_labels():
    cases = phantoms.infant_hippocampus(5, seed=0)
    images = [patch_vectors(case.image.array, 3) for case in cases]
    labels = [(case.label.array > 0).astype(int) for case in cases]
    region = np.any(labels[1:], axis=0)
    found = match_patches(
        images[0], images[1:], labels[1:], search=5, candidates=15, region=region
    ).argmax(-1)
    majority = (np.mean(labels[1:], axis=0) >= 0.5).astype(int)
    assert dice(labels[0], found)[1] > dice(labels[0], majority)[1]


def test_grids_that_differ_are_refused():
    features, label = np.ones((5, 5, 2)), np.ones((5, 5), int)
    with pytest.raises(GeometryError, match="all lie on one grid"):
        match_patches(features, [features], [label[1:]])
    with pytest.raises(GeometryError, match="1 atlases and 2 labels"):
        match_patches(features, [features], [label, label])
    with pytest.raises(ConfigError, match="search=4"):
        match_patches(features, [features], [label], search=4)
    with pytest.raises(GeometryError, match="sparse_code"):
        sparse_code(np.ones(3), np.ones((2, 4)))
