"""Krähenbühl, Koltun, NIPS 2011, as DeepLab uses it: twelve pixels worked through.

A grey picture of 3 x 4 pixels, its left half 50 and its right half 150, and two pixels, (1, 1) and
(1, 2), of which the network says the wrong thing.
"""

import itertools

import numpy as np
import pytest

from medseg_tf.methods import dense_crf, energy, pair_weights
from medseg_tf.methods.dense_crf import all_pairs, features, smoothing

GREY = np.repeat([[50, 50, 150, 150]], 3, axis=0)[..., None]
FOREGROUND = np.array([[0.2, 0.3, 0.8, 0.9], [0.1, 0.6, 0.45, 0.8], [0.2, 0.3, 0.7, 0.9]])
P = np.stack([1 - FOREGROUND, FOREGROUND], axis=-1)
HOW = {"w1": 1, "alpha": 2, "beta": 20, "w2": 0.5, "gamma": 1}
PAIRS = pair_weights(GREY, **HOW)
UNARY = -np.log(P).reshape(-1, 2)
LABELS = np.array(list(itertools.product([0, 1], repeat=12))).reshape(-1, 3, 4)
BEST = np.array([[0, 0, 1, 1]] * 3)


def foreground(iterations=10, normalize=None, **how):
    return dense_crf(GREY, P, **HOW | how, iterations=iterations, normalize=normalize)[..., 1]


def free_energy(q):
    """Mean field's bound on -log Z: Q's mean energy less its entropy."""
    q = q.reshape(-1, 2)
    pairs = (PAIRS.sum() - (q @ q.T * PAIRS).sum()) / 2
    return (q * UNARY).sum() + pairs + (q * np.log(q)).sum()


@pytest.fixture(scope="module")
def energies():
    """The energy of each of the 4096 labels."""
    return np.array([energy(label, P, PAIRS) for label in LABELS])


def test_kernels_of_neighbours():
    appearance = pair_weights(GREY, **HOW | {"w2": 0}).reshape(3, 4, 3, 4)
    smoothness = pair_weights(GREY, **HOW | {"w1": 0}).reshape(3, 4, 3, 4)
    assert appearance[0, 0, 0, 1] == pytest.approx(0.882497, abs=5e-7)
    assert smoothness[0, 0, 0, 1] == pytest.approx(0.303265, abs=5e-7)
    assert appearance[0, 1, 0, 2] == pytest.approx(3.29e-6, abs=5e-9)
    assert smoothness[0, 1, 0, 2] == pytest.approx(0.303265, abs=5e-7)
    assert appearance[0, 0, 1, 1] == pytest.approx(0.778801, abs=5e-7)
    assert smoothness[0, 0, 1, 1] == pytest.approx(0.183940, abs=5e-7)


def test_the_formula_after_one_update_and_after_ten():
    assert foreground(1) == pytest.approx(
        np.array(
            [
                [0.0390, 0.0801, 0.9659, 0.9861],
                [0.0161, 0.0842, 0.9547, 0.9837],
                [0.0386, 0.0763, 0.9498, 0.9844],
            ]
        ),
        abs=5.1e-5,
    )
    assert foreground(10) == pytest.approx(
        np.array(
            [
                [0.0031, 0.0087, 0.9950, 0.9987],
                [0.0006, 0.0146, 0.9883, 0.9987],
                [0.0031, 0.0087, 0.9915, 0.9986],
            ]
        ),
        abs=5.1e-5,
    )
    assert abs(foreground(6) - foreground(5)).max() < 1e-4


def test_both_noisy_pixels_flip_and_the_result_is_the_best_of_all_labels(energies):
    first = (FOREGROUND > 0.5).astype(int)
    found = (foreground() > 0.5).astype(int)
    assert np.argwhere(first != found).tolist() == [[1, 1], [1, 2]]
    assert np.array_equal(found, BEST)
    no_pairs = np.zeros_like(PAIRS)
    assert energy(first, P, PAIRS) == pytest.approx(15.847920, abs=5e-7)
    assert energy(first, P, no_pairs) == pytest.approx(3.387343, abs=5e-7)
    assert energy(found, P, PAIRS) == pytest.approx(6.523809, abs=5e-7)
    assert energy(found, P, no_pairs) == pytest.approx(3.993479, abs=5e-7)
    assert np.array_equal(LABELS[energies.argmin()], found)


def test_mean_field_is_surer_than_the_exact_marginals(energies):
    shares = np.exp(-energies)
    shares /= shares.sum()
    marginals = np.tensordot(shares, LABELS, 1)
    exact = [
        [0.0282, 0.0355, 0.9885, 0.9931],
        [0.0252, 0.0428, 0.9809, 0.9925],
        [0.0282, 0.0355, 0.9846, 0.9930],
    ]
    assert marginals == pytest.approx(np.array(exact), abs=5.1e-5)
    assert shares.max() == pytest.approx(0.900218, abs=5e-7)
    assert (abs(foreground() - 0.5) > abs(marginals - 0.5)).all()


def test_the_free_energy_falls_here_and_stays_above_its_bound(energies):
    values = [free_energy(np.stack([1 - q, q], -1)) for q in map(foreground, range(5))]
    wanted = [13.171686, 7.020672, 6.461641, 6.457003, 6.456987]
    assert values == pytest.approx(wanted, abs=2e-6)
    bound = -np.log(np.exp(-energies).sum())
    assert bound == pytest.approx(6.418690, abs=5e-7)
    assert min(values) > bound


def test_the_released_code_with_mild_weights_and_with_its_own():
    mild = [
        [0.0844, 0.1643, 0.9088, 0.9648],
        [0.0395, 0.4079, 0.6670, 0.9227],
        [0.0842, 0.1632, 0.8504, 0.9641],
    ]
    assert foreground(normalize="rows") == pytest.approx(np.array(mild), abs=5.1e-5)
    strong = [
        [0.0004, 0.0027, 0.9985, 0.9998],
        [0.0002, 0.0093, 0.9925, 0.9996],
        [0.0004, 0.0027, 0.9973, 0.9998],
    ]
    found = foreground(normalize="rows", w1=4, w2=3)
    assert found == pytest.approx(np.array(strong), abs=5.1e-5)


def test_what_the_released_code_divides_by():
    one = np.ones((12, 1))
    appearance = all_pairs(features(GREY.astype(float), 2, 20))(one).reshape(3, 4)
    smoothness = 0.5 * smoothing((3, 4), 1)(one).reshape(3, 4)
    at = ([0, 0, 1], [0, 1, 1])
    assert appearance[at] == pytest.approx([4.6856, 4.6856, 5.2051], abs=5.1e-5)
    assert smoothness[at] == pytest.approx([1.5267, 2.0453, 2.5986], abs=5.1e-5)


def test_symmetric_normalisation():
    row = foreground(normalize="symmetric")[1]
    assert row == pytest.approx([0.0378, 0.3947, 0.6810, 0.9262], abs=5.1e-5)


def test_probabilities_taken_for_energies_turn_the_result_round():
    """exp(-P), what one gets who forgets the logarithm, of sum 1 again."""
    mistaken = np.exp(-P) / np.exp(-P).sum(-1, keepdims=True)
    found = dense_crf(GREY, mistaken, **HOW, normalize=None)[1, :, 1]
    assert found == pytest.approx([0.9976, 0.9876, 0.0111, 0.0029], abs=5.1e-5)
