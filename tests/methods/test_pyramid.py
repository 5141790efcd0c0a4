import numpy as np
import pytest

from medseg_tf.errors import ConfigError
from medseg_tf.methods import pyramid_patches


def test_at_scale_one_a_patch_is_the_image_round_its_centre():
    image = np.arange(100.0).reshape(10, 10, 1)
    found = pyramid_patches(image, [[5, 4]], side=4, scales=(1,))
    np.testing.assert_array_equal(found[0, ..., 0], image[3:7, 2:6, 0])


def test_the_centre_is_at_the_same_index_on_every_scale_and_scales_reach_farther():
    rows = np.repeat(np.arange(200.0)[:, None, None], 200, axis=1)  # a ramp, which smoothing keeps
    found = pyramid_patches(rows, [[100, 90]], side=6, scales=(1, 2, 4))
    assert found.shape == (1, 6, 6, 3)
    np.testing.assert_allclose(found[0, 3, :, :], 100, atol=1e-3)
    np.testing.assert_allclose(found[0, 4, 0] - found[0, 3, 0], [1, 2, 4], atol=1e-3)


def test_coarse_scales_are_smoothed_before_voxels_are_left_out():
    checks = (np.indices((40, 40)).sum(0) % 2)[..., None].astype(float)
    found = pyramid_patches(checks, [[20, 20]], side=4, scales=(1, 2, 4))[0]
    assert np.ptp(found[..., 0]) == 1
    assert np.ptp(found[..., 1]) < 0.1 and np.ptp(found[..., 2]) < 0.1
    np.testing.assert_allclose(found[..., 2], 0.5, atol=0.05)


def test_beyond_the_border_the_image_is_mirrored():
    image = np.arange(10.0)[:, None, None] * np.ones((1, 10, 1))
    found = pyramid_patches(image, [[0, 5]], side=4, scales=(1,))
    assert found[0, :, 0, 0].tolist() == [2, 1, 0, 1]
    assert pyramid_patches(image, [[0, 0]], side=4, scales=(8,)).shape == (1, 4, 4, 1)


def test_channels_of_one_scale_stay_together_and_volumes_work_alike():
    image = np.random.default_rng(0).normal(size=(12, 12, 2))
    found = pyramid_patches(image, [[6, 6], [5, 7]], side=2, scales=(1, 2))
    assert found.shape == (2, 2, 2, 4) and found.dtype == "float32"
    np.testing.assert_allclose(found[0, 1, 1, :2], image[6, 6], atol=1e-6)
    assert pyramid_patches(np.ones((8, 8, 8, 1)), [[4, 4, 4]], 3, (1, 2)).shape == (1, 3, 3, 3, 2)


@pytest.mark.parametrize(
    "wrong", [dict(centres=[[4]]), dict(centres=[[4, 9]]), dict(scales=(1, 1.5)), dict(side=0)]
)
def test_centres_outside_and_scales_that_are_none_are_refused(wrong):
    with pytest.raises(ConfigError, match="pyramid_patches: centres"):
        pyramid_patches(**dict(image=np.ones((9, 9, 1)), centres=[[4, 4]], side=3) | wrong)
