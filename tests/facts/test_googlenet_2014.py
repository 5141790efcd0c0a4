"""Szegedy et al., CVPR 2015 (arXiv 2014): table 1 and figure 3."""

import keras
import pytest
from counting import build

from medseg_tf.models import googlenet

COUNTS = {
    "conv1": 9_472,
    "conv2": 4_160 + 110_784,
    "3a": 163_696,
    "3b": 388_736,
    "4a": 376_176,
    "4b": 449_160,
    "4c": 510_104,
    "4d": 605_376,
    "4e": 868_352,
    "5a": 1_043_456,
    "5b": 1_444_080,
    "output": 1_025_000,
}
OUTPUTS = {
    "3a": (28, 256),
    "3b": (28, 480),
    "4a": (14, 512),
    "4b": (14, 512),
    "4c": (14, 512),
    "4d": (14, 528),
    "4e": (14, 832),
    "5a": (7, 832),
    "5b": (7, 1024),
}


@pytest.fixture(scope="module")
def network():
    return build(googlenet)


def test_weights_block_by_block(network):
    for name, count in COUNTS.items():
        parts = [layer for layer in network.layers if layer.name.startswith(name)]
        assert (name, sum(layer.count_params() for layer in parts)) == (name, count)
    assert network.count_params() == sum(COUNTS.values()) == 6_998_552


def test_weights_without_biases_and_without_the_last_layer(network):
    kernels = sum(w.shape.num_elements() for w in network.weights if w.name == "kernel")
    assert kernels == 6_990_272
    assert network.count_params() - COUNTS["output"] == 5_973_552


def test_the_auxiliary_classifiers():
    model = build(googlenet, auxiliary=True)
    sides = [
        sum(layer.count_params() for layer in model.layers if layer.name.startswith(f"side{block}"))
        for block in ("4a", "4d")
    ]
    assert sides == [3_188_840, 3_190_888]
    assert model.count_params() == 13_378_280
    assert [output.shape for output in model.outputs] == [(None, 1000)] * 3


def test_57_convolutions_and_a_dense_layer_22_deep(network):
    kinds = [type(layer).__name__ for layer in network.layers]
    assert (kinds.count("Conv2D"), kinds.count("Dense")) == (57, 1)

    depths = {"image": 0}
    for layer in network.layers[1:]:
        below = [tensor._keras_history.operation.name for tensor in keras.tree.flatten(layer.input)]
        depths[layer.name] = max(depths[name] for name in below) + bool(layer.weights)
    assert (depths["5b_3x3"], depths["output"]) == (3 + 9 * 2, 22)


def test_sizes_and_channels_of_the_blocks(network):
    for name, (side, channels) in OUTPUTS.items():
        assert network.get_layer(f"{name}_concat").output.shape == (None, side, side, channels)
    sides = [network.get_layer(f"pool{n}").output.shape[1] for n in (1, 2, 3, 4)]
    assert sides == [56, 28, 14, 7]
    assert network.get_layer("conv1").output.shape == (None, 112, 112, 64)
