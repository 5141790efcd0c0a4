"""Losses. y_true: labels, integers (batch, *spatial); y_pred: probabilities, one more axis.

y_pred is (batch, *spatial, classes), classes counting the background. A weight map, one number a
pixel, comes as Keras' `sample_weight` (batch, *spatial).
Raises LabelError if label and prediction differ in space, ConfigError for a weight that misfits.
"""

import keras
from keras import ops

from medseg_tf.errors import ConfigError, LabelError


@keras.saving.register_keras_serializable("medseg_tf")
class WeightedCrossEntropy(keras.losses.Loss):
    """Sum of w * -log(probability of the true class) over all pixels, divided by the sum of w.

    w is the weight map (1 without one) times the weight of the pixel's class. Dividing by the sum
    of w, not by the number of pixels, keeps the loss on one scale with and without a map, so that
    the learning rate means the same; weights that are all 0 give 0. A weight per image (batch,)
    counts for each of its pixels.
    Source: Ronneberger, Fischer, Brox, MICCAI 2015, equation 1 (there the plain sum).

    Args:
        class_weights: one number a class, background first, or None for equal ones.
    """

    def __init__(self, class_weights=None, name="weighted_cross_entropy"):
        super().__init__(name=name, reduction="mean_with_sample_weight")
        self.class_weights = None if class_weights is None else [float(w) for w in class_weights]

    def __call__(self, y_true, y_pred, sample_weight=None):
        check_space(self.name, y_true, y_pred)
        weight = None
        if sample_weight is not None:
            weight = per_pixel(self.name, sample_weight, y_true)
        if self.class_weights is not None:
            of_class = self.of_class(y_true, y_pred.shape[-1])
            weight = of_class if weight is None else of_class * weight
        return super().__call__(y_true, y_pred, sample_weight=weight)

    def of_class(self, y_true, classes):
        if len(self.class_weights) != classes:
            raise ConfigError(
                f"{self.name}: {len(self.class_weights)} class_weights for {classes} classes; "
                "give one a class, background first."
            )
        return ops.take(ops.array(self.class_weights, "float32"), ops.cast(y_true, "int32"))

    def call(self, y_true, y_pred):
        return cross_entropy(y_true, y_pred)

    def get_config(self):
        return {"class_weights": self.class_weights, "name": self.name}


@keras.saving.register_keras_serializable("medseg_tf")
class SoftDice(keras.losses.Loss):
    """1 - Dice, summed over space per image and class, averaged over the foreground classes.

    A class absent from label and prediction costs 0: `smooth` stands above and below the line.
    Source: Milletari, Navab, Ahmadi, 3DV 2016, section 3, whose denominator is `squared`.

    Args:
        smooth: pixels added above and below the line.
        squared: sum squares in the denominator.
    """

    def __init__(self, smooth=1.0, squared=False, name="soft_dice"):
        super().__init__(name=name)
        if smooth < 0:
            raise ConfigError(f"{name}: smooth is {smooth}; it counts pixels: 0 or more.")
        self.smooth = smooth
        self.squared = squared

    def __call__(self, y_true, y_pred, sample_weight=None):
        check_space(self.name, y_true, y_pred)
        if sample_weight is not None and len(sample_weight.shape) > 1:
            raise ConfigError(
                f"{self.name}: sample_weight of shape {tuple(sample_weight.shape)} is a weight "
                "map, and Dice, a ratio of sums over the image, takes none. Use DiceCrossEntropy, "
                "whose cross-entropy takes it, or patches without weights."
            )
        return super().__call__(y_true, y_pred, sample_weight=sample_weight)

    def call(self, y_true, y_pred):
        space = tuple(range(1, len(y_pred.shape) - 1))
        truth = ops.one_hot(ops.cast(y_true, "int32"), y_pred.shape[-1], dtype=y_pred.dtype)
        overlap = ops.sum(truth * y_pred, axis=space)
        mass = ops.square(y_pred) if self.squared else y_pred
        total = ops.sum(truth, axis=space) + ops.sum(mass, axis=space)
        smooth = max(self.smooth, keras.config.epsilon())  # an absent class must not be 0 / 0
        dice = (2 * overlap + smooth) / (total + smooth)  # (batch, classes)
        return 1 - ops.mean(dice[:, 1:], axis=-1)  # (batch,); Keras averages

    def get_config(self):
        return {"smooth": self.smooth, "squared": self.squared, "name": self.name}


@keras.saving.register_keras_serializable("medseg_tf")
class DiceCrossEntropy(keras.losses.Loss):
    """WeightedCrossEntropy + `dice` * SoftDice; weights touch the cross-entropy alone.

    Source: Isensee et al., Nature Methods 2021 (there without a weight map).

    Args:
        smooth, squared: as in SoftDice.
        dice: how much the Dice part counts.
    """

    def __init__(self, smooth=1.0, squared=False, dice=1.0, name="dice_cross_entropy"):
        super().__init__(name=name)
        self.cross_entropy = WeightedCrossEntropy(name=name)
        self.soft_dice = SoftDice(smooth, squared, name=name)
        self.dice = dice

    def __call__(self, y_true, y_pred, sample_weight=None):
        cross_entropy = self.cross_entropy(y_true, y_pred, sample_weight)
        return cross_entropy + self.dice * self.soft_dice(y_true, y_pred)

    def get_config(self):
        smooth, squared = self.soft_dice.smooth, self.soft_dice.squared
        return {"smooth": smooth, "squared": squared, "dice": self.dice, "name": self.name}


@keras.saving.register_keras_serializable("medseg_tf")
class SensitivitySpecificity(keras.losses.Loss):
    """r * mean squared error on the foreground + (1 - r) * mean squared error elsewhere.

        r * sum S (S - y)^2 / sum S + (1 - r) * sum (1 - S) (S - y)^2 / sum (1 - S)

    S is 1 on the foreground, whatever its class, and 0 elsewhere; y is the probability of not being
    background. Both means are taken over the whole batch; a part that no image of the batch has
    costs 0. With r the share of the foreground it is the plain mean squared error. The best answer
    to a pixel that is foreground with chance 1/2 is not 1/2 (it is, only where r is that share): so
    choose the threshold on labelled images.
    A weight map multiplies each pixel's part of the two sums above the lines.
    Source: Brosch et al., IEEE Transactions on Medical Imaging 35:1229 (2016); r as
    reported, .02 to .05 there.

    Args:
        r: how much the foreground counts, 0 to 1.
    """

    def __init__(self, r=0.05, name="sensitivity_specificity"):
        super().__init__(name=name)
        if not 0 <= r <= 1:
            raise ConfigError(f"{name}: r is {r}; it is a share from 0 to 1.")
        self.r = r

    def __call__(self, y_true, y_pred, sample_weight=None):
        check_space(self.name, y_true, y_pred)
        if sample_weight is not None:
            sample_weight = per_pixel(self.name, sample_weight, y_true)
        return super().__call__(y_true, y_pred, sample_weight=sample_weight)

    def call(self, y_true, y_pred):
        truth = ops.cast(ops.cast(y_true, "int32") > 0, y_pred.dtype)
        error = ops.square(truth - (1 - y_pred[..., 0]))
        here = ops.sum(truth)
        elsewhere = ops.sum(1 - truth)
        share = self.r * truth / ops.maximum(here, 1)
        share = share + (1 - self.r) * (1 - truth) / ops.maximum(elsewhere, 1)
        return (here + elsewhere) * share * error  # Keras takes the mean

    def get_config(self):
        return {"r": self.r, "name": self.name}


@keras.saving.register_keras_serializable("medseg_tf")
class OutputLoss(keras.losses.Loss):
    """A loss of one output among several, times that output's weight.

    The weight comes with each batch as Keras' `sample_weight` (batch,), the same number for each
    image, and multiplies the whole loss; given to the loss itself it might cancel out, as in
    WeightedCrossEntropy. `training.fit` wraps the loss of networks with several outputs so.

    Args:
        loss: a Loss, a function or a name.
    """

    def __init__(self, loss, name="output_loss"):
        super().__init__(name=name)
        self.loss = keras.losses.get(loss)

    def __call__(self, y_true, y_pred, sample_weight):
        loss = ops.mean(self.loss(y_true, y_pred))
        return ops.mean(ops.cast(sample_weight, loss.dtype)) * loss

    def get_config(self):
        return {"loss": keras.losses.serialize(self.loss), "name": self.name}


def cross_entropy(y_true, y_pred):
    """-log(probability of the true class), of the shape of y_true: the same on every backend.

    Right after a softmax TensorFlow's own takes the logits, so that pixels of probability 0 learn,
    too. On others Keras clips at 1e-7, below which nothing learns, and PyTorch 2.13 has no gradient
    of it for maps on a processor: there it is written out, and equal down to 1e-30.
    """
    y_true = ops.cast(y_true, "int32")
    if keras.backend.backend() == "tensorflow":
        return ops.sparse_categorical_crossentropy(y_true, y_pred)
    probability = ops.take_along_axis(y_pred, y_true[..., None], axis=-1)[..., 0]
    return -ops.log(ops.maximum(probability, 1e-30))


def auxiliary_weight(step, steps):
    """Return how much auxiliary outputs count at a step, of `steps` in all: from 1 down to .001.

    w = max(.001, 1 - step / (.8 * steps)): they guide the first steps and leave the last fifth to
    the output that is used.
    Source: Chen, Dou, Yu, Heng, arXiv:1608.05895, 2016: from 1 to .001; that it falls on a straight
    line is our choice.
    """
    return max(1e-3, 1 - step / (0.8 * steps))


def sparsity(activations, target=0.05):
    """Return what activations cost that are too many in a unit's lifetime or in a sample's code.

        (1 / units) sum max(0, mean over samples - target)^2
            + (1 / samples) sum max(0, mean over units - target)^2

    The first sum asks every unit to be silent on most samples, the second every sample to be coded
    by few units; both are 0 below `target`, so that no unit has to die.
    Source: Kallenberg et al., IEEE Transactions on Medical Imaging 35:1322 (2016), who join both
    kinds of sparsity; their formula was not at hand, this one is ours.

    Args:
        activations: (samples, units), or maps (samples, *spatial, units), averaged over space
            first; 0 or more, as after a ReLU.
        target: mean activation that costs nothing.

    Returns: a number.
    """
    space = tuple(range(1, len(activations.shape) - 1))
    mean = ops.convert_to_tensor(activations)
    mean = ops.mean(mean, axis=space) if space else mean
    lifetime = ops.square(ops.relu(ops.mean(mean, axis=0) - target))
    population = ops.square(ops.relu(ops.mean(mean, axis=1) - target))
    return ops.mean(lifetime) + ops.mean(population)


def check_space(where, y_true, y_pred):
    """Raise unless labels (batch, *spatial) lie under probabilities (batch, *spatial, classes)."""
    if not fits(y_true.shape, y_pred.shape[:-1]):
        raise LabelError(
            f"{where}: labels of shape {tuple(y_true.shape)} for predictions of shape "
            f"{tuple(y_pred.shape)}; right would be {tuple(y_pred.shape[:-1])}: no channel axis, "
            "and the output's size where the network is a valid one (Patches' `output`)."
        )
    if y_pred.shape[-1] < 2:
        raise ConfigError(
            f"{where}: predictions of shape {tuple(y_pred.shape)} have one class; `classes` counts "
            "the background: build the network with 2 or more."
        )


def per_pixel(where, weight, y_true):
    """Return weights (batch,) or (batch, *spatial) as float32 (batch, *spatial)."""
    weight = ops.convert_to_tensor(weight, dtype="float32")
    if len(weight.shape) == 1:
        weight = ops.reshape(weight, (-1, *(1 for _ in y_true.shape[1:])))
        return weight * ops.ones_like(y_true, dtype="float32")
    if not fits(weight.shape, y_true.shape):
        raise ConfigError(
            f"{where}: sample_weight of shape {tuple(weight.shape)} for labels of shape "
            f"{tuple(y_true.shape)}; give one weight a pixel, or one an image."
        )
    return weight


def fits(shape, other):
    """True if two shapes agree; None is a size not known yet."""
    return len(shape) == len(other) and all(
        a is None or b is None or a == b for a, b in zip(shape, other, strict=True)
    )
