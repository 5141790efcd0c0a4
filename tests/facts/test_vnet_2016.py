"""Milletari, Navab, Ahmadi, 3DV 2016: the V-Net of figure 2 and table 1, and its released file."""

import math

import keras
import numpy as np
import pytest

from medseg_tf.models import blocks, macs, receptive_field, vnet
from medseg_tf.models.measure import extents

VOLUME = (128, 128, 64, 1)
RELEASED = dict(convolutions=(1, 1, 2, 3, 3), release=True)
STAGES = ("down0", "down1", "down2", "down3", "bottom", "up3", "up2", "up1", "up0")


def build(input_shape=VOLUME, **arguments):
    """Build a network that is only counted and measured: without drawing its 65 million weights."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "he_normal", lambda inputs: "zeros")
        return vnet(input_shape, 2, **arguments)


@pytest.fixture(scope="module")
def network():
    return build()


@pytest.fixture(scope="module")
def released():
    return build(**RELEASED)


@pytest.fixture(scope="module")
def thin():
    """The same layers with one channel in the first stage and open sizes."""
    return build((None, None, None, 1), width=1)


def kinds(model):
    """Numbers of kernel weights, biases and slopes."""
    names = ("kernel", "bias", "alpha")
    counts = {name: 0 for name in names}
    for weight in model.weights:
        counts[weight.name] += math.prod(weight.shape)
    return tuple(counts[name] for name in names)


def weights_of(model, stage):
    """Weights of a stage's own convolutions and of the PReLUs after them."""
    own = [f"{stage}_{kind}{number}" for kind in ("conv", "prelu") for number in (1, 2, 3)]
    return sum(layer.count_params() for layer in model.layers if layer.name in own)


def end_of(model, stage):
    last = [layer for layer in model.layers if layer.name.startswith(f"{stage}_prelu")][-1]
    return keras.Model(model.input, last.output)


def test_the_papers_network_has_65175314_weights(network):
    assert network.count_params() == 65_175_314
    assert kinds(network) == (65_168_400, 3_458, 3_456)


def test_the_released_network_has_61982682_weights_in_27_convolutions(released):
    assert released.count_params() == 61_982_682
    assert kinds(released) == (61_976_340, 3_172, 3_170)
    names = [type(layer).__name__ for layer in released.layers]
    assert (names.count("Conv3D"), names.count("Conv3DTranspose")) == (23, 4)


def test_the_two_differ_by_a_convolution_in_four_stages_and_by_the_head(network, released):
    less = {stage: weights_of(network, stage) - weights_of(released, stage) for stage in STAGES}
    expected = {"down1": 128_064, "down2": 512_128, "up2": 2_048_256, "up1": 512_128}
    assert {stage: count for stage, count in less.items() if count} == expected
    heads = [
        sum(x.count_params() for x in model.layers if x.name.startswith(("head", "logits")))
        for model in (network, released)
    ]
    assert heads == [66, 8_010]
    assert 65_175_314 - sum(less.values()) + 8_010 - 66 == 61_982_682


def test_the_papers_stages_with_the_released_head_have_65183258_weights():
    assert build(release=True).count_params() == 65_183_258


def test_the_first_stage_has_2032_weights(network):
    assert weights_of(network, "down0") == 5**3 * 16 + 16 + 16 == 2_032


def test_two_stages_hold_three_quarters_of_the_weights(network):
    kernels = [
        sum(math.prod(network.get_layer(f"{stage}_conv{n}").kernel.shape) for n in (1, 2, 3))
        for stage in ("bottom", "up3")
    ]
    assert kernels == [24_576_000, 24_576_000]
    assert sum(kernels) / network.count_params() == pytest.approx(0.754, abs=5e-4)


def test_channels_and_sides_of_the_stages(network):
    maps = [end_of(network, stage).output_shape[1:] for stage in STAGES]
    assert [shape[0] for shape in maps] == [128, 64, 32, 16, 8, 16, 32, 64, 128]
    assert [shape[-1] for shape in maps] == [16, 32, 64, 128, 256, 256, 128, 64, 32]
    assert network.output_shape == (None, 128, 128, 64, 2)


def test_slopes_of_their_own_at_each_position_would_be_115343360(network):
    layer = keras.layers.PReLU()
    layer.build((None, 4, 3, 2, 5))
    assert layer.count_params() == 4 * 3 * 2 * 5
    slopes = [x for x in network.layers if isinstance(x, keras.layers.PReLU)]
    assert sum(math.prod(layer.output.shape[1:]) for layer in slopes) == 115_343_360


def test_slopes_start_at_a_quarter(network):
    slopes = [x for x in network.layers if isinstance(x, keras.layers.PReLU)]
    assert all(np.all(np.asarray(layer.alpha) == 0.25) for layer in slopes)


def test_a_forward_pass_takes_half_a_million_million_multiply_adds(network):
    voxels, channels = [128 * 128 * 64 // 8**level for level in range(5)], (16, 32, 64, 128, 256)
    total = voxels[0] * (5**3 * 16 + 32 * 2)  # the image's first convolution, the head
    for level, count in enumerate((0, 2, 3, 3, 3)):  # the way down
        total += voxels[level] * count * 5**3 * channels[level] ** 2
    for level, (count, above) in enumerate(zip((1, 2, 3, 3), (64, 128, 256, 256), strict=True)):
        total += voxels[level] * count * 5**3 * (2 * channels[level]) ** 2  # the way up
        total += voxels[level + 1] * 2**3 * channels[level] * (channels[level + 1] + above)
    assert macs(network) == total == pytest.approx(5.02e11, rel=1e-3)


def counted(model):
    """Field of each stage as table 1 counts it: an up-convolution as a 2-wide one, finer grid."""
    field, jump, fields = 1, 1, {}
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv3DTranspose):
            jump //= 2
            field += jump
        elif isinstance(layer, keras.layers.Conv3D):
            field += (layer.kernel_size[0] - 1) * jump
            jump *= layer.strides[0]
        fields[layer.name.split("_")[0]] = field
    return [fields[stage] for stage in STAGES]


def test_receptive_fields_of_table_1(network):
    assert counted(network) == [5, 22, 72, 172, 372, 476, 528, 546, 551]


def test_kernels_of_3_as_in_the_caption_would_give_other_fields():
    thin = build((None, None, None, 1), width=1, kernel=3)
    assert counted(thin)[:5] == [3, 12, 38, 90, 194]


def test_fields_on_the_released_networks_way_down(released):
    assert counted(released)[:5] == [5, 14, 48, 148, 348]


def seen(model, stage, size=2048):
    """Extents that occur among the output positions of a stage, far from the border."""
    result = extents(end_of(model, stage), axis=0, size=size)
    inner = len(result) // 3
    return set(result[inner:-inner].tolist())


def test_true_fields_are_smaller_on_the_way_up_because_an_up_convolution_sees_one_position(thin):
    fields = [seen(thin, stage) for stage in STAGES]
    assert fields == [{5}, {22}, {72}, {172}, {372}, {468}, {516}, {532}, {532, 548}]


def test_the_receptive_field_is_the_largest_over_positions(thin):
    assert receptive_field(thin) == (548, 548, 548)


def test_from_the_bottom_stage_on_each_position_sees_the_whole_volume(network):
    # From the border of 128 voxels half a field of 128 is needed: 2 * 128 - 1 = 255, and it is 372.
    for axis, size in enumerate(VOLUME[:-1]):
        assert np.all(extents(end_of(network, "bottom"), axis, size) == size)
    assert np.any(extents(end_of(network, "down3"), 0, 128) < 128)
