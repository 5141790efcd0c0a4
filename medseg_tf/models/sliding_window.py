"""The sliding-window network: one window in, the class of its middle pixel out; 2-D or 3-D.

Source: Ciresan, Giusti, Gambardella, Schmidhuber, NIPS 2012, table 1: the network N4.
As calls (each number is tested):
    sliding_window()                                     N4, window 95 x 95:      219,290 weights
    sliding_window((31, 31, 1), maps=(16, 16), kernels=(4, 3), dense=(32,))        21,122 weights

The paper's table gives no activation for the hidden layers. The group's nets had tanh before; the
ReLU here is what those who rebuilt the network took, and what learns in minutes. The weights start
as He et al. draw them for it. Labelling an image takes one run a pixel (`inference.by_windows`),
or one run in all of its `dense_twin`.
"""

import math

import keras

from medseg_tf.errors import ConfigError
from medseg_tf.models import blocks


@blocks.builder
def sliding_window(
    input_shape=(95, 95, 1),
    classes=2,
    maps=(48, 48, 48, 48),
    kernels=(4, 5, 4, 4),
    dense=(200,),
    hidden="relu",
    activation="softmax",
    name="sliding_window",
):
    """Build a network for windows: (batch, *window, channels) -> (batch, 1, 1, classes), float32.

    The output is a map of one pixel (in 3-D of one voxel), so that `data.Patches` with output=1
    feeds it and `training.fit` trains it as any other network. Each convolution, without padding,
    is followed by a pooling that halves the map.

    Args:
        input_shape: (rows, columns, channels) or (x, y, z, channels) of a window; none is open.
            A pooling leaves out the last row of an odd map. The network then does not see the
            window's last rows; `receptive_field` gives how many it sees (N4: all 95).
        classes: number of classes, background included.
        maps: channels of each convolution.
        kernels: side of each convolution.
        dense: units of the hidden layers behind the last pooling.
        hidden: activation of all but the last layer.
        activation: "softmax" for probabilities, None for logits.

    Raises:
        ConfigError: a window too small for the layers, or maps and kernels of different number.
    """
    check(input_shape, maps, kernels)
    x = inputs = keras.Input(input_shape, name="window")
    for number, (channels, kernel) in enumerate(zip(maps, kernels, strict=True), start=1):
        x = blocks.conv(x, channels, kernel, "valid", activation=hidden, name=f"conv{number}")
        x = blocks.max_pool(x, name=f"pool{number}")
    x = keras.layers.Flatten(name="flatten")(x)
    for number, units in enumerate(dense, start=1):
        x = fully_connected(x, units, hidden, f"dense{number}")
    x = fully_connected(x, classes, None, "logits")
    x = keras.layers.Reshape((1,) * (len(input_shape) - 1) + (classes,), name="pixel")(x)
    outputs = keras.layers.Activation(activation, dtype="float32", name="output")(x)
    return keras.Model(inputs, outputs, name=name)


def fully_connected(x, units, activation, name):
    return keras.layers.Dense(
        units,
        activation=activation,
        kernel_initializer=blocks.he_normal(math.prod(x.shape[1:])),
        name=name,
    )(x)


def check(input_shape, maps, kernels):
    """Raise ConfigError unless the window is large enough for its layers."""
    if len(maps) != len(kernels) or not maps:
        raise ConfigError(
            f"sliding_window: {len(maps)} maps and {len(kernels)} kernels; give both for each "
            "convolution, e.g. maps=(16, 16), kernels=(4, 3)."
        )
    smallest = 1
    for kernel in reversed(kernels):
        smallest = 2 * smallest + kernel - 1
    sides = tuple(input_shape[:-1])
    if len(input_shape) not in (3, 4) or None in sides or min(sides) < smallest:
        raise ConfigError(
            f"sliding_window: input_shape {tuple(input_shape)}; it is a window's (rows, columns, "
            f"channels) or (x, y, z, channels), and kernels {tuple(kernels)}, each with its "
            f"pooling, need sides of {smallest} or more. Take a larger window or fewer layers."
        )
