"""U-Net: a contracting and an expansive path joined by skip connections, in 2-D or 3-D.

Sources: Ronneberger, Fischer, Brox, MICCAI 2015, arXiv:1505.04597, figure 1 (the defaults);
Cicek et al., MICCAI 2016, arXiv:1606.06650, figure 2.
The networks of both papers, as calls (each number is tested):
    unet((572, 572, 1), classes=2)                                        31,030,658 weights
    unet((572, 572, 1), classes=2, release=True)                          31,100,354
    unet((132, 132, 116, 3), classes=3, width=32, depth=3, norm="batch",
         dropout=0, widen="before_pooling")    19,069,955, normalisation parameters not counted
"""

import keras

from medseg_tf.errors import ConfigError
from medseg_tf.models import blocks


@blocks.builder
def unet(
    input_shape,
    classes,
    width=64,
    depth=4,
    padding="valid",
    norm=None,
    dropout=0.5,
    skips=True,
    widen="after_pooling",
    release=False,
    activation="softmax",
    name="unet",
):
    """Build a U-Net: (batch, *spatial, channels) -> (batch, *spatial, classes), float32.

    Args:
        input_shape: (rows, columns, channels) or (x, y, z, channels); None leaves a size open.
        classes: number of classes, background included.
        width: channels of the first stage; each further stage has twice as many.
        depth: number of poolings.
        padding: "valid" as published, the output is smaller than the input (`unet_sizes`);
            "same" keeps the size.
        norm: "batch" normalises before each ReLU; None as in 2015.
        dropout: fraction dropped at the end of the contracting path, in the last stage before the
            last pooling (its skip carries the dropped map) and in the one after it.
        skips: False puts a copy of the upsampled map where the skip would come: the same weights
            without the skips' detail.
        widen: where the channels double: "after_pooling" (2015) or "before_pooling" (2016; there
            the up-convolutions keep the channels and have no bias).
        release: as in the network the authors of 2015 released: ReLU after each up-convolution,
            and the last up-convolution keeps its channels.
        activation: "softmax" for probabilities, None for logits.

    Raises:
        ConfigError: a size that does not fit the poolings (the nearest that fit are named), or
            an unknown choice.
    """
    blocks.check_choice("unet: norm", norm, (None, "batch"))
    blocks.check_choice("unet: widen", widen, ("after_pooling", "before_pooling"))
    check_sizes(input_shape, depth, padding)
    early = widen == "before_pooling"

    def two_convs(x, first, second, label):
        for number, channels in enumerate((first, second), start=1):
            x = blocks.conv(x, channels, 3, padding, norm, name=f"{label}_conv{number}")
        return x

    x = inputs = keras.Input(input_shape, name="image")
    maps = []
    for stage in range(depth + 1):
        label = f"down{stage}" if stage < depth else "bottom"
        if stage:
            x = blocks.max_pool(x, name=f"{label}_pool")
        channels = width * 2**stage
        x = two_convs(x, channels, channels * (2 if early else 1), label)
        if dropout and stage >= depth - 1:
            x = keras.layers.Dropout(dropout, name=f"{label}_dropout")(x)
        maps.append(x)

    for stage in reversed(range(depth)):
        label, skip = f"up{stage}", maps[stage]
        channels = skip.shape[-1]
        keep = early or (release and stage == 0)
        x = blocks.up_conv(
            x,
            x.shape[-1] if keep else channels,
            activation="relu" if release else None,
            bias=not early,
            name=f"{label}_upconv",
        )
        margin = skip_margin(depth - stage) if padding == "valid" else 0
        skip = blocks.crop(skip, margin, name=f"{label}_crop") if skips else x
        x = keras.layers.Concatenate(name=f"{label}_concat")([x, skip])
        x = two_convs(x, channels, channels, label)
    return keras.Model(inputs, blocks.output(x, classes, activation), name=name)


def unet_sizes(depth=4, padding="valid", largest=1024):
    """Return {input: output}, the sizes along one axis that fit a U-Net, up to `largest`.

    With "valid" padding these are input = 2**depth * k + 4 * (2**depth - 1), where k is the size
    that enters the bottom stage, and output = input - (12 * 2**depth - 8).
    With "same" padding input and output are equal multiples of 2**depth.
    """
    blocks.check_choice("unet: padding", padding, ("valid", "same"))
    if depth < 1:
        raise ConfigError(f"unet: depth is {depth}; it counts the poolings: 1 or more.")
    step = 2**depth
    offset, loss = (4 * (step - 1), 12 * step - 8) if padding == "valid" else (0, 0)
    sizes = range(offset, largest + 1, step)
    return {size: size - loss for size in sizes if size > loss}


def skip_margin(poolings):
    """Return how much a skip is cropped at each end: 4, 16, 40, 88 for 1, 2, 3, 4 poolings below.

    A stage's convolutions take 2 on the way down and 2 on the way up; each pooling doubles it.
    """
    return 6 * 2**poolings - 8


def check_sizes(input_shape, depth, padding):
    """Raise ConfigError unless `input_shape` has 2 or 3 spatial sizes that fit."""
    blocks.check_sizes(
        "unet",
        input_shape,
        lambda size: unet_sizes(depth, padding, size + 16 * 2**depth),
        f"depth {depth} and padding {padding!r}",
    )
