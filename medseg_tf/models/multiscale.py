"""Multi-scale network: streams of different kernel sizes side by side, joined at the end.

Source: Bao, Chung, Computer Methods in Biomechanics and Biomedical Engineering: Imaging and
Visualization 6:113 (2018; workshop version 2015). Its abstract alone could be read: several kernel
sizes, computed apart and joined in the last layers, are the paper's; numbers of layers and
channels, and one map in and out where the paper has patches, are ours.
As calls (each number is tested):
    multiscale((64, 64, 1), classes=6)                                 12,358 weights, sees 19 x 19
    multiscale((64, 64, 1), classes=6, kernels=(7,), width=11)         13,012, its twin: as wide
"""

import keras

from medseg_tf.errors import ConfigError
from medseg_tf.models import blocks


@blocks.builder
def multiscale(
    input_shape,
    classes,
    kernels=(3, 5, 7),
    width=8,
    depth=3,
    head=32,
    norm=None,
    activation="softmax",
    name="multiscale",
):
    """Build a multi-scale network: (batch, *spatial, channels) -> (batch, *spatial, classes).

    Each stream is `depth` convolutions of one kernel size with ReLU; their maps, one after another
    along the channels, meet in two 1 x 1 convolutions. Nothing is pooled: every size fits.

    Args:
        input_shape: (rows, columns, channels) or (x, y, z, channels); None leaves a size open.
        classes: number of classes, background included.
        kernels: odd side of each stream's convolutions; a single one is the twin of one scale.
        width: channels of each stream.
        depth: convolutions of each stream.
        head: channels of the 1 x 1 convolution that joins the streams.
        norm: "batch" normalises after each convolution; None as tried.
        activation: "softmax" for probabilities, None for logits.

    Raises:
        ConfigError: no kernels or an even one, no depth, an input of another rank.
    """
    blocks.check_choice("multiscale: norm", norm, (None, "batch"))
    blocks.check_sizes("multiscale", input_shape, lambda size: range(1, size + 2), "any kernels")
    if not kernels or any(kernel % 2 == 0 for kernel in kernels) or depth < 1:
        raise ConfigError(
            f"multiscale: kernels={tuple(kernels)}, depth={depth}; give one kernel or more, of "
            "odd side, which has a middle, and one convolution or more, e.g. kernels=(3, 5, 7)."
        )
    inputs = keras.Input(input_shape, name="image")
    streams = []
    for number, kernel in enumerate(kernels, start=1):
        x = inputs
        for level in range(1, depth + 1):
            x = blocks.conv(x, width, kernel, norm=norm, name=f"stream{number}_conv{level}")
        streams.append(x)
    x = keras.layers.Concatenate(name="streams")(streams) if len(streams) > 1 else streams[0]
    x = blocks.conv(x, head, 1, norm=norm, name="join")
    return keras.Model(inputs, blocks.output(x, classes, activation), name=name)
