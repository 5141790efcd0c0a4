"""Autoencoders: an encoder to a small code, a decoder that restores the input; stacked or not.

Sources: Rumelhart, Hinton, Williams, Nature 323, 1986 (one hidden layer); Hinton, Salakhutdinov,
Science 313, 2006 (many); Vincent et al., JMLR 11, 2010 (denoising); convolution and unpooling as
Masci et al., ICANN 2011, and Zeiler, Fergus, ECCV 2014.
As calls (each number is tested):
    autoencoder((784,), (32,))                                                        50,992 weights
    autoencoder((784,), (1000, 500, 250, 30))      Hinton and Salakhutdinov's       2,837,314
    autoencoder((162,), (100, 50, 25))                                                45,387
    autoencoder((32, 32, 1), (8, 4))               code of 8 x 8 x 4                      741
    autoencoder((32, 32, 1), (8, 4), up="transposed")                                   1,073

Without hidden activation and with the squared error, the best code of k numbers spans the plane of
the first k principal components (Baldi, Hornik, Neural Networks 2, 1989). Train it as any Keras
model, on x as input and target, or layer by layer with `methods.greedy`.
"""

import keras

from medseg_tf.errors import ConfigError
from medseg_tf.layers import MaxPoolingWithIndices, MaxUnpooling, SparsityPenalty
from medseg_tf.models import blocks


@blocks.builder
def autoencoder(
    input_shape,
    widths,
    hidden="sigmoid",
    output=None,
    up="unpool",
    kernel=3,
    bias=True,
    noise=0.0,
    sparsity=0.0,
    name="autoencoder",
):
    """Build an autoencoder: (batch, *input_shape) -> the same, float32.

    One axis makes it dense. Several make it convolutional: each layer's convolution is followed by
    a max-pooling that halves the map, and mirrored by an upsampling with a convolution. Layers are
    named encode1, encode2, ..., decode2, decode1; `encoder_of` gives the part up to the code. With
    up="unpool" the code alone does not restore the image: the positions of the maxima pass by it.

    Args:
        input_shape: (values,), (rows, columns, channels) or (x, y, z, channels); None leaves a
            spatial size open.
        widths: units, or channels, of each layer; the last is the code's.
        hidden: activation of all layers but the last; None makes a linear autoencoder.
        output: activation of the last layer; "sigmoid" restores only values from 0 to 1.
        up: "unpool" puts values where the pooling found them, "nearest" repeats them,
            "transposed" learns it; of convolutional ones only.
        kernel: side of the convolutions.
        bias: give every layer one.
        noise: standard deviation of what is added to the input in training: a denoising one, which
            learns to restore the clean input it is given as target.
        sparsity: weight in the loss of the sum of the code's absolute values, mean over the batch.

    Raises:
        ConfigError: no widths, a size that cannot be halved so often, an unknown `up`.
    """
    blocks.check_choice("autoencoder: up", up, ("unpool", "nearest", "transposed"))
    dense = len(input_shape) == 1
    check(input_shape, widths, noise, sparsity)
    x = inputs = keras.Input(input_shape, name="input")
    if noise:
        x = keras.layers.GaussianNoise(noise, name="noise")(x)

    def layer(x, channels, activation, title):
        options = dict(activation=activation, use_bias=bias, name=title)
        if dense:
            return keras.layers.Dense(channels, **options)(x)
        return blocks.by_rank("Conv{}D", x)(channels, kernel, padding="same", **options)(x)

    switches = []
    for level, channels in enumerate(widths, start=1):
        x = layer(x, channels, hidden, f"encode{level}")
        if not dense and up == "unpool":
            before = x
            x, where = MaxPoolingWithIndices(name=f"pool{level}")(before)
            switches.append((where, before))
        elif not dense:
            x = blocks.max_pool(x, name=f"pool{level}")
    hand_on = (
        SparsityPenalty(sparsity, name="code") if sparsity else keras.layers.Identity(name="code")
    )
    x = hand_on(x)

    mirror = (input_shape[-1], *widths[:-1])
    for level in reversed(range(1, len(widths) + 1)):
        if not dense:
            x = larger(x, up, switches, f"up{level}")
        last = level == 1
        title = f"decode{level}"
        x = layer(x, mirror[level - 1], output if last else hidden, title)
    outputs = keras.layers.Activation("linear", dtype="float32", name="output")(x)
    return keras.Model(inputs, outputs, name=name)


def larger(x, up, switches, name):
    """Double a map; `switches` loses its last entry."""
    if up == "unpool":
        return MaxUnpooling(name=name)(x, *switches.pop())
    if up == "nearest":
        return blocks.by_rank("UpSampling{}D", x)(2, name=name)(x)
    return blocks.up_conv(x, x.shape[-1], name=name)


def encoder_of(model):
    """Return the part of an autoencoder up to its code, as a model that shares its weights.

    Args:
        model: from `autoencoder`.

    Returns: keras.Model, (batch, *input_shape) -> the code, (batch, width) or (batch, *spatial,
        width).
    """
    return keras.Model(model.input, model.get_layer("code").output, name=f"{model.name}_encoder")


def check(input_shape, widths, noise, sparsity):
    if not widths or min(widths) < 1:
        raise ConfigError(
            f"autoencoder: widths={widths}; give at least one layer's units, e.g. (100, 25)."
        )
    if noise < 0 or sparsity < 0:
        raise ConfigError(f"autoencoder: noise={noise}, sparsity={sparsity}; give 0 or more.")
    if len(input_shape) == 1:
        return
    depth = len(widths)
    step = 2**depth
    blocks.check_sizes(
        "autoencoder",
        input_shape,
        lambda size: range(step, size + step + 1, step),
        f"{depth} poolings",
    )
