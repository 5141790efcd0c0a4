"""Batch normalisation by TensorFlow's fused kernel: one pass over memory where Keras takes many."""

import keras


@keras.saving.register_keras_serializable("medseg_tf")
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras' batch normalisation, faster: same arguments, weights, names and numbers.

    Takes (batch, *spatial, channels). The fused kernel runs on TensorFlow for channels last
    without a mask; everything else is Keras' own. Statistics are float32 under any precision.
    Source: Ioffe, Szegedy, ICML 2015, arXiv:1502.03167, algorithms 1 and 2.
    """

    def call(self, inputs, training=None, mask=None):
        if mask is not None or not self.fits_kernel(inputs):
            return super().call(inputs, training=training, mask=mask)
        return fused(self, inputs, training=bool(training and self.trainable))

    def fits_kernel(self, inputs):
        return (
            keras.backend.backend() == "tensorflow"
            and self.axis in (-1, len(inputs.shape) - 1)
            and keras.backend.standardize_dtype(inputs.dtype) != "float64"
            and not self.synchronized
            and not getattr(self, "renorm", False)  # older Keras has none
        )


def fused(layer, x, training):
    """Normalise `x` with the weights of `layer`; in training use and keep the batch's moments."""
    import tensorflow as tf

    shape, channels = tf.shape(x), x.shape[-1]
    # The kernel knows images only: a volume's positions become rows, which costs nothing.
    flat = x if len(x.shape) == 4 else tf.reshape(x, (shape[0], -1, 1, channels))
    # On CPU it is fast in bfloat16 on multiples of 16 channels only (elsewhere half as fast as
    # Keras' own layer), and in float32 on any number.
    if x.dtype == tf.bfloat16 and channels % 16:
        flat = tf.cast(flat, tf.float32)
    moving_mean, moving_variance = map(
        tf.convert_to_tensor, (layer.moving_mean, layer.moving_variance)
    )
    result, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=flat,
        scale=tf.convert_to_tensor(layer.gamma) if layer.scale else tf.ones(channels),
        offset=tf.convert_to_tensor(layer.beta) if layer.center else tf.zeros(channels),
        mean=tf.constant([]) if training else moving_mean,
        variance=tf.constant([]) if training else moving_variance,
        epsilon=layer.epsilon,
        is_training=training,
    )
    if training:
        # The kernel returns the variance of a sample (n - 1), Keras keeps the population's (n).
        count = tf.cast(tf.size(x) // channels, variance.dtype)
        variance *= (count - 1) / count
        kept = layer.momentum
        layer.moving_mean.assign(moving_mean * kept + mean * (1 - kept))
        layer.moving_variance.assign(moving_variance * kept + variance * (1 - kept))
    return tf.ensure_shape(tf.reshape(tf.cast(result, x.dtype), shape), x.shape)
