"""Max-pooling that remembers where its maxima lay, and the unpooling that puts them back there."""

import math

import keras
from keras import ops

from medseg_tf.errors import ConfigError


class _Blocks(keras.layers.Layer):
    """What both layers share: the side of the blocks, and maps cut into them."""

    def __init__(self, pool_size=2, **kwargs):
        super().__init__(**kwargs)
        if pool_size < 1:
            raise ConfigError(f"{type(self).__name__}: pool_size={pool_size}; give 1 or more.")
        self.pool_size = pool_size

    def cut(self, x, sides):
        """(batch, *sides, channels) -> (batch, *blocks, channels, pool_size ** rank)."""
        side, rank = self.pool_size, len(sides)
        whole = tuple(slice(0, size // side * side) for size in sides)
        split = [part for size in sides for part in (size // side, side)]
        x = ops.reshape(x[(slice(None), *whole)], (-1, *split, x.shape[-1]))
        x = ops.transpose(x, (0, *range(1, 2 * rank, 2), 2 * rank + 1, *range(2, 2 * rank + 1, 2)))
        return ops.reshape(x, (*ops.shape(x)[: rank + 2], side**rank))

    def get_config(self):
        return super().get_config() | {"pool_size": self.pool_size}


@keras.saving.register_keras_serializable("medseg_tf")
class MaxPoolingWithIndices(_Blocks):
    """Largest value of each block, and where it lay.

    (batch, *spatial, channels) -> two maps (batch, *spatial // pool_size, channels): the maxima,
    and the switches, int32: the position of each maximum in its channel, counted row by row
    through the whole input. Of equal values the first counts. Rows that fill no block are left out.

    Args:
        pool_size: side of the blocks, which do not overlap.

    Source: Zeiler, Fergus, ECCV 2014, section 2.1 (the switches).
    """

    def call(self, inputs):
        sides = ops.shape(inputs)[1:-1]
        values = self.cut(inputs, sides)
        place = ops.reshape(ops.arange(math.prod(sides), dtype="int32"), (1, *sides, 1))
        offset = ops.argmax(values, axis=-1)
        chosen = ops.one_hot(offset, values.shape[-1], dtype="int32")
        return ops.max(values, axis=-1), ops.sum(chosen * self.cut(place, sides), axis=-1)

    def compute_output_spec(self, inputs):
        sides = [size and size // self.pool_size for size in inputs.shape[1:-1]]
        shape = (inputs.shape[0], *sides, inputs.shape[-1])
        return keras.KerasTensor(shape, self.compute_dtype), keras.KerasTensor(shape, "int32")


@keras.saving.register_keras_serializable("medseg_tf")
class MaxUnpooling(_Blocks):
    """Put each value back where the maximum lay, zeros elsewhere.

    Called with three maps: values and switches (batch, *spatial // pool_size, channels), as
    `MaxPoolingWithIndices` gives them, and one of the size to return (batch, *spatial, any), the
    pooling's input, of which only the size is looked at. Returns (batch, *spatial, channels).

    Args:
        pool_size: that of the pooling.

    Source: Zeiler, Fergus, ECCV 2014, section 2.1.
    """

    def call(self, values, switches, like):
        side = self.pool_size
        sides = ops.shape(like)[1:-1]
        blocks = ops.shape(values)[1:-1]
        rank, channels = len(sides), values.shape[-1]
        offset, rest = 0, switches
        for axis in reversed(range(rank)):  # the last axis runs fastest, in blocks as in the map
            offset += rest % sides[axis] % side * side ** (rank - 1 - axis)
            rest = rest // sides[axis]
        x = values[..., None] * ops.one_hot(offset, side**rank, dtype=values.dtype)
        x = ops.reshape(x, (-1, *blocks, channels, *(side,) * rank))
        pairs = [axis for place in range(1, rank + 1) for axis in (place, rank + 1 + place)]
        x = ops.transpose(x, (0, *pairs, rank + 1))
        x = ops.reshape(x, (-1, *(size * side for size in blocks), channels))
        if all(size and size % side == 0 for size in like.shape[1:-1]):
            return x
        left = [(0, size - count * side) for size, count in zip(sides, blocks, strict=True)]
        return ops.pad(x, [(0, 0), *left, (0, 0)])

    def compute_output_spec(self, values, switches, like):
        shape = (values.shape[0], *like.shape[1:-1], values.shape[-1])
        return keras.KerasTensor(shape, self.compute_dtype)
