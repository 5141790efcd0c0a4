"""The dense twin of a window classifier: its answers for all windows of an image in one pass.

Sources: Giusti et al., ICIP 2013, arXiv:1302.1700; Long, Shelhamer, Darrell, CVPR 2015, section 3.2
(filter rarefaction, the algorithme a trous).

Two neighbouring windows share most of what their layers compute. The twin computes it once:
every layer moves by one pixel (stride 1), and takes its samples as far apart as the strides of
all layers before it, multiplied. That is exact if and only if nothing in the window depends on
where the window ends; so a network that pads is refused.
"""

from dataclasses import dataclass, replace

import keras
from keras import layers

from medseg_tf.errors import ModelError
from medseg_tf.layers import DilatedPooling, LocalResponseNormalization
from medseg_tf.models import blocks
from medseg_tf.models.measure import CONVOLUTIONS, POOLINGS, receptive_field, through

GLOBAL = (
    layers.GlobalAveragePooling2D,
    layers.GlobalAveragePooling3D,
    layers.GlobalMaxPooling2D,
    layers.GlobalMaxPooling3D,
)
IDLE = (layers.Dropout, layers.SpatialDropout2D, layers.SpatialDropout3D, layers.Identity)
PIXELWISE = (layers.Activation, layers.ELU, layers.LeakyReLU, layers.ReLU, layers.Rescaling)
CHANNELWISE = (layers.BatchNormalization, layers.Softmax, LocalResponseNormalization)
PADDINGS = (layers.ZeroPadding2D, layers.ZeroPadding3D)


@dataclass
class Place:
    """What runs through the window's network: its map there, and the map of all windows."""

    window: keras.KerasTensor  # the map in the window's network
    image: keras.KerasTensor  # the same map for all windows of an image
    apart: tuple  # positions between two samples of one window, along each axis
    flat: tuple = ()  # sides of the map that was flattened and waits for its dense layer


def dense_twin(model):
    """Build the network that answers for each window of an image as `model` does for one.

    `model` is any chain of convolutions, poolings (maximum, average, global), Flatten, dense
    layers, dropout, batch normalisation and activations, 2-D or 3-D: `models.sliding_window` or
    your own. The twin takes images of any size, (batch, *spatial, channels) -> (batch, *spatial
    less window, plus 1, classes): an answer for every window that fits in. Mirrored borders,
    large images and the case's grid are the work of `inference.probabilities(twin, case)`, which
    gives what `inference.by_windows(model, case)` gives.

    The weights are copied: make the twin again when the window's network has learned more. For
    the same reason save that network (`recipe.save`), and make the twin of the one you load.

    Args:
        model: functional or sequential keras.Model with a fixed window,
            (batch, *window, channels) -> (batch, classes) or (batch, 1, 1, classes).

    Returns: keras.Model, sizes left open.
    Raises:
        ModelError: a layer pads its map, so that what it gives depends on where the window ends;
            or the network is no such chain.
    """
    channels, sides = check(model)
    inputs = keras.Input((*(None for _ in sides), channels), name="image")
    unseen = [side - seen for side, seen in zip(sides, receptive_field(model), strict=True)]
    x = inputs
    if any(unseen):  # last rows of a window that its poolings leave out
        cut = [(0, rest) for rest in unseen]
        x = blocks.by_rank("Cropping{}D", x)(cut, name="unseen")(x)
    window = keras.KerasTensor((1, *sides, channels))

    def look(layer):
        if isinstance(layer, keras.Model):
            return lambda place, *args, **kwargs: through(layer, place, look)
        return lambda place, *args, **kwargs: spread(layer, place, model.name)

    (place,) = through(model, [Place(window, x, (1,) * len(sides))], look)
    if place.flat and set(place.flat) != {1}:
        raise ModelError(
            f"dense_twin: {model.name} ends in a flattened map of {place.flat} and no dense layer; "
            "its answer must be one number a class."
        )
    twin = keras.Model(inputs, place.image, name=f"{model.name}_dense")
    if "scans" in (recipe := getattr(model, "recipe", {})):
        twin.recipe = {"scans": recipe["scans"]}  # how its images are prepared
    return twin


def check(model):
    """Return the channels and the sides of the window; ModelError if there is no such thing."""
    if len(getattr(model, "inputs", None) or ()) != 1 or len(model.outputs) != 1:
        raise ModelError(
            f"dense_twin: {model.name} must be a built keras.Model with one input and one output."
        )
    _, *sides, channels = model.input_shape
    answer = model.output_shape[1:-1]
    if len(sides) not in (2, 3) or None in sides or set(answer) - {1}:
        raise ModelError(
            f"dense_twin: {model.name} makes {model.output_shape} of {model.input_shape}; it must "
            "make one answer, (batch, classes), of a window of fixed sides. A network that answers "
            "with a map needs no twin: inference.probabilities."
        )
    return channels, tuple(sides)


def spread(layer, place, name):
    """Return the Place behind a layer: the layer moved by one pixel at a time over the image."""
    if not isinstance(place, Place):
        raise ModelError(
            f"dense_twin: layer {layer.name!r} of {name} joins several maps; only a chain of "
            "layers has a dense twin here."
        )
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        raise ModelError(f"dense_twin: layer {layer.name!r} of {name} wants channels first.")
    check_padding(layer, place.window, name)
    behind = replace(place, window=layer.compute_output_spec(place.window))
    if isinstance(layer, IDLE):
        return behind
    if isinstance(layer, PIXELWISE) and not (place.flat and over_channels(layer)):
        return replace(behind, image=copy(layer, place.image))
    if isinstance(layer, CHANNELWISE) and not place.flat and axis_is_last(layer, place.window):
        changes = {"axis": -1} if hasattr(layer, "axis") else {}
        return replace(behind, image=copy(layer, place.image, **changes))
    if isinstance(layer, CONVOLUTIONS):
        rates = multiply(layer.dilation_rate, place.apart)
        image = copy(layer, place.image, strides=1, dilation_rate=rates, padding="valid")
        return replace(behind, image=image, apart=multiply(place.apart, layer.strides))
    if isinstance(layer, POOLINGS):
        image = pool(layer, layer.pool_size, place)
        return replace(behind, image=image, apart=multiply(place.apart, layer.strides))
    if isinstance(layer, GLOBAL):
        return replace(behind, image=pool(layer, place.window.shape[1:-1], place))
    if isinstance(layer, layers.Flatten):
        return replace(behind, flat=place.flat or place.window.shape[1:-1])
    if isinstance(layer, layers.Dense):
        return replace(behind, image=dense(layer, place), flat=())
    if isinstance(layer, layers.Reshape) and not place.flat and is_pixel(behind.window):
        return behind
    raise ModelError(
        f"dense_twin: layer {layer.name!r} ({type(layer).__name__}) of {name} is none of those "
        "that have a dense twin here: convolution, pooling, Flatten, dense layer, dropout, batch "
        "normalisation or activation, in their usual order and over the last axis."
    )


def check_padding(layer, window, name):
    """Raise ModelError if a layer adds to the ends of its map of a window."""
    added = isinstance(layer, PADDINGS)
    if getattr(layer, "padding", None) == "same":
        size = getattr(layer, "pool_size", None) or layer.kernel_size
        rates = getattr(layer, "dilation_rate", (1,) * len(size))
        steps = zip(window.shape[1:-1], size, rates, layer.strides, strict=True)
        added = any((-(-n // s) - 1) * s + (k - 1) * d + 1 > n for n, k, d, s in steps)
    if added:
        raise ModelError(
            f"dense_twin: layer {layer.name!r} of {name} pads its map of {window.shape[1:-1]} at "
            "the window's end, where an image goes on with real pixels: no single pass over the "
            "image gives what the windows give. Build the network with padding 'valid' and sizes "
            "that the poolings divide."
        )


def over_channels(layer):
    return getattr(layer, "activation", None) is keras.activations.softmax


def axis_is_last(layer, window):
    return getattr(layer, "axis", -1) in (-1, len(window.shape) - 1)


def is_pixel(window):
    return set(window.shape[:-1]) == {1}


def multiply(one, other):
    return tuple(a * b for a, b in zip(one, other, strict=True))


def copy(layer, x, **changes):
    """Apply a layer of the same kind, with the same weights, to `x`."""
    twin = type(layer).from_config(layer.get_config() | changes)
    result = twin(x)
    twin.set_weights(layer.get_weights())
    return result


def pool(layer, samples, place):
    kind = "max" if "Max" in type(layer).__name__ else "average"
    return DilatedPooling(samples, place.apart, kind, name=layer.name, dtype=layer.dtype_policy)(
        place.image
    )


def dense(layer, place):
    """A dense layer over a flattened map is a convolution whose kernel is as large as the map."""
    sides = place.flat or (1,) * len(place.apart)
    twin = blocks.by_rank("Conv{}D", place.image)(
        layer.units,
        sides,
        dilation_rate=place.apart if place.flat else 1,
        activation=layer.activation,
        use_bias=layer.use_bias,
        dtype=layer.dtype_policy,
        name=layer.name,
    )
    result = twin(place.image)
    # Flatten goes through rows, columns, channels in turn, as the kernel lies in memory.
    kernel, *bias = layer.get_weights()
    twin.set_weights([kernel.reshape(twin.kernel.shape), *bias])
    return result
