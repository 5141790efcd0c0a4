"""Yu, Chen, Dou, Qin, Heng, IEEE TMI 2017, the released network, and the scores of ISIC 2016."""

import math

import keras
import numpy as np
import pytest
from counting import build

from medseg_tf import metrics
from medseg_tf.layers import BilinearUpsampling
from medseg_tf.layers.bilinear_upsampling import bilinear
from medseg_tf.models import fcn, fcrn

SKIN = (480, 480, 3)
FIRST_BIAS = 64  # of the released file's first convolution


@pytest.fixture(scope="module")
def networks():
    return build(lambda: {depth: fcrn(SKIN, 2, depth) for depth in (38, 50, 101)})


def trainable(model):
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


def head(model):
    """Trainable numbers of each layer of the head."""
    layers = [x for x in model.layers if x.name.startswith(("score_", "up_"))]
    return {layer.name: layer.count_params() for layer in layers}


def test_weights(networks):
    counts = {depth: trainable(model) for depth, model in networks.items()}
    assert counts == {38: 19_884_166, 50: 23_515_782, 101: 42_507_910}
    released = {depth: count + FIRST_BIAS for depth, count in counts.items()}
    assert released == {38: 19_884_230, 50: 23_515_846, 101: 42_507_974}


def test_the_head_layer_by_layer(networks):
    assert head(networks[50]) == {
        "score_32": 4_096 + 2,
        "up_32_to_16": 32,
        "score_16": 2_048 + 2,
        "up_16_to_8": 32,
        "score_8": 1_024 + 2,
        "up_8_to_1": 512,
    }
    assert sum(head(networks[50]).values()) == 7_750


def test_the_same_head_on_vgg_16_and_googlenet(networks):
    how = {"classes": 2, "padding": "same", "upsampling": "grouped"}
    rivals = ("vgg16", "googlenet")
    vgg, googlenet = build(lambda: [fcn(SKIN, backbone=name, **how) for name in rivals])
    assert vgg.count_params() == 134_270_854
    assert googlenet.count_params() == 5_978_806
    assert googlenet.count_params() - sum(head(googlenet).values()) == 5_973_552
    channels = [googlenet.get_layer(f"score_{s}").kernel.shape[-2] for s in (32, 16, 8)]
    assert channels == [1024, 832, 480]
    ups = [
        [x.kernel.shape for x in model.layers if isinstance(x, BilinearUpsampling)]
        for model in (vgg, googlenet, networks[50])
    ]
    assert ups == [[(4, 4, 2), (4, 4, 2), (16, 16, 2)]] * 3
    assert vgg.count_params() / trainable(networks[50]) == pytest.approx(5.7, abs=0.05)


def test_scores_of_a_480_pixel_picture_lie_on_60_30_and_15_positions(networks):
    for model in networks.values():
        sides = [model.get_layer(f"score_{s}").output.shape[1:] for s in (8, 16, 32)]
        assert sides == [(60, 60, 2), (30, 30, 2), (15, 15, 2)]
        assert model.output.shape == (None, 480, 480, 2)


def test_bilinear_kernels_share_each_pixel_out_completely():
    assert np.allclose(bilinear(4), [0.25, 0.75, 0.75, 0.25])
    assert np.allclose(bilinear(16), np.r_[1:16:2, 15:0:-2] / 16)
    for factor, side in {2: 4, 8: 16}.items():
        for phase in range(factor):
            assert bilinear(side)[phase::factor].sum() == pytest.approx(1)


def test_constant_scores_stay_constant_away_from_the_border():
    x = image = keras.Input((12, 12, 1))
    for factor in (2, 2, 8):
        x = BilinearUpsampling(factor, learned="grouped")(x)
    full = np.asarray(keras.Model(image, x)(np.full((1, 12, 12, 1), 3.0)))[0, ..., 0]
    assert full.shape == (12 * 32, 12 * 32)
    assert np.allclose(full[32:-32, 32:-32], 3) and full[0, 0] < 2


def masks(true_positive, false_positive, false_negative, true_negative):
    """A truth and a prediction with these numbers of pixels."""
    kinds = (true_positive, false_positive, false_negative, true_negative)
    return np.repeat([1, 0, 1, 0], kinds), np.repeat([1, 1, 0, 0], kinds)


def isic(truth, prediction):
    """AC, SE, SP, DI and JA of the lesion."""
    of_lesion = (metrics.sensitivity, metrics.specificity, metrics.dice, metrics.iou)
    scores = [score(truth, prediction)[1] for score in of_lesion]
    return np.array([metrics.pixel_accuracy(truth, prediction), *scores])


WORKED = {
    (12, 8, 4, 24): [0.75, 0.75, 0.75, 0.666667, 0.5],
    (80, 10, 20, 890): [0.97, 0.8, 0.988889, 0.842105, 0.727273],
}


@pytest.mark.parametrize("pixels, scores", WORKED.items())
def test_scores_of_worked_examples(pixels, scores):
    assert isic(*masks(*pixels)) == pytest.approx(scores, abs=5e-7)


def test_means_over_images_are_neither_pooled_nor_each_others():
    pairs = [masks(80, 10, 20, 890), masks(1, 0, 9, 990)]
    *_, dice, jaccard = np.mean([isic(*pair) for pair in pairs], axis=0)
    assert (jaccard, dice) == pytest.approx((0.413636, 0.511962), abs=5e-7)
    pooled = metrics.iou(*map(np.concatenate, zip(*pairs, strict=True)))[1]
    assert pooled == pytest.approx(0.675, abs=5e-7)
    assert 2 * jaccard / (1 + jaccard) == pytest.approx(0.585209, abs=5e-7)
