"""Convolutional sparse autoencoder: the classifier that stands on features learned without labels.

Source: Kallenberg et al., IEEE Transactions on Medical Imaging 35:1322 (2016). The abstract and
notes of others could be read: several scales, sparse features, then a simple classifier are the
paper's; kernels and numbers of maps are those of rebuilders, in the one order that fits 24 x 24.
As calls (each number is tested):
    csae((24, 24, 1), classes=3)       background, fat, dense tissue     190,453 weights
    csae((24, 24, 4), classes=3)       four scales as channels           197,803
"""

import keras

from medseg_tf.errors import ConfigError
from medseg_tf.models import blocks


@blocks.builder
def csae(
    input_shape=(24, 24, 1),
    classes=3,
    maps=(50, 50, 100),
    kernels=(7, 5, 5),
    activation="softmax",
    name="csae",
):
    """Build the network for patches: (batch, *patch, channels) -> (batch, 1, 1, classes), float32.

    Convolutions without padding and with ReLU, named encode1, encode2, ...; a max-pooling follows
    the first. The kernels use the patch up; a 1 x 1 convolution is the classifier. So it is a
    network for windows: `data.Patches` with output=1 feeds it, `models.dense_twin` answers for
    whole images. `methods.pretrain_sparse` gives it first weights without labels.

    Args:
        input_shape: (rows, columns, channels) or (x, y, z, channels) of a patch; channels may be
            scales (`methods.pyramid_patches`).
        classes: number of classes, background included.
        maps: channels of each convolution.
        kernels: side of each convolution.
        activation: "softmax" for probabilities, None for logits.

    Raises:
        ConfigError: maps and kernels of different number, or a patch that they do not use up.
    """
    check(input_shape, maps, kernels)
    x = inputs = keras.Input(input_shape, name="patch")
    for number, (channels, kernel) in enumerate(zip(maps, kernels, strict=True), start=1):
        x = blocks.conv(x, channels, kernel, "valid", name=f"encode{number}")
        if number == 1:
            x = blocks.max_pool(x, name="pool1")
    return keras.Model(inputs, blocks.output(x, classes, activation), name=name)


def check(input_shape, maps, kernels):
    if len(maps) != len(kernels) or not maps:
        raise ConfigError(
            f"csae: {len(maps)} maps and {len(kernels)} kernels; give both for each convolution."
        )
    side = 2 * (1 + sum(kernel - 1 for kernel in kernels[1:])) + kernels[0] - 1
    if len(input_shape) not in (3, 4) or set(input_shape[:-1]) != {side}:
        raise ConfigError(
            f"csae: input_shape {tuple(input_shape)}; kernels {tuple(kernels)}, with a pooling "
            f"after the first, use up a patch of side {side}: give ({side}, {side}, channels) or "
            f"({side}, {side}, {side}, channels)."
        )
