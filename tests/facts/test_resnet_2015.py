"""He, Zhang, Ren, Sun, CVPR 2016 (arXiv 2015), and the files that its authors released."""

import math

import keras
import numpy as np
import pytest
from counting import build

from medseg_tf.models import blocks, cifar_resnet, macs, resnet
from medseg_tf.models.measure import sight, through
from medseg_tf.models.resnet import basic, bottleneck

DEEP, SHALLOW = (50, 101, 152), (18, 34)


@pytest.fixture(scope="module")
def deep():
    """The three networks of bottlenecks."""
    return build(lambda: {depth: resnet(depth=depth) for depth in DEEP})


@pytest.fixture(scope="module")
def deep_later():
    """The same with the stride on the 3 x 3 convolution, "version 1.5"."""
    return build(lambda: {depth: resnet(depth=depth, stride_on="3x3") for depth in DEEP})


@pytest.fixture(scope="module")
def shallow():
    """The two networks of basic blocks, plain and with each kind of shortcut."""
    pairs = [(depth, option) for depth in SHALLOW for option in (None, "A", "B", "C")]
    return build(lambda: {(depth, s): resnet(depth=depth, shortcuts=s) for depth, s in pairs})


def numbers(weights):
    return sum(math.prod(weight.shape) for weight in weights)


def counts(model):
    """Trainable numbers, and statistics of batch normalisation."""
    return numbers(model.trainable_weights), numbers(model.non_trainable_weights)


def kernels(model):
    return numbers(weight for weight in model.weights if weight.name == "kernel")


def test_weights_of_50_101_and_152_layers(deep, deep_later):
    expected = {50: (25_557_032, 53_120), 101: (44_549_160, 105_344), 152: (60_192_808, 151_424)}
    assert {depth: counts(model) for depth, model in deep.items()} == expected
    assert {depth: counts(model) for depth, model in deep_later.items()} == expected


def test_the_released_file_of_50_layers_has_a_bias_in_its_first_convolution(deep):
    first = deep[50].get_layer("conv1")
    assert not first.use_bias
    assert counts(deep[50])[0] + first.filters == 25_557_096


def test_keras_applications_has_a_bias_in_every_convolution(deep):
    channels = {depth: counts(model)[1] // 2 for depth, model in deep.items()}
    theirs = {depth: counts(deep[depth])[0] + more for depth, more in channels.items()}
    assert theirs == {50: 25_583_592, 101: 44_601_832, 152: 60_268_520}
    whole = {depth: theirs[depth] + 2 * more for depth, more in channels.items()}
    assert whole == {50: 25_636_712, 101: 44_707_176, 152: 60_419_944}
    assert counts(build(keras.applications.ResNet50, weights=None)) == (theirs[50], 53_120)


def test_weights_of_18_and_34_layers_plain_and_with_each_shortcut(shallow):
    assert {key: counts(model)[0] for key, model in shallow.items()} == {
        (18, None): 11_515_688,
        (18, "A"): 11_515_688,
        (18, "B"): 11_689_512,
        (18, "C"): 12_043_816,
        (34, None): 21_623_848,
        (34, "A"): 21_623_848,
        (34, "B"): 21_797_672,
        (34, "C"): 22_716_840,
    }


def test_multiply_adds_are_the_papers_with_the_stride_on_the_first_convolution(
    deep, deep_later, shallow
):
    billions = {depth: macs(model) / 1e9 for depth, model in deep.items()}
    assert billions == pytest.approx({50: 3.858, 101: 7.570, 152: 11.282}, abs=6e-4)
    # Table 1 has 3.8, 7.6 and 11.3 billion.
    assert billions == pytest.approx({50: 3.8, 101: 7.6, 152: 11.3}, abs=0.06)
    later = {depth: macs(model) / 1e9 for depth, model in deep_later.items()}
    assert later == pytest.approx({50: 4.089, 101: 7.801, 152: 11.514}, abs=6e-4)
    plain = {depth: macs(shallow[depth, None]) / 1e9 for depth in SHALLOW}
    assert plain == pytest.approx({18: 1.795, 34: 3.644}, abs=6e-4)


def test_maps_of_the_four_stages(deep, shallow):
    ends = {
        50: ["conv2_3", "conv3_4", "conv4_6", "conv5_3"],
        101: ["conv2_3", "conv3_4", "conv4_23", "conv5_3"],
        152: ["conv2_3", "conv3_8", "conv4_36", "conv5_3"],
    }
    for depth, names in ends.items():
        maps = [deep[depth].get_layer(f"{name}_out").output.shape[1:] for name in names]
        assert maps == [(56, 56, 256), (28, 28, 512), (14, 14, 1024), (7, 7, 2048)]
    last = shallow[34, "B"].get_layer("conv5_3_out").output
    assert last.shape == (None, 7, 7, 512)


def test_of_16_shortcuts_b_projects_3_and_c_all(shallow):
    for option, projections in {"A": 0, "B": 3, "C": 16}.items():
        names = [layer.name for layer in shallow[34, option].layers]
        assert sum(name.endswith("_add") for name in names) == 16
        assert sum(name.endswith("_shortcut") for name in names) == projections


def test_weights_of_cifar_networks():
    models = build(lambda: {depth: cifar_resnet(depth=depth) for depth in (20, 32, 56)})
    trainable = {depth: counts(model)[0] for depth, model in models.items()}
    assert trainable == {20: 269_722, 32: 464_154, 56: 853_018}
    # Each further block a stage, six layers, adds the same: the others need not be built.
    more = (trainable[32] - trainable[20]) // 2
    expected = {44: 658_586, 56: 853_018, 110: 1_727_962, 1202: 19_421_274}
    assert {depth: trainable[20] + (depth - 20) // 6 * more for depth in expected} == expected


@pytest.mark.parametrize("depth", [20, 32])
def test_a_plain_cifar_network_has_equal_weights_and_projections_add_2752(depth):
    models = build(lambda: [cifar_resnet(depth=depth, shortcuts=s) for s in (None, "A", "B")])
    plain, a, b = (counts(model)[0] for model in models)
    assert plain == a == b - 2_752


def test_a_bottleneck_of_256_channels_weighs_less_than_a_basic_block_of_64():
    def model(block, channels, shortcuts="A"):
        inputs = keras.Input((8, 8, channels))
        return keras.Model(inputs, block(inputs, 64, shortcuts=shortcuts))

    choices = [(basic, 64), (bottleneck, 256), (bottleneck, 256, "C")]
    two, three, projected = map(kernels, build(lambda: [model(*choice) for choice in choices]))
    assert (two, three, projected - three) == (73_728, 69_632, 65_536)


def fields(model, names):
    """The largest receptive field, along an axis, of each of these layers' outputs."""
    ends = keras.Model(model.input, [model.get_layer(name).output for name in names])
    line = np.stack([np.arange(2**12), -np.arange(2**12)])
    seen = through(ends, [line], lambda layer: lambda s, *args, **more: sight(layer, s, 0))
    return [int((1 - lowest - minus_highest).max()) for lowest, minus_highest in seen]


@pytest.mark.parametrize(
    "depth, third, fourth, expected",
    [
        (50, 4, 6, [35, 99, 291, 483]),
        (101, 4, 23, [35, 99, 835, 1027]),
        (152, 8, 36, [35, 163, 1315, 1507]),
    ],
)
def test_receptive_fields_at_the_ends_of_the_stages(deep, depth, third, fourth, expected):
    names = ["conv2_3_out", f"conv3_{third}_out", f"conv4_{fourth}_out", "conv5_3_out"]
    assert fields(deep[depth], names) == expected


def test_receptive_fields_with_the_stride_on_the_3_x_3_convolution(deep_later):
    names = ["conv2_3_out", "conv3_4_out", "conv4_6_out", "conv5_3_out"]
    assert fields(deep_later[50], names) == [35, 91, 267, 427]


@pytest.mark.parametrize("depth, field", [(20, 81), (56, 249)])
def test_receptive_fields_of_cifar_networks(depth, field):
    model = build(cifar_resnet, depth=depth)
    assert fields(model, [f"conv4_{depth // 6}_out"]) == [field]


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow's gradient")
@pytest.mark.parametrize("stride_on, share", [("1x1", 0.25), ("3x3", 1)])
def test_a_halving_block_reads_a_quarter_of_its_positions_or_all(stride_on, share):
    import tensorflow as tf

    keras.utils.set_random_seed(0)
    inputs = keras.Input((16, 16, 8))
    end = bottleneck(inputs, 32, 2, stride_on=stride_on)
    image = tf.random.normal((1, 16, 16, 8), seed=0)
    with tf.GradientTape() as tape:
        tape.watch(image)
        total = tf.reduce_sum(keras.Model(inputs, end)(image))
    read = np.any(tape.gradient(total, image), axis=-1)
    assert np.mean(read) == share
    assert np.all(read[:, ::2, ::2])


@pytest.mark.parametrize(
    "inputs, deviation",
    [
        (3 * 3 * 16, 0.117851),
        (3 * 3 * 64, 0.058926),
        (7 * 7 * 3, 0.116642),
        (5**3 * 32, 0.022361),
    ],
)
def test_first_weights_have_the_deviation_of_equation_10(inputs, deviation):
    drawn = np.asarray(blocks.he_normal(inputs)((200, 200)))
    assert blocks.he_normal(inputs).stddev == pytest.approx(deviation, abs=5e-7)
    assert drawn.std() == pytest.approx(deviation, rel=0.02)


def test_kernels_of_the_networks_are_drawn_so():
    keras.utils.set_random_seed(0)
    model = cifar_resnet(depth=8)
    for name, inputs in {"conv1": 27, "conv2_1_conv2": 144, "conv4_1_conv2": 576}.items():
        kernel = np.asarray(model.get_layer(name).kernel)
        assert kernel.std() == pytest.approx((2 / inputs) ** 0.5, rel=0.1)


@pytest.mark.parametrize(
    "gain, expected", [(2, {1: 1.00, 10: 1.17, 20: 1.47}), (1, {1: 0.502, 10: 6.5e-4, 20: 3.8e-7})]
)
def test_the_signal_lives_through_20_layers_with_variance_2_over_inputs(gain, expected):
    """Mean square of what leaves the ReLU of dense layers of 256 units."""
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(512, 256))
    for layer in range(1, 21):
        x = np.maximum(x @ np.asarray(blocks.he_normal(2 * 256 / gain)((256, 256))), 0)
        if layer in expected:
            assert expected[layer] / 3 < np.mean(x**2) < 3 * expected[layer]


def test_the_gradient_through_ten_plain_and_ten_residual_layers():
    def chain(x, residual, weight=0.1):
        for _ in range(10):
            x = weight * x + residual * x
        return x

    slopes = [chain(2.0, residual) - chain(1.0, residual) for residual in (False, True)]
    assert slopes == pytest.approx([1e-10, 2.593742], rel=1e-6)
