"""Save models in one environment, open them in another: twin_models.py save|check FOLDER.

Weights must arrive with difference 0. Outputs may differ by the rounding of another TensorFlow.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: E402
import numpy as np  # noqa: E402

from medseg_tf import load_model, models, recipe  # noqa: E402

VOLUME = {"width": 4, "depth": 2, "padding": "same", "norm": "batch"}
NETS = {
    "plane": ("unet", (60, 60, 1), {"width": 4, "depth": 2}),
    "volume": ("unet", (16, 16, 8, 2), VOLUME),
    "residual": ("vnet", (16, 16, 8, 1), {"width": 4, "convolutions": (1, 2), "norm": "batch"}),
}


def save(folder):
    rng = np.random.default_rng(0)
    for name, (builder, shape, options) in NETS.items():
        model = getattr(models, builder)(shape, 3, **options)
        # also moves the statistics and biases, which start at 0 and 1
        model.set_weights([w + rng.random(w.shape, "float32") / 50 for w in model.get_weights()])
        images = rng.random((2, *shape), "float32")
        recipe.save(model, folder / name)
        arrays = {"images": images, "output": output(model, images)}
        arrays |= {f"weight{i}": weight for i, weight in enumerate(model.get_weights())}
        np.savez(folder / f"{name}.npz", **arrays)
    print(f"saved {', '.join(NETS)} by Keras {keras.__version__}")


def check(folder):
    for name in NETS:
        model, was = load_model(folder / name), np.load(folder / f"{name}.npz")
        weights = model.get_weights()
        assert len(weights) == len(was.files) - 2, f"{name}: another number of weights"
        pairs = [(weight, was[f"weight{i}"]) for i, weight in enumerate(weights)]
        by = max(abs(now - then).max() for now, then in pairs)
        out = abs(output(model, was["images"]) - was["output"]).max()
        print(
            f"{name} by Keras {keras.__version__}: difference of weights {by}, of output {out:.1e}"
        )
        assert by == 0 and out < 1e-5, f"{name} did not arrive as it was saved"


def output(model, images):
    return keras.ops.convert_to_numpy(model(images, training=False))


if __name__ == "__main__":
    {"save": save, "check": check}[sys.argv[1]](Path(sys.argv[2]))
