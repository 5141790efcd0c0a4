"""MaxPoolingWithIndices and MaxUnpooling against TensorFlow's op, a mask, and a loop."""

import keras
import numpy as np
import pytest

from medseg_tf.errors import ConfigError
from medseg_tf.layers import MaxPoolingWithIndices, MaxUnpooling


def drawn(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def pooled(image, side=2):
    return [np.asarray(part) for part in MaxPoolingWithIndices(side)(image)]


def unpooled(values, switches, image, side=2):
    return np.asarray(MaxUnpooling(side)(values, switches, image))


@pytest.mark.parametrize("shape, side", [((2, 6, 8, 3), 2), ((1, 7, 5, 2), 2), ((2, 6, 9, 1), 3),
                                         ((2, 4, 5, 6, 2), 2)])  # fmt: skip
def test_each_value_returns_to_where_it_was_the_largest_and_all_else_is_zero(shape, side):
    image = drawn(*shape)
    values, switches = pooled(image, side)
    back = unpooled(values, switches, image, side)
    flat = image.reshape(shape[0], -1, shape[-1])
    expected = np.zeros_like(flat)
    for index in np.ndindex(*values.shape):
        batch, channel = index[0], index[-1]
        block = tuple(slice(i * side, (i + 1) * side) for i in index[1:-1])
        assert values[index] == image[(batch, *block, channel)].max()
        expected[batch, switches[index], channel] = values[index]
    np.testing.assert_array_equal(flat[expected != 0], expected[expected != 0])
    np.testing.assert_array_equal(back.reshape(flat.shape), expected)


def test_pooling_what_was_unpooled_gives_the_pooled_map_again():
    image = np.abs(drawn(2, 6, 8, 3))
    values, switches = pooled(image)
    again, same = pooled(unpooled(values, switches, image))
    np.testing.assert_array_equal(again, values)
    np.testing.assert_array_equal(same, switches)


def test_the_gradient_reaches_the_switched_positions_alone():
    if keras.backend.backend() != "tensorflow":
        pytest.skip("a gradient is taken with TensorFlow")
    import tensorflow as tf

    image = tf.constant(drawn(1, 4, 4, 1))
    with tf.GradientTape() as tape:
        tape.watch(image)
        values, switches = MaxPoolingWithIndices()(image)
        total = tf.reduce_sum(MaxUnpooling()(values, switches, image) * 3)
    gradient = np.asarray(tape.gradient(total, image)).ravel()
    assert np.flatnonzero(gradient).tolist() == sorted(np.asarray(switches).ravel())
    assert set(gradient) == {0, 3}


def test_open_sizes_work_and_the_layers_are_rebuilt_from_their_config():
    inputs = keras.Input((None, None, 2))
    values, switches = MaxPoolingWithIndices(2)(inputs)
    model = keras.Model(inputs, MaxUnpooling(2)(values, switches, inputs))
    again = keras.Model.from_config(model.get_config())
    image = drawn(2, 5, 6, 2)
    assert model.output_shape == (None, None, None, 2)
    expected = unpooled(*pooled(image), image)
    np.testing.assert_array_equal(model.predict(image, verbose=0), expected)
    np.testing.assert_array_equal(np.asarray(again(image)), expected)


def test_blocks_of_no_voxel_are_refused():
    with pytest.raises(ConfigError, match="pool_size=0"):
        MaxPoolingWithIndices(0)
