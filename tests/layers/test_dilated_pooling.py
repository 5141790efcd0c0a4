"""DilatedPooling against a loop over positions and samples."""

import itertools

import keras
import numpy as np
import pytest

from medseg_tf.errors import ConfigError
from medseg_tf.layers import DilatedPooling


def by_loop(image, size, apart, reduce):
    """image (*spatial): the same, position by position."""
    reach = [(samples - 1) * step for samples, step in zip(size, apart, strict=True)]
    result = np.empty(np.subtract(image.shape, reach))
    for place in np.ndindex(*result.shape):
        taps = itertools.product(*map(range, size))
        result[place] = reduce(
            [image[tuple(np.add(place, np.multiply(tap, apart)))] for tap in taps]
        )
    return result


@pytest.mark.parametrize("kind, reduce", [("max", np.max), ("average", np.mean)])
@pytest.mark.parametrize(
    "size, apart", [((2, 2), (1, 1)), ((3, 2), (2, 4)), ((2, 1, 3), (2, 1, 1))]
)
def test_each_position_takes_the_maximum_or_mean_of_samples_that_lie_apart(
    kind, reduce, size, apart
):
    image = np.random.default_rng(0).normal(size=(9, 10, 8)[: len(size)]).astype("float32")
    layer = DilatedPooling(size, apart, kind)
    found = np.asarray(layer(image[None, ..., None]))[0, ..., 0]
    np.testing.assert_allclose(found, by_loop(image, size, apart, reduce), atol=1e-6)
    assert layer.compute_output_shape((1, *image.shape, 1))[1:-1] == found.shape


def test_without_dilation_it_is_keras_pooling_of_stride_one():
    image = np.random.default_rng(0).normal(size=(2, 7, 8, 3)).astype("float32")
    theirs = keras.layers.MaxPooling2D(2, strides=1)(image)
    np.testing.assert_array_equal(DilatedPooling((2, 2), (1, 1))(image), theirs)


def test_it_takes_open_sizes_and_is_rebuilt_from_its_config():
    inputs = keras.Input((None, None, 1))
    model = keras.Model(inputs, DilatedPooling((2, 3), (4, 1), "average")(inputs))
    again = keras.Model.from_config(model.get_config())
    image = np.random.default_rng(0).normal(size=(1, 9, 9, 1)).astype("float32")
    assert again.output_shape == (None, None, None, 1)
    np.testing.assert_array_equal(again(image), model(image))


@pytest.mark.parametrize("size, apart, kind", [((2,), (1, 1), "max"), ((0, 2), (1, 1), "max"),
                                               ((2, 2), (1, 1), "median")])  # fmt: skip
def test_what_makes_no_pooling_is_refused(size, apart, kind):
    with pytest.raises(ConfigError, match="DilatedPooling"):
        DilatedPooling(size, apart, kind)


def test_a_map_too_small_for_its_samples_is_refused():
    with pytest.raises(ValueError, match="nothing is left"):
        DilatedPooling((2, 2), (4, 4))(keras.Input((4, 9, 1)))
