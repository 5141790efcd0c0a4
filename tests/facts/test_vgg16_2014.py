"""Simonyan, Zisserman, ICLR 2015 (arXiv 2014): table 1, configuration D."""

import keras
import pytest
from counting import build

from medseg_tf.models import vgg16


@pytest.fixture(scope="module")
def network():
    return build(vgg16)


def test_weights_layer_by_layer(network):
    counts = [layer.count_params() for layer in network.layers if layer.weights]
    assert counts == [
        *(1_792, 36_928),
        *(73_856, 147_584),
        *(295_168, 590_080, 590_080),
        *(1_180_160, 2_359_808, 2_359_808),
        *(2_359_808, 2_359_808, 2_359_808),
        *(102_764_544, 16_781_312, 4_097_000),
    ]


def test_nine_of_ten_weights_are_in_the_three_dense_layers(network):
    dense = sum(network.get_layer(n).count_params() for n in ("fc1", "fc2", "predictions"))
    assert network.count_params() == 138_357_544
    assert network.count_params() - dense == 14_714_688
    assert dense == 123_642_856
    assert dense / network.count_params() == pytest.approx(0.894, abs=5e-4)


def test_each_block_halves_the_map(network):
    sides = [network.get_layer(f"block{block}_pool").output.shape[1] for block in range(1, 6)]
    assert sides == [112, 56, 28, 14, 7]


def test_names_and_shapes_are_those_of_keras_applications(network):
    theirs = build(keras.applications.VGG16, weights=None)

    def shapes(model):
        return {w.path: tuple(w.shape) for w in model.weights}

    assert shapes(network) == shapes(theirs)
