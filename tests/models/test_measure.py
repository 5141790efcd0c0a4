"""receptive_field against impulses sent through real networks; macs against counts by hand."""

import math

import keras
import numpy as np
import pytest
from keras import layers

from medseg_tf.errors import ConfigError, ModelError
from medseg_tf.models import macs, receptive_field, training_memory, unet


def model_of(*stack, shape=(64, 64, 1)):
    return keras.Sequential([keras.Input(shape), *stack])


def reach(model, size):
    """Largest extent of inputs along axis 0 that move one output: an impulse at each in turn."""
    for variable in model.weights:
        if "kernel" in variable.path:
            variable.assign(np.full(variable.shape, 1 / math.prod(variable.shape[:-1])))
    other = model.input_shape[2:-1]
    image = np.zeros((size, size, *other, 1), "float32")
    image[np.arange(size), np.arange(size)] = 1
    moved = np.asarray(model.predict(image, verbose=0)) != 0
    moved = moved.reshape(size, moved.shape[1], -1).any(axis=-1)  # (input, output position)
    extents = [np.ptp(np.flatnonzero(column)) + 1 for column in moved.T if column.any()]
    return max(extents)


@pytest.mark.parametrize(
    "stack",
    [
        [layers.Conv2D(1, 3, padding="same"), layers.Conv2D(1, 5)],
        [layers.Conv2D(1, 3, dilation_rate=4, padding="same"), layers.Conv2D(1, 2, strides=2)],
        [layers.MaxPooling2D(3, strides=2, padding="same"), layers.Conv2D(1, 3, padding="same")],
        [layers.AveragePooling2D(2), layers.Conv2DTranspose(1, 4, strides=2, padding="same")],
        [layers.Conv2D(1, 3, strides=2), layers.Conv2DTranspose(1, 3, strides=2)],
        [layers.Conv2D(1, 4, strides=4), layers.Conv2DTranspose(1, 2, strides=3, padding="same")],
        [layers.MaxPooling2D(2), layers.UpSampling2D(2, interpolation="bilinear")],
        [layers.MaxPooling2D(2), layers.UpSampling2D(3), layers.Conv2D(1, 3)],
        [layers.ZeroPadding2D(3), layers.Conv2D(1, 7), layers.Cropping2D(2)],
    ],
)
def test_receptive_field_is_the_reach_of_an_impulse(stack):
    model = model_of(*stack, shape=(64, 16, 1))
    assert receptive_field(model)[0] == reach(model, 64)


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_receptive_field_of_a_unet_is_the_reach_of_an_impulse(padding):
    sizes = {"valid": (84, 44), "same": (96, 8)}[padding]
    model = unet((*sizes, 1), 1, width=1, depth=2, padding=padding, activation=None)
    assert receptive_field(model) == (44, 44)
    assert reach(model, sizes[0]) == 44


@pytest.mark.parametrize("kernel", [3, 4, 6])
def test_maps_that_are_shifted_against_each_other_are_joined_where_keras_puts_them(kernel):
    inputs = keras.Input((64, 16, 1))
    x = layers.Conv2D(1, kernel, strides=2, padding="same")(inputs)
    x = layers.Conv2DTranspose(1, kernel, strides=2, padding="same")(x)
    model = keras.Model(
        inputs, layers.Concatenate()([x, layers.Conv2D(1, 8, padding="same")(inputs)])
    )
    assert receptive_field(model)[0] == reach(model, 64)


def test_receptive_field_in_three_dimensions_is_measured_along_each_axis():
    model = model_of(layers.Conv3D(1, (3, 1, 5)), layers.Conv3D(1, (1, 1, 2)), shape=(9, 9, 9, 1))
    assert receptive_field(model) == (3, 1, 6)


def test_a_branch_seen_earlier_and_later_counts_with_both_ends():
    x = inputs = keras.Input((32, 32, 1))
    early, late = layers.Cropping2D(((0, 4), (0, 4)))(x), layers.Cropping2D(((4, 0), (4, 0)))(x)
    model = keras.Model(inputs, layers.Concatenate()([early, late]))
    assert receptive_field(model) == (5, 5)


def test_padding_does_not_shorten_the_field_of_a_network_built_small():
    stack = [layers.Conv2D(1, 17, padding="same") for _ in range(5)]
    assert receptive_field(model_of(*stack, shape=(8, 8, 1))) == (81, 81)


def test_a_dense_layer_sees_what_the_whole_window_was_convolved_to():
    stack = [layers.Conv2D(1, 3), layers.MaxPooling2D(2), layers.Flatten(), layers.Dense(2)]
    # 12 - 2 = 10 = 5 pairs: all 12; 13 - 2 = 11 = 5 pairs and one left out: 12 of 13.
    assert receptive_field(model_of(*stack, shape=(12, 13, 1))) == (12, 12)


def test_a_dense_layer_does_not_see_what_was_cropped_away():
    stack = [layers.Cropping2D(((2, 3), (0, 1))), layers.Flatten(), layers.Dense(1)]
    assert receptive_field(model_of(*stack, shape=(12, 9, 1))) == (7, 8)


def test_a_global_pooling_joined_to_a_map_sees_the_whole_image():
    inputs = keras.Input((16, 24, 2))
    pooled = layers.GlobalAveragePooling2D(keepdims=True)(inputs)
    x = layers.Multiply()([inputs, layers.Dense(2)(pooled)])
    x = layers.Conv2D(1, 3)(x)
    assert receptive_field(keras.Model(inputs, x)) == (16, 24)


def test_seeing_the_whole_of_an_open_size_is_infinite():
    stack = [layers.GlobalAveragePooling2D(), layers.Dense(2)]
    assert receptive_field(model_of(*stack, shape=(None, 8, 1))) == (math.inf, 8)


def test_models_inside_models_and_layers_used_twice_are_looked_through():
    block = [layers.Conv2D(1, 3, padding="same"), layers.MaxPooling2D(2)]
    part = model_of(*block, shape=(None, None, 1))
    inputs = keras.Input((64, 64, 1))
    model = keras.Model(inputs, part(part(inputs)))
    # 3 and a pair: 4 positions; again on a grid twice as coarse: 4 + 2 * 2 + 2.
    assert receptive_field(model) == (10, 10)
    assert macs(model) == 9 * 64 * 64 + 9 * 32 * 32


def test_an_unknown_layer_is_named():
    model = model_of(layers.Conv2D(1, 3), layers.Permute((2, 1, 3), name="turn"))
    with pytest.raises(ModelError, match="turn.*Permute"):
        receptive_field(model)


def test_maps_laid_side_by_side_are_an_error_and_not_taken_for_channels():
    inputs = keras.Input((8, 8, 1))
    model = keras.Model(inputs, layers.Concatenate(axis=1, name="side")([inputs, inputs]))
    with pytest.raises(ModelError, match="side.*Concatenate"):
        receptive_field(model)


def test_macs_of_convolution_transposed_convolution_and_dense_by_hand():
    model = model_of(
        layers.Conv2D(3, 3),  # 8 x 6 positions of 3 * 3 * 2 * 3
        layers.MaxPooling2D(2),
        layers.BatchNormalization(),
        layers.Conv2DTranspose(5, 2, strides=2),  # 4 x 3 inputs of 2 * 2 * 3 * 5
        layers.Dense(4),  # 8 x 6 positions of 5 * 4
        shape=(10, 8, 2),
    )
    assert macs(model) == 48 * 54 + 12 * 60 + 48 * 20


def test_macs_of_a_volume_by_hand():
    assert macs(model_of(layers.Conv3D(2, 3), shape=(4, 5, 6, 1))) == 2 * 3 * 4 * 27 * 2


def test_macs_of_open_sizes_need_a_size():
    model = model_of(layers.Conv2D(1, 3, padding="same"), shape=(None, None, 1))
    assert macs(model, size=(10, 20)) == 9 * 200
    with pytest.raises(ConfigError, match="size="):
        macs(model)


def test_macs_of_a_layer_it_cannot_count_are_an_error():
    with pytest.raises(ModelError, match="DepthwiseConv2D"):
        macs(model_of(layers.DepthwiseConv2D(3)))


def test_the_memory_of_training_by_hand():
    model = model_of(layers.Conv2D(3, 3), layers.MaxPooling2D(2), shape=(10, 8, 2))
    maps = 10 * 8 * 2 + 8 * 6 * 3 + 4 * 3 * 3  # numbers of the image and of what each layer makes
    weights = 3 * 3 * 2 * 3 + 3
    # Maps: value and gradient. Weights: number, gradient, two averages of Adam. Each 4 bytes.
    assert training_memory(model, batch=5) == 5 * 2 * 4 * maps + 4 * 4 * weights


def test_the_memory_of_open_sizes_needs_a_size():
    model = model_of(layers.Conv2D(1, 1), shape=(None, None, 1))
    assert training_memory(model, 1, size=(3, 4)) == 2 * 4 * 2 * 12 + 4 * 4 * 2
    with pytest.raises(ConfigError, match="size="):
        training_memory(model, 1)
