"""What the layers of a network see."""

import numpy as np

from medseg_tf.errors import ConfigError, ModelError
from medseg_tf.plots import drawing
from medseg_tf.plots.figures import INK, canvas


def show_features(model, image, layers, n=6):
    """Show what a network's layers make of an image: a row per layer, its `n` liveliest maps.

    The liveliest are those of largest standard deviation. Each map has its own scale, dark for
    its lowest and bright for its highest value. Of volumes the middle slice of the last axis is
    shown.

    Args:
        model: a functional keras.Model.
        image: (*spatial, channels) as the model is fed it, normalised and of a size that fits.
        layers: names of layers, or one name.
        n: maps a row.

    Raises:
        ModelError: a layer that the model has not; the message lists those it has.
        ConfigError: n is below 1, or no layers.
    """
    import keras

    layers = [layers] if isinstance(layers, str) else list(layers)
    known = [layer.name for layer in model.layers]
    for name in layers:
        if name not in known:
            raise ModelError(
                f"{model.name} has no layer {name!r}; it has {', '.join(known)}. Choose from these."
            )
    if n < 1 or not layers:
        raise ConfigError(f"show_features: n={n}, layers={layers}; ask for at least one of each.")
    outputs = [model.get_layer(name).output for name in layers]
    maps = keras.Model(model.input, outputs)(np.asarray(image, "float32")[None])
    figure, grid = canvas([1.35 * n], [1.35] * len(layers), texts=0.25)
    for axes, name, values in zip(grid[:, 0], layers, maps, strict=True):
        values = keras.ops.convert_to_numpy(values)[0].astype("float32")
        strip, shown = liveliest(values, n)
        drawing.plane(axes, strip, cmap="cividis", vmin=0, vmax=1)
        size = "×".join(map(str, values.shape[:-1]))
        title = f"{name}: {shown} of {values.shape[-1]} maps, {size}"
        axes.set_title(title, fontsize=10, color=INK, loc="left")
    return figure


def liveliest(values, n):
    """Lay the `n` maps of largest deviation side by side, each stretched to 0..1, gaps NaN.

    Args:
        values: (*spatial, channels) of one layer.

    Returns:
        (rows, columns) array, and how many maps it holds.
    """
    if values.ndim == 4:
        values = values[:, :, values.shape[2] // 2].swapaxes(0, 1)[::-1]
    chosen = np.argsort(-values.std(axis=(0, 1)), kind="stable")[:n]
    low, high = (f(axis=(0, 1)) for f in (values.min, values.max))
    values = (values - low) / np.where(high > low, high - low, 1)
    gap = np.full((values.shape[0], max(1, values.shape[1] // 24)), np.nan)
    strips = [part for channel in chosen for part in (values[..., channel], gap)]
    strips += [np.full(values.shape[:2], np.nan), gap] * (n - len(chosen))  # equal scale each row
    return np.hstack(strips[:-1]), len(chosen)
