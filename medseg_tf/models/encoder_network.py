"""Convolutional encoder network: features on the way down, a lesion map on the way up.

Source: Brosch, Tang, Yoo, Li, Traboulsee, Tam, IEEE Transactions on Medical Imaging 35:1229 (2016).
Its abstract alone could be read: two connected pathways with shortcuts are the paper's; kernels
and widths are as reported, their arithmetic is tested.
As calls (each number is tested):
    encoder_network((164, 206, 52, 2), kernels=((9, 9, 5),))              3 layers     38,913
    encoder_network((164, 206, 52, 2), kernels=((9, 9, 5), (9, 10, 5)))   7 layers    973,537
    the same with shortcut=False                                                   960,577 weights

Start it from weights that were learned without labels: `methods.pretrain_rbm`,
`methods.pretrain_sparse`.
"""

import math

import keras

from medseg_tf.errors import ConfigError
from medseg_tf.models import blocks

HEAD = 0.1  # of He's deviation: with more, the squared error of a sigmoid starts where it is flat


@blocks.builder
def encoder_network(
    input_shape,
    classes=2,
    width=32,
    kernels=(9, 9),
    shortcut=True,
    prior=0.05,
    deviation=None,
    name="encoder_network",
):
    """Build an encoder network: (batch, *spatial, channels) -> (batch, *spatial, classes), float32.

    Down: each convolution, without padding, with ReLU; an average pooling between two of them. Up:
    each of them mirrored by a transposed convolution, which gives back what the convolution took,
    each pooling by repeating values. With `shortcut`, a further transposed convolution of the maps
    before the pooling is added on the way up. Layers are named encode1, encode2, ..., decode2,
    shortcut1, decode1. Positions near the border are reached by fewer kernels, as published.

    Args:
        input_shape: (rows, columns, channels) or (x, y, z, channels); None leaves a size open.
        classes: number of classes, background included. Of two the network gives one map and a
            sigmoid, as published; of more one map a class and a softmax.
        width: channels of every inner map.
        kernels: side of each convolution, or one an axis; one makes 3 layers, two 7, three 11.
        shortcut: connect the pathways.
        prior: share of the second of two classes that the untrained network answers.
        deviation: standard deviation of the first weights; None: sqrt(2 / inputs), and a tenth of
            it in the last layer.

    Raises:
        ConfigError: a size that does not fit kernels and poolings (the nearest that do are named),
            no kernels, a prior that is no share.
    """
    rank = len(input_shape) - 1
    sides = [tuple(side) if hasattr(side, "__len__") else (side,) * rank for side in kernels]
    check(input_shape, sides, prior)
    maps = 1 if classes == 2 else classes
    bias = math.log(prior / (1 - prior)) if classes == 2 else 0.0

    def layer(kind, x, channels, side, title, factor=1.0, **options):
        spread = factor * math.sqrt(2 / (x.shape[-1] * math.prod(side)))
        start = keras.initializers.RandomNormal(stddev=deviation or spread)
        return blocks.by_rank(kind, x)(
            channels, side, kernel_initializer=start, name=title, **options
        )(x)

    x = inputs = keras.Input(input_shape, name="image")
    found = []
    for level, side in enumerate(sides, start=1):
        if level > 1:
            x = blocks.by_rank("AveragePooling{}D", x)(2, name=f"pool{level - 1}")(x)
        x = layer("Conv{}D", x, width, side, f"encode{level}", activation="relu")
        found.append(x)

    for level in reversed(range(1, len(sides) + 1)):
        last = level == 1
        how = (maps if last else width, sides[level - 1])
        factor = HEAD if last else 1.0
        start = keras.initializers.Constant(bias if last else 0.0)
        title, joined = f"decode{level}", shortcut and level < len(sides)
        x = layer("Conv{}DTranspose", x, *how, title, factor, bias_initializer=start)
        if joined:
            title = f"shortcut{level}"
            skipped = found[level - 1]
            skipped = layer("Conv{}DTranspose", skipped, *how, title, factor, use_bias=False)
            x = keras.layers.Add(name=f"join{level}")([x, skipped])
        if not last:
            x = keras.layers.Activation("relu", name=f"decode{level}_act")(x)
            x = blocks.by_rank("UpSampling{}D", x)(2, name=f"unpool{level - 1}")(x)
    if classes == 2:
        lesion = keras.layers.Activation("sigmoid", dtype="float32", name="lesion")(x)
        rest = keras.layers.Rescaling(-1.0, 1.0, dtype="float32", name="rest")(lesion)
        outputs = keras.layers.Concatenate(dtype="float32", name="output")([rest, lesion])
    else:
        outputs = keras.layers.Activation("softmax", dtype="float32", name="output")(x)
    return keras.Model(inputs, outputs, name=name)


def check(input_shape, sides, prior):
    """Raise ConfigError unless sizes, kernels and prior make a network."""
    rank = len(input_shape) - 1
    if rank not in (2, 3) or not sides or any(len(side) != rank for side in sides):
        raise ConfigError(
            f"encoder_network: kernels of {sides} for input_shape {tuple(input_shape)}; give "
            "(rows, columns, channels) or (x, y, z, channels), and one kernel or more, each one "
            "number or one an axis."
        )
    if not 0 < prior < 1:
        raise ConfigError(f"encoder_network: prior={prior}; it is a share between 0 and 1.")
    for axis, size in enumerate(input_shape[:-1]):
        along = [side[axis] for side in sides]
        if size is not None and not fits(size, along):
            near = sorted(range(1, 2 * size + 99), key=lambda other: abs(other - size))  # noqa: B023
            nearest = next(other for other in near if fits(other, along))
            raise ConfigError(
                f"encoder_network: axis {axis} of input_shape {tuple(input_shape)} is {size}; with "
                f"kernels {along} and a pooling between two of them the nearest that fits is "
                f"{nearest}. Pad or crop the image."
            )


def fits(size, kernels):
    """Whether each pooling between the kernels meets an even map, and one position is left."""
    for level, kernel in enumerate(kernels):
        if level and size % 2:
            return False
        size = (size // 2 if level else size) - kernel + 1
    return size > 0
