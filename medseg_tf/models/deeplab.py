"""DeepLab: a classifier made dense by atrous convolutions, whose rates say how far it sees.

Source: L.-C. Chen, Papandreou, Kokkinos, Murphy, Yuille, IEEE TPAMI 40:834 (2018),
arXiv:1606.00915 ("v2"); the authors' released networks.
The paper's networks, as calls in 21 classes (trainable numbers; tested):
    deeplab(variant="large_fov")                                    20,505,429
    deeplab(variant="aspp_s"), deeplab(variant="aspp_l")            37,877,652
    deeplab(variant="large_fov", backbone="resnet101")              42,887,253
    deeplab(variant="aspp_l", backbone="resnet101",
            scales=(1, 0.75, 0.5))                                  44,048,532

A classifier halves its map five times. Here the last halvings are left out, and each layer behind
one takes every second position: with the same weights the map stays at stride 8. A convolution of
kernel 3 and rate r spans 2 r + 1 positions.

Where this leaves the paper: the loss is asked for at every pixel of the enlarged scores (there at
stride 8, of every eighth label); all layers start as in He et al., ICCV 2015, and have one learning
rate (there the last one starts smaller and learns ten times as fast); several scales are trained
through their maximum alone (there each has a loss of its own, too). The published networks start
from ImageNet's weights, which `hand_on` hands on, and keep the batch normalisation of ResNet-101
frozen: set its layers' `trainable` to False for that.
The dense CRF behind the network is `methods.dense_crf`.
"""

import math
from fractions import Fraction

import keras

from medseg_tf.layers import BilinearUpsampling
from medseg_tf.models import blocks
from medseg_tf.models.resnet import BLOCKS, bottleneck, conv
from medseg_tf.models.vgg16 import CONVOLUTIONS, WIDENING

VARIANTS = {"large_fov": (12,), "aspp_s": (2, 4, 8, 12), "aspp_l": (6, 12, 18, 24)}
STRIDES = (8, 16, 32)
DENSE = 16  # channels of fc6 and fc7, in units of the first block's: 1024


@blocks.builder
def deeplab(
    input_shape=(None, None, 3),
    classes=21,
    variant="large_fov",
    backbone="vgg16",
    rates=None,
    stride=8,
    scales=(1,),
    width=64,
    dropout=0.5,
    activation="softmax",
    name="deeplab",
):
    """Build a DeepLab: (batch, *spatial, channels) -> (batch, *spatial, classes), float32.

    Args:
        input_shape: (rows, columns, channels) or (x, y, z, channels), 8 * n + 1 pixels along each
            axis (321 and 513 in the paper), so that the map's positions lie on pixels 0, 8, 16 ...
            to the last; None leaves a size open.
        classes: number of classes, background included.
        variant: the rates of the head's branches, whose scores are added: "large_fov" has one,
            of rate 12; "aspp_s" 2, 4, 8 and 12, "aspp_l" 6, 12, 18 and 24 (atrous spatial pyramid
            pooling).
        backbone: "vgg16", whose branches have two hidden layers, or "resnet101", whose branches
            score at once.
        rates: other rates, one a branch, in positions of the map: those of the paper are made for
            maps of 41 x 41.
        stride: pixels between two positions of the map. 16 and 32 are twins of equal weights that
            halve further, as the classifier does: the trunk's rates, and without `rates` the
            head's, are divided by as much. Sizes are then stride * n + 1.
        scales: the network sees the image at each of these sizes, with the same weights, and the
            greatest score counts; (1, 0.75, 0.5) in the paper, and only with ResNet-101. Sizes
            are then 32 * n + 1.
        width: channels of the first block; all others keep their published proportion to it.
        dropout: fraction dropped after each hidden layer of a branch.
        activation: "softmax" for probabilities, None for logits.

    Raises:
        ConfigError: an unknown choice, or a size that does not fit.
    """
    blocks.check_choice("deeplab: variant", variant, tuple(VARIANTS))
    blocks.check_choice("deeplab: backbone", backbone, tuple(TRUNKS))
    blocks.check_choice("deeplab: stride", stride, STRIDES)
    scales = [Fraction(scale).limit_denominator(16) for scale in scales]
    step = stride * math.lcm(*(scale.denominator for scale in scales))
    blocks.check_sizes(
        *("deeplab", input_shape),
        lambda size: range(step + 1, size + step + 1, step),
        f"positions on every {step}th pixel, first to last,",
    )
    rates = rates or [max(1, rate * STRIDES[0] // stride) for rate in VARIANTS[variant]]
    hidden = DENSE * width if backbone == "vgg16" else None
    image = keras.Input(input_shape, name="image")
    single = scales == [1]
    sizes = (None,) * (len(input_shape) - 1)
    seen = image if single else keras.Input((*sizes, input_shape[-1]))
    scores = head(TRUNKS[backbone](seen, width, stride), classes, rates, hidden, dropout)
    if not single:
        network = keras.Model(seen, scores, name="network")
        maps = [resize(network(resize(image, scale)), 1 / scale) for scale in scales]
        scores = keras.layers.Maximum(name="greatest")(maps)
    full = enlarge(scores, stride)
    outputs = keras.layers.Activation(activation, dtype="float32", name="output")(full)
    return keras.Model(image, outputs, name=name)


def vgg16_trunk(x, width, stride):
    """The thirteen convolutions of VGG-16, named as there; poolings are 3 wide."""
    step, rate = 1, 1
    for block, (count, times) in enumerate(zip(CONVOLUTIONS, WIDENING, strict=True), start=1):
        for number in range(1, count + 1):
            x = atrous(x, width * times, rate, name=f"block{block}_conv{number}")
        strides, step, rate = halving(step, rate, stride)
        x = pool(x, strides, name=f"block{block}_pool")
    return x


def resnet101_trunk(x, width, stride):
    """The stages of ResNet-101, named as there; the first bottleneck of a stage halves."""
    x = pool(conv(x, width, 7, 2, name="conv1"), 2, name="pool1")
    step, rate, strides = 4, 1, 1
    for stage, count in enumerate(BLOCKS[101]):
        if stage:
            strides, step, rate = halving(step, rate, stride)
        for number in range(1, count + 1):
            halves = {"strides": strides if number == 1 else 1, "rate": rate}
            x = bottleneck(x, width * 2**stage, name=f"conv{stage + 2}_{number}", **halves)
    return x


TRUNKS = {"vgg16": vgg16_trunk, "resnet101": resnet101_trunk}


def halving(step, rate, stride):
    """Return strides, and step and rate behind them: a halving left out doubles the rate."""
    return (2, 2 * step, rate) if step < stride else (1, step, 2 * rate)


def head(x, classes, rates, hidden=None, dropout=0.5):
    """Score `x` by one branch a rate, and add the scores up.

    hidden: channels of a branch's two hidden layers, or None: its atrous layer scores at once.
    """
    maps = []
    for number, rate in enumerate(rates, start=1):
        of = f"_{number}" if len(rates) > 1 else ""
        y = x
        if hidden:
            for layer, kernel in {"fc6": 3, "fc7": 1}.items():
                y = atrous(y, hidden, rate if kernel > 1 else 1, kernel, name=f"{layer}{of}")
                y = keras.layers.Dropout(dropout, name=f"{layer}{of}_dropout")(y)
        how = {"activation": None, "name": f"score{of}"}
        maps.append(
            atrous(y, classes, kernel=1, **how) if hidden else atrous(y, classes, rate, **how)
        )
    return keras.layers.Add(name="scores")(maps) if len(maps) > 1 else maps[0]


def atrous(x, channels, rate=1, kernel=3, activation="relu", name=None):
    """Convolution with bias whose taps lie `rate` positions apart; zeros outside of the map."""
    return blocks.by_rank("Conv{}D", x)(
        channels,
        kernel,
        dilation_rate=rate,
        padding="same",
        activation=activation,
        kernel_initializer=blocks.he_normal(x.shape[-1] * kernel ** (len(x.shape) - 2)),
        name=name,
    )(x)


def pool(x, strides, name=None):
    """Largest of 3 positions, the middle one at 0, `strides`, 2 * `strides` ...

    Zeros complete the border's windows, equally many on either side, as TensorFlow's "same" does
    for odd sizes only; after a ReLU a zero changes no maximum.
    """
    x = blocks.by_rank("ZeroPadding{}D", x)(1, name=name and f"{name}_pad")(x)
    return blocks.by_rank("MaxPooling{}D", x)(3, strides, name=name)(x)


def enlarge(x, factor):
    """Interpolate linearly: n positions become factor * (n - 1) + 1, the first and last stay."""
    up = BilinearUpsampling(factor, kernel=2 * factor - 1, padding="valid", dtype="float32")
    return blocks.crop(up(x), factor - 1)


def resize(x, scale):
    """Interpolate n positions to scale * (n - 1) + 1; `scale` is a Fraction for which it is whole.

    By 3/4: to three times as many, then every fourth of these.
    """
    if scale.numerator > 1:
        x = enlarge(x, scale.numerator)
    if scale.denominator > 1:  # a pooling of one position only leaves out
        x = blocks.by_rank("MaxPooling{}D", x)(1, scale.denominator)(x)
    return x
