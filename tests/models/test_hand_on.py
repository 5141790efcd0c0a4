"""hand_on: which weights go over, and that they do the same work there."""

import keras
import numpy as np
import pytest

from medseg_tf.errors import ModelError
from medseg_tf.models import fcn, hand_on, vgg16


def numbers(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def test_a_classifier_becomes_fully_convolutional_with_the_same_answer():
    classifier = vgg16((224, 224, 1), 2, width=1, dropout=0)
    network = fcn((None, None, 1), 2, width=1, padding="same")
    names = hand_on(classifier, network)
    assert names[-2:] == ["fc1", "fc2"] and len(names) == 15
    image = numbers(1, 224, 224, 1)
    for name in ("fc1", "fc2"):
        dense, map_of = (
            np.asarray(keras.Model(m.input, m.get_layer(name).output)(image))
            for m in (classifier, network)
        )
        # 7 x 7 positions; the one in the middle sees the 7 x 7 map that the dense layer sees.
        assert map_of.shape[1:3] == (7, 7)
        assert np.any(dense) and np.allclose(map_of[:, 3, 3], dense, atol=1e-4)


def test_a_coarse_network_hands_all_it_has_on_to_a_finer_one():
    coarse, fine = (fcn((None, None, 1), 2, s, width=1, padding="same") for s in (32, 8))
    coarse.get_layer("score_32").set_weights([numbers(1, 1, 64, 2), numbers(2)])
    names = hand_on(coarse, fine)
    assert names == [layer.name for layer in coarse.layers if layer.weights]
    # The new score layers add nothing yet: the answers stay what they were, but for the enlarging.
    assert not any(np.any(fine.get_layer(f"score_{step}").get_weights()[0]) for step in (8, 16))
    for name in names:
        old, new = (model.get_layer(name).get_weights() for model in (coarse, fine))
        assert all(np.array_equal(a, b) for a, b in zip(old, new, strict=True))


def test_layers_of_another_shape_keep_their_weights():
    two, three = (fcn((None, None, 1), c, 32, width=1, padding="same") for c in (2, 3))
    three.get_layer("score_32").set_weights([numbers(1, 1, 64, 3), numbers(3)])
    names = hand_on(two, three)
    assert "score_32" not in names and "fc2" in names
    assert np.array_equal(three.get_layer("score_32").bias, numbers(3))


def test_nothing_to_hand_on_is_an_error():
    pair = [fcn((None, None, 1), 2, width=width, padding="same") for width in (1, 2)]
    with pytest.raises(ModelError, match="same name and shape.*same width"):
        hand_on(*pair)
