"""Architectures: builder functions whose signature is the configuration, defaults the paper's."""

from .alexnet import alexnet
from .dense_twin import dense_twin
from .fcn import fcn
from .googlenet import googlenet
from .hand_on import hand_on
from .measure import macs, receptive_field
from .sliding_window import sliding_window
from .unet import unet, unet_sizes
from .vgg16 import vgg16
from .vnet import vnet

__all__ = [
    "alexnet",
    "dense_twin",
    "fcn",
    "googlenet",
    "hand_on",
    "macs",
    "receptive_field",
    "sliding_window",
    "unet",
    "unet_sizes",
    "vgg16",
    "vnet",
]
