"""The networks that are timed, and their batches: ours, and what both frameworks are fed with."""

from dataclasses import dataclass, field

import numpy as np

CLASSES = 4


@dataclass(frozen=True)
class Net:
    builder: str
    shape: tuple  # (batch, *spatial, channels)
    options: dict = field(default_factory=dict)

    @property
    def rank(self):
        return len(self.shape) - 2

    def words(self):
        return f"{' x '.join(map(str, self.shape[:-1]))}, width {self.options['width']}"

    def batch(self):
        """Images (batch, *spatial, channels) float32 and labels (batch, *spatial) int32."""
        rng = np.random.default_rng(0)
        images = rng.standard_normal(self.shape, "float32")
        return images, rng.integers(0, CLASSES, self.shape[:-1], dtype="int32")

    def ours(self, sizes=None):
        """Build it here, in the precision that fits the processor, for these or its own sizes."""
        from medseg_tf import models, training

        training.set_precision("auto")
        same = {"padding": "same", "dropout": 0} if self.builder == "unet" else {}
        shape = (*(sizes or self.shape[1:-1]), self.shape[-1])
        return getattr(models, self.builder)(shape, CLASSES, norm="batch", **same, **self.options)

    def peer(self):
        """Build it in PyTorch."""
        import torch_nets

        builder = {"unet": torch_nets.UNet, "vnet": torch_nets.VNet}[self.builder]
        return builder(self.rank, CLASSES, **self.options)


NETS = {
    "U-Net 2-D": Net("unet", (4, 192, 192, 1), {"width": 32, "depth": 3}),
    "U-Net 3-D": Net("unet", (2, 48, 64, 48, 1), {"width": 16, "depth": 3}),
    "V-Net 3-D": Net("vnet", (2, 48, 64, 48, 1), {"width": 8, "convolutions": (1, 2, 3)}),
}


def weights(model):
    """Count what a network of ours learns: of its convolutions' kernels, and in all."""
    sizes = [(v.name == "kernel", int(np.prod(v.shape))) for v in model.trainable_variables]
    return {"kernels": sum(n for kernel, n in sizes if kernel), "weights": sum(n for _, n in sizes)}
