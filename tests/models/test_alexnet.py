"""alexnet at other sizes than the paper's; its numbers stand in tests/facts."""

import keras
import numpy as np
import pytest

from medseg_tf import load_model, recipe
from medseg_tf.errors import ConfigError
from medseg_tf.models import alexnet


@pytest.mark.parametrize("space", [(67, 99), (67, 67, 70)])
def test_an_image_of_any_rank_becomes_probabilities(space):
    model = alexnet((*space, 2), 7, width=6)
    x = np.random.default_rng(0).normal(size=(2, *space, 2)).astype("float32")
    found = np.asarray(model(x))
    assert found.shape == (2, 7)
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-5)


def test_all_layers_keep_their_proportion_to_the_width():
    model = alexnet((67, 67, 3), 5, width=12)
    names = ["conv1", "conv2", "conv3", "conv4", "conv5"]
    assert [model.get_layer(name).filters for name in names] == [12, 32, 48, 48, 32]
    assert [model.get_layer(name).units for name in ("fc6", "fc7", "fc8")] == [512, 512, 5]


def test_it_trains_with_groups_on_this_processor():
    model = alexnet((67, 67, 1), 2, width=6)
    model.compile("sgd", "sparse_categorical_crossentropy")
    before = model.get_layer("conv2").get_weights()[0]
    x = np.random.default_rng(0).normal(size=(2, 67, 67, 1)).astype("float32")
    assert np.isfinite(model.train_on_batch(x, np.array([0, 1])))
    assert model.get_layer("conv2").groups == 2
    assert np.any(model.get_layer("conv2").get_weights()[0] != before)


@pytest.mark.parametrize("side, fits", [(66, False), (67, True)])
def test_the_smallest_image(side, fits):
    if fits:
        assert alexnet((side, 67, 1), 2, width=6).get_layer("pool5").output.shape[1] == 1
    else:
        with pytest.raises(ConfigError, match="67 or more"):
            alexnet((side, 67, 1), 2, width=6)


@pytest.mark.parametrize("width, groups", [(9, 2), (100, 1), (0, 1)])
def test_a_width_that_its_proportions_do_not_divide_is_refused(width, groups):
    with pytest.raises(ConfigError, match=f"multiple of {3 * groups}"):
        alexnet(width=width, groups=groups)


def test_it_is_loaded_as_it_was_saved(tmp_path):
    keras.utils.set_random_seed(0)
    model = alexnet((67, 67, 1), 2, width=6, groups=1)
    recipe.save(model, tmp_path / "net")
    x = np.random.default_rng(0).normal(size=(1, 67, 67, 1)).astype("float32")
    np.testing.assert_array_equal(load_model(tmp_path / "net")(x), model(x))
