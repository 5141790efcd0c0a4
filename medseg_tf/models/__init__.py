"""Architectures: builder functions whose signature is the configuration, defaults the paper's."""

from .alexnet import alexnet
from .autoencoder import autoencoder, encoder_of
from .csae import csae
from .deeplab import deeplab
from .dense_twin import dense_twin
from .encoder_network import encoder_network
from .fcn import fcn
from .fcrn import fcrn
from .googlenet import googlenet
from .hand_on import hand_on
from .measure import macs, receptive_field, training_memory
from .multiscale import multiscale
from .patch_encoder import patch_encoder
from .resnet import cifar_resnet, resnet
from .sliding_window import sliding_window
from .unet import unet, unet_sizes
from .vgg16 import vgg16
from .vnet import vnet
from .voxresnet import deeply_supervised, voxresnet

__all__ = [
    "alexnet",
    "autoencoder",
    "cifar_resnet",
    "csae",
    "deeplab",
    "deeply_supervised",
    "dense_twin",
    "encoder_network",
    "encoder_of",
    "fcn",
    "fcrn",
    "googlenet",
    "hand_on",
    "macs",
    "multiscale",
    "patch_encoder",
    "receptive_field",
    "resnet",
    "sliding_window",
    "training_memory",
    "unet",
    "unet_sizes",
    "vgg16",
    "vnet",
    "voxresnet",
]
