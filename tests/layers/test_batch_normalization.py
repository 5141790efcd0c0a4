"""The fused layer beside Keras' own: the same numbers, weights and names."""

import keras
import numpy as np
import pytest
from keras import ops

from medseg_tf.layers import BatchNormalization, batch_normalization

tensorflow_only = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="the fused kernel is TensorFlow's"
)
SHAPES = [(3, 4, 5, 2), (2, 3, 4, 5, 2), (7, 2)]


def numbers(shape, seed=0):
    return np.random.default_rng(seed).normal(2, 3, shape).astype("float32")


def pair(shape, **arguments):
    """Ours and Keras' own with the same random weights."""
    layers = BatchNormalization(**arguments), keras.layers.BatchNormalization(**arguments)
    for layer in layers:
        layer.build(shape)
        for seed, variable in enumerate(layer.weights):
            variable.assign(np.abs(numbers(variable.shape, seed)) + 0.1)
    return layers


@pytest.fixture
def kernel_calls(monkeypatch):
    """How often the fused kernel was used."""
    calls, fused = [], batch_normalization.fused
    monkeypatch.setattr(
        batch_normalization, "fused", lambda *a, **k: calls.append(1) or fused(*a, **k)
    )
    return calls


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_outputs_and_moving_statistics_are_those_of_keras(shape, training):
    ours, theirs = pair(shape, momentum=0.7)
    x = numbers(shape)
    assert np.allclose(ours(x, training=training), theirs(x, training=training), atol=1e-5)
    for mine, other in zip(ours.weights, theirs.weights, strict=True):
        assert np.allclose(mine, other, rtol=1e-5), mine.name


def test_moving_variance_keeps_the_variance_of_the_population_not_of_a_sample():
    layer = BatchNormalization(momentum=0)
    layer(np.reshape([1.0, 2.0, 3.0, 6.0], (1, 2, 2, 1)).astype("float32"), training=True)
    # Mean 3; squared distances 4, 1, 0, 9: 14 / 4, where a sample's would be 14 / 3.
    assert float(layer.moving_mean[0]) == pytest.approx(3)
    assert float(layer.moving_variance[0]) == pytest.approx(3.5)


@tensorflow_only
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_are_those_of_keras(shape, training):
    import tensorflow as tf

    x, slope = tf.constant(numbers(shape)), numbers(shape, seed=1)
    gradients = []
    for layer in pair(shape):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(layer(x, training=training) * slope)
        gradients.append(tape.gradient(loss, [x, *layer.trainable_variables]))
    for ours, theirs in zip(*gradients, strict=True):
        assert np.allclose(ours, theirs, atol=1e-4)


@tensorflow_only
def test_the_fused_kernel_is_what_runs(kernel_calls):
    BatchNormalization()(numbers((1, 4, 4, 2)), training=True)
    assert len(kernel_calls) == 1


@pytest.mark.parametrize("arguments", [{"axis": 1}, {"dtype": "float64"}])
def test_what_the_kernel_cannot_do_is_left_to_keras(arguments, kernel_calls):
    ours, theirs = pair((3, 4, 5, 2), **arguments)
    x = numbers((3, 4, 5, 2))
    assert np.allclose(ours(x, training=True), theirs(x, training=True), atol=1e-6)
    assert not kernel_calls


def test_a_mask_is_left_to_keras():
    ours, theirs = pair((2, 4, 3))
    x, mask = numbers((2, 4, 3)), np.array([[True, True, False, False]] * 2)
    expected = theirs(x, training=True, mask=mask)
    assert np.allclose(ours(x, training=True, mask=mask), expected, atol=1e-6)


@pytest.mark.parametrize("arguments", [{"scale": False}, {"center": False}])
def test_without_scale_or_shift_it_is_keras_without_them(arguments):
    ours, theirs = pair((3, 4, 5, 2), **arguments)
    x = numbers((3, 4, 5, 2))
    assert np.allclose(ours(x, training=True), theirs(x, training=True), atol=1e-5)


def test_a_frozen_layer_uses_and_keeps_its_moving_statistics():
    ours, theirs = pair((3, 4, 5, 2))
    ours.trainable = theirs.trainable = False
    before = [np.asarray(variable).copy() for variable in ours.weights]
    x = numbers((3, 4, 5, 2))
    assert np.allclose(ours(x, training=True), theirs(x, training=True), atol=1e-5)
    for variable, value in zip(ours.weights, before, strict=True):
        assert np.array_equal(variable, value)


@pytest.mark.parametrize("channels", [1, 16])
def test_in_bfloat16_the_statistics_stay_float32(channels):
    layer = BatchNormalization(dtype="mixed_bfloat16", momentum=0)
    # bfloat16 has 8 bits: it could not hold a mean of 257.
    x = np.repeat([256.0, 258.0], channels).reshape(1, 1, 2, channels)
    result = layer(x, training=True)
    assert np.allclose(result[0, 0, :, 0], [-1, 1], atol=0.01)
    assert keras.backend.standardize_dtype(result.dtype) == "bfloat16"
    assert {variable.dtype for variable in layer.weights} == {"float32"}
    assert float(layer.moving_mean[0]) == 257


def test_a_saved_model_returns_the_same_and_weights_go_over_to_keras_own_layer(tmp_path):
    models = []
    for kind in (BatchNormalization, keras.layers.BatchNormalization):
        inputs = keras.Input((None, None, 3))
        models.append(keras.Model(inputs, kind(name="norm")(inputs)))
    ours, theirs = models
    ours.set_weights([np.abs(numbers(weight.shape)) for weight in ours.weights])
    x = numbers((2, 4, 5, 3))
    ours.save(tmp_path / "model.keras")
    ours.save_weights(tmp_path / "model.weights.h5")
    theirs.load_weights(tmp_path / "model.weights.h5")
    loaded = keras.saving.load_model(tmp_path / "model.keras").get_layer("norm")
    assert isinstance(loaded, BatchNormalization)
    assert np.array_equal(loaded(x), ours(x))
    assert np.allclose(theirs(x), ours(x), atol=1e-5)


def test_it_trains_inside_a_model_with_open_sizes():
    inputs = keras.Input((None, None, None, 1))
    model = keras.Model(inputs, BatchNormalization(momentum=0.5)(inputs))
    model.compile("sgd", "mse")
    x = numbers((4, 2, 3, 4, 1))
    model.fit(x, x, batch_size=4, verbose=0)
    mean = model.layers[-1].moving_mean
    assert float(ops.squeeze(mean)) == pytest.approx(np.mean(x) / 2, rel=1e-4)
