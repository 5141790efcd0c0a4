"""The few layers that Keras lacks, registered for saving."""

from .batch_normalization import BatchNormalization
from .bilinear_upsampling import BilinearUpsampling, CropLike
from .dilated_pooling import DilatedPooling
from .local_response import LocalResponseNormalization
from .max_unpooling import MaxPoolingWithIndices, MaxUnpooling
from .pad_channels import PadChannels
from .sparsity_penalty import SparsityPenalty

__all__ = [
    "BatchNormalization",
    "BilinearUpsampling",
    "CropLike",
    "DilatedPooling",
    "LocalResponseNormalization",
    "MaxPoolingWithIndices",
    "MaxUnpooling",
    "PadChannels",
    "SparsityPenalty",
]
