"""Chen, Papandreou, Kokkinos, Murphy, Yuille, arXiv 2016 (TPAMI 2018): sizes, fields, rates."""

import functools
import itertools
import math

import keras
import numpy as np
import pytest
from counting import build

from medseg_tf.models import deeplab, fcn, receptive_field
from medseg_tf.models.deeplab import atrous

CROP = (321, 321, 3)
MULTI_SCALE = (1, 0.75, 0.5)


def numbers(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def trainable(model):
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


def statistics(model):
    return sum(math.prod(weight.shape) for weight in model.non_trainable_weights)


@functools.cache
def network(variant, backbone="vgg16", scales=(1,)):
    return build(deeplab, CROP, 21, variant, backbone, scales=scales)


def test_weights_of_vgg_16():
    assert trainable(network("large_fov")) == 20_505_429
    assert trainable(network("aspp_s")) == trainable(network("aspp_l")) == 37_877_652


def test_large_fov_has_a_seventh_of_the_weights_of_the_dense_classifier():
    dense = build(fcn, CROP, stride=32)
    assert dense.count_params() == 134_346_581
    *taps, channels, hidden = dense.get_layer("fc1").kernel.shape
    assert taps == [7, 7]
    fewer_taps = dense.count_params() - (7 * 7 - 4 * 4) * channels * hidden
    assert fewer_taps == 65_140_565
    counts = dense.count_params(), fewer_taps, network("large_fov").count_params()
    assert [round(count / 1e6, 1) for count in counts] == [134.3, 65.1, 20.5]


def test_one_branch_layer_by_layer():
    model = network("large_fov")
    branch = [model.get_layer(name).count_params() for name in ("fc6", "fc7", "score")]
    assert branch == [4_719_616, 1_049_600, 21_525] and sum(branch) == 5_790_741
    assert model.count_params() - sum(branch) == 14_714_688
    four = network("aspp_l").count_params() - network("large_fov").count_params()
    assert four == 3 * sum(branch)


def test_weights_of_resnet_101():
    one, four = network("large_fov", "resnet101"), network("aspp_l", "resnet101")
    assert one.get_layer("score").count_params() == 387_093
    assert trainable(one) == 42_887_253 and trainable(one) - 387_093 == 42_500_160
    assert trainable(four) == 42_500_160 + 4 * 387_093 == 44_048_532
    assert statistics(one) == 105_344


def test_several_scales_add_no_weight():
    model = network("aspp_l", "resnet101", MULTI_SCALE)
    assert trainable(model) == 44_048_532 and model.output_shape == (None, 321, 321, 21)


@pytest.mark.parametrize("backbone", ["vgg16", "resnet101"])
@pytest.mark.parametrize("size, side", [(321, 41), (513, 65)])
def test_the_map_has_an_eighth_of_the_positions_and_one_more(backbone, size, side):
    model = build(deeplab, (size, size, 3), 21, backbone=backbone, width=1)
    assert model.get_layer("score").output.shape[1:3] == (side, side)
    assert side == (size - 1) // 8 + 1


def field(layer, **how):
    model = build(deeplab, (None, None, 1), 2, width=1, **how)
    seen = keras.Model(model.input, model.get_layer(layer).output)
    return receptive_field(seen)[0]


@pytest.mark.parametrize(
    "rate, pixels", {2: 259, 4: 291, 6: 323, 8: 355, 12: 419, 18: 515, 24: 611}.items()
)
def test_what_fc6_sees(rate, pixels):
    assert field("fc6", rates=(rate,)) == pixels == 227 + 2 * 8 * rate


@pytest.mark.parametrize(
    "taps, rate, pixels, paper",
    [(7, 4, 419, 224), (4, 8, 419, 224), (3, 12, 419, 224), (4, 4, 323, 128)],
)
def test_the_papers_field_of_view_is_less_by_195_for_each_fc6(taps, rate, pixels, paper):
    model = build(deeplab, (None, None, 1), 2, width=1)
    pooled = model.get_layer("block5_pool").output
    fc6 = keras.layers.Conv2D(1, taps, dilation_rate=rate, padding="same")(pooled)
    assert receptive_field(keras.Model(model.input, fc6))[0] == pixels == paper + 195
    assert paper == 8 * ((taps - 1) * rate + 4)


def test_what_the_trunk_of_vgg_16_sees():
    assert field("block5_pool") == 227


def test_what_resnet_101_sees():
    ends = [f"conv{stage}_{last}_out" for stage, last in ((2, 3), (3, 4), (4, 23), (5, 3))]
    model = build(deeplab, (None, None, 1), 2, "aspp_l", "resnet101", width=1)
    layers = [*ends, *(f"score_{branch}" for branch in (1, 2, 3, 4))]
    fields = [
        receptive_field(keras.Model(model.input, model.get_layer(name).output))[0]
        for name in layers
    ]
    assert fields == [35, 99, 835, 1027, 1123, 1219, 1315, 1411]


def convolution(kernel, rate, size):
    """An atrous convolution of one channel with this kernel, for `size`."""
    image = keras.Input((*size, 1))
    model = keras.Model(image, atrous(image, 1, rate, activation=None))
    model.layers[-1].set_weights([np.reshape(kernel, (3, 3, 1, 1)), np.zeros(1)])
    return lambda x: np.asarray(model(np.reshape(x, (1, *size, 1)).astype("float32")))[0, ..., 0]


@pytest.mark.parametrize("rate", [2, 4, 6, 8, 12, 18, 24])
def test_three_taps_span_two_rates_and_one(rate):
    impulse = np.zeros((51, 51))
    impulse[25, 25] = 1
    touched = np.argwhere(convolution(np.ones((3, 3)), rate, (51, 51))(impulse))
    assert len(touched) == 9
    assert (np.ptp(touched, axis=0) + 1).tolist() == [2 * rate + 1] * 2


@pytest.mark.parametrize("rate, mean", {6: 7.330, 12: 5.830, 18: 4.503, 24: 3.346}.items())
def test_taps_that_lie_in_a_map_of_41_positions(rate, mean):
    taps = convolution(np.ones((3, 3)), rate, (41, 41))(np.ones((41, 41)))
    assert taps.mean() == pytest.approx(mean, abs=5e-4)
    alone = np.argwhere(taps == 1)
    if rate < 24:
        assert len(alone) == 0
    else:  # there it is a convolution of one tap
        assert len(alone) == 49 and np.ptp(alone, axis=0).tolist() == [6, 6]


def test_a_line_by_hand():
    kernel = np.zeros((3, 3))
    kernel[1] = 1, 0, -1
    line = np.zeros((3, 8))
    line[1] = np.arange(1, 9)
    found = convolution(kernel, 2, (3, 8))(line)[1]
    assert found.tolist() == [-3, -4, -4, -4, -4, -4, 5, 6]
    wide = np.correlate(line[1], [1, 0, 0, 0, -1], "same")
    assert wide.tolist() == found.tolist()


def test_a_stride_left_out_and_a_rate_doubled_give_the_same_numbers_densely():
    def two(first, second):
        x = image = keras.Input((17, 17, 2))
        x = keras.layers.ZeroPadding2D(1)(x)
        x = keras.layers.Conv2D(4, 3, strides=first, name="a")(x)
        return keras.Model(image, atrous(x, 3, second, activation=None, name="b"))

    strided, dense, plain = two(2, 1), two(1, 2), two(1, 1)
    picture = numbers(1, 17, 17, 2)
    for model in (dense, plain):
        model.set_weights(strided.get_weights())
    wanted, found, wrong = (np.asarray(model(picture)) for model in (strided, dense, plain))
    assert wanted.shape == (1, 9, 9, 3) and found.shape == (1, 17, 17, 3)
    np.testing.assert_allclose(found[:, ::2, ::2], wanted, atol=1e-6)
    assert abs(wrong[:, ::2, ::2] - wanted).max() > 0.1


def test_padded_by_same_an_even_size_has_the_strided_numbers_at_its_odd_positions():
    def two(strides, rate):
        x = image = keras.Input((16, 16, 2))
        x = keras.layers.Conv2D(4, 3, strides=strides, padding="same", name="a")(x)
        return keras.Model(image, atrous(x, 3, rate, activation=None, name="b"))

    strided, dense = two(2, 1), two(1, 2)
    dense.set_weights(strided.get_weights())
    wanted, found = (np.asarray(model(numbers(1, 16, 16, 2))) for model in (strided, dense))
    np.testing.assert_allclose(found[:, 1::2, 1::2], wanted, atol=1e-5)
    assert abs(found[:, ::2, ::2] - wanted)[:, 2:-2, 2:-2].max() > 0.1  # far from any border


def offsets(*rates):
    """Positions that a chain of convolutions of 3 taps reaches along a line."""
    return {sum(steps) for steps in itertools.product(*((-rate, 0, rate) for rate in rates))}


def test_gridding():
    impulse = np.zeros((1, 21))
    impulse[0, 10] = 1
    for rates, wanted in {(2, 2): 5, (2, 2, 2): 7, (1, 2, 3): 13}.items():
        line = impulse
        for rate in rates:
            line = convolution(np.ones((3, 3)), rate, (1, 21))(line)
        assert set(np.flatnonzero(line) - 10) == offsets(*rates)
        assert np.count_nonzero(line) == wanted
    assert offsets(2, 2) == {-4, -2, 0, 2, 4} and offsets(1, 2, 3) == set(range(-6, 7))


def test_poly_is_a_schedule_of_keras():
    poly = keras.optimizers.schedules.PolynomialDecay(1e-3, 20_000, 0.0, power=0.9)
    rates = [float(poly(step)) for step in (0, 5_000, 10_000, 15_000, 19_999)]
    assert rates == pytest.approx([1e-3, 7.7189e-4, 5.3589e-4, 2.8717e-4, 1.3461e-7], rel=2e-4)
    assert float(poly(20_000)) == float(poly(30_000)) == 0
