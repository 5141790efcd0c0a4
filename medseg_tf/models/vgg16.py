"""VGG-16: thirteen 3 x 3 convolutions in five blocks, three dense layers.

Source: Simonyan, Zisserman, ICLR 2015, arXiv:1409.1556, table 1, configuration D. With the
defaults it has 138,357,544 weights, 14,714,688 of them in the convolutions (tested).
Layers are named as in keras.applications.VGG16, so ImageNet's weights are handed on by
    hand_on(keras.applications.VGG16(), vgg16())
They expect images in BGR order, 0..255, minus (103.939, 116.779, 123.68).
"""

import keras

from medseg_tf.errors import ConfigError
from medseg_tf.models import blocks

CONVOLUTIONS = (2, 2, 3, 3, 3)  # of each block
WIDENING = (1, 2, 4, 8, 8)  # channels of each block, in units of the first one's
DENSE = 64  # units of the two dense layers, in the same units: 4096


@blocks.builder
def vgg16(
    input_shape=(224, 224, 3),
    classes=1000,
    width=64,
    dropout=0.5,
    activation="softmax",
    name="vgg16",
):
    """Build a VGG-16: (batch, *spatial, channels) -> (batch, classes), float32.

    Args:
        input_shape: (rows, columns, channels) or (x, y, z, channels); every size given.
        classes: number of classes.
        width: channels of the first block; the dense layers have 64 times as many units.
        dropout: fraction dropped after each of the two dense layers.
        activation: "softmax" for probabilities, None for logits.

    Raises:
        ConfigError: a size that is open (`fcn` takes those) or below 32.
    """
    check_closed("vgg16", input_shape, smallest=2 ** len(CONVOLUTIONS))
    inputs = keras.Input(input_shape, name="image")
    x = keras.layers.Flatten(name="flatten")(trunk(inputs, width)[-1])
    for number in (1, 2):
        x = dense(x, DENSE * width, name=f"fc{number}")
        x = keras.layers.Dropout(dropout, name=f"fc{number}_dropout")(x)
    x = dense(x, classes, None, name="predictions")
    x = keras.layers.Activation(activation, dtype="float32", name="output")(x)
    return keras.Model(inputs, x, name=name)


def trunk(x, width=64, first="same"):
    """Return the five pooled maps, finest first: strides 2, 4, 8, 16 and 32.

    Poolings round up, as in Caffe: no position of an odd map is dropped.

    Args:
        x: image (batch, *spatial, channels).
        width: channels of the first block.
        first: padding of the first convolution; "valid" where `x` is padded already.
    """
    maps = []
    for block, (count, times) in enumerate(zip(CONVOLUTIONS, WIDENING, strict=True), start=1):
        for number in range(1, count + 1):
            padding = first if block == number == 1 else "same"
            x = blocks.conv(x, width * times, 3, padding, name=f"block{block}_conv{number}")
        pool = blocks.by_rank("MaxPooling{}D", x)
        x = pool(2, padding="same", name=f"block{block}_pool")(x)
        maps.append(x)
    return maps


def dense(x, units, activation="relu", name=None):
    """Dense layer with bias, its first weights spread as those of a convolution."""
    initial = blocks.he_normal(x.shape[-1])
    return keras.layers.Dense(units, activation=activation, kernel_initializer=initial, name=name)(
        x
    )


def check_closed(where, input_shape, smallest):
    """Raise ConfigError unless `input_shape` has 2 or 3 spatial sizes of `smallest` or more."""
    if len(input_shape) not in (3, 4) or min(size or 0 for size in input_shape[:-1]) < smallest:
        raise ConfigError(
            f"{where}: input_shape is {tuple(input_shape)}; give (rows, columns, channels) or "
            f"(x, y, z, channels) of at least {smallest} positions each: dense layers need to know "
            "the size. For open sizes there is models.fcn."
        )
