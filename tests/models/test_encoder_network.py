"""encoder_network: sizes, pathways, first weights, errors, learning, saving."""

import keras
import numpy as np
import pytest

from medseg_tf import data, load_model, losses, recipe, training
from medseg_tf.errors import ConfigError
from medseg_tf.models import encoder_network, receptive_field

SMALL = dict(width=2, kernels=(3, 3))


def picture(*shape):
    return np.random.default_rng(0).normal(size=(2, *shape)).astype("float32")


@pytest.mark.parametrize("shape", [(12, 16, 1), (None, None, 2), (10, 12, 14, 1)])
@pytest.mark.parametrize("classes", [2, 3])
def test_a_map_of_probabilities_comes_out_in_the_size_that_goes_in(shape, classes):
    model = encoder_network(shape, classes, **SMALL)
    x = picture(*(side or 12 for side in shape))
    found = np.asarray(model(x))
    assert found.shape == (*x.shape[:-1], classes) and found.dtype == "float32"
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-5)


@pytest.mark.parametrize("kernels, layers", [((3,), 3), ((3, 3), 7), ((3, 3, 3), 11)])
def test_layers_are_counted_with_the_input_and_mirrored(kernels, layers):
    model = encoder_network((30, 30, 1), width=2, kernels=kernels)
    named = [one.name for one in model.layers if not one.name.endswith("act")]
    counted = [
        name for name in named if name.startswith(("image", "encode", "pool", "decode", "un"))
    ]
    assert len(counted) == layers
    shortcuts = [name for name in named if name.startswith("shortcut")]
    assert len(shortcuts) == len(kernels) - 1


def test_a_shortcut_adds_its_kernels_and_nothing_else():
    with_, without = (encoder_network((12, 12, 1), **SMALL, shortcut=s) for s in (True, False))
    assert with_.count_params() - without.count_params() == 3 * 3 * 2


def test_the_shortcut_carries_what_the_pooling_loses():
    model = encoder_network((12, 12, 1), **SMALL)
    for name in ("decode1", "decode2"):
        layer = model.get_layer(name)
        layer.set_weights([0 * weight for weight in layer.get_weights()])
    x = picture(12, 12, 1)
    assert np.ptp(np.asarray(model(x))[..., 1]) > 0


def test_one_kernel_may_have_a_side_of_its_own_along_each_axis():
    model = encoder_network((12, 12, 8, 1), width=2, kernels=((3, 3, 1), (3, 3, 2)))
    assert model.get_layer("encode1").output.shape[1:-1] == (10, 10, 8)
    assert model.get_layer("encode2").output.shape[1:-1] == (3, 3, 3)
    assert receptive_field(model)[2] < receptive_field(model)[0]


def test_the_untrained_network_answers_about_its_prior():
    keras.utils.set_random_seed(0)
    model = encoder_network((24, 24, 1), width=8, kernels=(7, 6), prior=0.1)
    found = np.asarray(model(picture(24, 24, 1)))[..., 1]
    assert 0.05 < found.mean() < 0.2


def test_first_weights_have_he_s_deviation_or_the_one_asked_for():
    keras.utils.set_random_seed(0)
    he = encoder_network((24, 24, 1), width=32, kernels=(7, 6))
    small = encoder_network((24, 24, 1), width=32, kernels=(7, 6), deviation=0.01)
    for name, inputs in (("encode2", 36 * 32), ("decode2", 36 * 32), ("encode1", 49)):
        drawn, tiny = (model.get_layer(name).get_weights()[0].std() for model in (he, small))
        assert drawn == pytest.approx((2 / inputs) ** 0.5, rel=0.1)
        assert tiny == pytest.approx(0.01, rel=0.1)
    head = he.get_layer("decode1").get_weights()[0].std()
    assert head == pytest.approx(0.1 * (2 / (49 * 32)) ** 0.5, rel=0.1)


@pytest.mark.parametrize("size, nearest", [(13, 12), (7, 6), (4, 6)])
def test_a_size_that_a_pooling_or_a_kernel_does_not_fit_is_refused_with_one_that_does(
    size, nearest
):
    with pytest.raises(ConfigError, match=f"axis 0 .* is {size}; .* fits is {nearest}"):
        encoder_network((size, 12, 1), width=2, kernels=(3, 2))
    encoder_network((nearest, 12, 1), width=2, kernels=(3, 2))


@pytest.mark.parametrize(
    "options", [dict(kernels=()), dict(kernels=((3, 3, 3),)), dict(kernels=(3,), prior=0)]
)
def test_what_makes_no_network_is_refused(options):
    with pytest.raises(ConfigError, match="encoder_network: (kernels|prior)"):
        encoder_network((12, 12, 1), width=2, **options)


def test_it_leaves_the_answer_nothing_is_a_lesion_behind():
    """A loss of r is what the empty answer costs; started too large, a sigmoid stays there."""
    keras.utils.set_random_seed(0)
    cases = data.phantoms.ms_lesions(4)
    patches = data.Patches(cases, 48, 4, steps=20, normalize=data.z_score_inside)
    model = encoder_network((48, 48, 2), width=4, kernels=(7, 6))
    r = 0.05
    loss = losses.SensitivitySpecificity(r)
    history = training.fit(model, patches, loss, keras.optimizers.Adam(3e-3), epochs=4)
    assert history["loss"][-1] < 0.9 * r


def test_it_is_loaded_as_it_was_saved(tmp_path):
    model = encoder_network((12, 12, 8, 1), width=2, kernels=((3, 3, 1), (3, 3, 2)))
    recipe.save(model, tmp_path / "net")
    x = picture(12, 12, 8, 1)
    np.testing.assert_array_equal(load_model(tmp_path / "net")(x), model(x))
