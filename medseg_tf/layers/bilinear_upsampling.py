"""Upsampling by a transposed convolution that interpolates, and the crop that puts it in place."""

import keras
import numpy as np
from keras import ops

from medseg_tf.errors import ConfigError


@keras.saving.register_keras_serializable("medseg_tf")
class BilinearUpsampling(keras.layers.Layer):
    """Enlarge (batch, *spatial, channels), 2-D or 3-D, each channel by itself, until it learns.

    A fixed layer has no weights: its kernel is zero between channels, and they never mix. A
    learned one starts with the same kernel and trains all of it, channels * channels * kernel ** 2
    numbers (in 3-D cubed), so it may come to mix them: that is the published deconvolution. The
    paper keeps the last one fixed and learns the others; the authors' released networks store
    such full kernels, and fix all of them.

    Outside of the map counts as 0, so that values fade towards the border; inside, the result is
    that of keras.layers.UpSampling2D(factor, interpolation="bilinear").

    Args:
        factor: how many times as large; int.
        learned: train the kernel. "grouped" trains a kernel for each channel, channels * kernel **
            2 numbers, and keeps channels apart.
        kernel: side of the kernel, 2 * factor or 2 * factor - 1; None is the even one for an even
            factor, the odd one for an odd factor.
        padding: "valid" for (size - 1) * factor + kernel positions, "same" for size * factor.

    Raises:
        ConfigError: a factor below 1, a kernel that does not interpolate, an unknown choice.

    Source: Long, Shelhamer, Darrell, CVPR 2015, section 3.3; the kernel is the "bilinear" filler of
    their framework, Caffe.
    """

    def __init__(self, factor, learned=False, kernel=None, padding="same", **kwargs):
        super().__init__(**kwargs)
        self.factor, self.learned, self.padding = factor, learned, padding
        self.side = 2 * factor - factor % 2 if kernel is None else kernel
        if factor < 1 or self.side not in (2 * factor - 1, 2 * factor):
            raise ConfigError(
                f"BilinearUpsampling: factor {factor}, kernel {self.side}; the factor is 1 or "
                "more, and a kernel of 2 * factor - 1 or 2 * factor interpolates."
            )
        if padding not in ("valid", "same") or learned not in (False, True, "grouped"):
            raise ConfigError(
                f"BilinearUpsampling: padding is {padding!r}, learned {learned!r}; choose 'valid' "
                "or 'same', and False, True or 'grouped'."
            )

    def build(self, input_shape):
        rank, channels = len(input_shape) - 2, input_shape[-1]
        # The names of Keras' own transposed convolutions, by which networks are measured and drawn.
        self.kernel_size, self.strides = (self.side,) * rank, (self.factor,) * rank
        self.dilation_rate, self.output_padding = (1,) * rank, None
        tent = bilinear(self.side, rank)[..., None]
        if self.learned == "grouped":
            first = np.repeat(tent, channels, axis=-1)
        else:
            first = tent[..., None] * np.eye(channels, dtype="float32")
        if self.learned:
            self.kernel = self.add_weight(
                shape=first.shape,
                initializer=lambda shape, dtype: ops.cast(first, dtype),
                name="kernel",
            )
        else:
            self.kernel = first

    def call(self, inputs):
        kernel = ops.cast(self.kernel, inputs.dtype)
        if self.learned == "grouped":  # Keras' transposed convolution knows no groups
            kernel = kernel[..., None] * ops.eye(inputs.shape[-1], dtype=kernel.dtype)
        return ops.conv_transpose(inputs, kernel, self.factor, self.padding)

    def compute_output_shape(self, input_shape):
        more = self.side - self.factor if self.padding == "valid" else 0
        space = [size and size * self.factor + more for size in input_shape[1:-1]]
        return (input_shape[0], *space, input_shape[-1])

    def get_config(self):
        own = {"factor": self.factor, "learned": self.learned}
        return super().get_config() | own | {"kernel": self.side, "padding": self.padding}


def bilinear(side, rank=1):
    """Return Caffe's bilinear kernel: (side,) * rank, float32. Side 4: .25 .75 .75 .25."""
    half = (side + 1) // 2
    tent = (1 - abs(np.arange(side) - (side - 1) / 2) / half).astype("float32")
    kernel = tent
    for _ in range(rank - 1):
        kernel = kernel[..., None] * tent
    return kernel


@keras.saving.register_keras_serializable("medseg_tf")
class CropLike(keras.layers.Layer):
    """Cut the first of two maps, from `offset` on along each spatial axis, to the second's size.

    Called with [map, other]: (batch, *spatial, channels) each, of any sizes, also open ones.

    Args:
        offset: positions left out at the start of each axis; the rest is left out at the end.

    Source: the "Crop" layer of the framework Caffe.
    """

    def __init__(self, offset, **kwargs):
        super().__init__(**kwargs)
        self.offset = offset

    def call(self, inputs):
        x, other = inputs
        space = ops.shape(other)[1:-1]
        return x[(slice(None), *(slice(self.offset, self.offset + size) for size in space))]

    def compute_output_shape(self, input_shape):
        x, other = input_shape
        return (x[0], *other[1:-1], x[-1])

    def get_config(self):
        return super().get_config() | {"offset": self.offset}
