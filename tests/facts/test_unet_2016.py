"""Cicek, Abdulkadir, Lienkamp, Brox, Ronneberger, MICCAI 2016: the 3-D U-Net of figure 2."""

import keras
import pytest

from medseg_tf.models import blocks, unet, unet_sizes


@pytest.fixture(scope="module")
def network():
    arguments = dict(width=32, depth=3, norm="batch", dropout=0, widen="before_pooling")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "he_normal", lambda inputs: "zeros")  # counting needs no numbers
        return unet((132, 132, 116, 3), classes=3, **arguments)


def test_the_network_has_19069955_weights_without_those_of_its_normalisation(network):
    norms = [x for x in network.layers if isinstance(x, keras.layers.BatchNormalization)]
    assert network.count_params() - sum(x.count_params() for x in norms) == 19_069_955


def test_scale_and_shift_of_the_normalisation_add_4672(network):
    trainable = sum(weight.shape.num_elements() for weight in network.trainable_weights)
    assert trainable == 19_074_627


def test_a_tile_of_132_132_116_gives_44_44_28(network):
    assert network.output_shape == (None, 44, 44, 28, 3)
    sizes = unet_sizes(depth=3)
    assert [sizes[size] for size in (92, 100, 108, 116, 124, 132)] == [4, 12, 20, 28, 36, 44]


def test_maps_have_the_sizes_of_the_figure(network):
    maps = {
        "down0": (128, 128, 112, 64),
        "down1": (60, 60, 52, 128),
        "down2": (26, 26, 22, 256),
        "bottom": (9, 9, 7, 512),
        "up2": (14, 14, 10, 256),
        "up1": (24, 24, 16, 128),
        "up0": (44, 44, 28, 64),
    }
    for stage, shape in maps.items():
        assert network.get_layer(f"{stage}_conv2").output.shape[1:] == shape


def test_channels_double_before_each_pooling_and_up_convolutions_keep_them(network):
    first = [network.get_layer(f"{x}_conv1").filters for x in ("down0", "down1", "down2", "bottom")]
    ups = [network.get_layer(f"up{stage}_upconv").filters for stage in (2, 1, 0)]
    joined = [network.get_layer(f"up{stage}_concat").output.shape[-1] for stage in (2, 1, 0)]
    assert (first, ups, joined) == ([32, 64, 128, 256], [512, 256, 128], [768, 384, 192])
