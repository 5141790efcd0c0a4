"""Milletari, Navab, Ahmadi, 3DV 2016 (V-Net), section 3: the Dice objective and its gradient."""

import numpy as np
import pytest
import tensorflow as tf

from medseg_tf.losses import SoftDice, WeightedCrossEntropy

P, G = np.array([0.9, 0.6, 0.2, 0.1]), np.array([1, 1, 0, 0])


def dice_and_gradient(p, g, squared, loss=None):
    """Dice of foreground probabilities `p`, and its slope in each, by automatic differentiation."""
    p = tf.Variable(np.reshape(p, (1, 1, -1)), dtype="float32")
    with tf.GradientTape() as tape:
        value = 1 - SoftDice(0, squared)(np.reshape(g, (1, 1, -1)), tf.stack([1 - p, p], axis=-1))
    return float(value), np.ravel(tape.gradient(value, p))


def test_dice_of_the_example():
    # 2 * (.9 + .6) / ((.81 + .36 + .04 + .01) + 2) = 3 / 3.22
    assert dice_and_gradient(P, G, squared=True)[0] == pytest.approx(0.931677, abs=1e-6)


def test_its_gradient_is_the_formula_of_the_paper():
    squares, overlap = np.sum(P**2) + np.sum(G**2), np.sum(P * G)
    formula = 2 * (G * squares - 2 * P * overlap) / squares**2
    assert formula == pytest.approx([0.100305, 0.273909, -0.115736, -0.057868], abs=1e-6)
    assert dice_and_gradient(P, G, squared=True)[1] == pytest.approx(formula, abs=1e-6)


def test_the_plain_form_pushes_a_bad_and_a_good_voxel_alike_and_the_squared_one_does_not():
    dice, plain = dice_and_gradient(P, G, squared=False)
    assert dice == pytest.approx(0.789474, abs=1e-6)
    assert plain == pytest.approx([0.318560, 0.318560, -0.207756, -0.207756], abs=1e-6)
    squared = dice_and_gradient(P, G, squared=True)[1]
    assert squared[1] / squared[0] == pytest.approx(2.73, abs=0.005)


def test_half_the_right_answer_everywhere_scores_four_fifths():
    assert dice_and_gradient(G / 2, G, squared=True)[0] == pytest.approx(0.8, abs=1e-6)


@pytest.mark.parametrize("p, dice_share, entropy_share", [(0.5, 0.340, 0.010), (0.01, 0.981, 0.5)])
def test_dice_gives_ten_voxels_of_a_thousand_a_larger_share_of_the_slope(
    p, dice_share, entropy_share
):
    label = np.zeros((1, 1, 1000), int)
    label[..., :10] = 1

    def share(loss):
        z = tf.Variable(np.full(label.shape, np.log(p / (1 - p))), dtype="float32")
        with tf.GradientTape() as tape:
            foreground = tf.sigmoid(z)
            value = loss(label, tf.stack([1 - foreground, foreground], axis=-1))
        slope = np.abs(np.ravel(tape.gradient(value, z)))
        return np.sum(slope[:10]) / np.sum(slope)

    assert share(SoftDice(0, squared=True)) == pytest.approx(dice_share, abs=1e-3)
    assert share(WeightedCrossEntropy()) == pytest.approx(entropy_share, abs=1e-3)
