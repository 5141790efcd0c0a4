"""Training: the precision to compute in, and fit(), thin over keras.Model.fit."""

from medseg_tf.training.fitting import fit
from medseg_tf.training.precision import set_precision

__all__ = ["fit", "set_precision"]
