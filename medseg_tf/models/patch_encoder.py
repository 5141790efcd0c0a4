"""Patch encoder: a patch in, a vector of length 1 out, for clustering.

Sources: Yang, Parikh, Batra, CVPR 2016 (JULE; layers and initial weights as in their released
code); Moriya et al., SPIE Medical Imaging 10578, 2018, arXiv:1804.03830 (three dimensions).
As calls (each number is tested):
    patch_encoder()                                      Moriya's, 27 x 27 x 27:     848,160 weights
    patch_encoder((28, 28, 1), maps=(50, 50))            JULE's for MNIST:           576,410
    patch_encoder((15, 15, 15, 1), (16,) * 3, 3, dense=(64,), features=32)            24,832

Moriya et al. name three convolutions, a pooling, and fully connected layers of 1350 and 160. A
pooling behind the first convolution leaves 3 x 3 x 3 x 50 = 1350 numbers, so we take 1350 for what
is left and 160 for the one dense layer; pool_after=3 with dense=(1350,) is the other reading.
"""

import keras

from medseg_tf.errors import ConfigError
from medseg_tf.layers import BatchNormalization
from medseg_tf.models import blocks


@blocks.builder
def patch_encoder(
    input_shape=(27, 27, 27, 1),
    maps=(50, 50, 50),
    kernel=5,
    pool_after=1,
    dense=(),
    features=160,
    name="patch_encoder",
):
    """Build an encoder of patches: (batch, *patch, channels) -> (batch, features), float32.

    Each convolution, without padding, is followed by batch normalisation and ReLU; after one of
    them a max-pooling halves the map. The output is divided by its length.

    Args:
        input_shape: (rows, columns, channels) or (x, y, z, channels) of a patch; none is open.
        maps: channels of each convolution.
        kernel: side of the convolutions.
        pool_after: number of the convolution that the pooling follows, from 1.
        dense: units of further dense layers with ReLU before the last one.
        features: numbers that describe a patch.

    Raises:
        ConfigError: a patch too small for the layers, or no such convolution to pool after.
    """
    check(input_shape, maps, kernel, pool_after)

    def fully_connected(x, units, activation, title):
        # Of several dense layers in a row the released code's deviation, .01, would leave nothing.
        start = keras.initializers.RandomNormal(stddev=0.01)
        if dense:
            start = blocks.he_normal(x.shape[-1])
        return keras.layers.Dense(units, activation, kernel_initializer=start, name=title)(x)

    x = inputs = keras.Input(input_shape, name="patch")
    for number, channels in enumerate(maps, start=1):
        x = blocks.conv(x, channels, kernel, "valid", activation=None, name=f"conv{number}")
        # Few steps lie between two looks at the features: the means must keep pace.
        x = BatchNormalization(momentum=0.9, name=f"conv{number}_norm")(x)
        x = keras.layers.Activation("relu", name=f"conv{number}_act")(x)
        if number == pool_after:
            x = blocks.max_pool(x, name="pool")
    x = keras.layers.Flatten(name="flatten")(x)
    for number, units in enumerate(dense, start=1):
        x = fully_connected(x, units, "relu", f"dense{number}")
    x = fully_connected(x, features, None, "features")
    outputs = keras.layers.UnitNormalization(dtype="float32", name="output")(x)
    return keras.Model(inputs, outputs, name=name)


def check(input_shape, maps, kernel, pool_after):
    if not 1 <= pool_after <= len(maps):
        raise ConfigError(
            f"patch_encoder: pool_after={pool_after} of {len(maps)} convolutions; give the number "
            "of one of them, from 1."
        )
    smallest = 1
    for number in range(len(maps), 0, -1):
        smallest = smallest * (2 if number == pool_after else 1) + kernel - 1
    sides = tuple(input_shape[:-1])
    if len(input_shape) not in (3, 4) or None in sides or min(sides) < smallest:
        raise ConfigError(
            f"patch_encoder: input_shape {tuple(input_shape)}; it is a patch's (rows, columns, "
            f"channels) or (x, y, z, channels), and {len(maps)} convolutions of side {kernel} with "
            f"a pooling need sides of {smallest} or more."
        )
