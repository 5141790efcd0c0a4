"""What the architectures share. One code for 2-D and 3-D: a tensor's own rank picks the layer."""

import functools
import inspect
import json
import math

import keras

from medseg_tf.errors import ConfigError
from medseg_tf.layers import BatchNormalization


def builder(function):
    """Decorate a function that returns a model: `model.recipe` says how to build it again.

    The recipe is {"builder": the function's name, "arguments": all arguments, defaults included},
    plain enough for JSON.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def build(*args, **kwargs):
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        # Through JSON and back: tuples become lists and NumPy numbers plain ones, as in a file.
        arguments = json.loads(json.dumps(bound.arguments, default=lambda number: number.item()))
        model = function(*args, **kwargs)
        model.recipe = {"builder": function.__name__, "arguments": arguments}
        return model

    return build


def by_rank(name, x):
    """Return the Keras layer class for the rank of `x`: "Conv{}D" is Conv2D or Conv3D."""
    return getattr(keras.layers, name.format(len(x.shape) - 2))


def he_normal(inputs):
    """Return a new normal initializer of standard deviation sqrt(2 / inputs of one unit).

    Keras' own HeNormal cuts the normal off at two standard deviations, and for a transposed
    convolution it counts outputs. A new one each time: an initializer repeats its numbers.
    Source: He et al., ICCV 2015, equation 10.
    """
    return keras.initializers.RandomNormal(stddev=(2 / inputs) ** 0.5)


def conv(x, channels, kernel, padding="same", norm=None, activation="relu", strides=1, name=None):
    """Convolution with bias, then batch normalisation if `norm` is "batch", then activation.

    kernel: its side, or one an axis.
    """
    sides = kernel if isinstance(kernel, tuple) else (kernel,) * (len(x.shape) - 2)
    inputs = x.shape[-1] * math.prod(sides)
    x = by_rank("Conv{}D", x)(
        channels,
        kernel,
        strides=strides,
        padding=padding,
        activation=None if norm else activation,
        kernel_initializer=he_normal(inputs),
        name=name,
    )(x)
    if norm is None:
        return x
    x = normalize(x, norm, name)
    return keras.layers.Activation(activation, name=name and f"{name}_act")(x) if activation else x


def normalize(x, norm, name=None):
    """Batch normalisation if `norm` is "batch"; `name` is that of the convolution before it."""
    return BatchNormalization(name=name and f"{name}_norm")(x) if norm else x


def prelu(x, name=None):
    """ReLU with a learned slope below 0, one a channel for the whole space, 0.25 at first.

    Source: He et al., ICCV 2015, equation 1.
    """
    return keras.layers.PReLU(
        alpha_initializer=keras.initializers.Constant(0.25),
        shared_axes=list(range(1, len(x.shape) - 1)),
        name=name,
    )(x)


def up_conv(x, channels, activation=None, bias=True, name=None):
    """Transposed convolution of kernel 2 and stride 2: each position sees one position of `x`."""
    return by_rank("Conv{}DTranspose", x)(
        channels,
        2,
        strides=2,
        activation=activation,
        use_bias=bias,
        kernel_initializer=he_normal(x.shape[-1]),
        name=name,
    )(x)


def max_pool(x, name=None):
    """Halve every spatial size, keeping the largest of each 2 x 2 (x 2) block."""
    return by_rank("MaxPooling{}D", x)(2, name=name)(x)


def overlapping_pool(x, name=None):
    """Largest of 3 positions at every second one; a zero completes the last window of an even map.

    So sizes are rounded up, as in Caffe; after a ReLU a zero changes no maximum.
    """
    x = by_rank("ZeroPadding{}D", x)([(0, 1)] * (len(x.shape) - 2), name=name and f"{name}_pad")(x)
    return by_rank("MaxPooling{}D", x)(3, 2, name=name)(x)


def crop(x, margin, name=None):
    """Cut `margin` positions from both ends of every spatial axis."""
    return by_rank("Cropping{}D", x)(margin, name=name)(x) if margin else x


def output(x, classes, activation):
    """1 x 1 convolution to `classes` channels; the last layer is float32 under any precision."""
    x = conv(x, classes, 1, activation=None, name="logits")
    return keras.layers.Activation(activation, dtype="float32", name="output")(x)


def check_choice(where, value, choices):
    """Raise ConfigError unless `value` is one of `choices`."""
    if value not in choices:
        raise ConfigError(f"{where} is {value!r}; choose one of {', '.join(map(repr, choices))}.")


def check_sizes(where, input_shape, fitting, rule):
    """Raise ConfigError unless `input_shape` has 2 or 3 spatial sizes, each open or fitting.

    Args:
        where: the builder, for the message.
        input_shape: (*spatial, channels).
        fitting: function of a size; returns the sizes that fit, to the first one above it.
        rule: what makes them fit, for the message.
    """
    if len(input_shape) not in (3, 4):
        raise ConfigError(
            f"{where}: input_shape {tuple(input_shape)} is neither (rows, columns, channels) nor "
            "(x, y, z, channels). Leave the batch out; a grey image has 1 channel."
        )
    for axis, size in enumerate(input_shape[:-1]):
        sizes = fitting(size or 0)
        if size is not None and size not in sizes:
            below = [fit for fit in sizes if fit < size][-1:]
            above = [fit for fit in sizes if fit > size][:1]
            nearest = " or ".join(map(str, below + above))
            raise ConfigError(
                f"{where}: axis {axis} of input_shape {tuple(input_shape)} is {size}; with {rule} "
                f"the nearest that fits is {nearest}. Pad or crop the image, or choose another "
                "depth."
            )
