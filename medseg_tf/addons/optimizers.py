"""TFA's optimizers with decoupled weight decay."""

import re

import keras
from keras import ops

from .today import refuse

__all__ = ["SGDW", "AdamW"]
__getattr__ = refuse("optimizers")


class _Decay:
    """Before each step: weight -= weight_decay * weight, whatever the learning rate."""

    def __init__(self, weight_decay, *args, exclude_from_weight_decay=None, **kwargs):
        super().__init__(*args, **kwargs)
        if isinstance(weight_decay, dict):  # a schedule that get_config wrote down
            weight_decay = keras.saving.deserialize_keras_object(weight_decay)
        # Not `weight_decay`: under that name Keras would multiply it by the learning rate.
        self.decay = weight_decay
        self.excluded = list(exclude_from_weight_decay or [])

    def build(self, variables):
        super().build(variables)
        paths = [variable.path for variable in variables]
        self.decays = tuple(not any(re.search(p, path) for p in self.excluded) for path in paths)

    def update_step(self, gradient, variable, learning_rate):
        if self.decays[self._get_variable_index(variable)]:
            decay = self.decay(self.iterations) if callable(self.decay) else self.decay
            self.assign_sub(variable, variable * ops.cast(decay, variable.dtype))
        super().update_step(gradient, variable, learning_rate)

    def get_config(self):
        decay = keras.saving.serialize_keras_object(self.decay)
        own = {"weight_decay": decay, "exclude_from_weight_decay": self.excluded}
        return super().get_config() | own


@keras.saving.register_keras_serializable("medseg_tf")
class AdamW(_Decay, keras.optimizers.Adam):
    """Adam whose weights decay by a share of themselves in each step.

    TFA: weight -= weight_decay * weight, then Adam's step. Today: keras.optimizers.AdamW.
    What bites: that takes away learning_rate * weight_decay * weight. So its weight_decay is TFA's
    divided by the learning rate (TFA's 1e-4 at a rate of 1e-3 is Keras' 0.1, not 1e-4); and under a
    schedule its decay falls with the rate, while TFA's stays unless it has a schedule of its own.
    Excluded are by default no weights at all, biases and normalisation included.
    Source: Loshchilov, Hutter, ICLR 2019, algorithm 2, where a schedule's factor multiplies both.

    Args:
        weight_decay: share taken in a step, or a LearningRateSchedule of it.
        exclude_from_weight_decay: patterns (re.search); weights whose path has one keep theirs.
        Others: keras.optimizers.Adam.
    """

    def __init__(
        self,
        weight_decay,
        learning_rate=0.001,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-7,
        amsgrad=False,
        name="AdamW",
        **kwargs,
    ):
        super().__init__(
            weight_decay, learning_rate, beta_1, beta_2, epsilon, amsgrad, name=name, **kwargs
        )


@keras.saving.register_keras_serializable("medseg_tf")
class SGDW(_Decay, keras.optimizers.SGD):
    """Gradient descent whose weights decay by a share of themselves in each step.

    TFA: weight -= weight_decay * weight, then the step. Today: keras.optimizers.SGD(weight_decay=).
    What bites: as in AdamW; and the default rate is TFA's 0.001, a tenth of Keras' SGD.
    Source: Loshchilov, Hutter, ICLR 2019, algorithm 1.

    Args: as in AdamW; others: keras.optimizers.SGD.
    """

    def __init__(
        self,
        weight_decay,
        learning_rate=0.001,
        momentum=0.0,
        nesterov=False,
        name="SGDW",
        **kwargs,
    ):
        super().__init__(weight_decay, learning_rate, momentum, nesterov, name=name, **kwargs)
