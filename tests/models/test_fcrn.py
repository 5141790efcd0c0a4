"""fcrn: shapes, its head, its twins, sizes that fit, errors, saving, training."""

import keras
import numpy as np
import pytest

from medseg_tf import data, inference, load_model, losses, recipe
from medseg_tf.errors import ConfigError
from medseg_tf.layers import CropLike
from medseg_tf.models import fcn, fcrn, macs


def numbers(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def small(shape=(None, None, 1), classes=3, depth=14, width=2, **how):
    """A narrow network whose score layers hold numbers: fresh from the builder they hold zeros."""
    keras.utils.set_random_seed(0)
    model = fcrn(shape, classes, depth, width=width, **how)
    for layer in model.layers:
        if layer.name.startswith("score"):
            layer.set_weights([numbers(*weight.shape) for weight in layer.weights])
    return model


@pytest.mark.parametrize("space", [(32, 64), (32, 32, 64)])
@pytest.mark.parametrize("stride", [8, 16, 32])
def test_the_output_has_the_size_of_the_image(space, stride):
    model = small((*(None for _ in space), 2), stride=stride)
    answer = np.asarray(model(numbers(2, *space, 2)))
    assert answer.shape == (2, *space, 3)
    assert np.allclose(answer.sum(axis=-1), 1, atol=1e-5)


def test_scores_start_at_zero_and_every_class_is_equally_likely():
    model = fcrn((32, 32, 1), 5, 14, width=2)
    assert np.allclose(model(numbers(1, 32, 32, 1)), 0.2)


def test_scores_are_added_on_the_way_up():
    """One more on each score of a map is one more on the result, away from the border."""
    model, image = small((128, 128, 1), activation=None), numbers(1, 128, 128, 1)
    before = np.asarray(model(image))
    for step in (8, 16, 32):
        layer = model.get_layer(f"score_{step}")
        kernel, bias = layer.get_weights()
        layer.set_weights([kernel, bias + [1, 0, 0]])
        more = (np.asarray(model(image)) - before)[0, 32:-32, 32:-32]
        assert np.allclose(more, [1, 0, 0], atol=1e-4)
        layer.set_weights([kernel, bias])


def test_each_class_has_a_kernel_of_its_own_that_learns():
    model = small((64, 64, 1))
    for name, side in {"up_32_to_16": 4, "up_16_to_8": 4, "up_8_to_1": 16}.items():
        layer = model.get_layer(name)
        assert [tuple(w.shape) for w in layer.trainable_weights] == [(side, side, 3)]
    assert not any(isinstance(layer, CropLike) for layer in model.layers)


@pytest.mark.parametrize("stride, scored", [(32, [32]), (16, [16, 32]), (8, [8, 16, 32])])
def test_only_the_finer_strides_score_finer_maps(stride, scored):
    names = {layer.name for layer in small(stride=stride).layers}
    assert {name for name in names if name.startswith("score")} == {f"score_{s}" for s in scored}


def test_skips_leave_at_the_ends_of_the_stages():
    model = fcrn((64, 64, 1), 2, 50, width=1)
    ends = {8: "conv3_4_out", 16: "conv4_6_out", 32: "conv5_3_out"}
    for step, name in ends.items():
        assert model.get_layer(f"score_{step}").input is model.get_layer(name).output


def test_the_plain_twin_has_the_weights_of_option_a():
    a, plain, paper = (small((64, 64, 3), shortcuts=s) for s in ("A", None, "B"))
    assert [(w.path, w.shape) for w in a.weights] == [(w.path, w.shape) for w in plain.weights]
    assert macs(a) == macs(plain) < macs(paper)
    additions = [
        sum(layer.name.endswith("_add") for layer in model.layers) for model in (a, plain, paper)
    ]
    assert additions == [4, 0, 4]


@pytest.mark.parametrize("depth, blocks", [(14, 4), (26, 8), (38, 12), (50, 16), (101, 33)])
def test_depths_are_three_layers_a_bottleneck_and_two_more(depth, blocks):
    model = fcrn((32, 32, 1), 2, depth, width=1)
    assert sum(layer.name.endswith("_add") for layer in model.layers) == blocks
    assert depth == 3 * blocks + 2


def test_rivals_have_the_same_head():
    def head(model):
        return [
            (layer.name, type(layer).__name__)
            for layer in model.layers
            if layer.name.startswith(("score", "up", "sum", "output"))
        ]

    how = {"padding": "same", "upsampling": "grouped"}
    ours = small((64, 64, 1))
    for backbone, width in {"vgg16": 1, "alexnet": 6, "googlenet": 4}.items():
        rival = fcn((64, 64, 1), 3, backbone=backbone, width=width, **how)
        assert head(rival) == head(ours)
        assert rival(numbers(1, 64, 64, 1)).shape == (1, 64, 64, 3)


def test_a_rival_with_zeros_around_the_image_is_refused():
    with pytest.raises(ConfigError, match="'grouped' crops nothing.*choose padding='same'"):
        fcn((64, 64, 1), 3, width=1, upsampling="grouped")


def test_it_segments_a_case_of_any_size():
    case = data.phantoms.cells(1, size=75)[0]
    model = small(classes=2)
    assert inference.size_multiple(model) == (32, 32)
    assert inference.segment(model, case).array.shape == (75, 75)


def test_scores_are_enlarged_in_float32_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = fcrn((32, 32, 1), 2, 14, width=2)
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.get_layer("up_8_to_1").compute_dtype == "float32"
    assert model.get_layer("conv2_1_conv1").compute_dtype == "bfloat16"
    assert keras.backend.standardize_dtype(model(numbers(1, 32, 32, 1)).dtype) == "float32"


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow's gradient")
@pytest.mark.parametrize("shortcuts", ["A", "B", None])
def test_the_gradient_reaches_every_weight(shortcuts):
    import tensorflow as tf

    model = small((64, 64, 1), width=4, shortcuts=shortcuts)
    label = np.random.default_rng(0).integers(0, 3, (2, 64, 64))
    with tf.GradientTape() as tape:
        loss = losses.WeightedCrossEntropy()(label, model(numbers(2, 64, 64, 1), training=True))
    slopes = tape.gradient(loss, model.trainable_variables)
    for variable, slope in zip(model.trainable_variables, slopes, strict=True):
        assert slope is not None and np.any(slope), variable.path


def test_a_saved_model_comes_back_with_its_outputs(tmp_path):
    model = small((32, 32, 1), shortcuts="A", stride=16)
    again = load_model(recipe.save(model, tmp_path))
    image = numbers(2, 32, 32, 1)
    np.testing.assert_array_equal(again(image), model(image))


@pytest.mark.parametrize("size, nearest", [(31, "32"), (33, "32 or 64"), (100, "96 or 128")])
def test_a_size_that_does_not_fit_is_an_error_naming_those_that_do(size, nearest):
    with pytest.raises(ConfigError, match=rf"axis 1 .* is {size}; .* fits is {nearest}\."):
        fcrn((64, size, 1))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"depth": 18}, "fcrn: depth is 18; choose one of 14, 26, 38, 50, 101"),
        ({"stride": 4}, "fcrn: stride is 4; choose one of 32, 16, 8"),
        ({"shortcuts": "a"}, "fcrn: shortcuts is 'a'"),
        ({"input_shape": (32, 32)}, r"fcrn: input_shape \(32, 32\)"),
    ],
)
def test_an_impossible_argument_is_named(arguments, message):
    with pytest.raises(ConfigError, match=message):
        fcrn(**arguments)
