"""Ronneberger, Fischer, Brox, MICCAI 2015: figure 1 and the arithmetic that follows from it."""

import keras
import numpy as np
import pytest

from medseg_tf.models import blocks, receptive_field, unet, unet_sizes
from medseg_tf.models.measure import extents


def build(*args, **kwargs):
    """Build a network that is only counted and measured: without drawing its 31 million weights."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "he_normal", lambda inputs: "zeros")
        return unet(*args, **kwargs)


@pytest.fixture(scope="module")
def network():
    return build((572, 572, 1), classes=2)


def test_the_network_has_31030658_weights(network):
    assert network.count_params() == 31_030_658


def test_the_network_has_23_convolutions(network):
    kinds = [type(layer).__name__ for layer in network.layers]
    assert (kinds.count("Conv2D"), kinds.count("Conv2DTranspose")) == (18 + 1, 4)


def test_one_class_or_three_input_channels_change_the_count_as_they_should():
    assert build((572, 572, 1), classes=1).count_params() == 31_030_593
    assert build((572, 572, 3), classes=2).count_params() == 31_031_810


def test_weights_layer_by_layer(network):
    weights = {
        "down0": [640, 36_928],
        "down1": [73_856, 147_584],
        "down2": [295_168, 590_080],
        "down3": [1_180_160, 2_359_808],
        "bottom": [4_719_616, 9_438_208],
        "up3": [2_097_664, 4_719_104, 2_359_808],
        "up2": [524_544, 1_179_904, 590_080],
        "up1": [131_200, 295_040, 147_584],
        "up0": [32_832, 73_792, 36_928],
        "logits": [130],
    }
    for stage, counts in weights.items():
        layers = [layer for layer in network.layers if layer.name.startswith(stage)]
        assert [layer.count_params() for layer in layers if layer.weights] == counts


def test_the_released_network_has_31100354_weights_and_relu_after_its_up_convolutions():
    released = build((572, 572, 1), classes=2, release=True)
    assert released.count_params() == 31_100_354
    assert released.get_layer("up3_upconv").activation is keras.activations.relu
    assert released.get_layer("up0_upconv").filters == 128


def test_up_convolution_and_upsampling_with_convolution_have_equally_many_weights(network):
    pair = keras.Sequential(
        [keras.Input((28, 28, 1024)), keras.layers.UpSampling2D(2), keras.layers.Conv2D(512, 2)]
    )
    assert network.get_layer("up3_upconv").count_params() == pair.count_params() == 2_097_664


def test_sides_of_the_maps(network):
    stages = ("down0", "down1", "down2", "down3", "bottom", "up3", "up2", "up1", "up0")
    sides = [network.get_layer(f"{stage}_conv2").output.shape[1] for stage in stages]
    assert sides == [568, 280, 136, 64, 28, 52, 100, 196, 388]
    assert network.output_shape == (None, 388, 388, 2)


def test_skips_are_cropped_by_4_16_40_and_88(network):
    crops = [network.get_layer(f"up{stage}_crop").cropping for stage in (3, 2, 1, 0)]
    assert crops == [((side, side), (side, side)) for side in (4, 16, 40, 88)]


@pytest.mark.parametrize("depth, smallest, loss", [(2, 44, 40), (3, 92, 88), (4, 188, 184)])
def test_sizes_that_fit(depth, smallest, loss):
    sizes = unet_sizes(depth, largest=700)
    assert list(sizes) == list(range(smallest, 701, 2**depth))
    assert all(size - output == loss for size, output in sizes.items())
    assert min(sizes.values()) == 4


def test_the_sizes_of_the_paper_fit():
    sizes = unet_sizes(depth=4)
    assert (sizes[572], sizes[700]) == (388, 516)


@pytest.mark.parametrize("depth, field", [(2, 44), (3, 100), (4, 204)])
def test_receptive_field(depth, field):
    assert receptive_field(build((None, None, 1), 2, width=1, depth=depth)) == (field, field)


def test_four_of_sixteen_output_positions_see_188_pixels_and_the_others_204(network):
    seen = extents(network, axis=0, size=572)
    period = seen[:16]
    assert np.array_equal(seen, np.resize(period, 388))
    assert (np.sum(period == 188), np.sum(period == 204)) == (4, 12)


@pytest.mark.parametrize(
    "channels, spread", [(1, 0.4714), (64, 0.05893), (512, 0.02083), (1024, 0.01473)]
)
def test_initial_weights_are_normal_with_the_spread_of_he(channels, spread):
    x = keras.Input((8, 8, channels))
    layer = blocks.conv(x, 2000 if channels == 1 else 32, 3)._keras_history.operation
    weights = np.asarray(layer.kernel)
    assert np.std(weights) == pytest.approx(spread, rel=0.03)
    # A normal cut off at two standard deviations, as in Keras' HeNormal, would have none of these.
    assert np.mean(np.abs(weights) > 2 * spread) == pytest.approx(0.0455, rel=0.2)
    assert not np.any(layer.bias)


def test_an_up_convolution_spreads_by_the_one_position_it_sees():
    layer = blocks.up_conv(keras.Input((8, 8, 512)), 32)._keras_history.operation
    assert np.std(layer.kernel) == pytest.approx((2 / 512) ** 0.5, rel=0.03)


@pytest.mark.parametrize(
    "depth, counts",
    [
        (4, {32: 7_759_554, 16: 1_940_834, 8: 485_682, 4: 121_658}),
        (3, {32: 1_925_058, 16: 481_762, 8: 120_690, 4: 30_298}),
        (2, {32: 465_986, 16: 116_770, 8: 29_330, 4: 7_402}),
    ],
)
def test_weights_of_smaller_networks(depth, counts):
    for width, count in counts.items():
        assert build((None, None, 1), 2, width, depth).count_params() == count
