"""vnet: shapes, the wiring of its stages, its twins, errors, saving, tiles."""

import keras
import numpy as np
import pytest

from medseg_tf import load_model, recipe
from medseg_tf.data import Case, Grid, Scan
from medseg_tf.errors import ConfigError
from medseg_tf.inference import probabilities, segment, size_multiple
from medseg_tf.models import macs, receptive_field, vnet


def numbers(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def small(input_shape=(8, 8, 4, 1), classes=2, width=2, convolutions=(1, 2), kernel=3, **more):
    keras.utils.set_random_seed(0)
    return vnet(input_shape, classes, width, convolutions, kernel, **more)


def part(model, name):
    return keras.Model(model.input, model.get_layer(name).output)


def silence(model, *names):
    for name in names:
        layer = model.get_layer(name)
        layer.set_weights([np.zeros(weight.shape) for weight in layer.weights])


def slope_below_0(x):
    return np.where(x > 0, x, 0.25 * x)


@pytest.mark.parametrize("norm", [None, "batch"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("space", [(8, 12), (8, 4, 12)])
def test_a_vnet_keeps_sizes_even_those_left_open(space, channels, norm):
    open_sizes = tuple(None for _ in space)
    model = small((*open_sizes, channels), 3, convolutions=(1, 2, 1), norm=norm)
    assert model(numbers(2, *space, channels)).shape == (2, *space, 3)


def test_probabilities_add_up_to_one_and_logits_do_not():
    image = numbers(1, 8, 8, 4, 1)
    assert np.allclose(np.sum(small()(image), axis=-1), 1)
    assert not np.allclose(np.sum(small(activation=None)(image), axis=-1), 1)


def test_the_output_is_float32_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = small(norm="batch", release=True)
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.get_layer("down0_conv1").compute_dtype == "bfloat16"
    assert keras.backend.standardize_dtype(model(numbers(1, 8, 8, 4, 1)).dtype) == "float32"


@pytest.mark.parametrize("space", [(8, 8), (8, 8, 4)])
def test_a_first_stage_whose_convolution_is_silent_gives_the_image_repeated(space):
    model, image = small((*space, 1), width=5), numbers(1, *space, 1)
    silence(model, "down0_conv1")
    found = np.asarray(part(model, "down0_prelu1")(image))
    np.testing.assert_array_equal(found, np.repeat(slope_below_0(image), 5, axis=-1))


@pytest.mark.parametrize(
    "shortcut, stage",
    [("bottom_downconv_prelu", "bottom"), ("up1_concat", "up1"), ("shortcut", "down0")],
)
def test_a_stage_adds_its_input_to_its_last_convolution_before_the_prelu(shortcut, stage):
    model, image = small((8, 8, 4, 2), convolutions=(2, 2, 2)), numbers(1, 8, 8, 4, 2)
    added, last, result = (
        np.asarray(part(model, name)(image))
        for name in (shortcut, f"{stage}_conv2", f"{stage}_prelu2")
    )
    np.testing.assert_allclose(result, slope_below_0(last + added), atol=1e-6)
    assert model.get_layer(f"{stage}_conv2").input is model.get_layer(f"{stage}_prelu1").output


def test_a_stage_without_its_addition_is_silent_with_its_convolution():
    model = small(residual=False)
    silence(model, "down0_conv1")
    assert not np.any(part(model, "down0_prelu1")(numbers(1, 8, 8, 4, 1)))
    assert not any(isinstance(layer, keras.layers.Add) for layer in model.layers)


@pytest.mark.parametrize("twin", [{"residual": False}, {"skips": False}])
def test_twins_have_the_same_weights_in_the_same_order(twin):
    build = dict(convolutions=(1, 2, 3), norm="batch")
    shapes, others = (
        [(weight.path, weight.shape) for weight in model.weights]
        for model in (small(**build), small(**build, **twin))
    )
    assert shapes == others


def test_upsampled_maps_come_before_the_skip_or_twice_without_it():
    for skips, second in [(True, "down0_prelu1"), (False, "up0_upconv_prelu")]:
        model = small(skips=skips)
        names = [x._keras_history.operation.name for x in model.get_layer("up0_concat").input]
        assert names == ["up0_upconv_prelu", second]


def test_the_way_up_mirrors_the_numbers_of_the_way_down():
    names = [layer.name for layer in small(convolutions=(1, 2, 3)).layers]
    counts = {
        stage: sum(name.startswith(f"{stage}_conv") for name in names)
        for stage in ("down0", "down1", "bottom", "up1", "up0")
    }
    assert list(counts.values()) == [1, 2, 3, 2, 1]


def test_the_released_head_is_a_stages_convolution_to_the_classes_with_prelu():
    model = small(classes=3, release=True)
    head = model.get_layer("head_conv")
    assert (head.kernel_size, head.filters) == ((3, 3, 3), 3)
    assert model.get_layer("logits").input is model.get_layer("head_prelu").output
    assert model.get_layer("logits").kernel.shape == (1, 1, 1, 3, 3)


def test_batch_norm_stands_between_each_convolution_and_its_prelu_or_addition():
    model = small(norm="batch", convolutions=(1, 2))
    followers = {
        "down0_conv1": "down0_add",
        "bottom_downconv": "bottom_downconv_prelu",
        "bottom_conv1": "bottom_prelu1",
        "bottom_conv2": "bottom_add",
        "up0_upconv": "up0_upconv_prelu",
        "up0_conv1": "up0_add",
    }
    for conv, follower in followers.items():
        norm = model.get_layer(f"{conv}_norm")
        assert norm.input is model.get_layer(conv).output
        inputs = keras.tree.flatten(model.get_layer(follower).input)
        assert any(x is norm.output for x in inputs)
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds.count("BatchNormalization") == len(followers)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow's gradient")
@pytest.mark.parametrize("more", [{}, {"norm": "batch", "release": True}, {"residual": False}])
def test_the_gradient_reaches_every_weight(more):
    import tensorflow as tf

    model = small((8, 8, 4, 2), width=3, activation=None, **more)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(numbers(2, 8, 8, 4, 2), training=True) - 1))
    slopes = tape.gradient(loss, model.trainable_variables)
    for variable, slope in zip(model.trainable_variables, slopes, strict=True):
        assert slope is not None and np.any(slope), variable.path


def test_a_saved_model_comes_back_with_its_outputs(tmp_path):
    model = small((8, 8, 4, 1), 3, norm="batch", release=True)
    model.set_weights([w + 0.1 * numbers(*w.shape) ** 2 for w in model.get_weights()])
    again = load_model(recipe.save(model, tmp_path))
    assert again.recipe["arguments"]["convolutions"] == [1, 2]
    image = numbers(2, 8, 8, 4, 1)
    np.testing.assert_array_equal(again(image), model(image))


@pytest.mark.parametrize(
    "size, nearest", [(15, "8 or 16"), (17, "16 or 24"), (7, "8"), (0, "8"), (25, "24 or 32")]
)
def test_a_size_that_does_not_fit_is_an_error_naming_those_that_do(size, nearest):
    message = rf"vnet: axis 1 .* is {size}; with depth 3 the nearest that fits is {nearest}\."
    with pytest.raises(ConfigError, match=message):
        small((16, size, 8, 1), convolutions=(1, 1, 1, 1))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"norm": "group"}, "vnet: norm is 'group'; choose one of None, 'batch'"),
        ({"convolutions": (2,)}, r"convolutions is \(2,\)"),
        ({"convolutions": (1, 0, 1)}, r"convolutions is \(1, 0, 1\)"),
        ({"convolutions": 3}, "convolutions is 3"),
        ({"input_shape": (8, 1)}, r"vnet: input_shape \(8, 1\)"),
    ],
)
def test_an_impossible_argument_is_named(arguments, message):
    with pytest.raises(ConfigError, match=message):
        small(**arguments)


def test_a_small_vnet_is_measured():
    model = small((None, None, None, 1), convolutions=(1, 1))
    assert size_multiple(model) == (2, 2, 2)
    # 3, a pair: 4, on the coarser grid 3 wide: 8; back on the finer grid the last convolution
    # reaches one voxel to each side, into another pair on one of them: 10.
    assert receptive_field(model) == (10, 10, 10)
    voxels, kernel = 8 * 8 * 4, 3**3
    fine = kernel * (2 + 4 * 4) + 4 * 2  # both stages and the head
    coarse = kernel * 4 * 4 + 2 * 8 * 2 * 4  # the bottom stage, both strided convolutions
    assert macs(model, (8, 8, 4)) == voxels * fine + voxels // 8 * coarse


def test_tiles_with_half_the_receptive_field_as_margin_agree_with_one_pass():
    model = small((None, None, None, 1), 3, width=4, convolutions=(1, 1))
    grid = Grid((21, 30, 17))
    case = Case("a", Scan(numbers(21, 30, 17, 1), grid), classes=3)
    one = probabilities(model, case)
    margin = receptive_field(model)[0] // 2
    cut = probabilities(model, case, tile=(16, 18, 18), margin=margin, overlap=0)
    np.testing.assert_allclose(cut, one, atol=1e-5)
    short = probabilities(model, case, tile=(16, 18, 18), margin=0, overlap=0)
    assert np.abs(short - one).max() > 1e-3
    found = segment(model, case)
    assert found.grid is grid
    np.testing.assert_array_equal(found.array, one.argmax(-1))
