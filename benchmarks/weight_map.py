"""U-Net's weight map for 512 x 512 pixels and about 200 cells, beside the textbook's loop.

The loop takes one distance transform a cell and sorts them.
"""

import measure
import numpy as np


def cells():
    from medseg_tf import data

    label = data.phantoms.cells(1, size=420)[0].label.array
    return np.pad(label * data.separate(label), 46)


def ours():
    from medseg_tf import data

    label = cells()
    return lambda: facts(data.unet_weight_map(label))


def textbook():
    from scipy.ndimage import distance_transform_edt

    label, w0, sigma = cells(), 10, 5

    def weigh():
        distances = [distance_transform_edt(label != cell) for cell in np.unique(label)[1:]]
        nearest, second = np.partition(distances, 1, axis=0)[:2]
        gaps = np.exp(-((nearest + second) ** 2) / (2 * sigma**2))
        return facts(1 + (label == 0) * w0 * gaps)

    return weigh


def facts(weights):
    return {"mean": float(weights.mean()), "highest": float(weights.max())}


ROWS = [
    measure.Row(
        "U-Net's weight map, 512 x 512 with 200 cells",
        ours,
        {"the textbook's loop": textbook},
        mark=5,
        python=measure.HERE,
        tolerance=1e-4,
    )
]

if __name__ == "__main__":
    measure.main(__doc__, ROWS)
