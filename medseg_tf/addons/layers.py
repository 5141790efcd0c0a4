"""TFA's layers for segmentation: group and instance normalisation, unpooling."""

import keras
from keras import ops

from medseg_tf.errors import ConfigError

from .today import pair, refuse

__all__ = ["GroupNormalization", "InstanceNormalization", "MaxUnpooling2D"]
__getattr__ = refuse("layers")


@keras.saving.register_keras_serializable("medseg_tf")
class GroupNormalization(keras.layers.GroupNormalization):
    """Normalise each image within groups of channels: (batch, *spatial, channels), same shape.

    TFA: a layer of its own. Today: keras.layers.GroupNormalization, unchanged, in 2-D and 3-D.
    What bites: nothing against TFA 0.23; early releases of TFA had 2 groups by default, this has
    32, and the channels must be a multiple of them (ValueError).
    Source: Wu, He, ECCV 2018.
    """


@keras.saving.register_keras_serializable("medseg_tf")
class InstanceNormalization(keras.layers.GroupNormalization):
    """Normalise each channel of each image by itself: (batch, *spatial, channels), same shape.

    TFA: GroupNormalization with as many groups as channels. Today: Keras has no layer of this name;
    keras.layers.GroupNormalization(groups=-1) is it. Takes that layer's other arguments.
    What bites: epsilon is 1e-3 as in TFA, where papers and PyTorch mostly have 1e-5; on dark,
    nearly constant channels that is visible.
    Source: Ulyanov, Vedaldi, Lempitsky, arXiv:1607.08022, 2016.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs | {"groups": -1})


@keras.saving.register_keras_serializable("medseg_tf")
class MaxUnpooling2D(keras.layers.Layer):
    """Put each maximum back to where it lay, zeros elsewhere.

    Called with `updates`, the maxima (batch, rows, columns, channels), and `mask`, integers of the
    same shape: the place of each maximum in its image, (row * columns + column) * channels +
    channel, as tf.nn.max_pool_with_argmax gives them (include_batch_in_index=False, its default).
    Returns maps as large as the pooling's input.

    TFA: a scatter in TensorFlow. Today: Keras has no such layer; keras.ops.scatter does the work.
    What bites: the size is computed, not known: an odd side comes back one larger, and where the
    columns are odd the places are misread, too. There are no volumes. medseg_tf.layers has
    MaxPoolingWithIndices and MaxUnpooling, which know odd sizes and volumes (their switches do not
    count channels).
    Source: Badrinarayanan, Kendall, Cipolla, IEEE TPAMI 2017 (SegNet).

    Raises: ConfigError unless `padding` is "SAME" or "VALID".
    """

    def __init__(self, pool_size=(2, 2), strides=(2, 2), padding="SAME", **kwargs):
        super().__init__(**kwargs)
        if padding not in ("SAME", "VALID"):
            raise ConfigError(
                f"MaxUnpooling2D: padding is {padding!r}; give that of the pooling, 'SAME' or "
                "'VALID'."
            )
        self.pool_size = pair(pool_size)
        self.strides = pair(strides)
        self.padding = padding

    def call(self, updates, mask):
        batch, rows, columns, channels = ops.shape(updates)
        rows, columns = self.sides(rows, columns)
        size = rows * columns * channels
        first = size * ops.reshape(ops.arange(batch, dtype="int32"), (-1, 1, 1, 1))
        places = ops.reshape(ops.cast(mask, "int32") + first, (-1, 1))
        flat = ops.scatter(places, ops.reshape(updates, (-1,)), (batch * size,))
        return ops.reshape(flat, (-1, rows, columns, channels))

    def sides(self, *pooled):
        """Return rows and columns of the pooling's input; None where they are not known yet."""
        whole = []
        for size, pool, stride in zip(pooled, self.pool_size, self.strides, strict=True):
            extra = 0 if self.padding == "SAME" else pool - stride
            whole.append(None if size is None else size * stride + extra)
        return whole

    def compute_output_spec(self, updates, mask):
        batch, rows, columns, channels = updates.shape
        shape = (batch, *self.sides(rows, columns), channels)
        return keras.KerasTensor(shape, self.compute_dtype)

    def get_config(self):
        own = {"pool_size": self.pool_size, "strides": self.strides, "padding": self.padding}
        return super().get_config() | own
