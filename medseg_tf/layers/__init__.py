"""The few layers that Keras lacks, registered for saving."""

from .batch_normalization import BatchNormalization
from .bilinear_upsampling import BilinearUpsampling, CropLike
from .dilated_pooling import DilatedPooling
from .local_response import LocalResponseNormalization

__all__ = [
    "BatchNormalization",
    "BilinearUpsampling",
    "CropLike",
    "DilatedPooling",
    "LocalResponseNormalization",
]
