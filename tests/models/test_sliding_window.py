"""sliding_window: shapes, choices, training by Patches, errors, saving."""

import keras
import numpy as np
import pytest

from medseg_tf import data, load_model, recipe, training
from medseg_tf.errors import ConfigError
from medseg_tf.models import receptive_field, sliding_window

SMALL = dict(maps=(2, 3), kernels=(4, 3), dense=(5,))


@pytest.mark.parametrize("window", [(31, 31), (15, 23), (13, 11, 15)])
def test_a_window_of_any_rank_becomes_one_pixel_of_probabilities(window):
    model = sliding_window((*window, 2), 3, **SMALL)
    x = np.random.default_rng(0).normal(size=(4, *window, 2)).astype("float32")
    found = np.asarray(model(x))
    assert found.shape == (4, *(1 for _ in window), 3)
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-6)


def test_without_activation_it_gives_logits():
    model = sliding_window((15, 15, 1), 2, **SMALL, activation=None)
    x = np.random.default_rng(0).normal(size=(1, 15, 15, 1)).astype("float32")
    assert not np.allclose(np.asarray(model(x)).sum(), 1)


def test_hidden_layers_take_the_activation_asked_for_and_the_last_none():
    model = sliding_window((15, 15, 1), 2, **SMALL, hidden="tanh")
    kinds = {name: model.get_layer(name).activation for name in ("conv1", "dense1", "logits")}
    assert kinds["conv1"] is kinds["dense1"] is keras.activations.tanh
    assert kinds["logits"] is keras.activations.linear


def test_several_or_no_hidden_dense_layers():
    many = sliding_window((15, 15, 1), 2, (2,), (4,), dense=(7, 5))
    none = sliding_window((15, 15, 1), 2, (2,), (4,), dense=())
    assert many.get_layer("dense2").units == 5
    assert none.count_params() == 16 * 2 + 2 + 6 * 6 * 2 * 2 + 2


def test_it_learns_from_patches_with_an_output_of_one_pixel():
    keras.utils.set_random_seed(0)
    cases = data.phantoms.membranes(1, size=48)
    model = sliding_window((15, 15, 1), 2, **SMALL)
    patches = data.Patches(cases, 15, 16, output=1, steps=20)
    history = training.fit(model, patches, "sparse_categorical_crossentropy", epochs=3)
    assert history["loss"][-1] < history["loss"][0]


def test_a_pooling_that_does_not_divide_leaves_rows_of_the_window_unseen():
    options = dict(maps=(1, 1, 1), kernels=(4, 4, 4), dense=())  # 65, 62, 31, 28, 14, 11, 5
    assert receptive_field(sliding_window((65, 65, 1), **options)) == (61, 61)


@pytest.mark.parametrize("side, fits", [(62, False), (63, True)])
def test_the_smallest_window_leaves_one_position_behind_the_last_pooling(side, fits):
    options = dict(maps=(1,) * 4, dense=())
    if fits:
        assert sliding_window((side, 63, 1), **options).get_layer("pool4").output.shape[1:] == (
            (1, 1, 1)
        )
    else:
        with pytest.raises(ConfigError, match="sides of 63 or more"):
            sliding_window((side, 63, 1), **options)


def test_an_open_window_and_lists_of_different_length_are_refused():
    with pytest.raises(ConfigError, match="sides of 11 or more"):
        sliding_window((None, 31, 1), **SMALL)
    with pytest.raises(ConfigError, match="2 maps and 1 kernels"):
        sliding_window((31, 31, 1), maps=(2, 2), kernels=(3,))


def test_it_is_loaded_as_it_was_saved(tmp_path):
    model = sliding_window((15, 15, 1), 2, **SMALL)
    recipe.save(model, tmp_path / "net")
    again = load_model(tmp_path / "net")
    x = np.random.default_rng(0).normal(size=(2, 15, 15, 1)).astype("float32")
    np.testing.assert_array_equal(again(x), model(x))
