"""Pooling that moves one position at a time over samples that lie apart."""

import functools

import keras
from keras import ops

from medseg_tf.errors import ConfigError


@keras.saving.register_keras_serializable("medseg_tf")
class DilatedPooling(keras.layers.Layer):
    """Maximum or mean of `pool_size` samples that lie `dilation_rate` apart; stride 1, no padding.

    (batch, *spatial, channels) -> the same with each side shorter by (pool_size - 1) * dilation.
    Keras' own poolings know no dilation. One axis after the other, as shifted slices: a pool of
    p x p costs 2 p passes over the map and not p * p.

    Args:
        pool_size: samples, one whole number an axis.
        dilation_rate: positions from one sample to the next, one an axis.
        kind: "max" or "average".

    Raises:
        ConfigError: another kind, or numbers that are not 1 or more, one an axis.

    Source: "max-filtering" or filter rarefaction; Giusti et al., ICIP 2013, arXiv:1302.1700;
    Long, Shelhamer, Darrell, CVPR 2015, section 3.2.
    """

    def __init__(self, pool_size, dilation_rate, kind="max", **kwargs):
        super().__init__(**kwargs)
        self.pool_size, self.dilation_rate = tuple(pool_size), tuple(dilation_rate)
        self.kind = kind
        numbers = (*self.pool_size, *self.dilation_rate)
        if len(self.pool_size) != len(self.dilation_rate) or min(numbers, default=0) < 1:
            raise ConfigError(
                f"DilatedPooling: pool_size={pool_size}, dilation_rate={dilation_rate}; give one "
                "whole number from 1 an axis, e.g. (2, 2) and (4, 4)."
            )
        if kind not in ("max", "average"):
            raise ConfigError(f"DilatedPooling: kind is {kind!r}; choose 'max' or 'average'.")

    def call(self, inputs):
        x = inputs
        for axis, (samples, apart) in enumerate(
            zip(self.pool_size, self.dilation_rate, strict=True), start=1
        ):
            reach = (samples - 1) * apart
            shifted = [
                x[(slice(None),) * axis + (slice(start, (start - reach) or None),)]
                for start in range(0, reach + 1, apart)
            ]
            x = functools.reduce(ops.maximum if self.kind == "max" else ops.add, shifted)
            x = x / samples if self.kind == "average" else x
        return x

    def compute_output_shape(self, input_shape):
        sides = [
            size and size - (samples - 1) * apart
            for size, samples, apart in zip(
                input_shape[1:-1], self.pool_size, self.dilation_rate, strict=True
            )
        ]
        if any(size is not None and size < 1 for size in sides):
            raise ValueError(f"{self.name}: nothing is left of {input_shape} after pooling.")
        return (input_shape[0], *sides, input_shape[-1])

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype=self.compute_dtype)

    def get_config(self):
        own = {"pool_size": self.pool_size, "dilation_rate": self.dilation_rate}
        return super().get_config() | own | {"kind": self.kind}
