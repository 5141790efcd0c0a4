"""TFA's F scores."""

import keras

from medseg_tf.errors import LabelError

from .today import refuse

__all__ = ["F1Score", "FBetaScore"]
__getattr__ = refuse("metrics")


@keras.saving.register_keras_serializable("medseg_tf")
class FBetaScore(keras.metrics.FBetaScore):
    """Weighted harmonic mean of precision and recall for each class, counted over all batches.

    y_true: 0 or 1, y_pred: scores, both (count, num_classes). Without `threshold` the class with
    the highest score is chosen, else every class above it. Returns (num_classes,), or one number
    where `average` is "micro", "macro" or "weighted".

    TFA: this. Today: keras.metrics.FBetaScore, the same without `num_classes`.
    What bites: both want two axes, so flatten images first; with one column for a yes or no, pass
    a threshold, for the highest of one score is always right; and a class absent from truth and
    prediction scores 0 in both and pulls "macro" down. metrics.dice is F1 for images, and gives NaN
    there. Keras adds 1e-7 below its fraction lines: small counts differ in the seventh digit.

    Raises: LabelError unless both arrays are (count, num_classes).
    """

    def __init__(
        self, num_classes, average=None, beta=1.0, threshold=None, name="fbeta_score", dtype=None
    ):
        super().__init__(average=average, beta=beta, threshold=threshold, name=name, dtype=dtype)
        self.num_classes = num_classes

    def update_state(self, y_true, y_pred, sample_weight=None):
        for name, shape in {"y_true": y_true.shape, "y_pred": y_pred.shape}.items():
            if len(shape) != 2 or shape[-1] != self.num_classes:
                raise LabelError(
                    f"{self.name}: {name} has shape {tuple(shape)}; it takes (count, "
                    f"{self.num_classes}): reshape images to (-1, {self.num_classes}) first."
                )
        super().update_state(y_true, y_pred, sample_weight)

    def get_config(self):
        return super().get_config() | {"num_classes": self.num_classes}


@keras.saving.register_keras_serializable("medseg_tf")
class F1Score(FBetaScore):
    """FBetaScore with beta 1, the Dice coefficient of counts; all else stands there.

    TFA: this. Today: keras.metrics.F1Score, without `num_classes`.
    What bites: as in FBetaScore.
    """

    def __init__(self, num_classes, average=None, threshold=None, name="f1_score", dtype=None):
        super().__init__(num_classes, average, 1.0, threshold, name, dtype)

    def get_config(self):
        config = super().get_config()
        del config["beta"]
        return config
