"""GoogLeNet: 22 layers deep by nine blocks of parallel convolutions, without batch normalisation.

Source: Szegedy et al., CVPR 2015, arXiv:1409.4842, table 1 and figure 3. With the defaults it has
6,998,552 weights, with both auxiliary classifiers 13,378,280 (tested).
"""

import keras

from medseg_tf.layers import LocalResponseNormalization
from medseg_tf.models import blocks
from medseg_tf.models.vgg16 import check_closed, dense

# Channels of 1 x 1; of 1 x 1 then 3 x 3; of 1 x 1 then 5 x 5; of 1 x 1 after the pooling. A
# pooling of stride 2 follows 3b and 4e.
INCEPTION = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


@blocks.builder
def googlenet(
    input_shape=(224, 224, 3),
    classes=1000,
    width=64,
    auxiliary=False,
    dropout=0.4,
    activation="softmax",
    name="googlenet",
):
    """Build a GoogLeNet: (batch, *spatial, channels) -> (batch, classes), float32.

    Args:
        input_shape: (rows, columns, channels) or (x, y, z, channels); every size given.
        classes: number of classes.
        width: channels of the first convolution; all others are scaled with it.
        auxiliary: add the two classifiers of training, on blocks 4a and 4d: the model then has
            three outputs, the main one first. The paper weighs their losses by 0.3.
        dropout: fraction dropped before the last layer; the auxiliary ones drop 0.7.
        activation: "softmax" for probabilities, None for logits.

    Raises:
        ConfigError: a size that is open (`fcn` takes those) or too small: below 32, with
            `auxiliary` below 80.
    """
    check_closed("googlenet", input_shape, smallest=80 if auxiliary else 32)
    inputs = keras.Input(input_shape, name="image")
    maps = trunk(inputs, width)
    x = maps["5b"]
    x = blocks.by_rank("GlobalAveragePooling{}D", x)(name="average")(x)
    x = keras.layers.Dropout(dropout, name="dropout")(x)
    outputs = [classify(x, classes, activation, "output")]
    for block in ("4a", "4d") if auxiliary else ():
        x = blocks.by_rank("AveragePooling{}D", maps[block])(5, 3, name=f"side{block}_average")(
            maps[block]
        )
        x = blocks.conv(x, scaled(128, width), 1, name=f"side{block}_conv")
        x = keras.layers.Flatten(name=f"side{block}_flatten")(x)
        x = dense(x, scaled(1024, width), name=f"side{block}_dense")
        x = keras.layers.Dropout(0.7, name=f"side{block}_dropout")(x)
        outputs.append(classify(x, classes, activation, f"side{block}_output"))
    return keras.Model(inputs, outputs if auxiliary else outputs[0], name=name)


def trunk(x, width=64, first="same"):
    """Return the maps by name: "pool1" of stride 4, "pool2" of 8, "pool3" of 16, "4a" ... "5b".

    Args:
        x: image (batch, *spatial, channels).
        width: channels of the first convolution.
        first: padding of the first convolution; "valid" where `x` is padded already.
    """
    x = blocks.conv(x, width, 7, first, strides=2, name="conv1")
    maps = {"pool1": blocks.overlapping_pool(x, name="pool1")}
    x = LocalResponseNormalization(name="pool1_norm")(maps["pool1"])
    x = blocks.conv(x, width, 1, name="conv2_reduce")
    x = blocks.conv(x, scaled(192, width), 3, name="conv2")
    x = LocalResponseNormalization(name="conv2_norm")(x)
    x = maps["pool2"] = blocks.overlapping_pool(x, name="pool2")
    for block, channels in INCEPTION.items():
        x = maps[block] = inception(x, [scaled(c, width) for c in channels], block)
        if block in ("3b", "4e"):
            pool = f"pool{block[0]}"
            x = maps[pool] = blocks.overlapping_pool(x, name=pool)
    return maps


def inception(x, channels, name):
    """Four branches side by side, each of the size of `x`: 1 x 1, 3 x 3, 5 x 5 and pooling."""
    one, three_reduce, three, five_reduce, five, pooled = channels
    pool = blocks.by_rank("MaxPooling{}D", x)(3, 1, padding="same", name=f"{name}_pool")
    branches = [
        blocks.conv(x, one, 1, name=f"{name}_1x1"),
        blocks.conv(
            blocks.conv(x, three_reduce, 1, name=f"{name}_3x3_reduce"), three, 3, name=f"{name}_3x3"
        ),
        blocks.conv(
            blocks.conv(x, five_reduce, 1, name=f"{name}_5x5_reduce"), five, 5, name=f"{name}_5x5"
        ),
        blocks.conv(pool(x), pooled, 1, name=f"{name}_pool_1x1"),
    ]
    return keras.layers.Concatenate(name=f"{name}_concat")(branches)


def classify(x, classes, activation, name):
    """The last dense layer; its activation is float32 under any precision."""
    x = dense(x, classes, None, name=f"{name}_dense")
    return keras.layers.Activation(activation, dtype="float32", name=name)(x)


def scaled(channels, width):
    """The paper's number of channels, its first convolution having 64."""
    return max(1, channels * width // 64)
