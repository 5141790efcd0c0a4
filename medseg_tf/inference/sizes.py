"""Which sizes a network takes, found by sending sizes, not images, through its graph."""

import math
import weakref

import keras

from medseg_tf.errors import ModelError
from medseg_tf.layers import CropLike
from medseg_tf.models.measure import through

KNOWN = weakref.WeakKeyDictionary()  # model: {(axis, size): what `follow` gave}
LONG = 2**24  # so long that what a valid convolution cuts off does not show; nothing is computed


def size_multiple(model):
    """Return the network's stride along each spatial axis: the product of its poolings.

    Sizes that fit are this far apart, and an image moved by it gives the same answer, moved.
    U-Net of depth d: 2**d. A network with a layer that binds it to one size has 1.

    Raises:
        ModelError: no functional model, or its output is coarser than its input.
    """
    return tuple(stride(model, axis) for axis in range(len(model.input_shape) - 2))


def stride(model, axis):
    sizes, _ = follow(model, axis, LONG)
    if not sizes:
        return 1
    if 2 * sizes[-1] < LONG:
        raise ModelError(
            f"{model.name} answers on a grid {round(LONG / sizes[-1])} times coarser than its "
            "input; to segment, a network must come back to the input's voxels by up-convolutions."
        )
    # A map of a few voxels belongs to a global pooling, not to the grid.
    return math.lcm(*(round(LONG / size) for size in sizes if LONG / 2**12 < size <= LONG))


def output_size(model, axis, size):
    """Return what `size` voxels of input give along one axis, or None where they do not fit.

    They fit if no pooling drops a voxel and all maps that meet are of one size.
    """
    sizes, fits = follow(model, axis, size)
    return sizes[-1] if fits else None


def nearest_fit(model, axis, size, way=1):
    """Return the first size that fits: upward from `size`, or downward with way=-1, else None."""
    sizes = range(size, size + 1024) if way > 0 else range(size, 0, -1)
    return next((n for n in sizes if output_size(model, axis, n) is not None), None)


def follow(model, axis, size):
    """Send `size` along one axis through a network: (sizes of all maps, whether it fits).

    The last map is the output; no maps at all if a layer runs out of voxels. Remembered, because
    a graph never changes and cases come by the hundred.
    """
    known = KNOWN.setdefault(model, {})
    if (axis, size) not in known:
        known[axis, size] = walk(model, axis, size)
    return known[axis, size]


def walk(model, axis, size):
    sizes, fits = [], True
    shape = [1, *(None for _ in model.input_shape[1:-1]), model.input_shape[-1]]
    shape[1 + axis] = size

    def look(layer):
        if isinstance(layer, keras.Model):
            return lambda maps, *args, **kwargs: through(layer, maps, look)

        def spec(*args, **kwargs):
            nonlocal fits
            inputs = [getattr(t, "shape", ()) for t in keras.tree.flatten(args)]
            inputs = [s for s in inputs if len(s) == len(shape)]
            fits = fits and divides(layer, axis, {s[1 + axis] for s in inputs})
            output = layer.compute_output_spec(*args, **kwargs)
            sizes.extend(t.shape[1 + axis] for t in [output] if len(t.shape) == len(shape))
            return output

        return spec

    try:
        through(model, [keras.KerasTensor(shape)], look)
    except ModelError:
        raise
    except ValueError:  # so Keras says that a layer has no voxel left to give
        return [], False
    if any(size is not None and size < 1 for size in sizes):  # older Keras crops to nothing
        return [], False
    return sizes, fits


def divides(layer, axis, sizes):
    """Whether a layer's input maps are of one size, and its steps end where the map ends."""
    if isinstance(layer, CropLike):  # it is there to make sizes meet
        return True
    if len(sizes - {1}) > 1:
        return False
    size = max(sizes, default=1)
    if not hasattr(layer, "strides") or hasattr(layer, "output_padding"):  # or a transposed one
        return True
    window = getattr(layer, "pool_size", None) or layer.kernel_size
    reach = (window[axis] - 1) * getattr(layer, "dilation_rate", (1, 1, 1))[axis] + 1
    return (size - (reach if layer.padding == "valid" else 0)) % layer.strides[axis] == 0
