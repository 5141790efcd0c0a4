"""Hand the weights of one network on to another."""

import math

import keras
import numpy as np

from medseg_tf.errors import ModelError


def hand_on(source, target):
    """Copy the weights of equally named layers of equal shapes; return these layers' names.

    A dense layer is handed on to a convolution, too, that takes the whole map which the dense one
    saw flattened: its rows become the kernel's positions. So a classifier becomes a fully
    convolutional network of the same weights. Layers that fit nowhere keep what they have.

    Args:
        source, target: built keras.Models; `target` is changed.

    Returns:
        list of names, in the order of `target`.

    Raises:
        ModelError: no layer fits.

    Source: Long, Shelhamer, Darrell, CVPR 2015, sections 3.1 and 4.2.
    """
    given = {layer.name: layer for layer in source.layers if layer.weights}
    names = [
        layer.name
        for layer in target.layers
        if layer.weights and layer.name in given and fits(given[layer.name], layer)
    ]
    if not names:
        raise ModelError(
            f"hand_on: no layer of {source.name} and {target.name} has the same name and shape. "
            "Build both with the same width; the source's layers are "
            f"{', '.join(list(given)[:4])} ..."
        )
    for name in names:
        weights = zip(given[name].get_weights(), target.get_layer(name).weights, strict=True)
        target.get_layer(name).set_weights([np.reshape(old, new.shape) for old, new in weights])
    return names


def fits(old, new):
    """Whether each weight has the shape of its counterpart, or lies flattened in a dense layer."""
    pairs = list(zip(old.weights, new.weights, strict=False))
    flat = isinstance(old, keras.layers.Dense) and not isinstance(new, keras.layers.Dense)
    return len(old.weights) == len(new.weights) and all(
        tuple(a.shape) == tuple(b.shape)
        or (flat and a.shape[-1] == b.shape[-1] and math.prod(a.shape) == math.prod(b.shape))
        for a, b in pairs
    )
