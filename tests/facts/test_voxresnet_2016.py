"""Chen, Dou, Yu, Heng, arXiv:1608.05895, 2016: the counts and fields of our reading of figure 1."""

import math

import keras
import numpy as np
import pytest

from medseg_tf import losses, metrics
from medseg_tf.data import Case, Grid, Scan
from medseg_tf.methods import cross_fit
from medseg_tf.models import deeply_supervised, receptive_field, voxresnet

STATISTICS = 1_920
TAPS = ("conv1b", "res3_add", "res6_add", "res9_add")
MODULES = ("res2", "res3", "res5", "res6", "res8", "res9")


@pytest.fixture(scope="module")
def network():
    """Three contrasts and four classes: background, fluid, grey and white matter."""
    return voxresnet((80, 80, 80, 3), 4)


@pytest.fixture(scope="module")
def thin():
    return voxresnet((None, None, None, 1), 4, width=1)


def trainable(model):
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


def kind(layer):
    return type(layer).__name__


@pytest.mark.parametrize("channels, count", [(1, 1_327_296), (3, 1_329_024), (6, 1_331_616)])
def test_weights_by_the_number_of_channels(channels, count):
    model = voxresnet((80, 80, 80, channels), 4)
    assert trainable(model) == count
    assert model.count_params() == count + STATISTICS


def test_with_three_contrasts_1330944_numbers_in_all(network):
    assert network.count_params() == 1_330_944


def test_the_second_network_reads_four_maps_more_for_3456_weights_and_three_for_2592(network):
    maps, few = (voxresnet((80, 80, 80, 3 + more), 4) for more in (4, 3))
    assert (trainable(maps), trainable(few)) == (1_332_480, 1_331_616)
    assert trainable(maps) - trainable(network) == 3_456 == 27 * 32 * 4


def test_each_further_channel_costs_864_weights(network):
    assert trainable(voxresnet((80, 80, 80, 4), 4)) - trainable(network) == 864 == 27 * 32


def test_without_biases_of_convolutions_1327968_would_learn(network):
    convolutions = [layer for layer in network.layers if "Conv" in kind(layer)]
    biases = sum(math.prod(layer.bias.shape) for layer in convolutions)
    assert trainable(network) - biases == 1_327_968


def test_a_module_has_147840_weights_and_the_six_two_thirds_of_all(network):
    shares = {
        label: sum(
            trainable(layer)
            for layer in network.layers
            if layer.name.startswith((f"{label}a", f"{label}b"))
        )
        for label in MODULES
    }
    flat, full = network.get_layer("res2a"), network.get_layer("res2b")
    assert (flat.count_params(), full.count_params()) == (36_928, 110_656)
    assert set(shares.values()) == {147_840} and 36_928 + 110_656 + 256 == 147_840
    assert sum(shares.values()) == 887_040
    assert 887_040 / trainable(network) == pytest.approx(0.667, abs=5e-4)


def test_17_convolutions_4_deconvolutions_and_4_classifiers_are_25_layers(network):
    convolutions = [layer.name for layer in network.layers if kind(layer) == "Conv3D"]
    classifiers = [name for name in convolutions if name.startswith("scores")]
    deconvolutions = [layer for layer in network.layers if kind(layer) == "Conv3DTranspose"]
    assert (len(convolutions) - len(classifiers), len(deconvolutions), len(classifiers)) == (
        17,
        4,
        4,
    )


def test_16_normalisations_2_of_width_32_and_14_of_width_64_carry_1920_statistics(network):
    norms = [layer for layer in network.layers if kind(layer) == "BatchNormalization"]
    widths = [layer.gamma.shape[0] for layer in norms]
    assert (len(widths), widths.count(32), widths.count(64)) == (16, 2, 14)
    statistics = sum(math.prod(w.shape) for layer in norms for w in layer.non_trainable_weights)
    assert statistics == STATISTICS


def test_the_output_and_the_four_branches_are_as_large_as_the_volume(network):
    shapes = [tuple(output.shape[1:]) for output in deeply_supervised(network).outputs]
    assert shapes == [(80, 80, 80, 4)] * 5


def fields(model):
    return [receptive_field(keras.Model(model.input, model.get_layer(tap).output)) for tap in TAPS]


def test_the_four_scales_see_3_13_33_73_slices_and_5_23_59_131_voxels_within(thin):
    assert fields(thin) == [(5, 5, 3), (23, 23, 13), (59, 59, 33), (131, 131, 73)]
    full = voxresnet((None, None, None, 1), 4, width=1, slice_axis=None)
    assert fields(full) == [(side,) * 3 for side in (5, 23, 59, 131)]


def test_the_coarsest_scale_spans_a_crop_of_80_within_its_slice_and_not_across(thin):
    within, _, across = fields(thin)[-1]
    assert across < 80 < within


def test_in_mm_the_field_is_longer_across_the_slices(thin):
    within, _, across = fields(thin)[-1]
    # Slices 3 mm apart, of pixels of 0.958 mm: the flat kernels do not make the field a cube.
    assert (across * 3.0, round(within * 0.958, 1)) == (219.0, 125.5)


@pytest.mark.parametrize("shape", [(16, 8, 8, 2), (16, 8, 2)])
def test_a_module_of_zeros_hands_its_input_on_exactly(shape):
    model = voxresnet(shape, 3, width=4)
    for part in ("res2a", "res2b"):
        layer = model.get_layer(part)
        layer.set_weights([np.zeros(weight.shape) for weight in layer.weights])
    ends = [model.get_layer("conv1c").output, model.get_layer("res2_add").output]
    image = np.random.default_rng(0).normal(size=(1, *shape)).astype("float32")
    before, after = (np.asarray(x) for x in keras.Model(model.input, ends)(image))
    assert before.min() < 0  # what an activation after the addition would cut off
    np.testing.assert_array_equal(after, before)


def test_deconvolutions_of_kernel_as_stride_tile_and_the_finest_overlaps(thin):
    seen = []
    for scale in (1, 2, 3, 4):
        layer = thin.get_layer(f"deconv{scale}")
        tap = keras.Input((8, 8, 8, layer.input.shape[-1]))
        seen.append(receptive_field(keras.Model(tap, layer(tap)))[0])
    assert seen == [3, 1, 1, 1]


def test_a_constant_added_to_all_classes_of_a_branch_changes_no_probability():
    model = voxresnet((8, 8, 8, 1), 4, width=2)
    image = np.random.default_rng(0).normal(size=(1, 8, 8, 8, 1)).astype("float32")
    before, scores = np.asarray(model(image)), model.get_layer("scores3")
    kernel, bias = scores.get_weights()
    scores.set_weights([kernel, bias + 3])
    np.testing.assert_allclose(model(image), before, atol=1e-6)
    scores.set_weights([kernel, bias + [3, 0, 0, 0]])
    assert np.abs(np.asarray(model(image)) - before).max() > 1e-3


def silent():
    """A network of four classes that says nothing: all scores 0."""
    model = voxresnet((8, 8, 8, 1), 4, width=2)
    for scale in (1, 2, 3, 4):
        layer = model.get_layer(f"scores{scale}")
        layer.set_weights([np.zeros(weight.shape) for weight in layer.weights])
    return model


def case(subject="a", seed=0):
    rng, grid = np.random.default_rng(seed), Grid((8, 8, 8))
    image, label = rng.normal(size=(8, 8, 8, 1)), rng.integers(0, 4, (8, 8, 8))
    return Case(subject, Scan(image, grid), Scan(label, grid), classes=4)


@pytest.mark.parametrize("step, cost", [(0, 6.931472), (99, 1.391840)])
def test_five_outputs_that_say_nothing_cost_5_ln_4_at_first_and_hardly_more_than_one_at_last(
    step, cost
):
    label = case().label.array[None]
    outputs = deeply_supervised(silent())(np.zeros((1, 8, 8, 8, 1), "float32"))
    loss = losses.OutputLoss(losses.WeightedCrossEntropy())
    weights = [1.0] + [losses.auxiliary_weight(step, 100)] * 4
    total = sum(float(loss(label, o, np.array([w]))) for o, w in zip(outputs, weights, strict=True))
    assert total == pytest.approx(cost, rel=1e-6)  # summed in float32


def test_of_100_steps_the_branches_weigh_1_at_first_half_at_40_and_a_thousandth_from_80():
    weights = [losses.auxiliary_weight(step, 100) for step in range(100)]
    assert (weights[0], weights[40]) == (1, pytest.approx(0.5))
    assert weights[80:] == [1e-3] * 20 and weights[79] > 1e-3


def test_equal_volumes_without_overlap_have_avd_0_and_dice_0():
    truth, found = np.zeros((2, 6, 6), int)
    truth[:2, :3], found[4:, :3] = 1, 1
    assert metrics.volume_difference(truth, found)[1] == 0 == metrics.dice(truth, found)[1]


def test_two_folds_of_eight_volumes_are_two_trainings_on_four_and_no_map_of_an_own_volume():
    cases, learned = [case(str(number), number) for number in range(8)], []

    def fit(some):
        learned.append({one.subject for one in some})
        return learned[-1]

    _, maps = cross_fit(cases, fit, folds=2, predict=lambda model, one: one.subject in model)
    assert [len(some) for some in learned] == [4, 4]
    assert maps == [False] * 8
