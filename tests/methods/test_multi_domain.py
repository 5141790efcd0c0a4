"""A shared trunk: each domain teaches its own branch and the trunk; refinement without leaks."""

import keras
import numpy as np
import pytest

from medseg_tf import data, models
from medseg_tf.errors import ConfigError, ModelError
from medseg_tf.methods import branch_out, fit_domains, refine, refined_maps


def unet():
    keras.utils.set_random_seed(0)
    return models.unet((16, 16, 1), 2, width=2, depth=1, padding="same", dropout=0)


def patches(view, steps=2, batch=2):
    cases = data.phantoms.ultrasound_cine(1, size=16, frames=2, view=view)
    return data.Patches(cases, 16, batch, steps=steps)


def test_each_domain_has_an_output_that_begins_as_the_models_and_the_trunk_is_shared():
    model = unet()
    network = branch_out(model, 3)
    assert [tuple(out.shape) for out in network.outputs] == [(None, 16, 16, 2)] * 3
    assert network.count_params() == model.count_params() + 2 * (2 * 2 + 2)
    assert network.get_layer("down0_conv1") is model.get_layer("down0_conv1")
    x = np.random.default_rng(0).normal(size=(1, 16, 16, 1))
    for answer in network(x):
        np.testing.assert_array_equal(np.asarray(answer), np.asarray(model(x)))


def test_a_single_domain_is_trained_like_any_network():
    network = branch_out(unet(), 1)
    one = patches("A4C", steps=2)
    losses = fit_domains(network, [one], epochs=3, learning_rate=1e-2)["loss"]
    assert len(losses) == 3 and losses[-1] < losses[0]


def weights(network):
    return {layer.name: layer.get_weights() for layer in network.layers if layer.weights}


def test_images_of_a_domain_move_its_branch_and_the_trunk_but_no_other_branch():
    network = branch_out(unet(), 2)
    one, other = patches("A4C", steps=1), patches("PSAX", steps=1)
    before = weights(network)
    fit_domains(network, [one, other], epochs=1, decay=0.0)
    after = weights(network)
    moved = {name for name in before if not np.array_equal(before[name][0], after[name][0])}
    assert {"down0_conv1", "logits_0", "logits_1"} <= moved

    class Silent:  # a domain whose images weigh nothing
        batch = 0

        def __len__(self):
            return 1

        def __getitem__(self, index):
            return np.zeros((0, 16, 16, 1), "float32"), np.zeros((0, 16, 16), "int32")

    network = branch_out(unet(), 2)
    before = weights(network)
    fit_domains(network, [one, Silent()], epochs=1, decay=0.0)
    after = weights(network)
    assert not np.array_equal(before["logits_0"][0], after["logits_0"][0])
    assert np.array_equal(before["logits_1"][0], after["logits_1"][0])


def test_the_loss_is_the_sum_over_domains_and_falls():
    network = branch_out(unet(), 2)
    history = fit_domains(
        network, [patches("A4C", 10), patches("A2C", 10)], epochs=2, learning_rate=1e-2
    )
    assert len(history["loss"]) == 2 and history["loss"][1] < history["loss"][0] < 4


def test_what_does_not_fit_is_refused():
    inputs = keras.Input((8, 8, 1))
    with pytest.raises(ModelError, match="logits"):
        branch_out(keras.Model(inputs, keras.layers.Conv2D(2, 1)(inputs)), 2)
    with pytest.raises(ConfigError, match="domains=0"):
        branch_out(unet(), 0)
    with pytest.raises(ConfigError, match="1 Patches for 2"):
        fit_domains(branch_out(unet(), 2), [patches("A4C")], epochs=1)
    with pytest.raises(ConfigError, match="stages=0"):
        refine([], list, stages=0)


def test_a_stage_reads_the_maps_of_the_one_before_by_who_never_saw_the_case():
    cases = [
        data.Case(f"s{k}", data.Scan(np.full((2, 2, 1), k), data.Grid((2, 2))),
                  data.Scan(np.zeros((2, 2), int), data.Grid((2, 2))))
        for k in range(4)
    ]  # fmt: skip
    trained = []

    def fit(some):
        trained.append([case.image.array.shape[-1] for case in some])
        return len(trained), {case.subject for case in some}

    def predict(model, case):
        number, seen = model
        assert case.subject == "new" or case.subject not in seen
        return np.full((2, 2, 2), number)

    networks = refine(cases, fit, stages=3, folds=2, predict=predict)
    assert [len(models) for models in networks] == [2, 2, 2]
    # one channel, then the image beside two maps: never the maps of all stages before
    assert trained == [[1, 1]] * 2 + [[3, 3]] * 4
    new = data.Case("new", data.Scan(np.zeros((2, 2, 1)), data.Grid((2, 2))))
    assert refined_maps(networks, new, predict) == pytest.approx(np.full((2, 2, 2), 5.5))
