"""Krizhevsky, Sutskever, Hinton, NIPS 2012: where AlexNet's weights and its arithmetic are."""

import math

import keras
import numpy as np
import pytest

from medseg_tf.layers import LocalResponseNormalization
from medseg_tf.models import alexnet, macs

WEIGHTS = {  # layer: with two groups, without groups
    "conv1": (34_944, 34_944),
    "conv2": (307_456, 614_656),
    "conv3": (885_120, 885_120),
    "conv4": (663_936, 1_327_488),
    "conv5": (442_624, 884_992),
    "fc6": (37_752_832, 37_752_832),
    "fc7": (16_781_312, 16_781_312),
    "fc8": (4_097_000, 4_097_000),
}
TOTAL = {2: 60_965_224, 1: 62_378_344}


def build(groups):
    """Without drawing 61 million weights."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.initializers, "RandomNormal", lambda **how: "zeros")
        return alexnet(groups=groups)


@pytest.fixture(scope="module", params=[2, 1], ids=["two groups", "no groups"])
def network(request):
    return request.param, build(request.param)


def count(network, layers):
    return sum(network.get_layer(name).count_params() for name in layers)


def test_weights_layer_by_layer(network):
    groups, network = network
    for name, counts in WEIGHTS.items():
        assert network.get_layer(name).count_params() == counts[2 - groups]
    assert network.count_params() == TOTAL[groups]


def test_nearly_all_weights_are_fully_connected_and_share_nothing(network):
    groups, network = network
    connected = count(network, ["fc6", "fc7", "fc8"])
    assert connected == 58_631_144
    share = {2: 0.9617, 1: 0.9399}[groups]
    assert connected / network.count_params() == pytest.approx(share, abs=5e-5)


def test_10568_of_the_weights_are_biases(network):
    _, network = network
    biases = [weight for weight in network.weights if weight.path.endswith("bias")]
    assert sum(math.prod(bias.shape) for bias in biases) == 10_568


def test_nearly_all_multiply_adds_are_convolutions(network):
    groups, network = network
    total = {2: 724_406_816, 1: 1_135_256_096}[groups]
    assert macs(network) == total
    if groups == 2:
        assert 1 - 58_621_952 / total == pytest.approx(0.919, abs=5e-4)


def test_sides_of_the_maps_are_whole_for_227_and_not_for_224(network):
    _, network = network
    names = ["conv1", "pool1", "conv2", "pool2", "conv3", "conv4", "conv5", "pool5"]
    sides = [network.get_layer(name).output.shape[1] for name in names]
    assert sides == [55, 27, 27, 13, 13, 13, 13, 6]
    assert ((227 - 11) / 4 + 1, (224 - 11) / 4 + 1) == (55, 54.25)


def test_659272_units_follow_the_input(network):
    _, network = network
    units = [math.prod(network.get_layer(name).output.shape[1:]) for name in WEIGHTS]
    assert sum(units) == 659_272


def test_biases_start_at_one_in_five_layers_and_at_zero_in_three(network):
    _, network = network
    first = {name: set(network.get_layer(name).get_weights()[1].tolist()) for name in WEIGHTS}
    ones = {"conv2", "conv4", "conv5", "fc6", "fc7"}
    assert first == {name: {float(name in ones)} for name in WEIGHTS}


def test_weights_start_normal_with_a_standard_deviation_of_a_hundredth():
    kernel = alexnet((67, 67, 3), 2, width=12).get_layer("fc6").get_weights()[0]
    assert np.std(kernel) == pytest.approx(0.01, rel=0.03) and abs(np.mean(kernel)) < 3e-4


def test_normalisation_follows_relu_of_the_first_two_convolutions_before_their_pooling(network):
    _, network = network
    for number in (1, 2):
        norm = network.get_layer(f"norm{number}")
        assert isinstance(norm, LocalResponseNormalization)
        assert norm.input is network.get_layer(f"conv{number}").output
        assert network.get_layer(f"pool{number}").input is norm.output
        assert network.get_layer(f"conv{number}").activation is keras.activations.relu


def test_local_response_of_one_to_four():
    layer = LocalResponseNormalization(size=5, bias=2, alpha=0.1, beta=0.75)
    found = layer(np.array([[1, 2, 3, 4]], "float32"))
    assert np.asarray(found)[0] == pytest.approx([0.39938, 0.59814, 0.89721, 1.21454], abs=5e-6)
