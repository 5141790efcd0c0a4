"""A price on the activity of a code, the same under every version of Keras."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("medseg_tf")
class SparsityPenalty(keras.layers.Layer):
    """Hand a map on; add weight * (sum of its absolute values, mean over the batch) to the loss.

    An activity regulariser sums over the batch in Keras 3.13 and takes the mean in Keras 3.15,
    so the same weight would mean different things.

    Args:
        weight: what one unit of activity costs.
    """

    def __init__(self, weight, **kwargs):
        super().__init__(**kwargs)
        self.weight = weight

    def call(self, inputs):
        activity = ops.sum(ops.abs(ops.cast(inputs, "float32")))
        self.add_loss(self.weight * activity / ops.cast(ops.shape(inputs)[0], "float32"))
        return inputs

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return super().get_config() | {"weight": self.weight}
