"""VoxResNet: pre-activation residual modules at four scales, whose answers are added, 2-D or 3-D.

Source: Chen, Dou, Yu, Heng, VoxResNet: Deep Voxelwise Residual Networks for Volumetric Brain
Segmentation, arXiv:1608.05895, 2016, figure 1. No file of the authors is known, and ports by other
hands differ in kernels and deconvolutions; this is one reading of the figure (numbers are tested):
    voxresnet((80, 80, 80, 3), classes=4)        1,330,944 weights, 1,920 of them statistics
Its 17 convolutions, 4 deconvolutions and 4 classifiers are 25 layers. The text's "25 convolutional
layers and 4 deconvolutional layers" are as many only if the deconvolutions count among the 25.

Where the paper is silent: convolutions have a bias; weights start as He et al. draw them, those of
deconvolutions and classifiers as Glorot does; batch normalisation keeps 0.9 of its averages a step,
for at Keras' 0.99 a run of 100 steps would end with a third of their first values.
"""

import keras

from medseg_tf.errors import ConfigError
from medseg_tf.layers import BatchNormalization
from medseg_tf.models import blocks

MOMENTUM = 0.9
SCALES = (1, 2, 3, 4)


@blocks.builder
def voxresnet(
    input_shape,
    classes,
    width=32,
    scales=SCALES,
    slice_axis=2,
    activation="softmax",
    name="voxresnet",
):
    """Build a VoxResNet: (batch, *spatial, channels) -> (batch, *spatial, classes), float32.

    Batch normalisation and ReLU come before each convolution but the first, and nothing comes after
    an addition: a module whose convolutions are 0 hands its input on as it is. Each scale has a
    branch of its own, a deconvolution to the full size and a 1 x 1 convolution, both to the
    classes; the branches' scores are added. `deeply_supervised` gives every branch an output.

    Args:
        input_shape: (rows, columns, channels) or (x, y, z, channels); None leaves a size open.
            Every size must be a multiple of 8. Several contrasts of one subject are channels.
        classes: number of classes, background included.
        width: channels at full resolution; the three coarser scales have twice as many.
        scales: which of the scales 1 (full resolution) to 4 (an eighth) have a branch; (4,) is the
            coarsest alone. Layers that no branch needs are left out.
        slice_axis: axis across the slices of a volume, which often lie far apart (3 mm in the
            paper). The second convolution and the first of each module look only within a slice,
            with kernels of 3 x 3 x 1. None makes all kernels 3 x 3 x 3. An image in 2-D is one
            slice, and all its kernels are 3 x 3.
        activation: "softmax" for probabilities, None for logits.

    Raises:
        ConfigError: a size that is no multiple of 8 (the nearest are named), or an unknown choice.
    """
    blocks.check_choice("voxresnet: slice_axis", slice_axis, (None, 0, 1, 2))
    check_scales(scales)
    blocks.check_sizes("voxresnet", input_shape, lambda size: range(8, size + 9, 8), "3 halvings")
    volume = len(input_shape) == 4
    within = tuple(1 if axis == slice_axis else 3 for axis in range(3)) if volume else 3

    def conv(x, channels, kernel, label, strides=1):
        return blocks.conv(x, channels, kernel, activation=None, strides=strides, name=label)

    def ready(x, label):
        x = BatchNormalization(momentum=MOMENTUM, name=f"{label}_norm")(x)
        return keras.layers.Activation("relu", name=f"{label}_relu")(x)

    def module(x, label):
        y, channels = x, x.shape[-1]
        for kernel, part in ((within, f"{label}a"), (3, f"{label}b")):
            y = conv(ready(y, part), channels, kernel, part)
        return keras.layers.Add(name=f"{label}_add")([x, y])

    inputs = keras.Input(input_shape, name="image")
    x = ready(conv(inputs, width, 3, "conv1a"), "conv1b")
    taps = [conv(x, width, within, "conv1b")]
    for label, modules in (("conv1c", "23"), ("conv4", "56"), ("conv7", "89")):
        x = conv(ready(taps[-1], label), 2 * width, 3, label, strides=2)
        for number in modules:
            x = module(x, f"res{number}")
        taps.append(x)

    scores = [branch(taps[scale - 1], scale, classes) for scale in scales]
    total = keras.layers.Add(name="logits")(scores) if len(scores) > 1 else scores[0]
    output = keras.layers.Activation(activation, dtype="float32", name="output")(total)
    return keras.Model(inputs, output, name=name)


def branch(tap, scale, classes):
    """Return the scores of one scale at full resolution, (batch, *spatial, classes)."""
    step = 2 ** (scale - 1)
    kernel = step if step > 1 else 3
    layer = blocks.by_rank("Conv{}DTranspose", tap)
    x = layer(classes, kernel, step, padding="same", name=f"deconv{scale}")(tap)
    return blocks.by_rank("Conv{}D", x)(classes, 1, name=f"scores{scale}")(x)


def deeply_supervised(model):
    """Return a VoxResNet with an output for each branch behind its own: for training alone.

    Layers and weights are shared. `training.fit` asks all outputs of the returned network, and what
    it learns is in `model`, whose one output `inference` and `recipe.save` want. In a run's folder
    it leaves `model`, too.

    Args:
        model: from `voxresnet`.

    Returns:
        keras.Model with outputs [fused, branch 1, ...], each (batch, *spatial, classes), float32.

    Raises:
        ConfigError: a network without such branches.

    Source: Lee, Xie, Gallagher, Zhang, Tu, Deeply-Supervised Nets, AISTATS 2015.
    """
    scores = [layer for layer in model.layers if layer.name.startswith("scores")]
    if not scores:
        raise ConfigError(
            f"deeply_supervised: {model.name} has no layer named scores1 to scores4, whose answers "
            "could be asked for; give a network from models.voxresnet."
        )
    activation, outputs = model.get_layer("output").activation, [model.outputs[0]]
    for layer in scores:
        name = layer.name.replace("scores", "branch")
        last = keras.layers.Activation(activation, dtype="float32", name=name)
        outputs.append(last(layer.output))
    twin = keras.Model(model.inputs[0], outputs, name=model.name)
    twin.recipe = model.recipe
    return twin


def check_scales(scales):
    """Raise ConfigError unless `scales` are some of 1 to 4 in order, none twice."""
    given = list(scales) if isinstance(scales, (list, tuple)) else []
    if not given or given != [scale for scale in SCALES if scale in given]:
        raise ConfigError(
            f"voxresnet: scales is {scales}; give one or more of 1, 2, 3 and 4 in order, for "
            "example (1, 2, 3, 4), or (4,) for the coarsest alone."
        )
