"""Fully convolutional networks: a classifier whose dense layers became convolutions.

Sources: Long, Shelhamer, Darrell, CVPR 2015, arXiv:1411.4038; Shelhamer, Long, Darrell, PAMI 2017,
arXiv:1605.06211; the authors' released networks.
The released networks, as calls (weights, trained in 21 classes; each number is tested):
    fcn(stride=32)                       FCN-32s                                   134,346,581
    fcn(stride=16)                       FCN-16s                                   134,357,354
    fcn(stride=8)                        FCN-8s                                    134,362,751
    fcn(stride=8, skip_scale=0.01)       FCN-8s at once                            134,362,751
    fcn(stride=32, backbone="alexnet")   FCN-AlexNet                                56,954,261
and of the paper's table 1
    fcn(stride=32, backbone="googlenet") FCN-GoogLeNet                               5,995,077
The rivals of `fcrn`, with its head (in 2 classes; tested):
    fcn(padding="same", upsampling="grouped")                                      134,270,854
    fcn(padding="same", upsampling="grouped", backbone="googlenet")                  5,978,806

Training in stages: train fcn(stride=32), hand its weights on to fcn(stride=16) by
`models.hand_on`, train that at a hundredth of the rate, and so on to stride 8.
"""

from dataclasses import dataclass

import keras
import numpy as np

from medseg_tf.errors import ConfigError
from medseg_tf.layers import BilinearUpsampling, CropLike, LocalResponseNormalization
from medseg_tf.models import blocks
from medseg_tf.models.alexnet import conv as alexnet_conv
from medseg_tf.models.googlenet import trunk as googlenet_trunk
from medseg_tf.models.measure import CONVOLUTIONS, POOLINGS, through
from medseg_tf.models.vgg16 import trunk as vgg16_trunk

STRIDES = (32, 16, 8)
# How the kernels learn: those between two maps of scores, and the last one.
UPSAMPLING = {
    "fixed": (False, False),
    "between": (True, False),
    "learned": (True, True),
    "grouped": ("grouped", "grouped"),
}
BORDER = 100  # zeros around the image in the released networks
# Channels of the first convolution as published, and the layers that were dense: name and side.
BACKBONES = {
    "vgg16": (64, {"fc1": 7, "fc2": 1}),
    "alexnet": (96, {"fc6": 6, "fc7": 1}),
    "googlenet": (64, {}),
}
DENSE = 4096  # channels of those layers, as published
PADDINGS = (keras.layers.ZeroPadding2D, keras.layers.ZeroPadding3D)


@blocks.builder
def fcn(
    input_shape=(None, None, 3),
    classes=21,
    stride=8,
    backbone="vgg16",
    width=None,
    padding=BORDER,
    upsampling="fixed",
    fuse="sum",
    skip_scale=1,
    dropout=0.5,
    activation="softmax",
    name="fcn",
):
    """Build an FCN: (batch, *spatial, channels) -> (batch, *spatial, classes), float32.

    A 1 x 1 convolution scores the classes at stride 32. These scores are enlarged; at strides 16
    and 8 the scores of an earlier, finer map are added on the way. All score layers start at 0, so
    that the first loss is ln(classes) for each pixel.

    Args:
        input_shape: (rows, columns, channels) or (x, y, z, channels); None leaves a size open.
        classes: number of classes, background included.
        stride: pixels between two scores of the finest map that is used: 32, 16 or 8.
        backbone: "vgg16", "alexnet" (the released one, CaffeNet: pooling before normalisation) or
            "googlenet" (no dense layer but the last, which the scores replace). Strides 16 and 8
            are published for VGG-16 alone, from its pooled maps; AlexNet takes the same ones,
            GoogLeNet the last blocks of these strides, 4e and 3b.
        width: channels of the first convolution; all others keep their published proportion to
            it. None is the published number (64; alexnet 96), 8 makes a network for a desktop.
        padding: 100 puts so many zeros around the image, as the released networks do, whereby
            every size works; "same" pads each layer by what it needs, which is far less work, for
            sizes that are multiples of 32. Where the maps lie is derived, see `place`, and crops
            bring them together in either case.
        upsampling: "fixed" to bilinear, "learned" starts there, or "between": the paper's, all
            learned but the last. "grouped", for "same" padding, is that of FCRN: learned, one
            kernel a class, twice as wide as the factor and without crops.
        fuse: "sum" adds the scores; "concat" lays them side by side for a 1 x 1 convolution, which
            starts as their sum.
        skip_scale: the finer scores are multiplied by it, those of stride 8 by its square; 0.01 in
            the released network that is trained at once.
        dropout: fraction dropped after each of the two layers that were dense.
        activation: "softmax" for probabilities, None for logits.

    Raises:
        ConfigError: an unknown choice, or with "same" a size that is no multiple of 32.
    """
    blocks.check_choice("fcn: stride", stride, STRIDES)
    blocks.check_choice("fcn: backbone", backbone, tuple(BACKBONES))
    blocks.check_choice("fcn: padding", padding, (BORDER, "same"))
    blocks.check_choice("fcn: fuse", fuse, ("sum", "concat"))
    blocks.check_choice("fcn: upsampling", upsampling, tuple(UPSAMPLING))
    check_sizes(input_shape, padding)
    if upsampling == "grouped" and padding != "same":
        raise ConfigError(
            f"fcn: upsampling 'grouped' crops nothing, and maps of padding {padding} need crops; "
            "choose padding='same'."
        )
    image = keras.Input(input_shape, name="image")
    maps = place(image, trunk(image, backbone, width, padding, dropout))
    kept = maps[-1 - STRIDES.index(stride) :]
    outputs = head(image, kept, classes, upsampling, fuse, skip_scale, activation)
    return keras.Model(image, outputs, name=name)


@dataclass
class Map:
    """A map and where it lies: position i of each axis at pixel `start` + i * `step`."""

    tensor: keras.KerasTensor
    step: int
    start: float


def trunk(image, backbone, width, padding, dropout):
    """Return the maps of strides 8 and 16 that are scored, and the last map, of stride 32."""
    published, once_dense = BACKBONES[backbone]
    width, x, first = width or published, image, "same"
    if padding != "same":
        x, first = blocks.by_rank("ZeroPadding{}D", image)(padding, name="pad")(image), "valid"
    if backbone == "vgg16":
        *_, eight, sixteen, x = vgg16_trunk(x, width, first)
    elif backbone == "alexnet":
        eight, sixteen, x = caffenet_trunk(x, width, first)
    else:
        maps = googlenet_trunk(x, width, first)
        eight, sixteen, x = maps["3b"], maps["4e"], maps["5b"]
    for name, side in once_dense.items():
        if padding == "same" and side > 1:
            # An even kernel has no middle: more zeros in front, so that the crops can repair it.
            zeros = [(side // 2, (side - 1) // 2)] * (len(x.shape) - 2)
            x = blocks.by_rank("ZeroPadding{}D", x)(zeros, name=f"{name}_pad")(x)
        x = blocks.conv(x, DENSE * width // published, side, "valid", name=name)
        x = keras.layers.Dropout(dropout, name=f"{name}_dropout")(x)
    return eight, sixteen, x if once_dense else keras.layers.Dropout(dropout, name="dropout")(x)


def caffenet_trunk(x, width, first):
    """Return the maps of strides 8, 16 and 32 of AlexNet as the framework Caffe has it.

    It pools before it normalises, its poolings round up, and its alpha is divided by 5.
    """
    maps = []
    settings = [(1, 11, 1), (8 / 3, 5, 2), (4, 3, 1), (4, 3, 2), (8 / 3, 3, 2)]
    for number, (times, kernel, groups) in enumerate(settings, start=1):
        padding, strides = (first, 4) if number == 1 else ("same", 1)
        channels, how = round(times * width), {"padding": padding, "strides": strides}
        bias = float(number in (2, 4, 5))
        x = alexnet_conv(x, channels, kernel, bias, f"conv{number}", groups=groups, **how)
        if number in (1, 2, 5):
            x = blocks.overlapping_pool(x, name=f"pool{number}")
        if number in (1, 2):
            x = LocalResponseNormalization(bias=1, alpha=1e-4 / 5, name=f"norm{number}")(x)
        if number in (1, 2, 5):
            maps.append(x)
    return maps


def place(image, tensors):
    """Return tensors of one network as Maps: where their positions lie in the image.

    A convolution's or pooling's result lies in the middle of its window. "same" is taken for a map
    of full windows: that is what sizes of multiples of 32 give.
    """

    def move(layer):
        def moved(at, *args, **kwargs):
            step, start = at[0] if isinstance(at, (list, tuple)) else at  # branches lie alike
            stride = 1
            if isinstance(layer, PADDINGS):
                start -= step * layer.padding[0][0]
            elif isinstance(layer, (*CONVOLUTIONS, *POOLINGS)):
                side = getattr(layer, "pool_size", None) or layer.kernel_size
                stride = layer.strides[0]
                before = max(side[0] - stride, 0) // 2 if layer.padding == "same" else 0
                start += step * ((side[0] - 1) / 2 - before)
            return np.array([step * stride, start])

        return moved

    places = through(keras.Model(image, list(tensors)), [np.array([1.0, 0.0])], move)
    return [
        Map(tensor, int(step), float(start))
        for tensor, (step, start) in zip(tensors, places, strict=True)
    ]


def head(image, maps, classes, upsampling, fuse="sum", skip_scale=1, activation="softmax"):
    """Score `maps`, finest first, and bring the scores together on the image's own pixels.

    Returns: (batch, *spatial, classes), float32. Arguments as in `fcn`.
    """
    between, at_last = UPSAMPLING[upsampling]
    *finer, last = maps
    scores = score(last, classes)
    for number, fine in enumerate(finer[::-1], start=1):
        up, skip = align(scores, score(fine, classes, skip_scale**number), between)
        scores = Map(join(up.tensor, skip.tensor, fuse, f"{fuse}_{up.step}"), up.step, up.start)
    full, _ = align(scores, Map(image, 1, 0), at_last)
    return keras.layers.Activation(activation, dtype="float32", name="output")(full.tensor)


def score(seen, classes, scale=1):
    """Score the classes at each position of a Map by a 1 x 1 convolution that starts at 0."""
    conv = blocks.by_rank("Conv{}D", seen.tensor)
    zeros = {"kernel_initializer": "zeros", "name": f"score_{seen.step}"}
    x = conv(classes, 1, **zeros)(seen.tensor)
    if scale != 1:
        x = keras.layers.Rescaling(scale, dtype="float32", name=f"scale_{seen.step}")(x)
    return Map(x, seen.step, seen.start)


def align(coarse, fine, learned):
    """Enlarge `coarse` to the step of `fine` and crop one of them, so that their positions agree.

    "grouped" crops nothing: it counts on sizes that agree, and leaves the places to the kernel.
    Returns: two Maps of one size and place, `coarse` first.
    """
    factor, name = coarse.step // fine.step, f"up_{coarse.step}_to_{fine.step}"
    settings = {"learned": learned, "dtype": "float32"}
    if learned == "grouped":
        up = BilinearUpsampling(factor, **settings, name=name)(coarse.tensor)
        return Map(up, fine.step, fine.start), fine
    kernel, shift = meeting(coarse, fine)
    settings |= {"kernel": kernel, "padding": "valid"}
    up = BilinearUpsampling(factor, **settings, name=name)(coarse.tensor)
    crop = CropLike(abs(shift), dtype="float32", name=f"crop_{name}")
    if shift > 0:
        start = fine.start + shift * fine.step
        return Map(up, fine.step, start), Map(crop([fine.tensor, up]), fine.step, start)
    return Map(crop([up, fine.tensor]), fine.step, fine.start), fine


def meeting(coarse, fine):
    """Return the side of the kernel, and by how many positions of `fine` its result lies within.

    The kernel is twice the factor, or one less where only that puts both maps' positions on one
    another: 63 in the released FCN-AlexNet.
    """
    apart = (coarse.start - fine.start) / fine.step  # whole or a half
    kernel = 2 * (coarse.step // fine.step) - int(apart.is_integer())
    return kernel, int(apart - (kernel - 1) / 2)


def join(up, skip, fuse, name):
    """Add two maps of scores, or let a 1 x 1 convolution mix them that starts as their sum."""
    if fuse == "sum":
        return keras.layers.Add(dtype="float32", name=name)([up, skip])
    both = keras.layers.Concatenate(dtype="float32", name=name)([up, skip])
    classes, ones = up.shape[-1], (1,) * (len(up.shape) - 2)
    first = np.tile(np.eye(classes, dtype="float32"), (2, 1)).reshape(*ones, 2 * classes, classes)
    conv = blocks.by_rank("Conv{}D", both)
    start = keras.initializers.Constant(first)
    return conv(classes, 1, kernel_initializer=start, dtype="float32", name=f"{name}_mix")(both)


def check_sizes(input_shape, padding):
    """Raise ConfigError unless `input_shape` has 2 or 3 spatial sizes that fit."""
    step = STRIDES[0] if padding == "same" else 1

    def fitting(size):
        return range(step, size + step + 1, step)

    blocks.check_sizes("fcn", input_shape, fitting, f"padding {padding!r}")
