"""Fine-tuning: which layers learn, how fast, and what batch normalisation does meanwhile.

    names = freeze(model, ["down0", "down1"])       their weights stay, their statistics too
    hold_statistics(model)                          all batch normalisation in inference mode
    fit(model, patches, loss, lambda steps: AdamByLayer(1e-3, factors={"down": 0.1}), epochs=5)

`training.fit` compiles anew, so what is frozen before it counts. The recipe that calls a trunk with
`training=False` within a functional model does not protect its statistics in Keras 3: `fit` passes
training=True on to every layer. Frozen layers of batch normalisation are safe.
"""

import keras

from medseg_tf.errors import ConfigError, ModelError


def every_layer(model):
    """Return the layers of a model that hold no others, those of nested models in their place."""
    layers = []
    for layer in model.layers:
        layers += every_layer(layer) if hasattr(layer, "layers") else [layer]
    return layers


def freeze(model, starts=()):
    """Freeze the layers whose names begin so, and let all others learn; return the frozen names.

    A frozen batch normalisation runs in inference mode: its moving averages stand still too.

    Args:
        model: keras.Model; changed in place. Models nested in it are looked into.
        starts: beginnings of layer names, as "down" for a U-Net's contracting path; none lets
            every layer learn.

    Raises:
        ModelError: no layer's name begins with one of them, or none is left to learn.
    """
    starts = (starts,) if isinstance(starts, str) else tuple(starts)
    layers = [layer for layer in every_layer(model) if layer.weights]
    names = [layer.name for layer in layers]
    frozen = [name for name in names if name.startswith(starts)] if starts else []
    missing = [start for start in starts if not any(name.startswith(start) for name in names)]
    if missing or len(frozen) == len(names):
        problem = f"no layer begins with {missing[0]!r}" if missing else "no layer is left to learn"
        raise ModelError(f"freeze: {problem}; {model.name} has {', '.join(names)}.")
    for layer in layers:
        layer.trainable = layer.name not in frozen
    return frozen


def hold_statistics(model):
    """Keep every batch normalisation in inference mode, also in training; return their names.

    They normalise by the averages they came with, their scale and offset do not learn either, and
    all other layers are left as they are. `freeze` undoes it.

    Raises:
        ModelError: the model has no batch normalisation.
    """
    layers = normalizations(model)
    for layer in layers:
        layer.trainable = False
    return [layer.name for layer in layers]


def normalizations(model):
    """Return a model's layers of batch normalisation; ModelError if it has none."""
    kind = keras.layers.BatchNormalization
    layers = [layer for layer in every_layer(model) if isinstance(layer, kind)]
    if not layers:
        raise ModelError(
            f"{model.name} has no batch normalisation, so there are no statistics to hold or to "
            "replace."
        )
    return layers


def renormalize(model, images):
    """Replace the averages of every batch normalisation by those of `images`; nothing is learned.

    The twin that any tuning on new images has to beat: no label, one pass.

    Args:
        model: keras.Model with batch normalisation; changed in place.
        images: (n, *spatial, channels), normalised as the model is fed; one batch.

    Raises:
        ModelError: the model has no batch normalisation.

    Source: Li, Wang, Shi, Liu, Hou, arXiv:1603.04779, 2016 (adaptive batch normalisation).
    """
    layers = normalizations(model)
    dropouts = [one for one in every_layer(model) if isinstance(one, keras.layers.Dropout)]
    before = [(layer.momentum, layer.trainable) for layer in layers]
    rates = [layer.rate for layer in dropouts]
    for layer in layers:
        layer.momentum, layer.trainable = 0.0, True
    for layer in dropouts:
        layer.rate = 0
    try:
        model(keras.ops.convert_to_tensor(images, "float32"), training=True)
    finally:
        for layer, (momentum, trainable) in zip(layers, before, strict=True):
            layer.momentum, layer.trainable = momentum, trainable
        for layer, rate in zip(dropouts, rates, strict=True):
            layer.rate = rate


@keras.saving.register_keras_serializable("medseg_tf")
class AdamByLayer(keras.optimizers.Adam):
    """Adam whose steps are multiplied by a factor that depends on the layer.

    Multiplying the gradients would not do: Adam divides by their size, so the factor cancels.

    Args:
        learning_rate: of layers without a factor; a number or a schedule.
        factors: {beginning of a layer's name: factor}, the first that fits counts; 0 freezes the
            weights (not the statistics of batch normalisation).
        options: further arguments of keras.optimizers.Adam.

    Raises:
        ConfigError: a negative factor; at the first step, a beginning that fits no layer.
    """

    def __init__(self, learning_rate=1e-3, factors=None, name="adam_by_layer", **options):
        super().__init__(learning_rate, name=name, **options)
        self.factors = dict(factors or {})
        self.slow = tuple  # pairs of variable and factor, known once it is built
        if any(factor < 0 for factor in self.factors.values()):
            raise ConfigError(f"AdamByLayer: factors={self.factors}; a factor is at least 0.")

    def build(self, variables):
        super().build(variables)
        starts = [self.start_of(variable) for variable in variables]
        if unused := [start for start in self.factors if start not in starts]:
            names = dict.fromkeys(variable.path.split("/")[-2] for variable in variables)
            raise ConfigError(
                f"AdamByLayer: no layer that learns begins with {unused[0]!r}; these do learn: "
                f"{', '.join(names)}."
            )
        pairs = zip(variables, starts, strict=True)
        slow = [(variable, self.factors[start]) for variable, start in pairs if start]
        self.slow = lambda: slow  # a list would be taken for the optimizer's own variables

    def start_of(self, variable):
        """Return the first key of `factors` that a variable's layer begins with, or None."""
        layers = variable.path.split("/")[:-1]
        fits = (s for s in self.factors if any(layer.startswith(s) for layer in layers))
        return next(fits, None)

    def apply(self, grads, trainable_variables=None):
        if not self.built and trainable_variables is not None:
            self.build(list(trainable_variables))
        before = [keras.ops.copy(variable) for variable, _ in self.slow()]
        super().apply(grads, trainable_variables)
        # Adam's own step is taken and then shortened, so nothing of its inside need be known.
        for (variable, factor), old in zip(self.slow(), before, strict=True):
            variable.assign(old + factor * (variable - old))

    def get_config(self):
        return super().get_config() | {"factors": dict(self.factors)}
