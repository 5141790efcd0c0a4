"""Greedy training of a stack: each layer learns to restore what the one below gives it.

Source: Bengio, Lamblin, Popovici, Larochelle, NIPS 2006 (autoencoders); Vincent et al., JMLR 11,
2010 (denoising ones). It made deep stacks of sigmoids learn at all; where units do not saturate it
is no longer needed, so give the twin that trains at once as many epochs as all stages together.
"""

import keras
import numpy as np

from medseg_tf.errors import ConfigError, ModelError
from medseg_tf.models import autoencoder


def greedy(model, x, epochs=15, together=15, batch=64, learning_rate=1e-3, seed=0):
    """Train an autoencoder layer by layer, then all of it, in place.

    Layer l becomes an autoencoder of one layer, which learns to restore the codes of the trained
    layer l - 1 (of the first, x) by the mean squared error and Adam; encoder and decoder then
    return into the stack. Noise and sparsity are the model's: every layer's input is corrupted,
    every layer's code penalised. The stack's own first weights are the start, so a call of
    keras.utils.set_random_seed before the model is built makes all of it repeatable.

    Args:
        model: from models.autoencoder, dense or convolutional.
        x: (samples, *input_shape), float.
        epochs: of each layer; 0 leaves this stage out: the twin that trains at once.
        together: epochs of the whole stack afterwards.
        batch: samples a step; those left over wait for the next epoch's order.
        learning_rate: Adam's.
        seed: int; of the order of samples.

    Returns:
        {"layers": [[loss of each epoch] of each layer], "together": [loss of each epoch]}

    Raises:
        ModelError: a model of another builder, or samples of another shape than its input.
        ConfigError: numbers out of range.
    """
    options = check(model, x, epochs, together, batch)
    rng = np.random.default_rng(seed)
    widths = options["widths"]
    history = {"layers": [], "together": []}
    codes = np.asarray(x, "float32")
    for level, width in enumerate(widths, start=1):
        if not epochs:
            break
        activation = options["output"] if level == 1 else options["hidden"]
        own = {"input_shape": codes.shape[1:], "widths": (width,), "output": activation}
        one = autoencoder(**options | own)
        carry(model, one, level, back=False)
        history["layers"].append(learn(one, codes, epochs, batch, learning_rate, rng))
        carry(model, one, level, back=True)
        code = keras.Model(one.input, one.get_layer("code").output)
        parts = np.array_split(codes, -(-len(codes) // 256))
        codes = np.concatenate([keras.ops.convert_to_numpy(code(part)) for part in parts])
    history["together"] = learn(model, x, together, batch, learning_rate, rng)
    return history


def carry(model, one, level, back):
    """Copy the weights of the stack's layer into the autoencoder of one layer, or back."""
    for part in ("encode", "up", "decode"):
        names = [layer.name for layer in one.layers]
        if f"{part}1" not in names:  # dense ones have no upsampling
            continue
        stack, single = model.get_layer(f"{part}{level}"), one.get_layer(f"{part}1")
        source, target = (single, stack) if back else (stack, single)
        target.set_weights(source.get_weights())


def learn(model, x, epochs, batch, learning_rate, rng):
    """Train a model to restore x; return each epoch's mean loss."""
    x = np.asarray(x, "float32")
    batch = min(batch, len(x))
    steps = len(x) // batch
    model.compile(keras.optimizers.Adam(learning_rate), "mean_squared_error")
    losses = []
    for _ in range(epochs):
        model.reset_metrics()
        for rows in rng.permutation(len(x))[: steps * batch].reshape(steps, batch):
            loss = model.train_on_batch(x[rows], x[rows])  # the mean since the last reset
        losses.append(float(loss))
    return losses


def check(model, x, epochs, together, batch):
    """Raise what `greedy` promises; return the arguments the model was built with."""
    recipe = getattr(model, "recipe", {"builder": None})
    if recipe["builder"] != "autoencoder":
        raise ModelError(
            f"greedy: {model.name} was built by {recipe['builder'] or 'no builder of this package'}"
            "; layer by layer trains what models.autoencoder built."
        )
    wanted = model.input_shape[1:]
    fits = len(wanted) == np.ndim(x) - 1 and all(
        size in (None, given) for size, given in zip(wanted, np.shape(x)[1:], strict=True)
    )
    if not fits or not len(x):
        raise ModelError(
            f"greedy: x of shape {np.shape(x)}; the model takes (samples, {wanted}). A dense model "
            "takes each patch as one row: x.reshape(len(x), -1)."
        )
    if epochs < 0 or together < 0 or batch < 1:
        raise ConfigError(
            f"greedy: epochs={epochs}, together={together}, batch={batch}; epochs count from 0, "
            "a batch holds 1 or more."
        )
    return recipe["arguments"]
