"""Channels of zeros: on maps of any rank, with a batch left open, and what is refused."""

import keras
import numpy as np
import pytest

from medseg_tf.errors import ConfigError
from medseg_tf.layers import PadChannels
from medseg_tf.models import macs, receptive_field


@pytest.mark.parametrize("space", [(), (3, 4), (2, 3, 4)])
@pytest.mark.parametrize("channels", [2, 5])
def test_zeros_come_after_the_channels_that_are_there(space, channels):
    x = np.random.default_rng(0).normal(size=(2, *space, 2)).astype("float32")
    result = np.asarray(PadChannels(channels)(x))
    assert result.shape == (2, *space, channels)
    assert np.array_equal(result[..., :2], x) and not np.any(result[..., 2:])


def test_a_model_with_it_is_measured_and_saved(tmp_path):
    inputs = keras.Input((None, None, 1))
    x = PadChannels(3)(keras.layers.Conv2D(2, 3, padding="same")(inputs))
    model = keras.Model(inputs, x)
    assert model.output_shape == (None, None, None, 3)
    assert (receptive_field(model), macs(model, (4, 4))) == ((3, 3), 16 * 9 * 2)
    model.save(tmp_path / "model.keras")
    image = np.ones((1, 4, 4, 1), "float32")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert np.array_equal(again(image), model(image))


def test_fewer_channels_than_there_are_are_refused():
    with pytest.raises(ConfigError, match="4 channels cannot be padded to 3"):
        PadChannels(3)(np.zeros((1, 2, 2, 4), "float32"))
