"""Local response normalisation: channels that are active together damp each other."""

import keras
from keras import ops

from medseg_tf.errors import ConfigError


@keras.saving.register_keras_serializable("medseg_tf")
class LocalResponseNormalization(keras.layers.Layer):
    """Divide each channel by what its neighbours among the channels say at the same position.

        b_i = a_i / (bias + alpha * sum of a_j**2 over |j - i| <= size // 2) ** beta

    The sum ends where the channels end. (..., channels) -> the same shape.

    Args:
        size: channels in the sum, the middle one included; odd.
        bias, alpha, beta: the formula's, as published by default. TensorFlow's own function has
            other defaults and counts a radius. Caffe divides alpha by `size`: its copy of AlexNet
            is bias=1, alpha=1e-4 / 5.

    Raises:
        ConfigError: an even size, or one below 1.

    Source: Krizhevsky, Sutskever, Hinton, NIPS 2012, section 3.3.
    """

    def __init__(self, size=5, bias=2.0, alpha=1e-4, beta=0.75, **kwargs):
        super().__init__(**kwargs)
        self.size, self.bias, self.alpha, self.beta = size, bias, alpha, beta
        if size < 1 or size % 2 == 0:
            raise ConfigError(
                f"LocalResponseNormalization: size is {size}; an odd number has a middle, e.g. 5."
            )

    def call(self, inputs):
        # In half precision alpha's share of the sum would be lost.
        squares = ops.square(ops.cast(inputs, "float32"))
        count, side = inputs.shape[-1], self.size // 2
        padded = ops.pad(squares, [(0, 0)] * (len(inputs.shape) - 1) + [(side, side)])
        total = sum(padded[..., start : start + count] for start in range(self.size))
        return inputs * ops.cast((self.bias + self.alpha * total) ** -self.beta, inputs.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        own = {"size": self.size, "bias": self.bias, "alpha": self.alpha, "beta": self.beta}
        return super().get_config() | own
