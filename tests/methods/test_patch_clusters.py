import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medseg_tf.data import phantoms
from medseg_tf.errors import ConfigError, GeometryError
from medseg_tf.methods import block_features, draw_patches, k_means, paint_clusters
from medseg_tf.metrics import match_clusters, nmi, pixel_accuracy


def moments(patches):
    """Mean and deviation of each patch: features that need no training."""
    rows = patches.reshape(len(patches), -1)
    return np.stack([rows.mean(1), rows.std(1)], axis=1)


def test_patches_are_cut_at_random_from_within_the_image():
    image = np.arange(5 * 6 * 2).reshape(5, 6, 2)
    found = draw_patches(image, 50, 4, seed=0)
    assert found.shape == (50, 4, 4, 2) and found.dtype == image.dtype
    starts = {tuple(patch[0, 0]) for patch in found}
    assert starts == {tuple(image[i, j]) for i in range(2) for j in range(3)}
    np.testing.assert_array_equal(found, draw_patches(image, 50, 4, seed=0))
    with pytest.raises(ConfigError, match="side from 1 to 5"):
        draw_patches(image, 1, 6)


@given(
    shape=st.sampled_from([(7, 9), (6, 6), (5, 7, 4)]),
    patch=st.integers(1, 5),
    stride=st.integers(1, 5),
)
def test_a_block_lies_in_the_middle_of_its_patch(shape, patch, stride):
    if stride > patch:
        return
    image = np.random.default_rng(0).random((*shape, 1))
    found = block_features(image, lambda patches: patches.reshape(len(patches), -1), patch, stride)
    assert found.shape[:-1] == tuple(-(-size // stride) for size in shape)
    before = (patch - stride) // 2
    for block in np.ndindex(*found.shape[:-1]):
        own = found[block].reshape((patch,) * len(shape))
        first = tuple(np.multiply(block, stride))
        assert own[(before,) * len(shape)] == image[(*first, 0)]


def test_blocks_are_painted_over_the_whole_image():
    features = np.array([[[0.0], [0], [5]], [[5], [5], [0]]])
    label = paint_clusters(features, (5, 8), stride=3, classes=2)
    assert label.shape == (5, 8) and label.dtype == "uint8"
    expected = np.repeat(np.repeat([[0, 0, 1], [1, 1, 0]], 3, 0), 3, 1)[:5, :8]
    np.testing.assert_array_equal(match_clusters(expected, label), expected)


def test_features_of_patches_tell_textures_that_single_voxels_do_not():
    case = phantoms.lung_specimen(1, seed=0, size=(20, 40, 40))[0]
    truth, image = case.label.array, case.image.array
    features = block_features(image, moments, patch=9, stride=4)
    by_patch = paint_clusters(features, truth.shape, 4)
    by_voxel = k_means(image, 3)
    assert by_patch.shape == truth.shape
    assert nmi(truth, by_patch) > nmi(truth, by_voxel) + 0.05
    right = [pixel_accuracy(truth, match_clusters(truth, one))
             for one in (by_patch, by_voxel)]  # fmt: skip
    assert right[0] > right[1]


def test_strides_and_clusters_that_do_not_fit_are_refused():
    image = np.zeros((8, 8, 1))
    with pytest.raises(ConfigError, match="a stride from 1 to 3"):
        block_features(image, moments, patch=3, stride=4)
    features = block_features(image, moments, patch=3, stride=3)
    with pytest.raises(GeometryError, match=r"has \(4, 4\) of stride 2"):
        paint_clusters(features, (8, 8), stride=2)
    with pytest.raises(ConfigError, match="classes=1 of 9 blocks"):
        paint_clusters(features, (8, 8), stride=3, classes=1)
