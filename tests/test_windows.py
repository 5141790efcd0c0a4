"""by_windows: the same map as one pass of the dense twin, whatever the image."""

import keras
import numpy as np
import pytest

from medseg_tf import models
from medseg_tf.data import Case, Grid, Scan
from medseg_tf.errors import ConfigError, ModelError
from medseg_tf.inference import by_windows, probabilities, segment


def scan(*shape, channels=1):
    array = np.random.default_rng(0).normal(2, 3, size=(*shape, channels))
    return Scan(array.astype("float32"), Grid(shape))


def net(*window, channels=1, **more):
    keras.utils.set_random_seed(0)
    options = {"maps": (3, 4), "kernels": (4, 3), "dense": (5,)} | more
    return models.sliding_window((*window, channels), 3, **options)


@pytest.mark.parametrize("window", [(15, 15), (12, 17), (14, 14)], ids=["odd", "uneven", "even"])
@pytest.mark.parametrize("shape", [(24, 31), (20, 6), (1, 3)])
def test_one_pass_of_the_dense_twin_gives_the_same_at_every_pixel(window, shape):
    model, image = net(*window), scan(*shape)
    slow, fast = by_windows(model, image, batch=64), probabilities(models.dense_twin(model), image)
    assert slow.shape == (*shape, 3) and slow.dtype == np.float32
    np.testing.assert_allclose(slow, fast, atol=1e-5)


def test_it_is_the_same_in_volumes_and_for_several_channels():
    model, image = net(11, 13, 12, channels=2), scan(6, 5, 7, channels=2)
    fast = probabilities(models.dense_twin(model), image)
    np.testing.assert_allclose(by_windows(model, image), fast, atol=1e-5)


def test_a_window_whose_last_rows_are_not_used_is_still_centred():
    model = net(22, 22, maps=(2, 2), kernels=(3, 3), dense=())  # 22, 20, 10, 8, 4: all used
    unused = net(25, 25, maps=(2, 2), kernels=(3, 3), dense=())  # 25, 23, 11, 9, 4: three are not
    assert models.receptive_field(unused) == models.receptive_field(model) == (22, 22)
    image = scan(20, 24)
    found = by_windows(unused, image)
    np.testing.assert_allclose(found, probabilities(models.dense_twin(unused), image), atol=1e-5)
    # The small window of pixel p starts at p - 10, the large one at p - 12.
    unused.set_weights(model.get_weights())
    small, large = by_windows(model, image), by_windows(unused, image)
    np.testing.assert_allclose(large[2:, 2:], small[:-2, :-2], atol=1e-5)


def test_tiles_of_the_dense_twin_agree_with_a_single_pass():
    twin, image = models.dense_twin(net(15, 15)), scan(40, 50)
    np.testing.assert_array_equal(probabilities(twin, image, tile=30), probabilities(twin, image))


def test_a_pixel_is_the_middle_of_its_window():
    model = net(15, 15)
    image = scan(30, 30)
    found = by_windows(model, image, normalize=lambda array: array)
    window = image.array[10 - 7 : 10 + 8, 12 - 7 : 12 + 8]
    np.testing.assert_allclose(found[10, 12], model(window[None])[0, 0, 0], atol=1e-6)


@pytest.mark.parametrize("batch", [1, 7, 36, 1000])
def test_the_batch_does_not_change_the_answer(batch):
    model, image = net(12, 12), scan(6, 6)
    np.testing.assert_allclose(
        by_windows(model, image, batch=batch), by_windows(model, image, batch=8), atol=1e-6
    )


def test_a_classifier_without_spatial_axes_in_its_output_will_do():
    keras.utils.set_random_seed(0)
    layers = keras.layers
    stack = [layers.Conv2D(2, 3, activation="tanh"), layers.Flatten(), layers.Dense(2)]
    model = keras.Sequential([keras.Input((7, 7, 1)), *stack])
    image = scan(9, 8)
    twin = models.dense_twin(model)
    np.testing.assert_allclose(by_windows(model, image), probabilities(twin, image), atol=1e-5)


def test_both_prepare_scans_as_the_recipe_says():
    model = net(11, 11)
    model.recipe["scans"] = {
        "spacing": [2, 2],
        "normalize": {"name": "window", "low": 0, "high": 4},
    }
    case = Case("a", scan(20, 24))
    slow, fast = by_windows(model, case), probabilities(models.dense_twin(model), case)
    assert slow.shape == (20, 24, 3)
    np.testing.assert_allclose(slow, fast, atol=1e-5)
    del model.recipe["scans"]
    assert np.abs(by_windows(model, case) - slow).max() > 1e-3


def test_the_twin_labels_a_case_on_its_own_grid():
    case = Case("a", scan(20, 24))
    labels = segment(models.dense_twin(net(12, 12)), case)
    assert labels.array.shape == (20, 24) and labels.grid is case.image.grid


def test_a_network_of_maps_is_sent_to_probabilities_and_back():
    with pytest.raises(ModelError, match="inference.probabilities"):
        by_windows(models.unet((60, 60, 1), 2, width=2, depth=2), scan(60, 60))
    with pytest.raises(ModelError, match="models.dense_twin"):
        layers = [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
        probabilities(keras.Sequential(layers), scan(8, 8))


def test_an_image_that_does_not_fit_the_network_or_an_empty_batch_is_refused():
    with pytest.raises(ModelError, match="channels"):
        by_windows(net(11, 11), scan(8, 8, channels=2))
    with pytest.raises(ModelError, match="rank"):
        by_windows(net(11, 11), scan(8, 8, 8))
    with pytest.raises(ConfigError, match="batch is 0"):
        by_windows(net(11, 11), scan(8, 8), batch=0)
