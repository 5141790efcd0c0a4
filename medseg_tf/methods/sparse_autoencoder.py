"""Sparse denoising autoencoders as first weights: one convolution after the other, without labels.

Source: Kallenberg et al., IEEE Transactions on Medical Imaging 35:1322 (2016), who join denoising,
convolutions and a sparsity of lifetime and population. Noise, steps and weights are our choice.
"""

import keras
import numpy as np

from medseg_tf import losses
from medseg_tf.methods.rbm import layer_by_layer
from medseg_tf.models import blocks
from medseg_tf.progress import progress


def pretrain_sparse(
    model,
    images,
    beta=1.0,
    target=0.05,
    noise=0.3,
    steps=250,
    batch=32,
    learning_rate=3e-3,
    seed=0,
):
    """Give a network's layers encode1, encode2, ... filters of sparse autoencoders, in place.

    Each layer learns to restore what enters it, standardised, from a copy with noise: convolution,
    ReLU, transposed convolution. The loss is the mean squared error + beta * losses.sparsity.
    Layers decode2, ... (models.encoder_network) take the weights of the way back.

    Args:
        model: built keras.Model whose convolutions encode1, ... have no padding:
            models.csae, models.encoder_network.
        images: (count, *spatial, channels) without labels, as the network is fed them.
        beta: weight of the sparsity term; 0 leaves it out.
        target: as in losses.sparsity.
        noise: standard deviation of what is added.
        steps, batch, learning_rate: of Adam, for each layer.
        seed: int; of first weights, order and noise.

    Returns:
        {"encode1": [squared error of each step], ...}

    Raises:
        ModelError: no layer of that name, or images that do not fit.
    """

    def learn(given, layer):
        shape, sides = given.shape[1:], layer.kernel_size
        inputs = keras.Input(shape)
        noisy = keras.layers.GaussianNoise(noise, seed=seed)(inputs)
        start = [
            keras.initializers.RandomNormal(stddev=(2 / (count * np.prod(sides))) ** 0.5, seed=seed)
            for count in (shape[-1], layer.filters)
        ]
        kinds = (blocks.by_rank(f"Conv{{}}D{kind}", inputs) for kind in ("", "Transpose"))
        down, up = (
            kind(channels, sides, activation=activation, kernel_initializer=first)
            for kind, channels, activation, first in zip(
                kinds, (layer.filters, shape[-1]), ("relu", None), start, strict=True
            )
        )
        code = down(noisy)
        one = keras.Model(inputs, [up(code), code])
        one.compile(
            keras.optimizers.Adam(learning_rate),
            ["mean_squared_error", lambda _, maps: beta * losses.sparsity(maps, target)],
        )
        errors = restore(one, given, steps, batch, seed)
        return *down.get_weights(), *up.get_weights(), errors

    return layer_by_layer(model, images, learn)


def restore(model, given, steps, batch, seed):
    """Train a model to give back what it is given; return the squared error of each step."""
    rng, errors = np.random.default_rng(seed), []
    batch = min(batch, len(given))
    for _ in progress(range(steps), desc="autoencoder"):
        rows = rng.choice(len(given), batch, replace=False)
        model.reset_metrics()
        _, error, *_ = model.train_on_batch(given[rows], [given[rows], np.zeros(batch)])
        errors.append(float(error))
    return errors
