"""FCRN: a residual network that scores the classes at three strides and adds the scores up.

Source: L. Yu, Chen, Dou, Qin, Heng, IEEE Trans. Medical Imaging 36:994 (2017); the authors'
released network of depth 50.
The networks as calls (trainable numbers in 2 classes; tested):
    fcrn(depth=38)      19,884,166        fcrn(depth=101)     42,507,910
    fcrn(depth=50)      23,515,782, of them 7,750 in the head

The trunk is that of `resnet`. The head starts as in FCN-8s: 1 x 1 convolutions to the classes,
which start at 0, on the ends of the last three stages; the coarser scores are enlarged by a learned
deconvolution, one kernel a class, bilinear at first, and added to the finer ones. As released it
crops nothing: a coarse map is taken to fill the blocks of its positions, though stages that halve
by leaving out every second position, from the first one on, lie up to half a block nearer to the
corner. The learned layers before and in the head have to make up for that.

Left out: the released file's bias of the first convolution, 64 numbers that the normalisation
takes out again; its start from ImageNet's weights; and its learning rates in the head, a tenth for
weights and a fifth for biases, which mean something to SGD only (the package's own optimizer
rescales each gradient). FCRN-38 was never specified: 38 layers are twelve bottlenecks, three a
stage is our choice.
"""

import keras

from medseg_tf.models import blocks
from medseg_tf.models.fcn import STRIDES, Map, head
from medseg_tf.models.resnet import SHORTCUTS, bottleneck, trunk

# Bottlenecks of the four stages; depths 14 and 26 are ours, for a desktop.
BLOCKS = {14: (1, 1, 1, 1), 26: (2, 2, 2, 2), 38: (3, 3, 3, 3)}
BLOCKS |= {50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}


@blocks.builder
def fcrn(
    input_shape=(None, None, 3),
    classes=2,
    depth=50,
    stride=8,
    shortcuts="B",
    width=64,
    activation="softmax",
    name="fcrn",
):
    """Build an FCRN: (batch, *spatial, channels) -> (batch, *spatial, classes), float32.

    Args:
        input_shape: (rows, columns, channels) or (x, y, z, channels), multiples of 32; None
            leaves a size open. The paper's are (480, 480, 3).
        classes: number of classes, background included.
        depth: layers of the classifier that the trunk is taken from: 38, 50 or 101; 14 or 26 for
            a desktop.
        stride: pixels between two scores of the finest map that is used: 8, or for twins 16 or 32.
        shortcuts: "A", "B", "C" or None, the plain twin, as in `resnet`. The paper's is "B"; a
            plain twin has the weights of "A".
        width: channels of the first stage's 3 x 3 convolutions.
        activation: "softmax" for probabilities, None for logits.

    Raises:
        ConfigError: an unknown choice, or a size that is no multiple of 32.
    """
    blocks.check_choice("fcrn: depth", depth, tuple(BLOCKS))
    blocks.check_choice("fcrn: stride", stride, STRIDES)
    blocks.check_choice("fcrn: shortcuts", shortcuts, SHORTCUTS)
    blocks.check_sizes("fcrn", input_shape, lambda size: range(32, size + 33, 32), "stride 32")
    image = keras.Input(input_shape, name="image")
    _, *ends = trunk(image, BLOCKS[depth], bottleneck, width, shortcuts)
    maps = [Map(end, step, 0) for end, step in zip(ends, STRIDES[::-1], strict=True)]
    kept = maps[-1 - STRIDES.index(stride) :]
    outputs = head(image, kept, classes, "grouped", activation=activation)
    return keras.Model(image, outputs, name=name)
