"""deeplab: shapes, twins, several scales, sizes that fit, errors, saving, training."""

import keras
import numpy as np
import pytest

from medseg_tf import data, inference, load_model, losses, models, recipe
from medseg_tf.errors import ConfigError
from medseg_tf.models import deeplab
from medseg_tf.models.deeplab import enlarge, resize

MULTI_SCALE = (1, 0.75, 0.5)


def numbers(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def small(shape=(None, None, 1), classes=3, width=2, rates=(2,), **how):
    keras.utils.set_random_seed(0)
    return deeplab(shape, classes, width=width, rates=rates, **how)


@pytest.mark.parametrize(
    "backbone, space",
    [
        ("vgg16", (33, 65)),
        ("vgg16", (17, 9, 17)),
        ("resnet101", (17, 33)),
    ],
)
def test_the_output_has_the_size_of_the_image(backbone, space):
    model = small((*(None for _ in space), 2), backbone=backbone)
    answer = np.asarray(model(numbers(2, *space, 2)))
    assert answer.shape == (2, *space, 3)
    assert np.allclose(answer.sum(axis=-1), 1, atol=1e-5)


PUBLISHED = {"large_fov": [12], "aspp_s": [2, 4, 8, 12], "aspp_l": [6, 12, 18, 24]}


@pytest.mark.parametrize("variant", PUBLISHED)
def test_a_branch_a_rate(variant):
    model = deeplab((33, 33, 1), 2, variant, width=1)
    atrous = [x for x in model.layers if x.name.startswith("fc6") and hasattr(x, "dilation_rate")]
    assert [x.dilation_rate for x in atrous] == [(rate, rate) for rate in PUBLISHED[variant]]
    scored = [x for x in model.layers if x.name.startswith("score") and x.weights]
    assert [x.kernel_size for x in scored] == [(1, 1)] * len(atrous)


def test_a_branch_of_resnet_scores_at_once():
    model = deeplab((9, 9, 1), 2, "aspp_l", "resnet101", width=1)
    scored = [x for x in model.layers if x.name.startswith("score") and x.weights]
    assert [(x.kernel_size[0], x.dilation_rate[0]) for x in scored] == [
        (3, rate) for rate in PUBLISHED["aspp_l"]
    ]
    assert not any(x.name.startswith("fc") for x in model.layers)


def test_scores_of_branches_are_added():
    model = small((33, 33, 1), rates=(1, 2), activation=None)
    image = numbers(1, 33, 33, 1)
    before = np.asarray(model(image))
    for branch in (1, 2):
        kernel, bias = model.get_layer(f"score_{branch}").get_weights()
        model.get_layer(f"score_{branch}").set_weights([kernel, bias + [branch, 0, 0]])
    assert np.allclose(np.asarray(model(image)) - before, [3, 0, 0], atol=1e-5)


def test_the_strided_twins_have_the_same_weights_and_fewer_positions():
    twins = [deeplab((65, 65, 1), 2, stride=stride, width=1) for stride in (8, 16, 32)]
    shapes = [[(w.path, tuple(w.shape)) for w in twin.weights] for twin in twins]
    assert shapes[0] == shapes[1] == shapes[2]
    to_scores = [keras.Model(twin.input, twin.get_layer("score").output) for twin in twins]
    assert [model.output_shape[1] for model in to_scores] == [9, 5, 3]
    costs = [models.macs(model) for model in to_scores]
    assert costs[0] > costs[1] > costs[2]
    for layer, rates in {"fc6": [12, 6, 3], "block5_conv1": [2, 1, 1]}.items():
        assert [twin.get_layer(layer).dilation_rate[0] for twin in twins] == rates


def test_the_dense_network_says_at_every_fourth_position_what_the_strided_one_says():
    """Of ResNet, whose later halvings are bare strides: each left out is an identity."""
    dense, strided = (
        small((65, 65, 1), backbone="resnet101", stride=s, rates=(r,)) for s, r in ((8, 4), (32, 1))
    )
    rates = [
        [m.get_layer(f"conv{k}_1_conv2").dilation_rate[0] for k in (4, 5)] for m in (dense, strided)
    ]
    assert rates == [[2, 4], [1, 1]]
    strided.set_weights(dense.get_weights())
    image = numbers(1, 65, 65, 1)
    maps = [
        np.asarray(keras.Model(m.input, m.get_layer("score").output)(image))
        for m in (dense, strided)
    ]
    np.testing.assert_allclose(maps[0][:, ::4, ::4], maps[1], atol=1e-4)


def test_enlarging_keeps_what_is_there_and_draws_straight_lines_between():
    line = np.array([1.0, 3.0, 2.0]).reshape(1, 3, 1, 1).astype("float32")
    found = np.asarray(enlarge(keras.ops.convert_to_tensor(np.tile(line, (1, 1, 3, 1))), 4))
    assert found.shape == (1, 9, 9, 1)
    np.testing.assert_allclose(found[0, :, 4, 0], [1, 1.5, 2, 2.5, 3, 2.75, 2.5, 2.25, 2])


def test_resizing_by_three_quarters():
    from fractions import Fraction

    line = np.tile(np.arange(9.0).reshape(1, 9, 1, 1), (1, 1, 9, 1)).astype("float32")
    found = np.asarray(resize(keras.ops.convert_to_tensor(line), Fraction(3, 4)))
    np.testing.assert_allclose(found[0, :, 0, 0], np.linspace(0, 8, 7), rtol=1e-5)


def test_of_several_scales_the_greatest_score_counts():
    how = {"rates": (1,), "activation": None}
    one, several = small((65, 65, 1), **how), small((65, 65, 1), **how, scales=MULTI_SCALE)
    network = several.get_layer("network")
    network.set_weights(one.get_weights())
    image = numbers(1, 65, 65, 1)
    maps = keras.Model(several.input, several.get_layer("greatest").input)(image)
    assert [tuple(m.shape) for m in maps] == [(1, 9, 9, 3)] * 3
    scores = keras.Model(one.input, one.get_layer("score").output)(image)
    np.testing.assert_allclose(maps[0], scores, atol=1e-5)
    full = np.asarray(enlarge(keras.ops.convert_to_tensor(np.max(maps, axis=0)), 8))
    np.testing.assert_allclose(several(image), full, atol=1e-5)
    assert several.count_params() == one.count_params()


def test_weights_of_the_classifiers_are_handed_on():
    vgg = models.hand_on(models.vgg16((32, 32, 1), 2, width=2), small())
    assert len(vgg) == 13
    trunk = models.resnet((64, 64, 1), 2, depth=101, width=1)
    handed = models.hand_on(trunk, small(backbone="resnet101", width=1))
    assert len([name for name in handed if not name.endswith("norm")]) == 100 + 4


def test_it_segments_a_case_of_any_size():
    case = data.phantoms.cells(1, size=75)[0]
    model = small(classes=2)
    assert inference.size_multiple(model) == (8, 8)
    assert inference.segment(model, case).array.shape == (75, 75)
    assert inference.segment(model, case, tile=33).array.shape == (75, 75)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow's gradient")
@pytest.mark.parametrize("how", [{}, {"backbone": "resnet101"}, {"scales": MULTI_SCALE}])
def test_the_gradient_reaches_every_weight(how):
    import tensorflow as tf

    model = small((65, 65, 1), width=4, rates=(1, 2), **how)
    label = np.random.default_rng(0).integers(0, 3, (2, 65, 65))
    with tf.GradientTape() as tape:
        loss = losses.WeightedCrossEntropy()(label, model(numbers(2, 65, 65, 1), training=True))
    slopes = tape.gradient(loss, model.trainable_variables)
    for variable, slope in zip(model.trainable_variables, slopes, strict=True):
        assert slope is not None and np.any(slope), variable.path


def test_a_saved_model_comes_back_with_its_outputs(tmp_path):
    model = small((33, 33, 1), variant="aspp_s", rates=(1, 2), stride=16)
    again = load_model(recipe.save(model, tmp_path))
    image = numbers(2, 33, 33, 1)
    np.testing.assert_array_equal(again(image), model(image))


def test_scores_are_enlarged_in_float32_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = deeplab((33, 33, 1), 2, width=2)
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.get_layer("fc6").compute_dtype == "bfloat16"
    assert keras.backend.standardize_dtype(model(numbers(1, 33, 33, 1)).dtype) == "float32"


@pytest.mark.parametrize(
    "how, size, nearest",
    [
        ({}, 32, "25 or 33"),
        ({}, 34, "33 or 41"),
        ({}, 8, "9"),
        ({"stride": 32}, 41, "33 or 65"),
        ({"scales": MULTI_SCALE}, 41, "33 or 65"),
    ],
)
def test_a_size_that_does_not_fit_is_an_error_naming_those_that_do(how, size, nearest):
    with pytest.raises(ConfigError, match=rf"axis 1 .* is {size}; .* fits is {nearest}\."):
        deeplab((65, size, 1), **how)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"variant": "aspp"}, "deeplab: variant is 'aspp'; choose one of 'large_fov', 'aspp_s'"),
        ({"backbone": "vgg"}, "deeplab: backbone is 'vgg'; choose one of 'vgg16', 'resnet101'"),
        ({"stride": 4}, "deeplab: stride is 4; choose one of 8, 16, 32"),
        ({"input_shape": (33, 33)}, r"deeplab: input_shape \(33, 33\)"),
    ],
)
def test_an_impossible_argument_is_named(arguments, message):
    with pytest.raises(ConfigError, match=message):
        deeplab(**arguments)
