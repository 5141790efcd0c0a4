import keras
import numpy as np
import pytest
from keras import ops
from waves import waves

from medseg_tf.errors import ConfigError, ModelError
from medseg_tf.methods import (
    contrastive_divergence,
    fold_standardization,
    pretrain_rbm,
    train_rbm,
)
from medseg_tf.methods.rbm import RBM, correlation, hidden_input, visible_mean
from medseg_tf.models import encoder_network, unet


def machine(kernel, channels=2, maps=3, seed=0):
    rng = np.random.default_rng(seed)
    shapes = (*kernel, channels, maps), (maps,), (channels,)
    return RBM(*(ops.convert_to_tensor(rng.normal(size=s).astype("float32")) for s in shapes))


@pytest.fixture(scope="module")
def trained():
    return train_rbm(waves(), 6, 5, steps=70, learning_rate=1e-2)


def test_the_reconstruction_gets_better_and_the_filters_learn_to_give_back_unseen_images(trained):
    rbm, errors = trained
    assert np.mean(errors[-10:]) < 0.6 * np.mean(errors[:10])
    unseen = ops.convert_to_tensor(waves(seed=1))
    again = visible_mean(rbm, ops.relu(hidden_input(rbm, unseen)))
    assert float(ops.mean((again - unseen) ** 2)) < 0.6


def test_the_same_seed_gives_the_same_filters_and_another_one_others():
    one, same, other = (train_rbm(waves(), 3, 3, steps=3, seed=s)[0] for s in (1, 1, 2))
    np.testing.assert_array_equal(one.filters, same.filters)
    assert not np.allclose(one.filters, other.filters)


def test_the_bias_is_pulled_to_the_activity_that_is_asked_for():
    rbm = machine((3, 3), 1, 2)
    visible = ops.convert_to_tensor(waves(4, 8))
    ways = [
        np.asarray(contrastive_divergence(rbm, visible, np.random.default_rng(0), a)[0].hidden_bias)
        for a in (0.1, 0.3)
    ]
    np.testing.assert_allclose(ways[1] - ways[0], 0.2, atol=1e-5)


@pytest.mark.parametrize("kernel, size", [((3, 2), (6, 5)), ((3, 2, 2), (5, 4, 6))])
def test_a_correlation_is_the_sum_over_shifted_windows_in_any_rank(kernel, size):
    rng = np.random.default_rng(0)
    valid = np.subtract(size, kernel) + 1
    visible = rng.normal(size=(2, *size, 2)).astype("float32")
    hidden = rng.normal(size=(2, *valid, 3)).astype("float32")
    found = np.asarray(correlation(visible, hidden))
    assert found.shape == (*kernel, 2, 3)
    for shift in np.ndindex(*kernel):
        window = visible[(slice(None), *map(slice, shift, np.add(shift, valid)))]
        right = np.tensordot(window, hidden, (range(len(size) + 1),) * 2)
        np.testing.assert_allclose(found[shift], right, atol=1e-3)


def test_volumes_are_learned_by_the_same_code():
    images = np.random.default_rng(0).normal(size=(3, 8, 8, 8, 1))
    rbm, errors = train_rbm(images, 2, (3, 3, 2), steps=3, batch=2)
    assert rbm.filters.shape == (3, 3, 2, 1, 2) and len(errors) == 3


def test_a_stack_takes_filters_both_ways_and_leaves_the_lesion_map_alone():
    keras.utils.set_random_seed(0)
    model = encoder_network((16, 16, 1), width=4, kernels=(5, 3))
    before = {layer.name: layer.get_weights() for layer in model.layers if layer.weights}
    history = pretrain_rbm(model, waves(), steps=40, batch=8, learning_rate=5e-3)
    for name in ("encode1", "encode2"):
        assert len(history[name]) == 40
        assert np.mean(history[name][-5:]) < np.mean(history[name][:5])
    changed = {
        name: not np.allclose(model.get_layer(name).get_weights()[0], weights[0])
        for name, weights in before.items()
    }
    assert changed == dict(encode1=True, encode2=True, decode2=True, decode1=False, shortcut1=False)


def test_the_way_back_of_the_second_layer_gives_the_pooled_maps_in_their_own_units():
    keras.utils.set_random_seed(0)
    model = encoder_network((16, 16, 1), width=4, kernels=(5, 3))
    pretrain_rbm(model, waves(), steps=80, batch=8, learning_rate=1e-2)
    names = ("pool1", "decode2")
    pooled, again = keras.Model(model.inputs[0], [model.get_layer(n).output for n in names])(
        waves()
    )
    error = ops.mean((again - pooled) ** 2, axis=(0, 1, 2)) / ops.var(pooled, axis=(0, 1, 2))
    assert float(ops.mean(error)) < 0.7


def test_a_network_without_such_layers_and_images_that_do_not_fit_are_refused():
    with pytest.raises(ModelError, match="no layer encode1"):
        pretrain_rbm(unet((16, 16, 1), 2, width=2, depth=1, padding="same"), waves())
    with pytest.raises(ModelError, match="the images are of shape"):
        pretrain_rbm(encoder_network((16, 16, 2), width=2, kernels=(3,)), waves())


@pytest.mark.parametrize("wrong", [dict(kernel=17), dict(kernel=(3,)), dict(steps=0), dict(maps=0)])
def test_what_cannot_be_trained_is_refused(wrong):
    with pytest.raises(ConfigError, match="train_rbm: images of shape"):
        train_rbm(waves(2), **dict(maps=2, kernel=3, steps=1) | wrong)


@pytest.mark.parametrize("rank", [2, 3])
def test_folded_filters_do_on_raw_values_what_the_others_do_on_standardised_ones(rank):
    rng = np.random.default_rng(0)
    filters, bias = rng.normal(size=(*(3,) * rank, 2, 4)), rng.normal(size=4)
    x, mean, sd = rng.normal(5, 3, (1, *(6,) * rank, 2)), np.array([4.0, 6]), np.array([2.0, 3])
    folded, shifted = fold_standardization(filters, bias, mean, sd)
    raw = ops.conv(x, folded) + shifted
    standardised = ops.conv((x - mean) / sd, filters) + bias
    np.testing.assert_allclose(raw, standardised, atol=1e-5)
