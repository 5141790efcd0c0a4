"""What transfer stands on: speckle, a beat, and what Keras does with frozen layers and Adam."""

import keras
import numpy as np
import pytest

from medseg_tf.data import phantoms
from medseg_tf.data.phantoms.ultrasound_cine import envelope
from medseg_tf.methods import AdamByLayer, match_block


def test_speckle_of_a_constant_echo_is_rayleigh():
    speckle = envelope(np.random.default_rng(0), np.ones((512, 512)), (0.7, 1.3))
    assert np.sqrt(np.pi / (4 - np.pi)) == pytest.approx(1.9131, abs=1e-4)
    assert speckle.mean() / speckle.std() == pytest.approx(1.9131, rel=0.02)


def test_pixels_count_the_area_and_the_ejection_fraction_within_two_percent():
    cines = phantoms.ultrasound_cine(1, frames=12)
    long, short = phantoms.ventricle_axes(1, frames=12)[0].T
    exact = np.pi * long * short
    counted = np.array([4.0 * case.label.array.sum() for case in cines])
    assert counted / exact == pytest.approx(np.ones(12), abs=0.02)
    fractions = [1 - area.min() / area.max() for area in (exact, counted)]
    assert fractions[0] == pytest.approx(fractions[1], abs=0.02)


@pytest.mark.parametrize(
    "e, area, volume", [(0.2, 0.284, 0.428), (0.35, 0.476, 0.659), (0.6, 0.747, 0.899)]
)
def test_area_goes_as_the_power_1_5_of_the_shortening_and_volume_as_2_5(e, area, volume):
    assert (1 - (1 - e) ** 1.5, 1 - (1 - e) ** 2.5) == pytest.approx((area, volume), abs=6e-4)
    long, short = phantoms.ventricle_axes(1, frames=1000, shortening=(e, e))[0].T
    areas, volumes = long * short, long * short**2
    found = [1 - one.min() / one.max() for one in (areas, volumes)]
    assert found == pytest.approx([area, volume], abs=1e-3)


def normal(mean, deviation, channels=1):
    return np.random.default_rng(0).normal(mean, deviation, (64, 8, 8, channels)).astype("float32")


def test_frozen_batch_normalisation_is_in_inference_mode_also_when_called_to_train():
    layer, x = keras.layers.BatchNormalization(), normal(5, 2)
    layer.build(x.shape)
    layer.trainable = False
    frozen = np.asarray(layer(x, training=True))
    assert frozen.mean() == pytest.approx(x.mean() / np.sqrt(1.001), rel=1e-4)
    assert np.asarray(layer.moving_mean) == 0
    layer.trainable = True
    assert np.asarray(layer(x, training=True)).mean() == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("updates, share", [(40, 0.331), (100, 0.634)])
def test_moving_averages_have_gone_a_third_of_the_way_after_40_steps(updates, share):
    layer = keras.layers.BatchNormalization()
    assert (layer.momentum, layer.epsilon) == (0.99, 0.001)
    for _ in range(updates):
        layer(np.ones((2, 1)), training=True)
    assert float(np.squeeze(layer.moving_mean)) == pytest.approx(1 - 0.99**updates, abs=1e-4)
    assert 1 - 0.99**updates == pytest.approx(share, abs=5e-4)


TRUNKS = {
    "functional": lambda inputs, norm: keras.Model(inputs, norm(inputs)),
    "sequential": lambda inputs, norm: keras.Sequential([inputs, norm]),
    "one layer": lambda inputs, norm: norm,
}


@pytest.mark.parametrize("trunk", TRUNKS)
def test_calling_a_trunk_in_inference_mode_does_not_protect_it_but_freezing_does(trunk):
    outcomes, x = {}, normal(3, 1)
    for kind in ("called so", "frozen"):
        norm = keras.layers.BatchNormalization()
        base = TRUNKS[trunk](keras.Input((8, 8, 1)), norm)
        inputs = keras.Input((8, 8, 1))
        model = keras.Model(inputs, base(inputs, training=False))
        norm.trainable = kind != "frozen"
        mean = float(np.asarray(model(x, training=True)).mean())
        outcomes[kind] = mean, float(np.squeeze(norm.moving_mean))
    assert outcomes["called so"] == pytest.approx((0, 0.03), abs=2e-3)
    assert outcomes["frozen"] == pytest.approx((3 / np.sqrt(1.001), 0), abs=2e-2)


def line(optimizer):
    """Two layers of one weight each, compiled."""
    inputs = keras.Input((1,))
    x = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones", name="body")(inputs)
    x = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones", name="head")(x)
    model = keras.Model(inputs, x)
    model.compile(optimizer, "mean_squared_error")
    return model


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="only TensorFlow traces so")
@pytest.mark.parametrize("again, stays", [("never fitted", 1), ("fitted", 0), ("compiled anew", 1)])
def test_freezing_a_compiled_network_counts_unless_it_was_fitted_in_between(again, stays):
    model = line(keras.optimizers.SGD(0.01))
    pair = np.ones((1, 1)), np.full((1, 1), 5.0)
    if again != "never fitted":
        model.fit(*pair, verbose=0)
    model.get_layer("body").trainable = False
    if again == "compiled anew":
        model.compile(keras.optimizers.SGD(0.01), "mean_squared_error")
    before = model.get_weights()
    model.fit(*pair, verbose=0)
    body, head = (float(abs(a - b).max()) for a, b in zip(before, model.get_weights(), strict=True))
    assert (body == 0) == stays and head > 0


def test_a_network_compiled_with_an_optimizer_that_keras_does_not_know_cannot_be_cloned():
    class Stranger(keras.optimizers.SGD):
        pass

    with pytest.raises(TypeError, match="Could not locate class 'Stranger'"):
        keras.models.clone_model(line(Stranger()))
    assert keras.models.clone_model(line(AdamByLayer(0.01, {"body": 0.1}))).count_params() == 2


def way(optimizer, gradient, steps=5):
    """How far steps of a constant gradient move a weight."""
    weight = keras.Variable(np.zeros(1, "float32"))
    optimizer.build([weight])
    for _ in range(steps):
        optimizer.apply([np.full(1, gradient, "float32")], [weight])
    return -float(np.asarray(weight)[0])


def test_adam_divides_the_size_of_gradients_out_and_sgd_does_not():
    adam = [way(keras.optimizers.Adam(0.01), g) for g in (0.7, 0.07)]
    sgd = [way(keras.optimizers.SGD(0.01), g) for g in (0.7, 0.07)]
    assert adam == pytest.approx([0.05, 0.05], abs=1e-5)
    assert sgd == pytest.approx([0.035, 0.0035], abs=1e-6)


def test_a_factor_a_layer_shortens_the_step_itself():
    model = line(AdamByLayer(0.01, {"body": 0.1}))
    model.train_on_batch(np.ones((1, 1)), np.full((1, 1), 5.0))
    moved = [float(np.squeeze(weight)) - 1 for weight in model.get_weights()]
    assert moved == pytest.approx([0.001, 0.010], abs=1e-6)


def test_a_block_is_found_in_noise_where_it_went():
    rng = np.random.default_rng(0)
    frame = rng.normal(size=(40, 40))
    after = np.roll(frame, (2, -3), (0, 1)) + rng.normal(0, 0.1, (40, 40))
    place, apart = match_block(frame, after, (20, 20), half=5, search=4)
    assert place == (22, 17)
    assert apart == pytest.approx(11 * 11 * 0.01, rel=0.3)
