import keras
import numpy as np
import pytest

from medseg_tf.errors import ConfigError, ModelError
from medseg_tf.methods import greedy
from medseg_tf.models import autoencoder, encoder_of


def patches(count=128, size=12):
    """Vectors that three numbers explain, but for little noise."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(count, 3)) @ rng.normal(size=(3, size))
    return (rows + 0.05 * rng.normal(size=rows.shape)).astype("float32")


@pytest.fixture(scope="module")
def trained():
    keras.utils.set_random_seed(0)
    model, x = autoencoder((12,), (8, 4), hidden="tanh"), patches()
    first = [weights.copy() for weights in model.get_weights()]
    return model, x, first, greedy(model, x, 25, 25, batch=32, learning_rate=5e-3)


def test_each_layer_and_then_the_whole_learns(trained):
    _, x, _, history = trained
    assert [len(losses) for losses in history["layers"]] == [25, 25]
    for losses in (*history["layers"], history["together"]):
        assert losses[-1] < losses[0]
    assert history["layers"][0][-1] < 0.5 * x.var()


def test_the_stack_begins_its_last_stage_where_the_layers_ended(trained):
    _, x, _, history = trained
    fresh = greedy(autoencoder((12,), (8, 4), hidden="tanh"), x, 0, 1, batch=32)
    assert fresh["layers"] == []
    assert history["together"][0] < 0.7 * fresh["together"][0]


def test_every_layer_of_the_stack_has_moved(trained):
    model, _, first, _ = trained
    assert all(
        not np.allclose(new, old) for new, old in zip(model.get_weights(), first, strict=True)
    )


def test_a_layer_is_trained_on_the_codes_of_the_one_below():
    keras.utils.set_random_seed(1)
    model, x = autoencoder((12,), (8, 4), hidden="tanh"), patches()
    history = greedy(model, x, 1, 0, batch=128, learning_rate=0.0)
    codes = np.asarray(keras.Model(model.input, model.get_layer("encode1").output)(x))
    restored = model.get_layer("decode2")(model.get_layer("encode2")(codes))
    expected = np.mean((np.asarray(restored) - codes) ** 2)
    assert history["layers"][1][0] == pytest.approx(expected, rel=1e-4)
    assert history["together"] == []


def test_a_call_can_be_repeated():
    results = []
    for _ in range(2):
        keras.utils.set_random_seed(3)
        model = autoencoder((12,), (3,), noise=0.3, sparsity=0.01)
        results.append(greedy(model, patches(), 2, 1, seed=5))
    assert results[0] == results[1]


@pytest.mark.parametrize("up", ["unpool", "transposed"])
def test_convolutional_stacks_are_trained_layer_by_layer_too(up):
    x = np.random.default_rng(0).normal(size=(16, 8, 8, 1)).astype("float32")
    model = autoencoder((8, 8, 1), (3, 2), hidden="elu", up=up)
    before = [weights.copy() for weights in model.get_weights()]
    history = greedy(model, x, 1, 0, batch=8)
    assert len(history["layers"]) == 2
    pairs = zip(model.get_weights(), before, strict=True)
    assert all(not np.array_equal(new, old) for new, old in pairs)
    assert encoder_of(model)(x).shape == (16, 2, 2, 2)


def test_other_models_and_samples_of_another_shape_are_refused():
    with pytest.raises(ModelError, match="no builder of this package"):
        greedy(keras.Sequential([keras.Input((3,))]), patches())
    with pytest.raises(ModelError, match=r"x of shape \(128, 12\)"):
        greedy(autoencoder((11,), (2,)), patches())
    with pytest.raises(ConfigError, match="epochs=-1"):
        greedy(autoencoder((12,), (2,)), patches(), -1)
