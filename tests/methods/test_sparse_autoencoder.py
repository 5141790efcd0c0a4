import keras
import numpy as np
import pytest
from waves import waves

from medseg_tf.errors import ModelError
from medseg_tf.methods import pretrain_sparse
from medseg_tf.models import csae, encoder_network


def first_maps(model, images):
    return keras.Model(model.inputs[0], model.get_layer("encode1").output).predict(
        images, verbose=0
    )


@pytest.mark.parametrize("beta", [0.0, 1.0])
def test_each_layer_learns_to_restore_what_enters_it(beta):
    keras.utils.set_random_seed(0)
    model = encoder_network((16, 16, 1), width=4, kernels=(5, 3))
    head = model.get_layer("decode1").get_weights()
    history = pretrain_sparse(model, waves(), beta=beta, steps=60, batch=12, learning_rate=1e-2)
    for name in ("encode1", "encode2"):
        assert len(history[name]) == 60
        assert np.mean(history[name][-5:]) < 0.7 * np.mean(history[name][:5])
    np.testing.assert_array_equal(head[0], model.get_layer("decode1").get_weights()[0])


def test_the_sparsity_term_lowers_the_activity():
    activity = []
    for beta in (0.0, 30.0):
        keras.utils.set_random_seed(0)
        model = encoder_network((16, 16, 1), width=6, kernels=(5,))
        pretrain_sparse(model, waves(), beta=beta, steps=60, batch=12, learning_rate=1e-2)
        activity.append(first_maps(model, waves(seed=1)).mean())
    assert activity[1] < 0.6 * activity[0]


def test_a_classifier_of_patches_is_pretrained_alike_and_its_last_layer_left_alone():
    model = csae((8, 8, 1), maps=(3, 4), kernels=(3, 3), classes=2)
    before = model.get_layer("logits").get_weights()[0]
    patches = waves(size=8)
    assert list(pretrain_sparse(model, patches, steps=2)) == ["encode1", "encode2"]
    np.testing.assert_array_equal(before, model.get_layer("logits").get_weights()[0])


def test_the_same_seed_gives_the_same_weights():
    weights = []
    for _ in range(2):
        model = encoder_network((16, 16, 1), width=2, kernels=(3,))
        pretrain_sparse(model, waves(), steps=3)
        weights.append(model.get_layer("encode1").get_weights()[0])
    np.testing.assert_array_equal(*weights)


def test_images_of_another_shape_are_refused():
    with pytest.raises(ModelError, match="the images are of shape"):
        pretrain_sparse(encoder_network((16, 16, 2), width=2, kernels=(3,)), waves())
