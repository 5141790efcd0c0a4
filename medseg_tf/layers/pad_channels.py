"""Channels of zeros, for a shortcut that has no weights."""

import keras
from keras import ops

from medseg_tf.errors import ConfigError


@keras.saving.register_keras_serializable("medseg_tf")
class PadChannels(keras.layers.Layer):
    """Append channels of zeros, so that two maps can be added: (..., c) -> (..., channels).

    Args:
        channels: how many there are afterwards.

    Raises:
        ConfigError: the map has more than that already.

    Source: He, Zhang, Ren, Sun, CVPR 2016, arXiv:1512.03385, section 3.3, option A.
    """

    def __init__(self, channels, **kwargs):
        super().__init__(**kwargs)
        self.channels = channels

    def build(self, input_shape):
        if input_shape[-1] > self.channels:
            raise ConfigError(
                f"PadChannels: a map of {input_shape[-1]} channels cannot be padded to "
                f"{self.channels}; give as many or more."
            )

    def call(self, inputs):
        missing = self.channels - inputs.shape[-1]
        return ops.pad(inputs, [(0, 0)] * (len(inputs.shape) - 1) + [(0, missing)])

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.channels)

    def get_config(self):
        return super().get_config() | {"channels": self.channels}
