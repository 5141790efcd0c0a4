"""autoencoder: shapes, mirror, noise and sparsity in training alone, errors, saving."""

import keras
import numpy as np
import pytest

from medseg_tf import load_model, models, recipe
from medseg_tf.errors import ConfigError
from medseg_tf.models import autoencoder, encoder_of


def drawn(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


@pytest.mark.parametrize("up", ["unpool", "nearest", "transposed"])
@pytest.mark.parametrize("shape", [(8, 12, 2), (4, 8, 4, 1)])
def test_a_picture_returns_in_its_own_shape_from_a_code_of_quarter_side(shape, up):
    model = autoencoder(shape, (3, 2), up=up)
    x = drawn(2, *shape)
    assert np.asarray(model(x)).shape == x.shape
    assert encoder_of(model)(x).shape == (2, *(side // 4 for side in shape[:-1]), 2)


def test_open_sizes_fit_if_they_can_be_halved():
    model = autoencoder((None, None, 1), (3, 2))
    for side in (8, 12):
        assert model.predict(drawn(1, side, 8, 1), verbose=0).shape == (1, side, 8, 1)


def test_the_decoder_mirrors_the_encoder():
    model = autoencoder((9,), (7, 5, 2))
    titles = [f"encode{n}" for n in (1, 2, 3)] + [f"decode{n}" for n in (3, 2, 1)]
    assert [model.get_layer(title).units for title in titles] == [7, 5, 2, 5, 7, 9]
    kinds = [model.get_layer(title).activation for title in titles]
    assert kinds == [keras.activations.sigmoid] * 5 + [keras.activations.linear]


def test_the_encoder_shares_the_weights_of_the_whole():
    model = autoencoder((4,), (2,), hidden=None, bias=False)
    encoder, x = encoder_of(model), drawn(3, 4)
    model.get_layer("encode1").set_weights([np.eye(4, 2)])
    np.testing.assert_allclose(np.asarray(encoder(x)), x[:, :2], atol=1e-6)


def test_with_switches_another_picture_s_positions_spoil_what_is_restored():
    model = autoencoder((8, 8, 1), (4,), hidden="relu")
    x = np.abs(drawn(1, 8, 8, 1))
    moved = np.roll(x, 1, axis=1)
    parts = keras.Model(model.input, model.get_layer("pool1").output)
    (own, _), (_, foreign) = parts(x), parts(moved)
    tail = model.get_layer("decode1")
    swapped = tail(model.get_layer("up1")(own, foreign, x))
    assert not np.allclose(np.asarray(swapped), np.asarray(model(x)))


def test_noise_corrupts_the_input_in_training_alone():
    model = autoencoder((50,), (20,), noise=1.0)
    x = drawn(2, 50)
    once, twice = (np.asarray(model(x, training=True)) for _ in range(2))
    assert not np.allclose(once, twice)
    clean = autoencoder((50,), (20,))
    clean.set_weights(model.get_weights())
    np.testing.assert_allclose(np.asarray(model(x)), np.asarray(clean(x)), atol=1e-6)


def test_sparsity_costs_the_code_s_mean_sum_of_absolute_values():
    model = autoencoder((6,), (5, 3), hidden="tanh", sparsity=0.5)
    x = drawn(4, 6)
    code = np.asarray(encoder_of(model)(x))
    model(x)
    assert len(model.losses) == 1
    assert float(model.losses[0]) == pytest.approx(0.5 * np.abs(code).sum(1).mean(), rel=1e-5)


def test_unpooling_sees_as_much_as_repeating_and_its_switches_take_memory():
    unpooled, repeated = (
        autoencoder((32, 32, 1), (8, 4), up=up, noise=0.1) for up in ("unpool", "nearest")
    )
    assert models.receptive_field(unpooled) == models.receptive_field(repeated) == (18, 18)
    assert models.macs(unpooled) == models.macs(repeated)
    more = models.training_memory(unpooled, 1) - models.training_memory(repeated, 1)
    assert more == 2 * 4 * (16 * 16 * 8 + 8 * 8 * 4)


def test_what_makes_no_autoencoder_is_refused():
    with pytest.raises(ConfigError, match="the nearest that fits is 8 or 12"):
        autoencoder((8, 10, 1), (4, 4))
    with pytest.raises(ConfigError, match=r"widths=\(\)"):
        autoencoder((8,), ())
    with pytest.raises(ConfigError, match="noise=-1"):
        autoencoder((8,), (2,), noise=-1)
    with pytest.raises(ConfigError, match="choose one of 'unpool', 'nearest'"):
        autoencoder((8,), (2,), up="bilinear")


@pytest.mark.parametrize("shape", [(8, 8, 1), (10,)])
def test_it_is_loaded_as_it_was_saved(tmp_path, shape):
    model = autoencoder(shape, (3, 2), noise=0.1, sparsity=0.1)
    recipe.save(model, tmp_path / "net")
    again = load_model(tmp_path / "net")
    x = drawn(2, *shape)
    np.testing.assert_array_equal(np.asarray(again(x)), np.asarray(model(x)))
