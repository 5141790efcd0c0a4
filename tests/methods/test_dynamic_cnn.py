"""The dynamic CNN: each video starts from the same network, and the first frame alone is told."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from medseg_tf import data, models
from medseg_tf.errors import ConfigError, LabelError
from medseg_tf.methods import dynamic_cnn, match_block
from medseg_tf.methods.fine_tuning import normalizations

FRAMES = 3


@pytest.fixture(scope="module")
def videos():
    frames = data.phantoms.ultrasound_cine(2, size=16, frames=FRAMES)
    return [frames[:FRAMES], frames[FRAMES:]]


@pytest.fixture(scope="module")
def model(videos):
    """An untrained network that calls half of the first frame foreground."""
    keras.utils.set_random_seed(0)
    shape = (16, 16, 1)
    made = models.unet(shape, 2, width=2, depth=1, padding="same", norm="batch", dropout=0)
    maps = np.log(np.asarray(made(data.z_score(videos[0][0].image.array)[None])))
    kernel, _ = made.get_layer("logits").get_weights()
    bias = np.array([np.median(maps[..., 1] - maps[..., 0]), 0])
    made.get_layer("logits").set_weights([kernel, bias])
    return made


def blind(video):
    """The video with the first frame's label alone."""
    return [video[0], *(replace(case, label=None) for case in video[1:])]


def test_without_steps_it_is_the_network_itself(model, videos):
    (maps, _) = dynamic_cnn(model, videos, deep=0, shallow=0)
    x = np.stack([data.z_score(case.image.array) for case in videos[0]])
    assert maps.shape == (FRAMES, 16, 16, 2) and maps.dtype == "float32"
    np.testing.assert_allclose(maps, model.predict(x, verbose=0), atol=1e-5)


def test_each_video_starts_anew_and_the_network_is_given_back(model, videos):
    before = model.get_weights()
    first, second = dynamic_cnn(model, videos, deep=3, shallow=2)
    for new, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(new, old)
    (alone,) = dynamic_cnn(model, videos[1:], deep=3, shallow=2)
    np.testing.assert_allclose(second, alone, atol=1e-5)
    assert not np.allclose(first, second)


def test_labels_of_later_frames_are_not_read(model, videos):
    (told,) = dynamic_cnn(model, videos[:1], deep=2, shallow=1)
    (blinded,) = dynamic_cnn(model, [blind(videos[0])], deep=2, shallow=1)
    np.testing.assert_allclose(told, blinded, atol=1e-5)
    other = replace(videos[0][0], label=data.Scan(0 * videos[0][0].label.array + 1,
                                                  videos[0][0].image.grid))  # fmt: skip
    (misled,) = dynamic_cnn(model, [[other, *videos[0][1:]]], deep=2, shallow=1)
    assert not np.allclose(told, misled, atol=1e-3)


def still_in(model, video, **options):
    """Names of layers that the tuned network shares with the one before."""
    before = {layer.name: layer.get_weights() for layer in model.layers if layer.weights}
    for _ in dynamic_cnn(model, [video], **options):  # the caller sees the tuned network
        now = {layer.name: layer.get_weights() for layer in model.layers if layer.weights}
    return {
        name
        for name in before
        if all(np.array_equal(a, b) for a, b in zip(before[name], now[name], strict=True))
    }


def test_deep_steps_move_all_layers_and_hold_the_statistics_unless_told_otherwise(model, videos):
    norms = {layer.name for layer in normalizations(model)}
    assert still_in(model, videos[0], deep=2, shallow=0) == norms
    assert still_in(model, videos[0], deep=2, shallow=0, hold=False) == set()
    assert all(layer.trainable for layer in model.layers)


def test_shallow_steps_leave_the_trunk_alone(model, videos):
    # The same frame again, and its label what the network finds: it is learned from.
    first = videos[0][0]
    found = answers(model, videos[0])[0]
    assert np.count_nonzero(found) == pytest.approx(128, abs=20)
    video = [replace(first, label=data.Scan(found, first.image.grid))] * 2
    still = still_in(model, video, deep=0, shallow=2)
    assert {name for name in still if not name.endswith("norm")} == {
        *("down0_conv1", "down0_conv2", "bottom_conv1", "bottom_conv2")
    }


def answers(model, video):
    (maps,) = dynamic_cnn(model, [video], deep=0, shallow=0)
    return maps.argmax(-1).astype("uint8")


def test_a_frame_whose_area_jumps_is_not_learned_from(model, videos):
    first = videos[0][0]
    point = np.zeros_like(first.label.array)
    point[8, 8] = 1  # what the network finds is many times larger, or nothing
    video = [replace(first, label=data.Scan(point, first.image.grid)), *videos[0][1:2]]
    assert np.count_nonzero(answers(model, video)[1]) != 1
    assert len(still_in(model, video, deep=0, shallow=2)) == len(
        [layer for layer in model.layers if layer.weights]
    )


def test_what_cannot_be_is_refused(model, videos):
    for wrong in ({"deep": -1}, {"shallow": -1}, {"batch": 1}):
        with pytest.raises(ConfigError, match="dynamic_cnn"):
            next(dynamic_cnn(model, videos, **wrong))
    unlabelled = [replace(videos[0][0], label=None), *videos[0][1:]]
    with pytest.raises(LabelError, match="frame 00"):
        next(dynamic_cnn(model, [unlabelled]))


@pytest.mark.parametrize("moved", [(0, 0), (2, -3), (-4, 4)])
def test_a_block_is_found_where_it_has_moved(moved):
    frame = np.random.default_rng(0).normal(size=(40, 40))
    place, apart = match_block(frame, np.roll(frame, moved, (0, 1)), (20, 18))
    assert place == (20 + moved[0], 18 + moved[1]) and apart == 0


def test_a_block_that_leaves_the_frame_is_refused():
    frame = np.zeros((20, 20))
    assert match_block(frame, frame, (9, 10))[1] == 0
    for point in [(8, 10), (10, 11)]:
        with pytest.raises(ConfigError, match="must lie inside"):
            match_block(frame, frame, point)
