"""Measure a built network: what an output position sees, and what a pass costs.

Both send something lighter than images through the model's own graph: the interval of input
positions that each position sees, or shapes alone.
"""

import math

import keras
import numpy as np
from keras import layers

from medseg_tf.errors import ConfigError, ModelError
from medseg_tf.layers import (
    BilinearUpsampling,
    CropLike,
    DilatedPooling,
    LocalResponseNormalization,
    MaxPoolingWithIndices,
    MaxUnpooling,
    PadChannels,
)

CONVOLUTIONS = (layers.Conv2D, layers.Conv3D)
TRANSPOSED = (layers.Conv2DTranspose, layers.Conv3DTranspose, BilinearUpsampling)
POOLINGS = (
    layers.AveragePooling2D,
    layers.AveragePooling3D,
    layers.MaxPooling2D,
    layers.MaxPooling3D,
)
# Each position of the output sees all positions of the input.
WHOLE = (
    layers.Flatten,
    layers.GlobalAveragePooling2D,
    layers.GlobalAveragePooling3D,
    layers.GlobalMaxPooling2D,
    layers.GlobalMaxPooling3D,
    layers.Reshape,
)
# Each position of the output sees the same position of every input.
POINTWISE = (
    layers.Activation,
    layers.Add,
    layers.Average,
    layers.BatchNormalization,
    layers.Concatenate,
    layers.Dense,
    layers.Dropout,
    layers.ELU,
    layers.GaussianNoise,
    layers.Identity,
    layers.LeakyReLU,
    layers.Maximum,
    layers.Multiply,
    layers.PReLU,
    layers.ReLU,
    layers.Rescaling,
    layers.Softmax,
    layers.SpatialDropout2D,
    layers.SpatialDropout3D,
    layers.Subtract,
    layers.UnitNormalization,
    LocalResponseNormalization,
    PadChannels,
)
NOTHING = 2**40  # as lowest position and as minus the highest: sees no input


def receptive_field(model):
    """Return how many input positions an output position sees along each spatial axis.

    It is the largest extent, first to last position, over all outputs and phases: with poolings
    positions differ (U-Net of depth 4: 188 or 204), and papers' own counts may be smaller. Borders
    do not shorten it, unless a layer sees the whole map (Flatten, Reshape, global pooling): then it
    is what the network sees of the size it was built for, infinity where that is open.

    Raises:
        ModelError: a layer whose sight is not known here.
    """
    return tuple(field_along(model, axis) for axis in range(len(model.input_shape) - 2))


def field_along(model, axis):
    size = model.input_shape[1 + axis]
    if any(isinstance(layer, WHOLE) for layer in layers_of(model)):
        return int(extents(model, axis, size).max()) if size else math.inf
    # On a longer and longer line until borders cannot matter. Powers of two keep poolings in step.
    more = 64
    while True:
        line = (size or 0) + more
        field = int(extents(model, axis, line).max(initial=0))
        if 0 < 4 * field <= line:
            return field
        more *= 2


def extents(model, axis, size):
    """Return how many of `size` input positions each output position sees along `axis`."""
    line = np.stack([np.arange(size), -np.arange(size)])  # lowest, minus highest: union = minimum

    def look(layer):
        if isinstance(layer, keras.Model):
            return lambda seen, *args, **kwargs: through(layer, seen, look)
        return lambda seen, *args, **kwargs: sight(layer, seen, axis)

    outputs = through(model, [line] * len(model.inputs), look)
    lowest, highest = np.concatenate(outputs, axis=1) * [[1], [-1]]
    return highest - lowest + 1


def through(model, inputs, look):
    """Send `inputs` through a model's graph, `look(layer)` standing in for each layer."""
    if not getattr(model, "inputs", None):
        raise ModelError(f"{model.name} has no graph of layers; build it with keras.Model.")
    graph = keras.Model(model.inputs, model.outputs)
    return keras.tree.flatten(graph._run_through_graph(inputs, look))


def sight(layer, seen, axis):
    """Return what each position of a layer's output sees, from what its inputs' positions see."""
    if isinstance(layer, TRANSPOSED) and layer.output_padding is None:
        return spread(seen, *window(layer, axis))
    if isinstance(layer, CONVOLUTIONS):
        return slide(seen, *window(layer, axis))
    if isinstance(layer, POOLINGS):
        return slide(seen, layer.pool_size[axis], layer.strides[axis], 1, layer.padding)
    if isinstance(layer, DilatedPooling):
        return slide(seen, layer.pool_size[axis], 1, layer.dilation_rate[axis], "valid")
    if isinstance(layer, MaxPoolingWithIndices):  # maxima and their places see the same
        return (slide(seen, layer.pool_size, layer.pool_size, 1, "valid"),) * 2
    if isinstance(layer, MaxUnpooling):  # of the maxima: of the map to fill it takes the size alone
        return enlarge(seen, layer.pool_size, "nearest")
    if isinstance(layer, CropLike):
        x, other = seen
        return x[:, layer.offset : layer.offset + other.shape[1]]
    if isinstance(layer, WHOLE):
        shape = layer.output.shape if isinstance(layer, layers.Reshape) else ()
        length = shape[1 + axis] if len(shape) > 2 else 1
        return np.repeat(seen.min(axis=1, keepdims=True), length, axis=1)
    if isinstance(layer, (layers.UpSampling2D, layers.UpSampling3D)):
        return enlarge(seen, layer.size[axis], getattr(layer, "interpolation", "nearest"))
    if isinstance(layer, (layers.Cropping2D, layers.Cropping3D)):
        before, after = layer.cropping[axis]
        return seen[:, before : max(seen.shape[1] - after, 0)]
    if isinstance(layer, (layers.ZeroPadding2D, layers.ZeroPadding3D)):
        return pad(seen, *layer.padding[axis])
    if isinstance(layer, POINTWISE) and getattr(layer, "axis", -1) == -1:
        return merge(seen) if isinstance(seen, (list, tuple)) else seen
    raise ModelError(
        f"receptive_field does not know layer {layer.name!r} ({type(layer).__name__}) or its "
        "settings; add a rule to models/measure.py."
    )


def window(layer, axis):
    return layer.kernel_size[axis], layer.strides[axis], layer.dilation_rate[axis], layer.padding


def slide(seen, kernel, stride, dilation, padding):
    """A convolution's or pooling's window: an output position sees what its inputs see."""
    reach = (kernel - 1) * dilation + 1
    if padding == "same":
        size = seen.shape[1]
        missing = max((-(-size // stride) - 1) * stride + reach - size, 0)
        seen = pad(seen, missing // 2, missing - missing // 2)
    starts = np.arange(0, seen.shape[1] - reach + 1, stride)
    return np.min([seen[:, starts + tap * dilation] for tap in range(kernel)], axis=0)


def spread(seen, kernel, stride, dilation, padding):
    """A transposed convolution: each input position is seen by the outputs that it reaches."""
    size, reach = seen.shape[1], (kernel - 1) * dilation + 1
    length = size * stride + (max(reach - stride, 0) if padding == "valid" else 0)
    result = np.full((2, size * stride + reach), NOTHING)
    starts = np.arange(size) * stride
    for tap in range(kernel):
        result[:, starts + tap * dilation] = np.minimum(result[:, starts + tap * dilation], seen)
    cut = max(reach - stride, 0) // 2 if padding == "same" else 0
    return result[:, cut : cut + length]


def enlarge(seen, factor, interpolation):
    """Upsampling: the nearest position, or the two around it."""
    if interpolation not in ("nearest", "bilinear"):
        raise ModelError(f"receptive_field does not know {interpolation!r} upsampling.")
    if interpolation == "nearest":
        return np.repeat(seen, factor, axis=1)
    size = seen.shape[1]
    place = (np.arange(size * factor) + 0.5) / factor - 0.5
    below, above = (
        np.clip(rounded(place), 0, size - 1).astype(int) for rounded in (np.floor, np.ceil)
    )
    return np.minimum(seen[:, below], seen[:, above])


def pad(seen, before, after):
    return np.pad(seen, ((0, 0), (before, after)), constant_values=NOTHING)


def merge(maps):
    """Union of what several maps see; one position counts for all, and long ends are cut."""
    length = min((seen.shape[1] for seen in maps if seen.shape[1] != 1), default=1)
    return np.min([seen[:, :length] + np.zeros((1, length), int) for seen in maps], axis=0)


def layers_of(model):
    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from layers_of(layer)


def macs(model, size=None):
    """Return the multiply-adds of one forward pass of one image: convolutions and dense layers.

    Args:
        model: functional keras.Model.
        size: spatial sizes of the image, where the model leaves them open.

    Raises:
        ConfigError: sizes are open and `size` is missing.
        ModelError: a layer with weights whose cost is not known here.
    """
    costs = []
    send_shapes("macs", model, size, lambda *passed: costs.append(cost(*passed)))
    return sum(costs)


def map_memory(model, size=None):
    """Return the bytes that the maps of one image take in training, forward and backward.

    Each layer's output counts twice, as numbers of 4 bytes. Arguments and errors as for `macs`.
    """
    shape = (*(size or model.input_shape[1:-1]), model.input_shape[-1])
    counts = []

    def visit(_, __, output):
        counts.extend(math.prod(one.shape[1:]) for one in keras.tree.flatten(output))

    send_shapes("map_memory", model, size, visit)
    return 2 * 4 * (math.prod(shape) + sum(counts))


def training_memory(model, batch, size=None):
    """Return about how many bytes training takes: an estimate from shapes, made before it starts.

    It has the maps of a batch, forward and backward, and of each weight the number, its gradient
    and the two averages that Adam keeps. The framework itself, its scratch memory and the data come
    on top; half precision and maps that are given back early take off.

    Args:
        model: functional keras.Model.
        batch: images a batch.
        size: as in `macs`.

    Raises: as `macs`.
    """
    return batch * map_memory(model, size) + 4 * 4 * model.count_params()


def send_shapes(where, model, size, visit):
    """Send the shape of one image through a model: visit(layer, inputs, output) at each layer."""
    shape = (1, *(size or model.input_shape[1:-1]), model.input_shape[-1])
    if None in shape:
        raise ConfigError(
            f"{where}: {model.name} leaves sizes open {model.input_shape[1:-1]}; say for which "
            "image, e.g. size=(256, 256)."
        )

    def look(layer):
        if isinstance(layer, keras.Model):
            return lambda inputs, *args, **kwargs: through(layer, inputs, look)

        def shapes(*args, **kwargs):
            output = layer.compute_output_spec(*args, **kwargs)
            visit(layer, args[0], output)
            return output

        return shapes

    through(model, [keras.KerasTensor(shape)], look)


def cost(layer, inputs, output):
    if isinstance(layer, TRANSPOSED):
        return math.prod(inputs.shape[1:-1]) * math.prod(layer.kernel.shape)
    if isinstance(layer, (*CONVOLUTIONS, layers.Dense)):
        return math.prod(output.shape[1:-1]) * math.prod(layer.kernel.shape)
    if layer.weights and not isinstance(layer, (layers.BatchNormalization, layers.PReLU)):
        raise ModelError(
            f"macs does not know layer {layer.name!r} ({type(layer).__name__}); add a rule to "
            "models/measure.py."
        )
    return 0
