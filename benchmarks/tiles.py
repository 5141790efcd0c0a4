"""Label a volume in tiles by the same network, beside MONAI's sliding window.

One tile size and overlap for both, Gaussian weights at MONAI, raised cosines here; from the volume
to class numbers, each framework in bfloat16 where the processor has it.
"""

from functools import partial

import measure
import numpy as np
from nets import NETS

NET = NETS["U-Net 3-D"]
SIZE, TILE, OVERLAP = (128, 128, 96), (64, 64, 48), 0.5


def volume():
    return np.random.default_rng(0).standard_normal((*SIZE, 1), "float32")


def ours(tile=TILE):
    from medseg_tf import data, inference

    model = NET.ours(sizes=(None, None, None))
    scan = data.Scan(volume(), data.Grid(SIZE, np.eye(4)))

    def label():
        return {"voxels": inference.segment(model, scan, tile=tile, overlap=OVERLAP).array.size}

    return label


def monai(batch, tile=TILE):
    import torch
    import torch_nets
    from monai.inferers import SlidingWindowInferer

    model = torch_nets.fast(NET.peer()).eval()
    slide = SlidingWindowInferer(tile, batch, OVERLAP, mode="gaussian")
    image = volume()

    def predict(x):
        with torch_nets.precision():
            return model(x.contiguous(memory_format=torch.channels_last_3d)).float()

    def label():
        grey = (image - image.mean()) / image.std()
        with torch.no_grad():
            logits = slide(torch_nets.tensor(grey[None]), predict)
        return {"voxels": logits.argmax(1)[0].to(torch.uint8).numpy().size}

    return label


BATCHES = {f"MONAI, {n} at once": partial(monai, n) for n in (1, 2, 4)}
WORDS = " x ".join(map(str, SIZE))
ROWS = [
    measure.Row(
        f"{WORDS} in tiles of {' x '.join(map(str, TILE))}, overlap {OVERLAP}",
        ours,
        BATCHES,
        mark=2,
        reason="equal tiles cost both the same convolutions; without a size ours takes one pass, "
        "as the next row has it",
        rounds=5,
    ),
    measure.Row(
        f"{WORDS} as each is asked without a size: here in one pass, MONAI in tiles",
        partial(ours, None),
        BATCHES,
        rounds=5,
    ),
]

if __name__ == "__main__":
    measure.main(__doc__, ROWS)
