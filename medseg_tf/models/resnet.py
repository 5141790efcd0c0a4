"""Residual networks: blocks of convolutions that only learn what to add to their own input.

Source: He, Zhang, Ren, Sun, CVPR 2016, arXiv:1512.03385, table 1 and sections 3.3 and 4.2.
The paper's networks, as calls (trainable numbers, those of batch normalisation included; tested):
    resnet(depth=18, shortcuts=None), resnet(depth=18, shortcuts="A")     11,515,688
    resnet(depth=34, shortcuts=None), resnet(depth=34, shortcuts="A")     21,623,848
    resnet(depth=34), resnet(depth=34, shortcuts="C")         21,797,672, 22,716,840
    resnet(depth=50), resnet(depth=101), resnet(depth=152)
                                                  25,557,032, 44,549,160, 60,192,808
    cifar_resnet(depth=20), cifar_resnet(depth=56), cifar_resnet(depth=110)
                                                        269,722, 853,018, 1,727,962

Convolutions have no bias, for the batch normalisation behind each would take it out again. (The
authors' file of depth 50 has one all the same in its first convolution, 64 numbers.) Weights start
as in He et al., ICCV 2015. The moving statistics follow with momentum 0.9, so that runs of a few
hundred steps end with true ones; about this the paper is silent.
"""

import functools

import keras

from medseg_tf.errors import ConfigError
from medseg_tf.layers import BatchNormalization, PadChannels
from medseg_tf.models import blocks
from medseg_tf.models.vgg16 import dense

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
BLOCKS |= {152: (3, 8, 36, 3)}  # of the four stages
SHORTCUTS = ("A", "B", "C", None)
MOMENTUM, EPSILON = 0.9, 1e-5  # of batch normalisation


@blocks.builder
def resnet(
    input_shape=(224, 224, 3),
    classes=1000,
    depth=50,
    shortcuts="B",
    width=64,
    stride_on="1x1",
    activation="softmax",
    name="resnet",
):
    """Build an ImageNet ResNet: (batch, *spatial, channels) -> (batch, classes), float32.

    Args:
        input_shape: (rows, columns, channels) or (x, y, z, channels); None leaves a size open.
        classes: number of classes.
        depth: layers with weights on the longest way: 18 or 34 in blocks of two 3 x 3
            convolutions; 50, 101 or 152 in bottlenecks, 1 x 1, 3 x 3 and 1 x 1.
        shortcuts: how a block's input reaches the addition where the block changes the shape.
            "A": every second position, zeros for the missing channels, no weights; "B": a 1 x 1
            convolution; "C": that in each block, also where nothing changes. None leaves all
            additions out: the plain twin, of as many weights as "A".
        width: channels of the first stage's 3 x 3 convolutions; they double at each stage.
        stride_on: which convolution of a bottleneck halves: "1x1", the first, as published, or
            "3x3", as Torch has it ("version 1.5").
        activation: "softmax" for probabilities, None for logits.

    Raises:
        ConfigError: an unknown choice.
    """
    blocks.check_choice("resnet: depth", depth, tuple(BLOCKS))
    blocks.check_choice("resnet: stride_on", stride_on, ("1x1", "3x3"))
    check("resnet", input_shape, shortcuts)
    block = basic if depth < 50 else functools.partial(bottleneck, stride_on=stride_on)
    inputs = keras.Input(input_shape, name="image")
    *_, x = trunk(inputs, BLOCKS[depth], block, width, shortcuts)
    return keras.Model(inputs, classify(x, classes, activation), name=name)


@blocks.builder
def cifar_resnet(
    input_shape=(32, 32, 3),
    classes=10,
    depth=20,
    shortcuts="A",
    width=16,
    activation="softmax",
    name="cifar_resnet",
):
    """Build a ResNet for small images: (batch, *spatial, channels) -> (batch, classes), float32.

    A 3 x 3 convolution, then three stages of equally many basic blocks; the second and third stage
    halve the map and double the channels.

    Args:
        input_shape: (rows, columns, channels) or (x, y, z, channels); None leaves a size open.
        classes: number of classes.
        depth: layers with weights, 6 * n + 2: 20, 32, 44, 56, 110 and 1202 in the paper.
        shortcuts: "A", as published, "B", "C" or None, as in `resnet`.
        width: channels of the first stage.
        activation: "softmax" for probabilities, None for logits.

    Raises:
        ConfigError: a depth that is no 6 * n + 2, or an unknown choice.
    """
    if depth < 8 or depth % 6 != 2:
        near = max(8, round((depth - 2) / 6) * 6 + 2)
        raise ConfigError(
            f"cifar_resnet: depth is {depth}; it is 6 * n + 2, for n blocks a stage. The nearest "
            f"is {near}."
        )
    check("cifar_resnet", input_shape, shortcuts)
    inputs = keras.Input(input_shape, name="image")
    x = conv(inputs, width, 3, name="conv1")
    *_, x = stages(x, (depth // 6,) * 3, basic, width, shortcuts)
    return keras.Model(inputs, classify(x, classes, activation), name=name)


def trunk(x, counts, block, width, shortcuts):
    """Return the ends of the four stages, conv2 to conv5: strides 4, 8, 16 and 32.

    Args:
        x: image (batch, *spatial, channels).
        counts: blocks of each stage.
        block: `basic` or `bottleneck`.
        width, shortcuts: as in `resnet`.
    """
    x = conv(x, width, 7, 2, name="conv1")
    x = blocks.overlapping_pool(x, name="pool1")
    return stages(x, counts, block, width, shortcuts)


def stages(x, counts, block, width, shortcuts):
    """Return the end of each stage; all but the first stage halve the map at their first block."""
    ends = []
    for stage, count in enumerate(counts):
        for number in range(1, count + 1):
            strides = 2 if stage and number == 1 else 1
            name = f"conv{stage + 2}_{number}"
            x = block(x, width * 2**stage, strides, shortcuts, name)
        ends.append(x)
    return ends


def basic(x, channels, strides=1, shortcuts="B", name="block"):
    """Two 3 x 3 convolutions, their input added before the last ReLU."""
    residual = conv(x, channels, 3, strides, name=f"{name}_conv1")
    residual = conv(residual, channels, 3, activation=None, name=f"{name}_conv2")
    return add(residual, x, strides, shortcuts, name)


def bottleneck(x, channels, strides=1, shortcuts="B", name="block", stride_on="1x1", rate=1):
    """1 x 1, 3 x 3 and 1 x 1 to four times the channels, their input added before the last ReLU.

    rate: how many positions the taps of the 3 x 3 convolution lie apart (DeepLab's).
    """
    first, second = (strides, 1) if stride_on == "1x1" else (1, strides)
    residual = conv(x, channels, 1, first, name=f"{name}_conv1")
    residual = conv(residual, channels, 3, second, rate=rate, name=f"{name}_conv2")
    residual = conv(residual, 4 * channels, 1, activation=None, name=f"{name}_conv3")
    return add(residual, x, strides, shortcuts, name)


def add(residual, x, strides, shortcuts, name):
    """Add a block's input to what its convolutions made of it, then ReLU; the ReLU alone for None.

    The ReLU stands behind the addition: before it, a block could only ever add.
    """
    if shortcuts:
        x = shortcut(x, residual.shape[-1], strides, shortcuts, name)
        residual = keras.layers.Add(name=f"{name}_add")([residual, x])
    return keras.layers.Activation("relu", name=f"{name}_out")(residual)


def shortcut(x, channels, strides, option, name):
    """Bring a block's input to the shape of its output by option "A", "B" or "C"."""
    changes = strides > 1 or x.shape[-1] != channels
    if option == "C" or (option == "B" and changes):
        return conv(x, channels, 1, strides, activation=None, name=f"{name}_shortcut")
    if strides > 1:  # a pooling of one position only leaves out
        pool = blocks.by_rank("MaxPooling{}D", x)
        x = pool(1, strides, padding="same", name=f"{name}_every_second")(x)
    if x.shape[-1] != channels:
        x = PadChannels(channels, name=f"{name}_zeros")(x)
    return x


def conv(x, channels, kernel, strides=1, rate=1, activation="relu", name=None):
    """Convolution without bias, batch normalisation, activation."""
    x = blocks.by_rank("Conv{}D", x)(
        channels,
        kernel,
        strides=strides,
        dilation_rate=rate,
        padding="same",
        use_bias=False,
        kernel_initializer=blocks.he_normal(x.shape[-1] * kernel ** (len(x.shape) - 2)),
        name=name,
    )(x)
    norm = {"momentum": MOMENTUM, "epsilon": EPSILON, "name": name and f"{name}_norm"}
    x = BatchNormalization(**norm)(x)
    return keras.layers.Activation(activation, name=name and f"{name}_act")(x) if activation else x


def classify(x, classes, activation):
    """Average over the map, then one dense layer; its activation is float32 in any precision."""
    x = blocks.by_rank("GlobalAveragePooling{}D", x)(name="average")(x)
    x = dense(x, classes, None, name="predictions")
    return keras.layers.Activation(activation, dtype="float32", name="output")(x)


def check(where, input_shape, shortcuts):
    """Raise ConfigError for an unknown shortcut, or sizes that are not 2 or 3 (any size works)."""
    blocks.check_choice(f"{where}: shortcuts", shortcuts, SHORTCUTS)
    blocks.check_sizes(where, input_shape, lambda size: range(1, size + 2), "the last pooling")
