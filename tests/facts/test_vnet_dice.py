"""Milletari, Navab, Ahmadi, 3DV 2016, section 3: the Dice objective behind a softmax.

Its value and its slope in the probabilities are in test_dice_loss.py.
"""

import hypothesis
import hypothesis.extra.numpy
import hypothesis.strategies as st
import keras
import numpy as np
import pytest
import tensorflow as tf

from medseg_tf.losses import SoftDice, WeightedCrossEntropy

P, G = np.array([0.9, 0.6, 0.2, 0.1]), np.array([1, 1, 0, 0])


def dice(p, g, squared=True):
    """Dice of foreground probabilities `p` in float64, without the cast that a call makes."""
    p = tf.reshape(tf.convert_to_tensor(p, "float64"), (1, 1, -1))
    loss = SoftDice(0, squared).call(np.reshape(g, (1, 1, -1)), tf.stack([1 - p, p], axis=-1))
    return 1 - loss[0]


def slope(function, at):
    at = tf.Variable(at, dtype="float64")
    with tf.GradientTape() as tape:
        value = function(at)
    return tape.gradient(value, at).numpy()


def softmax(z):
    """Foreground probability of two classes whose logits are 0 and `z`."""
    return keras.ops.softmax(tf.stack([tf.zeros_like(z), z], axis=-1))[..., 1]


def test_the_loss_of_the_example():
    assert np.sum(P * G) == pytest.approx(1.5)
    assert np.sum(P**2) + np.sum(G**2) == pytest.approx(3.22)
    assert 1 - float(dice(P, G)) == pytest.approx(0.068323, abs=1e-6)


@pytest.mark.parametrize("squared", [True, False])
def test_its_slope_is_that_of_central_differences(squared):
    step = 1e-5 * np.eye(4)
    central = [float(dice(P + h, G, squared) - dice(P - h, G, squared)) / 2e-5 for h in step]
    assert slope(lambda p: dice(p, G, squared), P) == pytest.approx(central, abs=1e-8)


def test_its_slope_through_a_softmax_of_two_classes():
    found = slope(lambda z: dice(softmax(z), G), np.log(P / (1 - P)))
    assert found == pytest.approx([0.009027, 0.065738, -0.018518, -0.005208], abs=1e-6)
    assert found == pytest.approx(slope(lambda p: dice(p, G), P) * P * (1 - P), abs=1e-12)


def test_a_thousand_voxels_of_which_ten_are_foreground_all_at_a_half():
    label, z = np.arange(1000) < 10, np.zeros(1000)
    assert float(dice(z + 0.5, label)) == pytest.approx(0.038462, abs=1e-6)
    slopes = np.abs(slope(lambda z: dice(softmax(z), label), z))
    assert (slopes[:10].sum(), slopes.sum()) == pytest.approx((0.018861, 0.055473), abs=1e-6)

    def cross_entropy(z):
        foreground = softmax(z)[None, None]
        probabilities = tf.stack([1 - foreground, foreground], axis=-1)
        return WeightedCrossEntropy()(label[None, None].astype(int), probabilities)

    slopes = np.abs(slope(cross_entropy, z))
    assert (slopes[:10].sum(), slopes.sum()) == pytest.approx((0.005, 0.5), abs=1e-6)


VOXELS = st.lists(st.tuples(st.booleans(), st.floats(0, 1, width=32)), min_size=2, max_size=8)


@hypothesis.given(VOXELS.filter(lambda voxels: any(g for g, _ in voxels)))
def test_dice_lies_between_0_and_1_and_is_1_for_the_label_alone(voxels):
    g, p = (np.array(values, float) for values in zip(*voxels, strict=True))
    value = float(dice(p, g))
    assert -1e-9 <= value <= 1 + 1e-9
    assert float(dice(g, g)) == pytest.approx(1, abs=1e-9)
    if np.abs(p - g).max() > 1e-3:
        assert value < 1 - 1e-9
