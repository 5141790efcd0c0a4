"""Losses on masks small enough to compute by hand, in 2-D and 3-D."""

import math

import keras
import numpy as np
import pytest

from medseg_tf.errors import ConfigError, LabelError
from medseg_tf.losses import (
    DiceCrossEntropy,
    OutputLoss,
    SensitivitySpecificity,
    SoftDice,
    WeightedCrossEntropy,
    auxiliary_weight,
    sparsity,
)

LABEL = np.array([[[0, 1], [1, 1]]])  # one image of 2 x 2
RIGHT = np.array([[[0.5, 0.25], [0.5, 1.0]]])  # probability of the true class
RANKS = pytest.mark.parametrize("rank", [2, 3])


def two_classes(foreground):
    foreground = np.asarray(foreground, "float32")
    return np.stack([1 - foreground, foreground], axis=-1)


def example(rank):
    """Label and probabilities of two classes as 2 x 2 pixels, or as 2 x 1 x 2 voxels."""
    label, probabilities = LABEL, two_classes(np.where(LABEL == 1, RIGHT, 1 - RIGHT))
    if rank == 3:
        label, probabilities = label[:, :, None], probabilities[:, :, None]
    return label, probabilities


@RANKS
def test_cross_entropy_without_weights_is_the_mean_over_pixels(rank):
    # -log of 1/2, 1/4, 1/2, 1: one, two, one and no doublings.
    loss = float(WeightedCrossEntropy()(*example(rank)))
    assert loss == pytest.approx(4 * math.log(2) / 4, rel=1e-5)


@RANKS
def test_cross_entropy_is_divided_by_the_sum_of_the_weight_map(rank):
    label, probabilities = example(rank)
    weight = np.array([3, 1, 0, 2]).reshape(label.shape)
    loss = float(WeightedCrossEntropy()(label, probabilities, sample_weight=weight))
    assert loss == pytest.approx((3 * 1 + 1 * 2) * math.log(2) / 6, rel=1e-5)


def test_a_weight_map_times_ten_changes_nothing():
    label, probabilities = example(2)
    weight = np.array([[[3, 1], [1, 2]]])
    once, tenfold = (
        float(WeightedCrossEntropy()(label, probabilities, w)) for w in (weight, 10 * weight)
    )
    assert once == pytest.approx(tenfold)


def test_unlabelled_pixels_have_weight_zero_and_an_image_of_them_costs_nothing():
    label, probabilities = example(2)
    assert float(WeightedCrossEntropy()(label, probabilities, np.zeros(label.shape))) == 0


def test_a_weight_per_image_counts_for_each_of_its_pixels():
    label, probabilities = (np.concatenate([x, x]) for x in example(2))
    probabilities[1] = [0.5, 0.5]
    loss = float(WeightedCrossEntropy()(label, probabilities, np.array([1.0, 3.0])))
    assert loss == pytest.approx((4 * 1 + 4 * 3) * math.log(2) / 16, rel=1e-5)


def test_class_weights_multiply_the_weight_map():
    label, probabilities = example(2)
    weight = np.array([[[3, 1], [0, 2]]])
    loss = float(WeightedCrossEntropy(class_weights=(2, 5))(label, probabilities, weight))
    assert loss == pytest.approx((6 * 1 + 5 * 2) * math.log(2) / (6 + 5 + 0 + 10), rel=1e-5)


def test_class_weights_of_another_number_of_classes_are_an_error():
    with pytest.raises(ConfigError, match="3 class_weights for 2 classes"):
        WeightedCrossEntropy(class_weights=(1, 1, 1))(*example(2))


def test_a_surely_wrong_pixel_costs_minus_the_log_of_the_clip_and_not_infinity():
    label, probabilities = np.array([[[1]]]), two_classes([[[0.0]]])
    assert float(WeightedCrossEntropy()(label, probabilities)) == pytest.approx(
        -math.log(1e-7), rel=1e-3
    )


@RANKS
def test_dice_of_masks_that_share_one_voxel_of_two_is_one_half(rank):
    label, guess = np.array([[1, 1], [0, 0]]), np.array([[0.0, 1.0], [1.0, 0.0]])
    shape = (1, 2, 2) if rank == 2 else (1, 2, 1, 2)
    loss = SoftDice(smooth=0)(label.reshape(shape), two_classes(guess.reshape(shape)))
    assert float(loss) == pytest.approx(1 - 2 * 1 / (2 + 2))


def test_smooth_is_added_above_and_below_the_line():
    label, guess = np.array([[[1, 1, 0, 0]]]), two_classes([[[0.0, 1.0, 1.0, 0.0]]])
    assert float(SoftDice(smooth=2)(label, guess)) == pytest.approx(1 - (2 + 2) / (4 + 2))


def test_squares_stand_in_the_denominator_only_when_asked_for():
    label, half = np.array([[[1, 1]]]), two_classes([[[0.5, 0.5]]])
    assert float(SoftDice(0)(label, half)) == pytest.approx(1 - 2 / (2 + 1))
    assert float(SoftDice(0, squared=True)(label, half)) == pytest.approx(1 - 2 / (2 + 0.5))


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("smooth", [0, 1])
def test_a_class_absent_from_label_and_prediction_costs_nothing(smooth, squared):
    nothing = np.zeros((1, 2, 2))
    assert float(SoftDice(smooth, squared)(nothing, two_classes(nothing))) == 0


def test_dice_is_averaged_over_foreground_classes_and_images_and_not_pooled():
    label = np.array([[[1, 1, 2, 0]], [[1, 0, 0, 0]]])
    guess = np.array([[[1, 1, 0, 0]], [[1, 1, 1, 0]]])
    loss = SoftDice(smooth=0)(label, np.eye(3, dtype="float32")[guess])
    # Image 1: class 1 is 2*2/4, class 2 is 0. Image 2: class 1 is 2*1/4, class 2 absent: 1.
    assert float(loss) == pytest.approx(1 - ((1 + 0) / 2 + (0.5 + 1) / 2) / 2)


@pytest.mark.parametrize("weight", [np.ones((1, 2, 2)), np.ones((1, 2, 2, 1))])
def test_a_weight_map_given_to_dice_is_an_error_that_names_the_loss_that_takes_it(weight):
    with pytest.raises(ConfigError, match="DiceCrossEntropy"):
        SoftDice()(*example(2), sample_weight=weight)


def test_a_weight_per_image_given_to_dice_weighs_the_images():
    label = np.array([[[1, 1]], [[1, 1]]])
    guess = two_classes([[[1.0, 1.0]], [[0.0, 0.0]]])
    assert float(SoftDice(0)(label, guess, np.array([1.0, 0.5]))) == pytest.approx((0 + 0.5) / 2)


@RANKS
def test_the_sum_weighs_its_cross_entropy_and_not_its_dice(rank):
    label, probabilities = example(rank)
    weight = np.array([3, 1, 0, 2]).reshape(label.shape)
    loss = float(DiceCrossEntropy(smooth=0, dice=0.5)(label, probabilities, weight))
    # Foreground 1/2, 1/4, 1/2, 1 for label 0, 1, 1, 1: overlap 7/4, sums 3 and 9/4.
    dice = 2 * (7 / 4) / (3 + 9 / 4)
    assert loss == pytest.approx(5 * math.log(2) / 6 + 0.5 * (1 - dice), rel=1e-5)


@pytest.mark.parametrize("loss", [WeightedCrossEntropy(), SoftDice(), DiceCrossEntropy()])
@pytest.mark.parametrize("shape", [(1, 2, 2, 1), (1, 4, 4), (2, 2)])
def test_labels_that_do_not_lie_under_the_prediction_are_an_error(loss, shape):
    with pytest.raises(LabelError, match=r"right would be \(1, 2, 2\)"):
        loss(np.zeros(shape, int), example(2)[1])


def test_a_weight_map_of_another_size_is_an_error():
    with pytest.raises(ConfigError, match=r"sample_weight of shape \(1, 4, 4\)"):
        WeightedCrossEntropy()(*example(2), sample_weight=np.ones((1, 4, 4)))


def test_a_prediction_of_one_class_is_an_error():
    with pytest.raises(ConfigError, match="one class"):
        SoftDice()(LABEL, np.ones((1, 2, 2, 1), "float32"))


@pytest.mark.parametrize(
    "loss",
    [
        WeightedCrossEntropy(class_weights=[1, 2]),
        SoftDice(smooth=2, squared=True),
        DiceCrossEntropy(smooth=2, squared=True, dice=0.5),
        SensitivitySpecificity(r=0.3),
    ],
)
def test_a_loss_is_rebuilt_from_its_config(loss):
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert type(again) is type(loss)
    assert float(again(*example(2))) == float(loss(*example(2)))


@RANKS
@pytest.mark.parametrize("loss", [WeightedCrossEntropy(), DiceCrossEntropy()])
def test_a_model_trains_with_the_weight_map_as_keras_sample_weight(loss, rank):
    label, weight = LABEL, np.array([[[3.0, 1.0], [0.0, 2.0]]])
    if rank == 3:
        label, weight = label[..., None], weight[..., None]
    x = np.ones((*label.shape, 1), "float32")
    dense = keras.layers.Dense(2, activation="softmax", kernel_initializer="zeros")
    model = keras.Sequential([keras.Input(x.shape[1:]), dense])
    model.compile("sgd", loss)
    history = model.fit(x, label, sample_weight=weight, verbose=0)
    expected = float(loss(label, np.full((*label.shape, 2), 0.5, "float32"), weight))
    assert history.history["loss"] == [pytest.approx(expected, rel=1e-5)]


def test_a_surely_wrong_pixel_still_learns_in_training():
    """From the probability alone there would be no slope: 0 is clipped."""
    dense = keras.layers.Dense(2, use_bias=False, kernel_initializer="zeros")
    model = keras.Sequential([keras.Input((1, 1, 1)), dense, keras.layers.Activation("softmax")])
    dense.kernel.assign([[100.0, -100.0]])
    model.compile(keras.optimizers.SGD(1.0), WeightedCrossEntropy())
    model.fit(np.ones((1, 1, 1, 1)), np.ones((1, 1, 1), int), verbose=0)
    assert np.allclose(dense.kernel, [[99.0, -99.0]])


def test_in_mixed_precision_a_loss_is_computed_in_float32():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        # 4097 pixels: bfloat16 could not count them.
        label = np.ones((1, 1, 4097), int)
        loss = SoftDice(smooth=0)(label, keras.ops.cast(two_classes(label), "bfloat16"))
    finally:
        keras.config.set_dtype_policy("float32")
    assert keras.backend.standardize_dtype(loss.dtype) == "float32"
    assert float(loss) == 0


def test_the_weight_of_an_output_multiplies_a_loss_in_which_it_would_cancel_out():
    label, probabilities = (np.concatenate([x, x]) for x in example(2))
    plain, weight = WeightedCrossEntropy(), np.array([0.25, 0.25])
    alone = float(plain(label, probabilities))
    assert float(plain(label, probabilities, weight)) == pytest.approx(alone)
    assert float(OutputLoss(plain)(label, probabilities, weight)) == pytest.approx(alone / 4)


@pytest.mark.parametrize("loss", ["sparse_categorical_crossentropy", SoftDice(), "dice"])
def test_an_output_loss_takes_losses_of_every_kind(loss):
    label, probabilities = (np.concatenate([x, x]) for x in example(2))
    truth = np.eye(2)[label] if loss == "dice" else label
    once, half = (float(OutputLoss(loss)(truth, probabilities, [w, w])) for w in (1.0, 0.5))
    assert 0 < once == pytest.approx(2 * half)


def test_an_output_loss_comes_back_from_its_settings():
    again = OutputLoss.from_config(OutputLoss(SoftDice(3.0)).get_config())
    assert again.loss.smooth == 3


def test_auxiliary_outputs_fade_on_a_straight_line_and_stay_at_a_thousandth():
    weights = [auxiliary_weight(step, 10) for step in range(10)]
    assert weights == pytest.approx(
        [1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8, 1e-3, 1e-3]
    )


@RANKS
def test_sensitivity_and_specificity_are_two_means_weighed_against_each_other(rank):
    label, probabilities = example(rank)
    # Lesion pixels miss by 3/4, 1/2 and 0, the other one by 1/2.
    lesion, rest = (0.75**2 + 0.5**2) / 3, 0.5**2
    for r in (0, 0.2, 1):
        loss = float(SensitivitySpecificity(r)(label, probabilities))
        assert loss == pytest.approx(r * lesion + (1 - r) * rest, rel=1e-5)


def test_its_means_run_over_the_whole_batch_and_an_absent_part_costs_nothing():
    label = np.array([[[1, 1, 1, 0]], [[0, 0, 0, 0]]])
    guess = two_classes([[[1.0, 0.0, 0.0, 0.0]], [[0.5, 0.5, 0.0, 0.0]]])
    loss = float(SensitivitySpecificity(0.5)(label, guess))
    assert loss == pytest.approx(0.5 * 2 / 3 + 0.5 * 2 * 0.25 / 5, rel=1e-5)
    assert float(SensitivitySpecificity(0.5)(0 * label, two_classes(0 * label))) == 0
    every = two_classes(np.ones(label.shape))
    assert float(SensitivitySpecificity(0.5)(np.ones(label.shape), every)) == 0


def test_its_foreground_is_every_class_but_the_background():
    label = np.array([[[0, 1, 2]]])
    guess = np.array([[[[0.7, 0.2, 0.1], [0.4, 0.1, 0.5], [0.0, 1.0, 0.0]]]], "float32")
    right = 0.5 * 0.4**2 / 2 + 0.5 * 0.3**2
    assert float(SensitivitySpecificity(0.5)(label, guess)) == pytest.approx(right, rel=1e-5)


def test_its_weight_map_multiplies_each_pixel_s_part():
    label, probabilities = example(2)
    weight = np.array([[[0, 2], [1, 1]]])
    loss = float(SensitivitySpecificity(0.5)(label, probabilities, weight))
    assert loss == pytest.approx(0.5 * (2 * 0.75**2 + 0.5**2) / 3, rel=1e-5)


@pytest.mark.parametrize("r", [-0.1, 1.5])
def test_its_r_is_a_share(r):
    with pytest.raises(ConfigError, match="a share from 0 to 1"):
        SensitivitySpecificity(r)


def test_sparsity_averages_maps_over_space_before_it_squares():
    rng = np.random.default_rng(0)
    rows = rng.random((5, 4)).astype("float32")
    uneven = rng.random((1, 3, 3, 1)).astype("float32")
    maps = rows[:, None, None] * uneven / uneven.mean()
    assert float(sparsity(maps)) == pytest.approx(float(sparsity(rows)), rel=1e-5)


def test_silent_units_and_samples_cost_nothing_and_loud_ones_are_pulled_down():
    assert float(sparsity(np.full((6, 4), 0.05, "float32"), target=0.05)) == 0
    quiet, loud = (float(sparsity(np.full((6, 4), a, "float32"))) for a in (0.1, 0.3))
    assert quiet == pytest.approx(2 * 0.05**2, rel=1e-4) and loud == pytest.approx(2 * 0.25**2)
