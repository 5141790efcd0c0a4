"""resnet and cifar_resnet: shapes, shortcuts, plain twins, errors, saving."""

import keras
import numpy as np
import pytest

from medseg_tf import load_model, recipe
from medseg_tf.errors import ConfigError
from medseg_tf.models import cifar_resnet, macs, resnet
from medseg_tf.models.resnet import basic, bottleneck, shortcut


def numbers(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def block_of(kind, shape, channels, *arguments, **more):
    keras.utils.set_random_seed(0)
    inputs = keras.Input(shape)
    return keras.Model(inputs, kind(inputs, channels, *arguments, **more))


def silence(model):
    """Set every kernel to 0."""
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            layer.kernel.assign(np.zeros(layer.kernel.shape))


def relu(x):
    return np.maximum(x, 0)


@pytest.mark.parametrize(
    "space, shortcuts",
    [((32, 40), None), ((17, 33), "A"), ((17, 33), "B"), ((16, 8, 12), "A"), ((16, 8, 12), "C")],
)
def test_classes_are_probabilities_at_any_size_in_two_and_three_dimensions(space, shortcuts):
    for builder, how in [(resnet, {"depth": 18}), (cifar_resnet, {"depth": 8})]:
        open_sizes = tuple(None for _ in space)
        model = builder((*open_sizes, 2), 5, width=2, shortcuts=shortcuts, **how)
        answer = np.asarray(model(numbers(3, *space, 2)))
        assert answer.shape == (3, 5)
        assert np.allclose(answer.sum(axis=-1), 1)


@pytest.mark.parametrize("kind", [basic, bottleneck])
@pytest.mark.parametrize("space", [(6, 4), (4, 2, 3)])
def test_a_block_whose_kernels_are_zero_hands_its_input_on(kind, space):
    given = {basic: 3, bottleneck: 12}[kind]
    image = numbers(2, *space, given)
    block = block_of(kind, (*space, given), 3, 1, "A")
    assert not np.allclose(block(image), relu(image), atol=0.1)
    silence(block)
    assert np.array_equal(block(image), relu(image))
    plain = block_of(kind, (*space, given), 3, 1, None)
    silence(plain)
    assert not np.any(plain(image))


@pytest.mark.parametrize("kind, wide", [(basic, 6), (bottleneck, 24)])
@pytest.mark.parametrize("size", [6, 7])
def test_option_a_takes_every_second_position_and_appends_zeros(kind, wide, size):
    image = numbers(1, size, size, 3)
    block = block_of(kind, (size, size, 3), 6, 2, "A")
    silence(block)
    result = np.asarray(block(image))
    assert result.shape == (1, -(-size // 2), -(-size // 2), wide)
    assert np.array_equal(result[..., :3], relu(image[:, ::2, ::2]))
    assert not np.any(result[..., 3:])


@pytest.mark.parametrize("option, same, changed", [("A", 0, 0), ("B", 0, 1), ("C", 1, 1)])
def test_which_shortcuts_are_projections(option, same, changed):
    for channels, strides, projections in [(4, 1, same), (8, 1, changed), (8, 2, changed)]:
        inputs = keras.Input((6, 6, 4))
        outputs = keras.layers.Identity()(shortcut(inputs, channels, strides, option, "s"))
        model = keras.Model(inputs, outputs)
        assert model.output_shape == (None, 6 // strides, 6 // strides, channels)
        assert sum(hasattr(layer, "kernel") for layer in model.layers) == projections


def test_the_addition_stands_before_the_last_relu_and_after_the_last_normalisation():
    model = block_of(basic, (4, 4, 2), 2)
    image = numbers(1, 4, 4, 2)
    last = keras.Model(model.input, model.get_layer("block_conv2_norm").output)
    assert np.any(np.asarray(last(image)) < 0)
    assert np.allclose(model(image), relu(np.asarray(last(image)) + image), atol=1e-6)


@pytest.mark.parametrize("stride_on, halving", [("1x1", "conv1"), ("3x3", "conv2")])
def test_where_a_bottleneck_halves(stride_on, halving):
    model = block_of(bottleneck, (8, 8, 4), 2, 2, stride_on=stride_on)
    strides = {n: model.get_layer(f"block_{n}").strides for n in ("conv1", "conv2", "conv3")}
    wanted = {name: (2, 2) if name == halving else (1, 1) for name in strides}
    assert strides == wanted
    assert model.output_shape == (None, 4, 4, 8)


@pytest.mark.parametrize("builder, how", [(resnet, {"depth": 18}), (cifar_resnet, {"depth": 14})])
def test_the_plain_twin_has_the_weights_of_option_a_in_the_same_order(builder, how):
    a, plain = (builder(classes=3, width=2, shortcuts=s, **how) for s in ("A", None))
    assert [(w.path, w.shape) for w in a.weights] == [(w.path, w.shape) for w in plain.weights]
    assert not any(isinstance(layer, keras.layers.Add) for layer in plain.layers)
    assert macs(a) == macs(plain)


def test_layers_with_weights_on_the_longest_way_are_the_depth():
    for builder, depth in [(resnet, 18), (resnet, 50), (cifar_resnet, 20)]:
        model = builder((32, 32, 1), 2, depth, width=1, shortcuts=None)
        assert sum(hasattr(layer, "kernel") for layer in model.layers) == depth


def test_statistics_follow_fast_enough_for_short_runs():
    model = cifar_resnet((8, 8, 1), 2, 8, width=2)
    norms = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    assert len(norms) == 7 and {norm.momentum for norm in norms} == {0.9}


def test_the_output_is_float32_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = cifar_resnet((8, 8, 1), 2, 8, width=2)
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.get_layer("conv1").compute_dtype == "bfloat16"
    assert keras.backend.standardize_dtype(model(numbers(1, 8, 8, 1)).dtype) == "float32"


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow's gradient")
@pytest.mark.parametrize("shortcuts", ["A", "B", "C", None])
def test_the_gradient_reaches_every_weight(shortcuts):
    import tensorflow as tf

    keras.utils.set_random_seed(0)
    model = cifar_resnet((8, 8, 2), 3, 8, shortcuts, width=4, activation=None)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(numbers(4, 8, 8, 2), training=True) - 1))
    slopes = tape.gradient(loss, model.trainable_variables)
    for variable, slope in zip(model.trainable_variables, slopes, strict=True):
        assert slope is not None and np.any(slope), variable.path


@pytest.mark.parametrize(
    "model",
    [
        lambda: resnet((32, 32, 1), 3, 18, "C", width=1),
        lambda: cifar_resnet((8, 8, 1), 3, 8, width=2),
    ],
)
def test_a_saved_model_comes_back_with_its_outputs(tmp_path, model):
    model = model()
    model.set_weights([w + 0.1 * numbers(*w.shape) ** 2 for w in model.get_weights()])
    again = load_model(recipe.save(model, tmp_path))
    image = numbers(2, *model.input_shape[1:])
    np.testing.assert_array_equal(again(image), model(image))


@pytest.mark.parametrize(
    "builder, arguments, message",
    [
        (resnet, {"depth": 56}, "resnet: depth is 56; choose one of 18, 34, 50, 101, 152"),
        (resnet, {"shortcuts": "D"}, "resnet: shortcuts is 'D'; .* 'A', 'B', 'C', None"),
        (resnet, {"stride_on": 3}, "resnet: stride_on is 3; choose one of '1x1', '3x3'"),
        (resnet, {"input_shape": (32, 3)}, r"resnet: input_shape \(32, 3\)"),
        (resnet, {"input_shape": (32, 0, 3)}, "axis 1 .* is 0; .* nearest that fits is 1"),
        (cifar_resnet, {"depth": 21}, r"depth is 21; it is 6 \* n \+ 2, .* nearest is 20\."),
        (cifar_resnet, {"depth": 54}, "nearest is 56"),
        (cifar_resnet, {"depth": 2}, "nearest is 8"),
        (cifar_resnet, {"shortcuts": False}, "cifar_resnet: shortcuts is False"),
    ],
)
def test_an_impossible_argument_is_named(builder, arguments, message):
    with pytest.raises(ConfigError, match=message):
        builder(**arguments)
