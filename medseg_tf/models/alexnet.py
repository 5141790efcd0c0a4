"""AlexNet: five convolutions and three fully connected layers that hold nearly all the weights.

Source: Krizhevsky, Sutskever, Hinton, NIPS 2012, figure 2 and section 3.
As calls (each number is tested):
    alexnet()                two groups, for the paper's two GPUs              60,965,224 weights
    alexnet(groups=1)        every map sees every map                          62,378,344 weights

The text says 224 x 224, the arithmetic needs 227: (227 - 11) / 4 + 1 = 55. Weights start normal
with standard deviation .01; the biases of the second, fourth and fifth convolution and of the
hidden fully connected layers start at 1, the others at 0.
"""

import keras

from medseg_tf.errors import ConfigError
from medseg_tf.layers import LocalResponseNormalization
from medseg_tf.models import blocks

SMALLEST = 67  # at which the last pooling has a window left


@blocks.builder
def alexnet(
    input_shape=(227, 227, 3),
    classes=1000,
    groups=2,
    width=96,
    dropout=0.5,
    activation="softmax",
    name="alexnet",
):
    """Build AlexNet: (batch, *spatial, channels) -> (batch, classes), float32.

    Args:
        input_shape: (rows, columns, channels) or (x, y, z, channels); none is open.
        classes: units of the last layer.
        groups: parts of the second, fourth and fifth convolution that do not see one another.
        width: channels of the first convolution; all other layers keep the paper's proportions
            to it (256, 384, 384, 256 maps and 4096 units for 96). A multiple of 3 * groups.
        dropout: fraction dropped before each of the two hidden fully connected layers' outputs
            go on.
        activation: "softmax" for probabilities, None for logits.

    Raises:
        ConfigError: a width that its proportions do not divide, or an image too small.
    """
    sides = tuple(input_shape[:-1])
    if len(input_shape) not in (3, 4) or None in sides or min(sides) < SMALLEST:
        raise ConfigError(
            f"alexnet: input_shape {tuple(input_shape)}; give (rows, columns, channels) or (x, y, "
            f"z, channels) with sides of {SMALLEST} or more. The paper's is (227, 227, 3)."
        )
    inputs = keras.Input(input_shape, name="image")
    x = keras.layers.Flatten(name="flatten")(trunk(inputs, groups, width))
    for number in (6, 7):
        x = fully_connected(x, 128 * width // 3, "relu", 1, f"fc{number}")
        x = keras.layers.Dropout(dropout, name=f"dropout{number}")(x)
    x = fully_connected(x, classes, None, 0, "fc8")
    outputs = keras.layers.Activation(activation, dtype="float32", name="output")(x)
    return keras.Model(inputs, outputs, name=name)


def trunk(x, groups=2, width=96):
    """The convolutions and poolings: an image becomes 8 / 3 * width maps, 32 times coarser."""
    if width < 1 or width % (3 * groups):
        raise ConfigError(
            f"alexnet: width is {width}; with {groups} groups take a multiple of {3 * groups}."
        )
    x = conv(x, width, 11, 0, "conv1", strides=4, padding="valid")
    x = pool(LocalResponseNormalization(name="norm1")(x), "pool1")
    x = conv(x, 8 * width // 3, 5, 1, "conv2", groups=groups)
    x = pool(LocalResponseNormalization(name="norm2")(x), "pool2")
    x = conv(x, 4 * width, 3, 0, "conv3")
    x = conv(x, 4 * width, 3, 1, "conv4", groups=groups)
    x = conv(x, 8 * width // 3, 3, 1, "conv5", groups=groups)
    return pool(x, "pool5")


def conv(x, channels, kernel, bias, name, padding="same", **how):
    return blocks.by_rank("Conv{}D", x)(
        channels,
        kernel,
        padding=padding,
        activation="relu",
        kernel_initializer=first_weights(),
        bias_initializer=keras.initializers.Constant(bias),
        name=name,
        **how,
    )(x)


def pool(x, name):
    """The largest of 3 x 3, two apart: neighbouring windows overlap."""
    return blocks.by_rank("MaxPooling{}D", x)(3, strides=2, name=name)(x)


def fully_connected(x, units, activation, bias, name):
    return keras.layers.Dense(
        units,
        activation=activation,
        kernel_initializer=first_weights(),
        bias_initializer=keras.initializers.Constant(bias),
        name=name,
    )(x)


def first_weights():
    return keras.initializers.RandomNormal(stddev=0.01)
