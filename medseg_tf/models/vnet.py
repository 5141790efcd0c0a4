"""V-Net: residual stages on a contracting and an expansive path, in 2-D or 3-D.

Source: Milletari, Navab, Ahmadi, 3DV 2016, arXiv:1606.04797, figure 2 and table 1.
The paper's network and the one in the file its authors released (each number is tested):
    vnet((128, 128, 64, 1), classes=2)                                            65,175,314 weights
    vnet((128, 128, 64, 1), classes=2, convolutions=(1, 1, 2, 3, 3), release=True)        61,982,682

An output position sees 532 or 548 input positions along an axis, depending on where it lies. The
paper's table 1 counts 551: it takes a transposed convolution for two positions wide on the finer
map, but of kernel 2 and stride 2 each position sees one of the coarser map. The caption's kernels
of 3 are a slip: the table's own numbers follow from 5. Where the paper is silent the released file
decides: initial weights as He et al. draw them, one slope a channel, 0.25 at first.
"""

import keras

from medseg_tf.errors import ConfigError
from medseg_tf.models import blocks


@blocks.builder
def vnet(
    input_shape,
    classes,
    width=16,
    convolutions=(1, 2, 3, 3, 3),
    kernel=5,
    norm=None,
    residual=True,
    skips=True,
    release=False,
    activation="softmax",
    name="vnet",
):
    """Build a V-Net: (batch, *spatial, channels) -> (batch, *spatial, classes), float32.

    A stage adds its input to what its last convolution gives. In the first stage that is the image,
    its one channel repeated; on the way down the strided convolution's map; on the way up the whole
    concatenation of the upsampled map and the skip. PReLU follows each convolution, in a stage's
    last one after the addition: so the released file has it, where figure 2 draws it before.

    Args:
        input_shape: (rows, columns, channels) or (x, y, z, channels); None leaves a size open.
            The paper's image has 1 channel. Several cannot be repeated and are brought to `width`
            by a 1 x 1 convolution before the first addition, which is not in the paper.
        classes: number of classes, background included.
        width: channels of the first stage; each further stage has twice as many.
        convolutions: number of them in each stage, from the finest to the bottom; the way up has
            as many as the way down. Its length less 1 is the depth, the number of halvings, and
            every size must be a multiple of 2**depth.
        kernel: side of the stages' convolutions.
        norm: "batch" normalises after each convolution, before additions and PReLUs; None as in
            the paper, which has no normalisation.
        residual: False leaves the additions out: the same weights, but for that 1 x 1 convolution.
        skips: False puts a copy of the upsampled map where the skip would come: the same weights
            without the skips' detail.
        release: the released file's head: a convolution of side `kernel` to the classes with
            PReLU, before the 1 x 1 convolution that the paper has alone.
        activation: "softmax" for probabilities, None for logits.

    Raises:
        ConfigError: a size that is no multiple of 2**depth (the nearest are named), numbers of
            convolutions that make no network, or an unknown choice.
    """
    blocks.check_choice("vnet: norm", norm, (None, "batch"))
    check_convolutions(convolutions)
    depth = len(convolutions) - 1
    step = 2**depth
    blocks.check_sizes(
        "vnet", input_shape, lambda size: range(step, size + step + 1, step), f"depth {depth}"
    )

    def stage(x, channels, count, shortcut, label):
        for number in range(1, count + 1):
            title = f"{label}_conv{number}"
            x = blocks.conv(x, channels, kernel, norm=norm, activation=None, name=title)
            if residual and number == count:
                x = keras.layers.Add(name=f"{label}_add")([x, shortcut])
            x = blocks.prelu(x, name=f"{label}_prelu{number}")
        return x

    x = inputs = keras.Input(input_shape, name="image")
    maps = []
    for level, count in enumerate(convolutions):
        label, channels = f"down{level}" if level < depth else "bottom", width * 2**level
        shortcut = x  # one channel, which the addition repeats for each of the others
        if level:
            title = f"{label}_downconv"
            x = blocks.conv(x, channels, 2, norm=norm, activation=None, strides=2, name=title)
            x = shortcut = blocks.prelu(x, name=f"{title}_prelu")
        elif residual and x.shape[-1] > 1:
            shortcut = blocks.conv(x, channels, 1, norm=norm, activation=None, name="shortcut")
        x = stage(x, channels, count, shortcut, label)
        maps.append(x)

    for level in reversed(range(depth)):
        label, skip = f"up{level}", maps[level]
        title = f"{label}_upconv"
        x = blocks.normalize(blocks.up_conv(x, skip.shape[-1], name=title), norm, title)
        x = blocks.prelu(x, name=f"{title}_prelu")
        x = keras.layers.Concatenate(name=f"{label}_concat")([x, skip if skips else x])
        x = stage(x, x.shape[-1], convolutions[level], x, label)

    if release:
        x = blocks.conv(x, classes, kernel, norm=norm, activation=None, name="head_conv")
        x = blocks.prelu(x, name="head_prelu")
    return keras.Model(inputs, blocks.output(x, classes, activation), name=name)


def check_convolutions(convolutions):
    """Raise ConfigError unless each of two or more stages has a convolution or more."""
    several = isinstance(convolutions, (list, tuple)) and len(convolutions) > 1
    if not several or min(convolutions) < 1:
        raise ConfigError(
            f"vnet: convolutions is {convolutions}; give the number of each stage, finest "
            "first: two stages or more of 1 or more, for example (1, 2, 2)."
        )
