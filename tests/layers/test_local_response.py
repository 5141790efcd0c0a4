"""Local response normalisation: by hand, beside TensorFlow's, in half precision."""

import keras
import numpy as np
import pytest

from medseg_tf.errors import ConfigError
from medseg_tf.layers import LocalResponseNormalization


def by_hand(a, size, bias, alpha, beta):
    result = np.empty_like(a)
    for i in range(a.shape[-1]):
        near = a[..., max(0, i - size // 2) : i + size // 2 + 1]
        result[..., i] = a[..., i] / (bias + alpha * (near**2).sum(-1)) ** beta
    return result


@pytest.mark.parametrize("space", [(), (3, 4), (2, 3, 2)])
@pytest.mark.parametrize("size", [1, 3, 5, 9])
def test_each_channel_is_damped_by_its_neighbours_as_far_as_there_are_any(space, size):
    a = np.random.default_rng(0).normal(size=(2, *space, 6)).astype("float32") * 5
    layer = LocalResponseNormalization(size, bias=1.5, alpha=0.1, beta=0.6)
    np.testing.assert_allclose(layer(a), by_hand(a, size, 1.5, 0.1, 0.6), rtol=1e-5)


def test_tensorflow_counts_a_radius_and_has_other_defaults():
    tf = pytest.importorskip("tensorflow")
    a = np.random.default_rng(0).normal(size=(1, 3, 3, 8)).astype("float32") * 100
    ours = LocalResponseNormalization()(a)
    lrn = tf.nn.local_response_normalization
    np.testing.assert_allclose(ours, lrn(a, 2, 2.0, 1e-4, 0.75), rtol=1e-5)
    assert np.abs(ours - lrn(a)).max() > 1
    caffe = LocalResponseNormalization(bias=1.0, alpha=1e-4 / 5)(a)
    np.testing.assert_allclose(caffe, lrn(a, 2, 1.0, 2e-5, 0.75), rtol=1e-5)


def test_the_sum_is_not_lost_in_half_precision():
    a = np.full((1, 2, 2, 5), 100, "float32")
    half = LocalResponseNormalization(dtype="mixed_bfloat16")(a)
    assert keras.backend.standardize_dtype(half.dtype) == "bfloat16"
    exact = np.asarray(LocalResponseNormalization()(a))
    np.testing.assert_allclose(np.asarray(keras.ops.cast(half, "float32")), exact, rtol=1e-2)


def test_it_is_rebuilt_from_its_config():
    layer = LocalResponseNormalization(3, 1.0, 0.5, 0.25)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    a = np.arange(12, dtype="float32").reshape(1, 2, 6)
    np.testing.assert_array_equal(again(a), layer(a))


def test_an_even_size_has_no_middle():
    with pytest.raises(ConfigError, match="size is 4"):
        LocalResponseNormalization(4)
