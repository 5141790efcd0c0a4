"""vgg16 and googlenet: shapes, ImageNet's weights, errors, saving."""

import json

import keras
import numpy as np
import pytest

from medseg_tf.errors import ConfigError
from medseg_tf.models import googlenet, hand_on, vgg16


def numbers(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


@pytest.mark.parametrize("builder, width", [(vgg16, 1), (googlenet, 4)])
@pytest.mark.parametrize("space", [(32, 40), (32, 33, 32)])
def test_classes_are_probabilities_in_two_and_three_dimensions(builder, width, space):
    model = builder((*space, 2), 5, width=width)
    answer = np.asarray(model(numbers(3, *space, 2)))
    assert answer.shape == (3, 5)
    assert np.allclose(answer.sum(axis=-1), 1)
    assert json.loads(json.dumps(model.recipe))["arguments"]["width"] == width


def test_weights_of_keras_applications_give_the_same_answer():
    theirs = keras.applications.VGG16(weights=None, input_shape=(32, 32, 3), include_top=False)
    ours = vgg16((32, 32, 3), classes=2, dropout=0)
    names = hand_on(theirs, ours)
    assert len(names) == 13 and names[0] == "block1_conv1"
    image = numbers(1, 32, 32, 3)
    trunk = keras.Model(ours.input, ours.get_layer("block5_pool").output)
    assert np.allclose(trunk(image), theirs(image), atol=1e-5)


def test_poolings_round_up():
    sides = [
        vgg16((33, 64, 1), 2, width=1).get_layer(f"block{n}_pool").output.shape[1:3] for n in (1, 5)
    ]
    assert sides == [(17, 32), (2, 2)]


def test_auxiliary_classifiers_are_outputs_of_their_own():
    model = googlenet((96, 96, 1), 3, width=4, auxiliary=True)
    answers = model(numbers(2, 96, 96, 1))
    assert [answer.shape for answer in answers] == [(2, 3)] * 3


def test_the_output_is_float32_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = googlenet((32, 32, 1), 2, width=4)
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.get_layer("conv1").compute_dtype == "bfloat16"
    assert keras.backend.standardize_dtype(model(numbers(1, 32, 32, 1)).dtype) == "float32"


@pytest.mark.parametrize("builder", [vgg16, googlenet])
@pytest.mark.parametrize("shape", [(None, 32, 3), (31, 32, 3), (64, 64)])
def test_a_size_that_is_open_or_too_small_is_refused(builder, shape):
    with pytest.raises(ConfigError, match="at least 32 .* models.fcn"):
        builder(shape)
