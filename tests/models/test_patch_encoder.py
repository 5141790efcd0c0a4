"""patch_encoder: unit vectors of any rank, choices, errors, saving."""

import keras
import numpy as np
import pytest

from medseg_tf import load_model, recipe
from medseg_tf.errors import ConfigError
from medseg_tf.models import patch_encoder, receptive_field

SMALL = dict(maps=(3, 4), kernel=3, features=5)


@pytest.mark.parametrize("dense", [(), (6,)])
@pytest.mark.parametrize("shape", [(11, 11, 2), (9, 11, 9, 1)])
def test_a_patch_becomes_a_vector_of_length_one(shape, dense):
    keras.utils.set_random_seed(0)  # a patch that no unit of a layer answers to is a vector of 0
    model = patch_encoder(shape, **SMALL, dense=dense)
    x = np.random.default_rng(0).normal(size=(4, *shape)).astype("float32")
    found = np.asarray(model(x))
    assert found.shape == (4, 5)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert np.ptp(found, axis=0).max() > 1e-3


def test_the_pooling_stands_where_it_is_asked_for():
    after = [patch_encoder((12, 12, 1), **SMALL, pool_after=number) for number in (1, 2)]
    assert [model.get_layer("pool").output.shape[1] for model in after] == [5, 4]
    assert [model.get_layer("flatten").output.shape[1] for model in after] == [36, 64]


@pytest.mark.parametrize("side, fits", [(7, False), (8, True)])
def test_the_smallest_patch_leaves_one_position(side, fits):
    if fits:
        assert patch_encoder((side, 9, 1), **SMALL).get_layer("conv2").output.shape[1] == 1
    else:
        with pytest.raises(ConfigError, match="sides of 8 or more"):
            patch_encoder((side, 9, 1), **SMALL)


def test_it_is_measured():
    assert receptive_field(patch_encoder((11, 11, 1), **SMALL)) == (10, 10)


def test_a_pooling_after_no_convolution_is_refused():
    with pytest.raises(ConfigError, match="pool_after=3 of 2"):
        patch_encoder((11, 11, 1), **SMALL, pool_after=3)


def test_it_is_loaded_as_it_was_saved(tmp_path):
    model = patch_encoder((11, 11, 1), **SMALL)
    recipe.save(model, tmp_path / "net")
    x = np.random.default_rng(0).normal(size=(2, 11, 11, 1)).astype("float32")
    np.testing.assert_array_equal(load_model(tmp_path / "net")(x), model(x))
