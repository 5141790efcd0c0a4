"""Architectures: builder functions whose signature is the configuration, defaults the paper's."""

from .measure import macs, receptive_field
from .unet import unet, unet_sizes
from .vnet import vnet

__all__ = ["macs", "receptive_field", "unet", "unet_sizes", "vnet"]
