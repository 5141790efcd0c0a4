"""Ciresan et al., NIPS 2012: the network N4, its cost by windows and at once, and calibration."""

import math

import numpy as np
import pytest

from medseg_tf.methods import prior_shift
from medseg_tf.models import dense_twin, macs, receptive_field, sliding_window

CONVOLUTIONS = {"conv1": 816, "conv2": 57_648, "conv3": 36_912, "conv4": 36_912}
WEIGHTS = CONVOLUTIONS | {"dense1": 86_600, "logits": 402}


@pytest.fixture(scope="module")
def n4():
    return sliding_window()


@pytest.fixture(scope="module")
def twin(n4):
    return dense_twin(n4)


def test_n4_has_219290_weights_layer_by_layer(n4, twin):
    assert n4.count_params() == twin.count_params() == 219_290
    for network in (n4, twin):
        assert {name: network.get_layer(name).count_params() for name in WEIGHTS} == WEIGHTS


def test_sides_of_the_maps(n4):
    sides = [layer.output.shape[1] for layer in n4.layers if len(layer.output.shape) == 4]
    assert sides[:9] == [95, 92, 46, 42, 21, 18, 9, 6, 3]


def test_it_sees_its_whole_window_and_so_does_its_twin(n4, twin):
    assert receptive_field(n4) == receptive_field(twin) == (95, 95)


def test_samples_of_the_twin_lie_as_far_apart_as_the_poolings_before_them(twin):
    names = ["conv1", "pool1", "conv2", "pool2", "conv3", "pool3", "conv4", "pool4", "dense1"]
    rates = [twin.get_layer(name).dilation_rate[0] for name in names]
    assert rates == [1, 1, 2, 2, 4, 4, 8, 8, 16]


def test_multiply_adds_of_a_window_and_of_a_pixel_of_the_twin(n4, twin):
    assert macs(n4) == 121_464_592
    per_pixel = sum(math.prod(twin.get_layer(name).kernel.shape) for name in WEIGHTS)
    assert per_pixel == 218_896
    assert macs(n4) / per_pixel == pytest.approx(554.896, abs=5e-4)


@pytest.mark.parametrize("side, ratio", [(64, 188.3), (128, 308.3), (256, 409.0), (512, 475.3)])
def test_windows_of_a_mirrored_image_against_one_pass(n4, twin, side, ratio):
    by_windows = side**2 * macs(n4)
    assert by_windows / macs(twin, (side + 94,) * 2) == pytest.approx(ratio, abs=0.05)


def test_the_31_pixel_network_of_the_lesson():
    net = sliding_window((31, 31, 1), maps=(16, 16), kernels=(4, 3), dense=(32,))
    assert (net.count_params(), macs(net)) == (21_122, 550_976)
    kernels = [weight.shape for weight in net.weights if "kernel" in weight.path]
    assert sum(map(math.prod, kernels)) == 21_056
    work = [side**2 * macs(net) / macs(dense_twin(net), (side + 30,) * 2) for side in (64, 128)]
    assert np.round(work, 1).tolist() == [23.8, 25.0]


def test_neighbouring_windows_share_all_pixels_but_a_row():
    rows = np.arange(96 * 96).reshape(96, 96)
    corner, beside, aslant = rows[:95, :95], rows[:95, 1:], rows[1:, 1:]
    assert np.isin(corner, beside).mean() == pytest.approx(94 / 95)
    assert np.isin(corner, aslant).mean() == pytest.approx(0.97906, abs=5e-6)


def test_the_test_stack_has_7864320_windows():
    assert 30 * 512 * 512 == 7_864_320


@pytest.mark.parametrize("raw, shifted", [(0.1, 0.0270), (0.5, 0.2), (0.9, 0.6923)])
def test_balanced_training_overestimates_a_class_of_a_fifth(raw, shifted):
    assert prior_shift(raw, share=0.2) == pytest.approx(shifted, abs=5e-5)
