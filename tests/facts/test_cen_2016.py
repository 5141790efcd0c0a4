"""Brosch 2016: sizes and counts of the encoder network, its loss, and the parts of its RBMs."""

import keras
import numpy as np
import pytest
from counting import build
from keras import ops
from scipy.stats import norm

from medseg_tf.losses import SensitivitySpecificity
from medseg_tf.methods.rbm import RBM, correlation, hidden_input, sample_hidden, visible_mean
from medseg_tf.models import encoder_network

BRAIN = (164, 206, 52, 2)
KERNELS = ((9, 9, 5), (9, 10, 5))
TRUTH = np.array([[1, 1, 0, 0, 0, 0, 0, 0, 0, 0]])
SAYS = np.array([[0.8, 0.4, 0.3, 0.1, 0, 0, 0, 0, 0, 0]], "float32")


def loss(r, truth=TRUTH, says=SAYS):
    return float(SensitivitySpecificity(r)(truth, np.stack([1 - says, says], -1)))


def test_the_seven_layers_go_down_to_70_x_90_x_20_and_back():
    model = build(encoder_network, BRAIN, kernels=KERNELS)
    names = ("encode1", "pool1", "encode2", "decode2", "unpool1", "decode1")
    sizes = [tuple(model.get_layer(name).output.shape[1:-1]) for name in names]
    down = [(156, 198, 48), (78, 99, 24), (70, 90, 20)]
    assert sizes == [*down, (78, 99, 24), (156, 198, 48), (164, 206, 52)]


@pytest.mark.parametrize(
    "kernels, shortcut, count",
    [(KERNELS[:1], True, 38_913), (KERNELS, False, 960_577), (KERNELS, True, 973_537)],
)
def test_counts_of_three_layers_and_of_seven_without_and_with_the_shortcut(
    kernels, shortcut, count
):
    model = build(encoder_network, BRAIN, kernels=kernels, shortcut=shortcut)
    assert model.count_params() == count


def test_three_layers_are_25952_weights_there_and_12961_back():
    model = build(encoder_network, BRAIN, kernels=KERNELS[:1])
    counts = [model.get_layer(name).count_params() for name in ("encode1", "decode1")]
    assert counts == [25_952, 12_961] and sum(counts) == model.count_params()


@pytest.mark.parametrize("r, right", [(0.02, 0.01625), (0.05, 0.021875), (0.5, 0.10625)])
def test_the_loss_of_ten_voxels_two_of_them_lesion(r, right):
    assert loss(1) == pytest.approx(0.2) and loss(0) == pytest.approx(0.0125)
    assert loss(r) == pytest.approx(right, rel=1e-5)


def test_with_r_the_share_of_the_lesion_it_is_the_plain_squared_error():
    assert loss(TRUTH.mean()) == pytest.approx(((TRUTH - SAYS) ** 2).mean(), rel=1e-5)
    assert loss(0.2) == pytest.approx(0.05, rel=1e-5)


@pytest.mark.parametrize("r", [0.02, 0.05])
def test_no_lesion_anywhere_costs_r(r):
    """The answer that a sigmoid sticks at when it starts too large: no error elsewhere."""
    assert loss(r, says=np.zeros(TRUTH.shape, "float32")) == pytest.approx(r)


@pytest.mark.parametrize(
    "f, r, weight",
    [
        (0.001, 0.02, 20.39),
        (0.001, 0.05, 52.58),
        (0.01, 0.02, 2.02),
        (0.01, 0.05, 5.21),
        (0.02, 0.02, 1.00),
        (0.02, 0.05, 2.58),
        (0.1, 0.02, 0.184),
        (0.1, 0.05, 0.474),
    ],
)
def test_a_lesion_voxel_weighs_so_many_times_another(f, r, weight):
    voxels = 1000
    truth = (np.arange(voxels) < f * voxels)[None].astype(int)
    missed, invented = (truth.astype("float32") for _ in range(2))
    missed[0, 0], invented[0, -1] = 0, 1
    assert loss(r, truth, missed) / loss(r, truth, invented) == pytest.approx(weight, rel=2e-3)


@pytest.mark.parametrize("r", [0.02, 0.3])
def test_the_best_constant_answer_is_r(r):
    answers = np.linspace(0, 0.5, 51)
    losses = [loss(r, says=np.full(TRUTH.shape, a, "float32")) for a in answers]
    assert answers[np.argmin(losses)] == pytest.approx(r)


@pytest.mark.parametrize("r, best", [(0.02, 0.669), (0.05, 0.839), (0.5, 0.990)])
def test_a_voxel_that_is_lesion_with_chance_one_half_is_best_answered_by_another_number(r, best):
    # 100 voxels of one kind, half of them lesion, in 5000: 1 % lesion in all.
    truth = np.zeros((1, 5000), int)
    truth[0, :50] = 1
    answers = best + np.arange(-0.02, 0.021, 0.001)
    losses = []
    for answer in answers:
        says = np.zeros(truth.shape, "float32")
        says[0, :100] = answer
        losses.append(loss(r, truth, says))
    assert answers[np.argmin(losses)] == pytest.approx(best, abs=0.0015)


def machine(seed=0):
    rng = np.random.default_rng(seed)
    draw = [rng.normal(size=shape).astype("float32") for shape in ((3, 3, 2, 4), (4,), (2,))]
    return RBM(*map(ops.convert_to_tensor, draw)), rng


def test_the_way_back_is_the_adjoint_of_the_way_there():
    rbm, rng = machine()
    visible, hidden = rng.normal(size=(2, 6, 7, 2)), rng.normal(size=(2, 4, 5, 4))
    there = np.asarray(hidden_input(rbm._replace(hidden_bias=0.0), visible.astype("float32")))
    back = np.asarray(visible_mean(rbm._replace(visible_bias=0.0), hidden.astype("float32")))
    assert (there * hidden).sum() == pytest.approx((visible * back).sum(), rel=1e-4)


def test_the_correlation_is_minus_the_energy_s_derivative_by_the_filters():
    rbm, rng = machine()
    visible, hidden = (rng.normal(size=s).astype("float32") for s in ((1, 6, 7, 2), (1, 4, 5, 4)))
    found = np.asarray(correlation(visible, hidden))

    def energy(filters):  # the one term in which the filters stand
        moved = RBM(ops.convert_to_tensor(filters), *rbm[1:])
        return -float(np.sum(np.asarray(hidden_input(moved, visible), float) * hidden))

    for place in [(0, 0, 0, 0), (2, 1, 1, 3)]:
        step = np.zeros(rbm.filters.shape, "float32")
        step[place] = 0.5  # the energy is linear in the filters
        slope = energy(np.asarray(rbm.filters) + step) - energy(np.asarray(rbm.filters) - step)
        assert found[place] == pytest.approx(-slope, abs=1e-3)


@pytest.mark.parametrize(
    "mu, mean, sd",
    [(0.0, 0.2821, 0.4128), (1.0, 1.0510, 0.7674), (3.0, 3.0003, 0.9750), (-2.0, 0.0, 0.0)],
)
def test_the_mean_of_a_rectified_unit_is_no_softplus(mu, mean, sd):
    noise = np.sqrt(1 / (1 + np.exp(-mu)))
    exact = mu * norm.cdf(mu / noise) + noise * norm.pdf(mu / noise)
    assert exact == pytest.approx(mean, abs=5.1e-5) and exact >= mu
    drawn = np.asarray(sample_hidden(ops.full((400_000,), mu), np.random.default_rng(0)))
    assert (drawn.mean(), drawn.std()) == pytest.approx((mean, sd), abs=0.005)
    assert np.log1p(np.exp(mu)) - drawn.mean() > 0.04  # the softplus


def test_keras_gives_adadelta_a_thousandth_of_the_rate_1_that_its_authors_leave_out():
    optimizer = keras.optimizers.Adadelta()
    settings = float(optimizer.learning_rate), optimizer.rho, optimizer.epsilon
    assert settings == pytest.approx((0.001, 0.95, 1e-7))
