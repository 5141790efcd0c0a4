"""Long, Shelhamer, Darrell, CVPR 2015, and the networks that the authors released."""

import keras
import numpy as np
import pytest
from counting import build

from medseg_tf import losses, metrics
from medseg_tf.layers import BilinearUpsampling, CropLike
from medseg_tf.layers.bilinear_upsampling import bilinear
from medseg_tf.models import fcn, receptive_field, vgg16


@pytest.fixture(scope="module")
def released():
    """FCN-32s, 16s and 8s for an image of 500 x 500."""
    return {stride: build(fcn, (500, 500, 3), stride=stride) for stride in (32, 16, 8)}


def of_kind(model, kind):
    return [layer for layer in model.layers if isinstance(layer, kind)]


def test_weights_in_21_classes(released):
    counts = {stride: model.count_params() for stride, model in released.items()}
    assert counts == {32: 134_346_581, 16: 134_357_354, 8: 134_362_751}


@pytest.mark.parametrize("stride, count", [(32, 134_268_738), (16, 134_269_764), (8, 134_270_278)])
def test_weights_in_2_classes(stride, count):
    assert build(fcn, classes=2, stride=stride).count_params() == count


def test_score_layers_of_fcn_8s(released):
    counts = {step: released[8].get_layer(f"score_{step}").count_params() for step in (32, 16, 8)}
    assert counts == {32: 86_037, 16: 10_773, 8: 5_397}


def test_the_dense_layers_became_convolutions_and_kept_their_weights(released):
    fc6, fc7 = (released[8].get_layer(name) for name in ("fc1", "fc2"))
    assert (fc6.kernel_size, fc7.kernel_size) == ((7, 7), (1, 1))
    assert (fc6.count_params(), fc7.count_params()) == (102_764_544, 16_781_312)


def test_entries_of_the_fixed_deconvolutions(released):
    for stride, entries in {
        32: [1_806_336],
        16: [7_056, 451_584],
        8: [7_056] * 2 + [112_896],
    }.items():
        kernels = [layer.kernel for layer in of_kind(released[stride], BilinearUpsampling)]
        assert [kernel.size for kernel in kernels] == entries
        assert all(np.all(kernel[..., ~np.eye(21, dtype=bool)] == 0) for kernel in kernels)


def test_crop_offsets(released):
    offsets = {
        stride: [layer.offset for layer in of_kind(model, CropLike)]
        for stride, model in released.items()
    }
    assert offsets == {32: [19], 16: [5, 27], 8: [5, 9, 31]}


def test_fcn_alexnet():
    model = build(fcn, stride=32, backbone="alexnet")
    assert model.count_params() == 56_954_261
    assert [layer.offset for layer in of_kind(model, CropLike)] == [18]
    assert [layer.side for layer in of_kind(model, BilinearUpsampling)] == [63]
    names = [layer.name for layer in model.layers]
    assert names.index("pool1") < names.index("norm1") < names.index("conv2")


@pytest.mark.parametrize("classes, count", [(21, 5_995_077), (2, 5_975_602)])
def test_weights_of_fcn_googlenet(classes, count):
    assert build(fcn, classes=classes, stride=32, backbone="googlenet").count_params() == count


def seen_at(model, name):
    return receptive_field(keras.Model(model.input, model.get_layer(name).output))[0]


def test_receptive_fields():
    vgg, alexnet, googlenet = (
        build(fcn, stride=32, backbone=name) for name in ("vgg16", "alexnet", "googlenet")
    )
    pools = [seen_at(vgg, f"block{block}_pool") for block in (1, 2, 3, 4, 5)]
    assert (pools, seen_at(vgg, "fc1")) == ([6, 16, 44, 100, 212], 404)
    assert (seen_at(alexnet, "pool5"), seen_at(alexnet, "fc6")) == (195, 355)
    assert seen_at(googlenet, "5b_concat") == 715
    last = googlenet.get_layer("5b_concat").output
    averaged = keras.layers.AveragePooling2D(7, 1)(last)
    assert receptive_field(keras.Model(googlenet.input, averaged)) == (907, 907)


def test_sides_of_the_maps_of_a_500_pixel_image(released):
    def side(layer):
        return layer.output.shape[1]

    eight = released[8]
    assert [side(eight.get_layer(f"block{n}_pool")) for n in range(1, 6)] == [349, 175, 88, 44, 22]
    assert side(eight.get_layer("fc1")) == side(eight.get_layer("score_32")) == 16
    ups = {s: [side(up) for up in of_kind(m, BilinearUpsampling)] for s, m in released.items()}
    assert ups == {32: [544], 16: [34, 560], 8: [34, 70, 568]}
    assert {model.output_shape for model in released.values()} == {(None, 500, 500, 21)}


@pytest.mark.parametrize("backbone", ["vgg16", "alexnet", "googlenet"])
def test_a_border_of_100_zeros_makes_every_size_work(backbone):
    for size in (1, 33, 224):
        model = build(fcn, (size, size, 3), stride=8, backbone=backbone, classes=2)
        for crop in of_kind(model, CropLike):
            whole, kept = (tensor.shape[1] for tensor in crop.input)
            assert whole >= crop.offset + kept


def test_without_the_border_the_smallest_image_would_have_193_pixels():
    for size, side in {192: 6, 193: 7}.items():  # a 7 x 7 convolution needs 7 positions
        assert build(vgg16, (size, size, 3)).get_layer("block5_pool").output.shape[1] == side


def test_bilinear_kernels_and_their_sums():
    assert np.allclose(bilinear(16), np.r_[1:16:2, 15:0:-2] / 16)
    sums = {side: bilinear(side, rank=2).sum() for side in (4, 16, 32, 64)}
    assert sums == pytest.approx({4: 4, 16: 64, 32: 256, 64: 1024})


@pytest.mark.parametrize("factor, corner", [(2, 0.5625), (32, 0.2659)])
def test_the_corner_of_an_upsampled_constant_is_darker(factor, corner):
    ones = np.ones((1, 3, 3, 1), "float32")
    result = np.asarray(BilinearUpsampling(factor)(ones))[0, ..., 0]
    assert result[0, 0] == pytest.approx(corner, abs=5e-5)
    assert result[factor : 2 * factor, factor : 2 * factor] == pytest.approx(1)


def test_the_first_loss_is_the_logarithm_of_the_number_of_classes():
    rng = np.random.default_rng(0)
    image = rng.normal(size=(1, 40, 50, 3)).astype("float32")
    label = rng.integers(0, 21, (1, 40, 50))
    loss = losses.WeightedCrossEntropy()(label, fcn(width=1)(image))
    assert float(loss) == pytest.approx(3.0445, abs=5e-5)


def test_at_once_the_finer_scores_are_scaled_by_a_hundredth_and_a_ten_thousandth():
    model = build(fcn, skip_scale=0.01)
    scales = {step: model.get_layer(f"scale_{step}").scale for step in (16, 8)}
    assert scales == pytest.approx({16: 1e-2, 8: 1e-4})


def test_scores_of_the_worked_example():
    truth = np.array([[0, 0, 0, 1], [0, 0, 1, 1], [0, 2, 2, 1], [2, 2, 2, 2]])
    found = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 2, 1], [2, 2, 2, 1]])
    pixels = metrics.confusion(truth, found, 3)
    assert pixels.tolist() == [[5, 1, 0], [0, 4, 0], [1, 1, 4]]
    assert metrics.pixel_accuracy(truth, found) == 0.8125
    assert np.mean(metrics.sensitivity(truth, found, 3)) == pytest.approx(0.8333, abs=5e-5)
    iou = metrics.iou(truth, found, 3)
    assert iou == pytest.approx([0.7143, 0.6667, 0.6667], abs=5e-5)
    assert np.mean(iou) == pytest.approx(0.6825, abs=5e-5)
    by_frequency = np.average(iou, weights=pixels.sum(axis=1))
    assert by_frequency == pytest.approx(0.6845, abs=5e-5)
    assert metrics.dice(truth, found, 3) == pytest.approx(2 * iou / (1 + iou))
