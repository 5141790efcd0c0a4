"""Convolutional RBM: filters that learn to give an image back, without labels, layer by layer.

A restricted Boltzmann machine of Gaussian visible units v, the image, and rectified hidden units h,
its maps:

    E(v, h) = sum (v - b)^2 / 2 - sum over k, x of h_k(x) * [(W_k * v)(x) + c_k] + sum h^2 / 2

Sources: Hinton, Neural Computation 14:1771 (2002) for contrastive divergence; Lee et al., ICML 2009
for convolutions; Nair, Hinton, ICML 2010 for rectified units; Brosch et al., IEEE Transactions on
Medical Imaging 35:1229 (2016) pretrains with it. Decay and the pull of activity are our choice.
"""

from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from medseg_tf.errors import ConfigError, ModelError
from medseg_tf.progress import progress


class RBM(NamedTuple):
    """Filters W (*kernel, channels, maps), bias c of the maps (maps,) and b of the channels."""

    filters: object
    hidden_bias: object
    visible_bias: object


def hidden_input(rbm, visible):
    """What reaches the hidden units, mu: (batch, *valid, maps) of (batch, *spatial, channels)."""
    return ops.conv(visible, rbm.filters, padding="valid") + rbm.hidden_bias


def sample_hidden(mu, rng):
    """Draw rectified units: max(0, mu + n) with n normal of variance sigmoid(mu).

    rng: numpy Generator. Source: Nair, Hinton, ICML 2010 (NReLU).
    """
    noise = ops.convert_to_tensor(rng.standard_normal(ops.shape(mu), "float32"))
    return ops.relu(mu + noise * ops.sqrt(ops.sigmoid(mu)))


def visible_mean(rbm, hidden):
    """What the hidden units give back: (batch, *spatial, channels)."""
    return ops.conv_transpose(hidden, rbm.filters, padding="valid") + rbm.visible_bias


def correlation(visible, hidden):
    """Sum over batch and positions of each map with each shifted channel, in the filters' shape.

    That is minus the derivative of the energy with respect to the filters.
    """
    rank = len(visible.shape) - 2
    space = tuple(range(1, rank + 1))
    channels_first = ops.transpose(visible, (rank + 1, *space, 0))
    as_kernel = ops.transpose(hidden, (*space, 0, rank + 1))
    found = ops.conv(channels_first, as_kernel, padding="valid")  # (channels, *kernel, maps)
    return ops.transpose(found, (*space, 0, rank + 1))


def contrastive_divergence(rbm, visible, rng, activity=0.1):
    """One step from data to reconstruction and back (CD-1): which way to move, and the error.

    Args:
        rbm: RBM.
        visible: (batch, *spatial, channels), of variance 1 about.
        rng: numpy Generator.
        activity: mean of each map that its bias is pulled to.

    Returns:
        RBM of directions to add to the parameters, and the mean squared error of reconstruction.
    """
    axes = tuple(range(len(visible.shape) - 1))
    mu = hidden_input(rbm, visible)
    first = ops.relu(mu)
    again = visible_mean(rbm, sample_hidden(mu, rng))
    second = ops.relu(hidden_input(rbm, again))
    places = int(np.prod(first.shape[:-1]))
    filters = (correlation(visible, first) - correlation(again, second)) / places
    mean = ops.mean(first, axis=axes)
    hidden_bias = mean - ops.mean(second, axis=axes) + activity - mean
    visible_bias = ops.mean(visible - again, axis=axes)
    return RBM(filters, hidden_bias, visible_bias), ops.mean((visible - again) ** 2)


def train_rbm(
    images, maps, kernel, steps=200, batch=16, learning_rate=2e-3, activity=0.1, decay=1e-4, seed=0
):
    """Train a convolutional RBM by CD-1 and Adam.

    Args:
        images: (count, *spatial, channels), each channel of mean 0 and variance 1 about.
        maps: number of filters.
        kernel: side of the filters, or one an axis.
        steps, batch, learning_rate: of Adam.
        activity: as in `contrastive_divergence`.
        decay: of the filters, a step, before Adam's scaling.
        seed: int; of first filters, order and samples.

    Returns:
        RBM of arrays, and the error of reconstruction of each step.

    Raises:
        ConfigError: images smaller than the filters, or numbers below 1.
    """
    images = np.asarray(images, "float32")
    rank = images.ndim - 2
    sides = tuple(kernel) if np.ndim(kernel) else (kernel,) * rank
    small = len(sides) != rank or min(np.subtract(images.shape[1:-1], sides)) < 0
    if small or min(maps, steps, batch, len(images)) < 1:
        raise ConfigError(
            f"train_rbm: images of shape {images.shape}, maps={maps}, kernel={kernel}, "
            f"steps={steps}, batch={batch}; give (count, *spatial, channels) not smaller than the "
            "kernel, and 1 or more of everything else."
        )
    rng = np.random.default_rng(seed)
    first = 0.01 * rng.standard_normal((*sides, images.shape[-1], maps), "float32")
    biases = (np.zeros(size, "float32") for size in (maps, images.shape[-1]))
    rbm = RBM(*map(keras.Variable, (first, *biases)))
    optimizer = keras.optimizers.Adam(learning_rate)
    optimizer.build(rbm)
    errors = []
    for _ in progress(range(steps), desc="RBM"):
        rows = rng.choice(len(images), min(batch, len(images)), replace=False)
        now = RBM(*(ops.convert_to_tensor(variable) for variable in rbm))
        way, error = contrastive_divergence(now, ops.convert_to_tensor(images[rows]), rng, activity)
        way = way._replace(filters=way.filters - decay * now.filters)
        optimizer.apply([-direction for direction in way], rbm)
        errors.append(float(ops.convert_to_numpy(error)))
    return RBM(*(ops.convert_to_numpy(variable) for variable in rbm)), errors


def pretrain_rbm(model, images, steps=200, batch=16, learning_rate=2e-3, activity=0.1, seed=0):
    """Give a network's layers encode1, encode2, ... the filters of RBMs, in place and in order.

    Each layer's RBM learns from what the layers below make of the images. Layers decode2, ...
    (models.encoder_network) take the transposed filters; decode1, which gives no image but a
    lesion map, keeps its weights.

    Args:
        model: built keras.Model whose convolutions encode1, ... have no padding.
        images: (count, *spatial, channels) without labels, as the network is fed them.
        steps, batch, learning_rate, activity: as in `train_rbm`, for each layer.
        seed: int.

    Returns:
        {"encode1": [error of each step], ...}

    Raises:
        ModelError: no layer of that name, or images that do not fit.
    """

    def learn(given, layer):
        how = {"batch": batch, "learning_rate": learning_rate, "activity": activity, "seed": seed}
        rbm, errors = train_rbm(given, layer.filters, layer.kernel_size, steps, **how)
        return rbm.filters, rbm.hidden_bias, rbm.filters, rbm.visible_bias, errors

    return layer_by_layer(model, images, learn)


def layer_by_layer(model, images, learn):
    """Train the layers encode1, encode2, ... of a model one after the other, in place.

    Args:
        learn: function of what enters a layer, each channel standardised, and the layer; returns
            filters (*kernel, channels, maps) and bias, those of the way back, and a history.

    Returns: {name of the layer: its history}
    """
    names = [layer.name for layer in model.layers]
    if "encode1" not in names:
        raise ModelError(
            f"{model.name} has no layer encode1; it has {', '.join(names)}. Take a network such "
            "as models.encoder_network or models.csae."
        )
    images = np.asarray(images, "float32")
    if images.ndim != len(model.input_shape) or images.shape[-1] != model.input_shape[-1]:
        raise ModelError(
            f"{model.name} takes {model.input_shape}; the images are of shape {images.shape}."
        )
    histories, level = {}, 1
    while (name := f"encode{level}") in names:
        layer = model.get_layer(name)
        below = keras.Model(model.inputs[0], layer.input)
        parts = np.array_split(images, -(-len(images) // 32))
        given = np.concatenate([ops.convert_to_numpy(below(part)) for part in parts])
        given = given.astype("float32")
        axes = tuple(range(given.ndim - 1))
        mean, sd = given.mean(axes), np.maximum(given.std(axes), 1e-6)
        filters, bias, back, offset, history = learn((given - mean) / sd, layer)
        layer.set_weights(fold_standardization(filters, bias, mean, sd))
        if level > 1 and f"decode{level}" in names:  # from standardised maps back to the maps
            up = model.get_layer(f"decode{level}")
            up.set_weights([back * sd[:, None], mean + sd * offset])
        histories[name], level = history, level + 1
    return histories


def fold_standardization(filters, bias, mean, sd):
    """Return filters and bias that do on x what the given ones do on (x - mean) / sd.

    Args:
        filters: (*kernel, channels, maps); bias: (maps,).
        mean, sd: (channels,).
    """
    folded = np.asarray(filters) / np.asarray(sd)[:, None]
    shift = (folded * np.asarray(mean)[:, None]).sum(axis=tuple(range(folded.ndim - 1)))
    return [folded, np.asarray(bias) - shift]
