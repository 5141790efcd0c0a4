"""Upsampling beside Keras' own resizing, and on maps small enough to check by eye."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medseg_tf.errors import ConfigError
from medseg_tf.layers import BilinearUpsampling, CropLike
from medseg_tf.layers.bilinear_upsampling import bilinear
from medseg_tf.models import macs, receptive_field


def numbers(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def test_one_row_by_hand():
    row = np.arange(4, dtype="float32").reshape(1, 1, 4, 1)
    result = np.asarray(BilinearUpsampling(2, padding="valid")(row))
    assert result.shape == (1, 4, 10, 1)
    ends_fade = [0, 0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 2.25, 0.75]
    assert np.allclose(result[0, 1, :, 0], np.multiply(0.75, ends_fade))


@pytest.mark.parametrize("factor", [2, 3, 4, 8])
def test_inside_it_is_the_bilinear_resizing_of_keras(factor):
    x, margin = numbers(2, 5, 6, 3), factor // 2
    ours = np.asarray(BilinearUpsampling(factor)(x))
    theirs = np.asarray(keras.layers.UpSampling2D(factor, interpolation="bilinear")(x))
    assert ours.shape == theirs.shape
    inside = (slice(None), slice(margin, -margin), slice(margin, -margin))
    assert np.allclose(ours[inside], theirs[inside], atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(
    st.integers(2, 5), st.booleans(), st.integers(2, 3), st.floats(-4, 4), st.sampled_from([0, 1])
)
def test_a_constant_stays_constant_inside_and_shapes_are_as_told(factor, odd, rank, value, same):
    x = np.full((1, *(4,) * rank, 2), value, "float32")
    layer = BilinearUpsampling(factor, kernel=2 * factor - odd, padding="same" if same else "valid")
    result = np.asarray(layer(x))
    assert result.shape == layer.compute_output_shape(x.shape)
    middle = (0, *(slice(factor + 1, -factor - 1),) * rank)
    assert result[middle].size and np.allclose(result[middle], value, atol=1e-5)


def test_a_fixed_layer_never_mixes_channels_and_has_no_weights():
    x = numbers(1, 3, 4, 2)
    layer = BilinearUpsampling(2)
    together = np.asarray(layer(x))
    alone = [np.asarray(BilinearUpsampling(2)(x[..., [channel]])) for channel in (0, 1)]
    assert np.allclose(together, np.concatenate(alone, axis=-1))
    assert layer.weights == []


def test_a_learned_layer_starts_bilinear_and_trains_all_of_its_kernel():
    x, target = numbers(1, 3, 4, 2), numbers(1, 6, 8, 2)
    layer = BilinearUpsampling(2, learned=True)
    assert np.allclose(layer(x), BilinearUpsampling(2)(x))
    assert [tuple(weight.shape) for weight in layer.trainable_weights] == [(4, 4, 2, 2)]
    before = np.asarray(layer.kernel)
    inputs = keras.Input((3, 4, 2))
    model = keras.Model(inputs, layer(inputs))
    model.compile(keras.optimizers.SGD(0.1), "mse")
    model.fit(x, target, verbose=0)
    assert np.all(np.asarray(layer.kernel) != before)


@pytest.mark.parametrize("rank", [2, 3])
def test_a_grouped_layer_starts_bilinear_and_keeps_channels_apart_while_it_learns(rank):
    x = numbers(1, *(3, 4, 2)[:rank], 2)
    layer = BilinearUpsampling(2, learned="grouped")
    assert np.allclose(layer(x), BilinearUpsampling(2)(x))
    assert [tuple(weight.shape) for weight in layer.trainable_weights] == [(4,) * rank + (2,)]
    layer.kernel.assign(numbers(*layer.kernel.shape))
    moved = x + [1, 0]
    first, second = np.moveaxis(np.asarray(layer(moved)) - np.asarray(layer(x)), -1, 0)
    assert np.any(first) and not np.any(second)


def test_a_saved_model_returns_the_same(tmp_path):
    image, small = keras.Input((None, None, 3)), keras.Input((None, None, 3))
    up = BilinearUpsampling(3, learned=True, kernel=6, padding="valid")(small)
    model = keras.Model([image, small], CropLike(2)([up, image]))
    maps = numbers(1, 8, 9, 3), numbers(1, 3, 4, 3)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert np.array_equal(loaded(maps), model(maps))
    assert model(maps).shape == (1, 8, 9, 3)


def test_crop_like_starts_at_its_offset_and_takes_the_size_of_the_other():
    x, other = numbers(1, 7, 8, 6, 2), np.zeros((1, 3, 4, 1, 5))
    result = CropLike(2)([x, other])
    assert np.array_equal(result, x[:, 2:5, 2:6, 2:3])
    assert CropLike(2).compute_output_shape([(1, 7, None, 2), (None, 3, None, 5)]) == (
        1,
        3,
        None,
        2,
    )


@pytest.mark.parametrize("factor", [2, 4])
def test_it_is_measured_like_the_transposed_convolution_it_is(factor):
    inputs = keras.Input((32, 32, 1))
    x = keras.layers.AveragePooling2D(factor)(inputs)
    model = keras.Model(inputs, CropLike(1)([BilinearUpsampling(factor, name="up")(x), x]))
    # An output sees two neighbouring blocks of `factor` positions.
    assert receptive_field(model) == (2 * factor, 2 * factor)
    assert macs(model) == (32 // factor) ** 2 * (2 * factor) ** 2


def test_the_kernel_has_the_rank_of_the_map():
    assert np.allclose(bilinear(4), [0.25, 0.75, 0.75, 0.25])
    assert np.allclose(bilinear(3), [0.5, 1, 0.5])
    assert np.allclose(bilinear(4, rank=2), np.outer(bilinear(4), bilinear(4)))
    assert bilinear(4, rank=3).shape == (4, 4, 4)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"factor": 0}, "factor 0"),
        ({"factor": 4, "kernel": 6}, "kernel 6; .* interpolates"),
        ({"factor": 2, "padding": "mirror"}, "padding is 'mirror'"),
        ({"factor": 2, "learned": "all"}, "learned 'all'; .* 'grouped'"),
    ],
)
def test_what_would_not_interpolate_is_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        BilinearUpsampling(**arguments)
