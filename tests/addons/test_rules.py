"""What tensorflow-addons' own answers do not show: saving, gradients, what is refused."""

import keras
import numpy as np
import pytest

from medseg_tf import addons
from medseg_tf.errors import ConfigError, GeometryError, LabelError


def network():
    maps, places = keras.Input((4, 6, 8)), keras.Input((4, 6, 8), dtype="int32")
    x = addons.layers.InstanceNormalization(epsilon=1e-5)(maps)
    x = addons.layers.GroupNormalization(groups=4)(x)
    x = addons.layers.MaxUnpooling2D()(x, places)
    return keras.Model([maps, places], keras.layers.Conv2D(1, 1, activation="sigmoid")(x))


def batch(count=2):
    maps = np.random.default_rng(0).normal(size=(count, 4, 6, 8)).astype("float32")
    row, column = np.mgrid[:4, :6]
    places = ((2 * row * 12 + 2 * column)[..., None] * 8 + np.arange(8)).astype("int32")
    return [maps, np.tile(places, (count, 1, 1, 1))]


def test_a_network_with_these_layers_is_saved_and_opened(tmp_path):
    model = network()
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.output_shape == (None, 8, 12, 1)
    assert np.array_equal(model.predict_on_batch(batch()), again.predict_on_batch(batch()))


def test_a_network_is_trained_with_these_losses_and_optimizers():
    model = network()
    loss = addons.losses.SigmoidFocalCrossEntropy(reduction="sum_over_batch_size")
    model.compile(addons.optimizers.AdamW(1e-4), loss)
    before = model.get_weights()
    model.train_on_batch(batch(), np.ones((2, 8, 12, 1)))
    assert any(np.any(a != b) for a, b in zip(before, model.get_weights(), strict=True))


@pytest.mark.parametrize("decay", [0.01, "falling"])
@pytest.mark.parametrize("kind", ["AdamW", "SGDW"])
def test_an_optimizer_comes_back_from_its_configuration(kind, decay):
    if decay == "falling":
        decay = keras.optimizers.schedules.PiecewiseConstantDecay([4], [0.01, 0.001])
    optimizer = getattr(addons.optimizers, kind)(decay, 0.1, exclude_from_weight_decay=["bias"])
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert again.get_config() == optimizer.get_config() and again.excluded == ["bias"]
    assert type(again.decay) is type(optimizer.decay)


@pytest.mark.parametrize(
    "thing",
    [
        addons.losses.SigmoidFocalCrossEntropy(alpha=0.6),
        addons.metrics.F1Score(3, "macro", threshold=0.5),
        addons.metrics.FBetaScore(3, beta=2.0),
    ],
    ids=lambda thing: type(thing).__name__,
)
def test_a_loss_or_metric_comes_back_from_its_configuration(thing):
    again = type(thing).from_config(thing.get_config())
    assert again.get_config() == thing.get_config()


def test_an_image_is_refused_by_f_scores_with_a_remedy():
    metric = addons.metrics.F1Score(3)
    image = np.zeros((2, 4, 4, 3))
    with pytest.raises(LabelError, match=r"y_true has shape \(2, 4, 4, 3\).*reshape"):
        metric.update_state(image, image)


def test_half_a_pixel_of_flow_reads_between_two_pixels_and_the_sign_is_minus():
    image = np.arange(5.0, dtype="float32").reshape(1, 1, 5, 1).repeat(2, axis=1)
    flow = np.zeros((1, 2, 5, 2), "float32")
    flow[..., 1] = 0.5
    moved = keras.ops.convert_to_numpy(addons.image.dense_image_warp(image, flow))
    assert moved[0, 0, :, 0].tolist() == [0, 0.5, 1.5, 2.5, 3.5]


def test_infinity_is_the_distance_to_a_background_that_is_not_there():
    assert np.all(np.isinf(addons.image.euclidean_dist_transform(np.ones((3, 4), "uint8"))))


@pytest.mark.parametrize("images", [np.zeros((2, 3), "float32"), np.zeros((2, 3), "int64")])
def test_distances_of_what_is_no_mask_are_refused(images):
    with pytest.raises(LabelError, match="label == 1"):
        addons.image.euclidean_dist_transform(images)


def test_components_are_counted_through_the_batch_and_by_value():
    planes = np.array([[[1, 1, 2]], [[2, 0, 2]]])
    assert addons.image.connected_components(planes).tolist() == [[[1, 1, 2]], [[3, 0, 4]]]
    assert addons.image.connected_components(planes[0] * 0.5).tolist() == [[1, 1, 2]]


@pytest.mark.parametrize(
    "error, words, function",
    [
        (GeometryError, r"shape \(5,\)", lambda i: i.rotate(np.zeros(5, "float32"), 0.1)),
        (GeometryError, "flow of shape", lambda i: i.dense_image_warp(np.zeros((1, 4, 4, 1)), [0])),
        (GeometryError, "give", lambda i: i.connected_components(np.zeros((1, 2, 3, 4), int))),
        (ConfigError, "REFLECT", lambda i: i.gaussian_filter2d(np.zeros((4, 4)), padding="mirror")),
        (ConfigError, "1, 2, 3", lambda i: i.sparse_image_warp(np.zeros((4, 4)), [], [], 4)),
    ],
)
def test_what_image_functions_refuse(error, words, function):
    with pytest.raises(error, match=words):
        function(addons.image)


def test_other_arguments_out_of_range_are_refused():
    with pytest.raises(ConfigError, match="gamma is -1"):
        addons.losses.sigmoid_focal_crossentropy([[1.0]], [[0.5]], gamma=-1)
    with pytest.raises(ConfigError, match="padding is 'same'"):
        addons.layers.MaxUnpooling2D(padding="same")
