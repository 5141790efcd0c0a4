"""voxresnet: shapes, slices, scales, deep supervision through fit, errors, saving, tiles."""

import keras
import numpy as np
import pytest

from medseg_tf import data, load_model, losses, recipe, training
from medseg_tf.errors import ConfigError, ModelError, RunFolderError
from medseg_tf.inference import probabilities, size_multiple
from medseg_tf.models import deeply_supervised, receptive_field, unet, voxresnet


def numbers(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def small(input_shape=(8, 8, 8, 1), classes=3, width=2, **more):
    keras.utils.set_random_seed(0)
    return voxresnet(input_shape, classes, width, **more)


def part(model, name):
    return keras.Model(model.input, model.get_layer(name).output)


def case(space=(8, 8, 8), channels=1):
    grid = data.Grid(space)
    label = np.arange(np.prod(space)).reshape(space) % 3
    image = label[..., None] + numbers(*space, channels)
    return data.Case("a", data.Scan(image, grid), data.Scan(label, grid), classes=3)


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("space", [(8, 16), (8, 8, 16)])
def test_a_voxresnet_keeps_sizes_even_those_left_open(space, channels):
    model = small((*(None for _ in space), channels))
    assert model(numbers(2, *space, channels)).shape == (2, *space, 3)


def test_probabilities_add_up_to_one_and_logits_do_not():
    image = numbers(1, 8, 8, 8, 1)
    assert np.allclose(np.sum(small()(image), axis=-1), 1)
    assert not np.allclose(np.sum(small(activation=None)(image), axis=-1), 1)


def test_outputs_are_float32_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = deeply_supervised(small())
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.get_layer("res2a").compute_dtype == "bfloat16"
    kinds = {keras.backend.standardize_dtype(x.dtype) for x in model(numbers(1, 8, 8, 8, 1))}
    assert kinds == {"float32"}


@pytest.mark.parametrize("slice_axis", [0, 1, 2, None])
def test_an_impulse_stays_within_its_slice_where_the_kernel_is_flat(slice_axis):
    model = small((8, 8, 8, 1), slice_axis=slice_axis)
    layer = model.get_layer("res2a")
    kernel, bias = layer.get_weights()
    layer.set_weights([np.ones_like(kernel), 0 * bias])
    impulse = np.zeros((1, 5, 5, 5, kernel.shape[-2]), "float32")
    impulse[0, 2, 2, 2] = 1
    reached = np.argwhere(np.asarray(layer(impulse))[0].any(-1))
    widths = np.ptp(reached, axis=0) + 1
    assert widths.tolist() == [1 if axis == slice_axis else 3 for axis in range(3)]


def test_in_2d_an_image_is_one_slice_and_all_kernels_are_3_wide():
    model = small((8, 8, 1))
    kernels = {layer.kernel_size for layer in model.layers if type(layer).__name__ == "Conv2D"}
    assert kernels == {(3, 3), (1, 1)}
    assert receptive_field(part(small((None, None, 1)), "res9_add")) == (131, 131)


def test_normalisation_and_relu_come_before_each_convolution_but_the_first():
    model = small()
    assert model.get_layer("conv1a").input is model.input
    convolutions = [
        layer
        for layer in model.layers
        if type(layer).__name__ == "Conv3D" and not layer.name.startswith(("conv1a", "scores"))
    ]
    assert len(convolutions) == 16
    for layer in convolutions:
        relu = model.get_layer(f"{layer.name}_relu")
        assert layer.input is relu.output
        assert relu.input is model.get_layer(f"{layer.name}_norm").output


def test_a_module_adds_its_input_and_nothing_follows():
    model, image = small(), numbers(1, 8, 8, 8, 1)
    start, change, end = (
        np.asarray(part(model, name)(image)) for name in ("conv1c", "res2b", "res2_add")
    )
    np.testing.assert_allclose(end, start + change, atol=1e-6)
    assert model.get_layer("res3a_norm").input is model.get_layer("res2_add").output


def test_the_scores_of_the_scales_are_added_before_the_softmax():
    model, image = small(activation=None), numbers(1, 8, 8, 8, 1)
    scores = sum(np.asarray(part(model, f"scores{scale}")(image)) for scale in (1, 2, 3, 4))
    np.testing.assert_allclose(model(image), scores, atol=1e-5)


def test_the_coarsest_scale_alone_has_the_whole_trunk_and_the_finest_alone_has_not():
    names = {
        scales: {layer.name for layer in small(scales=scales).layers} for scales in [(4,), (1,)]
    }
    assert {"res9_add", "scores4"} <= names[4,] and not {"scores1", "logits"} & names[4,]
    assert "conv1b" in names[1,] and not any(
        name.startswith(("res", "conv4")) for name in names[1,]
    )


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow's gradient")
@pytest.mark.parametrize("space", [(16, 16), (16, 16, 16)])
def test_the_gradient_of_the_fused_output_reaches_every_weight(space):
    import tensorflow as tf

    model = small((*space, 2), width=3, activation=None)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(numbers(2, *space, 2), training=True) - 1))
    slopes = tape.gradient(loss, model.trainable_variables)
    for variable, slope in zip(model.trainable_variables, slopes, strict=True):
        assert slope is not None and np.any(slope), variable.path


def test_a_saved_model_comes_back_with_its_outputs(tmp_path):
    model = small(slice_axis=0, scales=(2, 4))
    model.set_weights([w + 0.1 * numbers(*w.shape) ** 2 for w in model.get_weights()])
    again = load_model(recipe.save(model, tmp_path))
    assert again.recipe["arguments"]["scales"] == [2, 4]
    image = numbers(2, 8, 8, 8, 1)
    np.testing.assert_array_equal(again(image), model(image))


@pytest.mark.parametrize("size, nearest", [(7, "8"), (15, "8 or 16"), (17, "16 or 24")])
def test_a_size_that_does_not_fit_is_an_error_naming_those_that_do(size, nearest):
    message = (
        rf"voxresnet: axis 1 .* is {size}; with 3 halvings the nearest that fits is {nearest}\."
    )
    with pytest.raises(ConfigError, match=message):
        small((8, size, 8, 1))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"slice_axis": 3}, "slice_axis is 3; choose one of None, 0, 1, 2"),
        ({"scales": ()}, r"scales is \(\)"),
        ({"scales": (4, 1)}, r"scales is \(4, 1\)"),
        ({"scales": (1, 1)}, r"scales is \(1, 1\)"),
        ({"scales": (5,)}, r"scales is \(5,\)"),
        ({"scales": 4}, "scales is 4"),
        ({"input_shape": (8, 1)}, r"voxresnet: input_shape \(8, 1\)"),
    ],
)
def test_an_impossible_argument_is_named(arguments, message):
    with pytest.raises(ConfigError, match=message):
        small(**arguments)


def test_tiles_with_half_the_receptive_field_as_margin_agree_with_one_pass():
    model = small((None, None, 1))
    assert size_multiple(model) == (8, 8)
    margin = receptive_field(model)[0] // 2
    side = 2 * margin + 24
    long = case((side + 40, 16))
    one = probabilities(model, long)
    cut = probabilities(model, long, tile=(-(-side // 8) * 8, 16), margin=margin, overlap=0)
    np.testing.assert_allclose(cut, one, atol=1e-5)


# Deep supervision


def test_the_supervised_twin_shares_its_weights_in_their_order():
    model = small(scales=(1, 3, 4))
    twin = deeply_supervised(model)
    assert all(a is b for a, b in zip(model.weights, twin.weights, strict=True))
    assert twin.output_names == ["output", "branch1", "branch3", "branch4"]
    image = numbers(1, 8, 8, 8, 1)
    fused, *branches = twin(image)
    np.testing.assert_array_equal(fused, model(image))
    assert all(np.allclose(np.sum(one, -1), 1) for one in branches)


def test_a_network_of_another_builder_has_no_branches_to_supervise():
    with pytest.raises(ConfigError, match="unet has no layer named scores1"):
        deeply_supervised(unet((None, None, 1), 2, width=1, depth=1, padding="same"))


def fit(model, folder=None, **more):
    patches, loss = data.Patches([case()], 8, 2, steps=2), losses.WeightedCrossEntropy()
    more = {"epochs": 2, "learning_rate": 1e-2} | more
    return training.fit(model, patches, loss, folder=folder, **more)


def test_fit_adds_the_branches_losses_and_trains_the_network_that_is_used():
    model = small(scales=(1, 2))
    before = [weight.copy() for weight in model.get_weights()]
    history = fit(deeply_supervised(model), epochs=5, learning_rate=3e-3)
    parts = [history[f"{name}_loss"] for name in ("output", "branch1", "branch2")]
    np.testing.assert_allclose(history["loss"], np.sum(parts, axis=0), rtol=1e-4)
    # Of 10 steps the last two weigh a thousandth.
    assert max(losses[-1] for losses in parts[1:]) < 0.01 < parts[0][-1] < parts[0][0]
    assert all(np.any(a != b) for a, b in zip(before, model.get_weights(), strict=True))


def test_validation_asks_the_fused_output_alone():
    held_back = data.Patches([case()], 8, 2, seed=1, steps=2)
    history = fit(deeply_supervised(small(scales=(1, 2))), validation=held_back)
    np.testing.assert_allclose(history["val_loss"], history["val_output_loss"], rtol=1e-6)


def test_a_finished_folder_opens_as_the_network_with_one_output(tmp_path):
    model = small(scales=(1, 2))
    history = fit(deeply_supervised(model), tmp_path)
    again = load_model(tmp_path)
    image = numbers(1, 8, 8, 8, 1)
    np.testing.assert_array_equal(again(image), model(image))
    assert fit(deeply_supervised(small(scales=(1, 2))), tmp_path) == history
    with pytest.raises(RunFolderError, match="outputs was 3, is now None"):
        fit(small(scales=(1, 2)), tmp_path)


def test_a_run_broken_off_goes_on_with_the_weight_of_its_step(tmp_path):
    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise InterruptedError

    whole, resumed = small(scales=(1, 2)), small(scales=(1, 2))
    resumed.set_weights([0 * weight for weight in resumed.get_weights()])
    history = fit(deeply_supervised(whole), epochs=3)
    with pytest.raises(InterruptedError):
        fit(deeply_supervised(small(scales=(1, 2))), tmp_path, epochs=3, callbacks=[Stop()])
    assert fit(deeply_supervised(resumed), tmp_path, epochs=3) == history
    for one, other in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_weight_maps_and_outputs_of_another_shape_are_refused():
    twin = deeply_supervised(small(scales=(1, 2)))
    with pytest.raises(ConfigError, match="3 outputs, whose losses take no weight map"):
        ones = data.Patches([case()], 8, 2, weights=lambda label: np.ones(label.shape), steps=1)
        training.fit(twin, ones, losses.WeightedCrossEntropy(), epochs=1)
    wide = deeply_supervised(small(scales=(1, 2), classes=4))
    with pytest.raises(ModelError, match=r"makes \(8, 8, 8, 4\)"):
        fit(wide)
