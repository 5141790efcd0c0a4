"""fcn: shapes, how its maps are brought together, choices, errors, saving."""

import keras
import numpy as np
import pytest

from medseg_tf import data, inference, losses, training
from medseg_tf.errors import ConfigError
from medseg_tf.layers import CropLike
from medseg_tf.models import fcn, hand_on, macs
from medseg_tf.models.fcn import BACKBONES, Map, align, place, trunk
from medseg_tf.models.measure import sight, through

TINY = {"vgg16": 1, "alexnet": 6, "googlenet": 4}


def numbers(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def tiny(shape=(None, None, 1), classes=3, backbone="vgg16", **how):
    """A narrow network whose score layers hold numbers: fresh from the builder they hold zeros."""
    model = fcn(shape, classes, backbone=backbone, width=TINY[backbone], **how)
    for layer in model.layers:
        if layer.name.startswith("score"):
            layer.set_weights([numbers(*weight.shape) for weight in layer.weights])
    return model


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("stride", [32, 16, 8])
def test_the_output_has_the_size_of_the_image(backbone, stride):
    same = tiny(backbone=backbone, stride=stride, padding="same")
    assert same(numbers(2, 64, 96, 1)).shape == (2, 64, 96, 3)
    padded = tiny(backbone=backbone, stride=stride)
    assert padded(numbers(1, 37, 50, 1)).shape == (1, 37, 50, 3)


def test_a_volume_goes_through_the_same_code():
    model = tiny((32, 32, 64, 2), padding="same", dropout=0)
    assert model(numbers(1, 32, 32, 64, 2)).shape == (1, 32, 32, 64, 3)
    assert len(model.get_layer("fc1").kernel_size) == 3


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("padding", [100, "same"])
def test_maps_lie_where_the_middle_of_what_they_see_lies(backbone, padding):
    image = keras.Input((None, None, 1))
    tensors = trunk(image, backbone, TINY[backbone], padding, 0.5)
    model = keras.Model(image, list(tensors))
    size = 1536
    # The lowest and highest pixel that each position sees, as receptive_field measures them.
    line = np.stack([np.arange(size), -np.arange(size)])
    seen = through(model, [line], lambda layer: lambda s, *a, **k: sight(layer, s, 0))
    for at, (lowest, minus_highest) in zip(place(image, tensors), seen, strict=True):
        middle = len(lowest) // 2  # far from both borders, which cut what is seen
        assert (lowest[middle] - minus_highest[middle]) / 2 == at.start + middle * at.step


@pytest.mark.parametrize(
    "coarse, fine, count",
    [
        ((32, 12.5), (1, 0), 320),  # VGG-16 with its border of zeros
        ((32, 12.5), (16, -91.5), 40),
        ((32, 15.5), (16, 7.5), 24),  # "same"
        ((8, 3.5), (1, 0), 90),
        ((32, 13), (16, -83), 40),  # CaffeNet with its border: an odd kernel
        ((32, 13), (1, 0), 320),
        ((32, 14), (16, 14), 24),
    ],
)
def test_aligned_maps_hold_the_same_places(coarse, fine, count):
    """A map whose numbers are its own places still holds its places, enlarged and cropped."""

    def places(count, step, start):
        line = start + step * np.arange(count, dtype="float32")
        return np.broadcast_to(line[None, :, None, None], (1, count, count, 1))

    here, there = keras.Input((None, None, 1)), keras.Input((None, None, 1))
    maps = [Map(x, step, float(start)) for x, (step, start) in ((here, coarse), (there, fine))]
    pair = align(*maps, learned=False)
    model = keras.Model([here, there], [one.tensor for one in pair])
    found, wanted = model([places(12, *coarse), places(count, *fine)])
    found, wanted = (np.asarray(m)[0, :, m.shape[2] // 2, 0] for m in (found, wanted))
    inside = (wanted > coarse[1] + coarse[0]) & (wanted < coarse[1] + 10 * coarse[0])
    assert inside.sum() > 6
    assert np.allclose(found[inside], wanted[inside], atol=1e-3)
    assert {one.start for one in pair} == {wanted[0]}


def test_scores_start_at_zero_and_every_class_is_equally_likely():
    model = fcn((None, None, 1), 5, width=1, padding="same")
    assert np.allclose(model(numbers(1, 32, 32, 1)), 0.2)


def test_concatenated_scores_start_as_their_sum_and_may_leave_it():
    image = numbers(1, 64, 64, 1)
    both = [tiny(padding="same", fuse=fuse, activation=None) for fuse in ("sum", "concat")]
    hand_on(*both)
    assert np.allclose(both[0](image), both[1](image), atol=1e-4)
    assert both[1].count_params() - both[0].count_params() == 2 * (6 * 3 + 3)


def test_learned_upsampling_starts_where_fixed_stays():
    image, counts = numbers(1, 64, 64, 1), {}
    answers = []
    for upsampling in ("fixed", "between", "learned"):
        keras.utils.set_random_seed(0)
        model = tiny(padding="same", upsampling=upsampling)
        answers.append(np.asarray(model(image)))
        counts[upsampling] = model.count_params()
    assert np.allclose(answers[0], answers[1]) and np.allclose(answers[0], answers[2])
    between, last = 2 * 4**2 * 3**2, 16**2 * 3**2
    assert counts["between"] - counts["fixed"] == between
    assert counts["learned"] - counts["fixed"] == between + last


@pytest.mark.parametrize("stride, finest", [(32, None), (16, "score_16"), (8, "score_8")])
def test_only_the_finer_strides_score_finer_maps(stride, finest):
    names = [layer.name for layer in tiny(padding="same", stride=stride).layers]
    scores = [name for name in names if name.startswith("score")]
    assert set(scores) == {"score_32", *["score_16", "score_8"][: (32 // stride).bit_length() - 1]}
    assert finest is None or finest in scores


def test_zeros_around_the_image_cost_work():
    padded, same = tiny(), tiny(padding="same")
    assert macs(padded, (128, 128)) > 3 * macs(same, (128, 128))


@pytest.mark.parametrize("padding", [100, "same"])
def test_it_segments_a_case_of_any_size(padding):
    case = data.phantoms.cells(1, size=75)[0]
    model = tiny(classes=2, padding=padding)
    assert inference.segment(model, case).array.shape == (75, 75)


def test_it_trains_in_float32_scores_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = fcn((32, 32, 1), 2, width=1, padding="same", fuse="concat", skip_scale=0.01)
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.get_layer("up_8_to_1").compute_dtype == "float32"
    assert model.get_layer("fc1").compute_dtype == "bfloat16"
    patches = data.Patches(data.phantoms.cells(2, size=40), 32, 2, steps=2)
    history = training.fit(model, patches, losses.WeightedCrossEntropy(), epochs=1)
    assert history["loss"][0] == pytest.approx(np.log(2), abs=0.2)
    assert keras.backend.standardize_dtype(model.output.dtype) == "float32"


def test_a_model_rebuilt_from_its_recipe_takes_its_weights(tmp_path):
    model = tiny(padding="same", upsampling="learned", dropout=0)
    model.save_weights(tmp_path / "model.weights.h5")
    again = fcn(**model.recipe["arguments"])
    again.load_weights(tmp_path / "model.weights.h5")
    image = numbers(1, 32, 32, 1)
    assert np.array_equal(again(image), model(image))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"stride": 4}, "stride is 4; choose one of 32, 16, 8"),
        ({"backbone": "resnet"}, "backbone is 'resnet'"),
        ({"padding": "valid"}, "padding is 'valid'; choose one of 100, 'same'"),
        ({"upsampling": "bilinear"}, "upsampling is 'bilinear'"),
        ({"fuse": "max"}, "fuse is 'max'"),
        ({"input_shape": (33, 32, 1)}, r"axis 0 .* is 33; .* fits is 32 or 64\."),
        ({"input_shape": (32, 32)}, r"input_shape \(32, 32\)"),
    ],
)
def test_an_impossible_argument_is_named(arguments, message):
    with pytest.raises(ConfigError, match=message):
        fcn(**({"input_shape": (32, 32, 1), "padding": "same", "width": 1} | arguments))


def test_crops_are_the_only_place_where_sizes_differ():
    model = tiny(padding="same")
    assert [layer.offset for layer in model.layers if isinstance(layer, CropLike)] == [1, 1, 4]
