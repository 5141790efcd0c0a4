"""TFA's focal loss."""

import keras
from keras import ops

from medseg_tf.errors import ConfigError

from .today import refuse

__all__ = ["SigmoidFocalCrossEntropy", "sigmoid_focal_crossentropy"]
__getattr__ = refuse("losses")


def sigmoid_focal_crossentropy(y_true, y_pred, alpha=0.25, gamma=2.0, from_logits=False):
    """Return the focal loss, summed over the last axis.

        a * (1 - p)^gamma * -log p,   p the probability given to the truth,
                                      a = alpha where y_true is 1, 1 - alpha where it is 0

    y_true: 0 or 1, y_pred: probabilities (logits if `from_logits`), both (batch, ..., classes),
    each class a yes or no of its own; returns (batch, ...). alpha=0 leaves the weights a out.

    TFA: this. Today: keras.losses.BinaryFocalCrossentropy.
    What bites: that has no alpha unless apply_class_balancing=True, takes the mean over the last
    axis instead of the sum, and then over everything else, too. Besides, alpha is the weight of the
    *foreground*: .25 makes rare lesions count less, not more.
    Source: Lin et al., ICCV 2017, equation 5.

    Raises: ConfigError for a negative gamma.
    """
    if gamma < 0:
        raise ConfigError(f"sigmoid_focal_crossentropy: gamma is {gamma}; give 0 or more.")
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.cast(y_true, y_pred.dtype)
    loss = ops.binary_crossentropy(y_true, y_pred, from_logits=from_logits)
    probability = ops.sigmoid(y_pred) if from_logits else y_pred
    missing = ops.where(y_true > 0.5, 1 - probability, probability)
    if gamma:
        loss = loss * missing**gamma
    if alpha:
        loss = loss * ops.where(y_true > 0.5, alpha, 1 - alpha)
    return ops.sum(loss, axis=-1)


@keras.saving.register_keras_serializable("medseg_tf")
class SigmoidFocalCrossEntropy(keras.losses.Loss):
    """`sigmoid_focal_crossentropy` as a loss object; arrays and formula stand there.

    TFA: this. Today: keras.losses.BinaryFocalCrossentropy(apply_class_balancing=True).
    What bites: `reduction` is "none" as in TFA, so a call returns a map (batch, ...), and training
    with TensorFlow follows the *sum* over all pixels of the batch: with another size or batch the
    same learning rate means something else; JAX and PyTorch refuse to train with a map.
    reduction="sum_over_batch_size" gives the mean.
    """

    def __init__(
        self,
        from_logits=False,
        alpha=0.25,
        gamma=2.0,
        reduction="none",
        name="sigmoid_focal_crossentropy",
    ):
        super().__init__(name=name, reduction=reduction)
        self.from_logits = from_logits
        self.alpha = alpha
        self.gamma = gamma

    def call(self, y_true, y_pred):
        return sigmoid_focal_crossentropy(y_true, y_pred, self.alpha, self.gamma, self.from_logits)

    def get_config(self):
        own = {"from_logits": self.from_logits, "alpha": self.alpha, "gamma": self.gamma}
        return own | {"reduction": self.reduction, "name": self.name}
