"""unet and the blocks it is made of: shapes, choices, errors, saving."""

import json

import keras
import numpy as np
import pytest

from medseg_tf.errors import ConfigError
from medseg_tf.models import unet, unet_sizes


def numbers(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


@pytest.mark.parametrize("space", [(20, 24), (20, 22, 18)])
def test_a_valid_unet_returns_the_sizes_that_unet_sizes_promises(space):
    result = unet((*space, 1), 3, width=2, depth=1)(numbers(1, *space, 1))
    sizes = unet_sizes(depth=1)
    assert result.shape == (1, *(sizes[size] for size in space), 3)


@pytest.mark.parametrize("space", [(8, 12), (8, 4, 12)])
def test_a_same_unet_keeps_sizes_even_those_left_open(space):
    model = unet((*(None for _ in space), 2), 3, width=2, depth=2, padding="same")
    assert model(numbers(1, *space, 2)).shape == (1, *space, 3)


def test_a_valid_unet_with_open_sizes_takes_any_size_that_fits():
    model = unet((None, None, 1), 2, width=2, depth=2)
    assert model(numbers(1, 44, 48, 1)).shape == (1, 4, 8, 2)


def test_probabilities_add_up_to_one_and_logits_do_not():
    image = numbers(1, 8, 8, 1)
    assert np.allclose(np.sum(unet((8, 8, 1), 3, 2, 1, "same")(image), axis=-1), 1)
    logits = unet((8, 8, 1), 3, 2, 1, "same", activation=None)(image)
    assert not np.allclose(np.sum(logits, axis=-1), 1)


def test_the_output_is_float32_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = unet((8, 8, 1), 2, width=2, depth=1, padding="same", norm="batch")
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.get_layer("down0_conv1").compute_dtype == "bfloat16"
    assert keras.backend.standardize_dtype(model(numbers(1, 8, 8, 1)).dtype) == "float32"


@pytest.mark.parametrize("skips, depends", [(True, True), (False, False)])
def test_only_a_skip_carries_the_first_stage_around_the_pooling(skips, depends):
    model = unet((8, 8, 1), 2, width=2, depth=1, padding="same", skips=skips, activation=None)
    for variable in model.get_layer("bottom_conv2").weights:
        variable.assign(np.zeros(variable.shape))  # nothing comes up from below
    here, there = (np.asarray(model(numbers(1, 8, 8, 1) * factor)) for factor in (1, 2))
    assert np.any(here != there) == depends


def test_without_skips_a_unet_has_as_many_weights():
    build = dict(input_shape=(8, 8, 1), classes=2, width=2, depth=2, padding="same")
    assert unet(**build, skips=False).count_params() == unet(**build).count_params()


def test_upsampled_maps_come_before_the_skip():
    model = unet((20, 20, 1), 2, width=2, depth=1)
    first, second = model.get_layer("up0_concat").input
    assert first is model.get_layer("up0_upconv").output
    assert second is model.get_layer("up0_crop").output


def test_dropout_closes_the_contracting_path_and_the_last_skip_carries_it():
    model = unet((44, 44, 1), 2, width=2, depth=2)
    dropouts = [layer.name for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    assert dropouts == ["down1_dropout", "bottom_dropout"]
    assert model.get_layer("up1_crop").input is model.get_layer("down1_dropout").output


def test_batch_norm_stands_between_convolution_and_relu():
    model = unet((8, 8, 1), 2, width=2, depth=1, padding="same", norm="batch")
    norm, relu = model.get_layer("up0_conv1_norm"), model.get_layer("up0_conv1_act")
    assert norm.input is model.get_layer("up0_conv1").output
    assert relu.input is norm.output
    assert relu.activation is keras.activations.relu


def test_layers_of_one_shape_start_with_different_weights():
    model = unet((8, 8, 2), 2, width=2, depth=1, padding="same")
    first, second = (model.get_layer(f"down0_conv{n}").kernel for n in (1, 2))
    assert not np.allclose(first, second)


def test_the_recipe_holds_every_argument_as_json_reads_it_back():
    model = unet((np.int64(8), 8, 1), classes=2, depth=1, padding="same")
    assert model.recipe["builder"] == "unet"
    assert model.recipe["arguments"]["input_shape"] == [8, 8, 1]
    assert model.recipe["arguments"]["dropout"] == 0.5
    assert json.loads(json.dumps(model.recipe)) == model.recipe


def test_a_model_rebuilt_from_its_recipe_takes_its_weights(tmp_path):
    model = unet((8, 8, 1), 2, width=2, depth=1, padding="same", norm="batch")
    model.save_weights(tmp_path / "model.weights.h5")
    again = unet(**model.recipe["arguments"])
    again.load_weights(tmp_path / "model.weights.h5")
    image = numbers(1, 8, 8, 1)
    assert np.array_equal(again(image), model(image))


@pytest.mark.parametrize(
    "depth, padding, size, nearest",
    [
        (4, "valid", 571, "556 or 572"),
        (4, "valid", 573, "572 or 588"),
        (4, "valid", 100, "188"),
        (2, "same", 17, "16 or 20"),
        (2, "same", 3, "4"),
    ],
)
def test_a_size_that_does_not_fit_is_an_error_naming_those_that_do(depth, padding, size, nearest):
    with pytest.raises(ConfigError, match=rf"axis 1 .* is {size}; .* fits is {nearest}\."):
        unet((572 if padding == "valid" else 16, size, 1), 2, depth=depth, padding=padding)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"norm": "group"}, "norm is 'group'; choose one of None, 'batch'"),
        ({"padding": "mirror"}, "padding is 'mirror'"),
        ({"widen": "never"}, "widen is 'never'"),
        ({"depth": 0}, "depth is 0"),
        ({"input_shape": (8, 8)}, r"input_shape \(8, 8\)"),
    ],
)
def test_an_impossible_argument_is_named(arguments, message):
    with pytest.raises(ConfigError, match=message):
        unet(**({"input_shape": (572, 572, 1), "classes": 2} | arguments))


def test_unet_sizes_are_those_found_by_walking_down_and_up():
    def walk(size, depth):
        for _ in range(depth):
            size -= 4
            if size < 2 or size % 2:
                return 0
            size //= 2
        size -= 4
        for _ in range(depth):
            size = 2 * size - 4
        return max(size, 0)

    for depth in (1, 2, 3, 4):
        walked = {size: walk(size, depth) for size in range(1, 301) if walk(size, depth) > 0}
        assert unet_sizes(depth, largest=300) == walked


def test_sizes_of_a_same_unet_are_multiples_of_two_to_its_depth():
    assert unet_sizes(3, "same", largest=30) == {8: 8, 16: 16, 24: 24}
