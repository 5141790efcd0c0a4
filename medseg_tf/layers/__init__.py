"""The few layers that Keras lacks, registered for saving."""

from .batch_normalization import BatchNormalization

__all__ = ["BatchNormalization"]
