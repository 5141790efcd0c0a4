"""multiscale: shapes of any rank and size, streams apart, choices, errors, saving."""

import keras
import numpy as np
import pytest

from medseg_tf import data, load_model, recipe, training
from medseg_tf.errors import ConfigError
from medseg_tf.models import multiscale

SMALL = dict(kernels=(1, 3), width=3, depth=2, head=4)


@pytest.mark.parametrize("shape", [(7, 9, 1), (None, None, 2), (5, 6, 7, 1)])
@pytest.mark.parametrize("norm", [None, "batch"])
def test_a_map_of_probabilities_comes_out_in_the_size_that_goes_in(shape, norm):
    model = multiscale(shape, 3, **SMALL, norm=norm)
    x = np.random.default_rng(0).normal(size=(2, *(side or 6 for side in shape)))
    found = np.asarray(model(x.astype("float32")))
    assert found.shape == (*x.shape[:-1], 3)
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-5)


def test_each_stream_has_its_own_kernel_and_all_meet_only_at_the_end():
    model = multiscale((9, 9, 1), 2, kernels=(3, 5), width=3, depth=2)
    for stream, side in ((1, 3), (2, 5)):
        for level in (1, 2):
            layer = model.get_layer(f"stream{stream}_conv{level}")
            assert layer.kernel_size == (side, side)
            assert layer.input.shape[-1] == (1 if level == 1 else 3)
    assert model.get_layer("join").input.shape[-1] == 6


def test_without_activation_it_gives_logits():
    model = multiscale((6, 6, 1), 2, **SMALL, activation=None)
    assert model.get_layer("output").activation is keras.activations.linear


def test_it_learns_from_patches():
    keras.utils.set_random_seed(0)
    cases = data.phantoms.brain_regions(2, size=(32, 32), spacing=3)
    patches = data.Patches(cases, 32, 2, steps=15)
    model = multiscale((32, 32, 1), 6, kernels=(3, 5), width=4, depth=2)
    history = training.fit(model, patches, "sparse_categorical_crossentropy", epochs=2)
    assert history["loss"][-1] < history["loss"][0]


@pytest.mark.parametrize("options", [dict(kernels=()), dict(kernels=(3, 4)), dict(depth=0)])
def test_what_makes_no_network_is_refused(options):
    with pytest.raises(ConfigError, match="multiscale: kernels"):
        multiscale((8, 8, 1), 2, **options)
    with pytest.raises(ConfigError, match="norm is 'group'"):
        multiscale((8, 8, 1), 2, norm="group")


def test_it_is_loaded_as_it_was_saved(tmp_path):
    model = multiscale((8, 8, 1), 2, **SMALL)
    recipe.save(model, tmp_path / "net")
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 1)).astype("float32")
    np.testing.assert_array_equal(load_model(tmp_path / "net")(x), model(x))
