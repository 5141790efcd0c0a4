"""Compute in one environment, compare in another: twin.py save|check FOLDER.

`save` writes networks with their weights and what they answer, the losses, and what a short
training and tiled inference give; `check` computes the same from these weights under another
framework or version and fails where the largest difference passes what FAR allows. Layers that the
package adds are reached through the networks that hold them: `save` makes sure of each one.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: E402
import numpy as np  # noqa: E402

from medseg_tf import (  # noqa: E402
    data,
    inference,
    layers,
    load_model,
    losses,
    models,
    recipe,
    training,
)

SMALL = {  # builder: (side of an image, other arguments), built in 2-D and 3-D
    "alexnet": (67, {"classes": 3, "width": 6}),
    "autoencoder": (8, {"widths": (3, 2), "sparsity": 0.1}),
    "cifar_resnet": (8, {"classes": 3, "depth": 8, "width": 2}),
    "csae": (8, {"classes": 3, "maps": (4, 4), "kernels": (3, 3)}),
    "deeplab": (17, {"classes": 3, "width": 2, "variant": "aspp_s"}),
    "encoder_network": (12, {"classes": 3, "width": 2, "kernels": (3, 3)}),
    "fcn": (32, {"classes": 3, "width": 2, "padding": "same", "upsampling": "between"}),
    "fcrn": (32, {"classes": 3, "depth": 14, "width": 4}),
    "googlenet": (32, {"classes": 3, "width": 8}),
    "multiscale": (9, {"classes": 3, "kernels": (3, 5), "width": 4, "norm": "batch"}),
    "patch_encoder": (12, {"maps": (3, 4), "kernel": 3, "features": 5}),
    "resnet": (32, {"classes": 3, "depth": 18, "width": 4}),
    "sliding_window": (15, {"classes": 3, "maps": (3, 4), "kernels": (4, 3), "dense": (6,)}),
    "unet": (16, dict(classes=3, width=4, depth=2, padding="same", norm="batch", dropout=0)),
    "vgg16": (32, {"classes": 3, "width": 2}),
    "vnet": (16, {"classes": 3, "width": 4, "convolutions": (1, 2), "norm": "batch"}),
    "voxresnet": (16, {"classes": 3, "width": 4}),
}
NETS = {
    f"{builder}_{rank}d": (builder, {"input_shape": (side,) * rank + (1,), **more})
    for builder, (side, more) in SMALL.items()
    for rank in (2, 3)
} | {"unet_valid": ("unet", dict(input_shape=(44, 44, 1), classes=3, width=4, depth=2))}
TRAINED = ("unet_2d", "unet_3d", "vnet_2d", "vnet_3d", "voxresnet_3d")
LOSSES = {
    "soft dice": (losses.SoftDice(), False),
    "squared soft dice": (losses.SoftDice(squared=True), False),
    "cross-entropy": (losses.WeightedCrossEntropy([1, 2, 3]), True),
    "dice and cross-entropy": (losses.DiceCrossEntropy(), True),
    "sensitivity and specificity": (losses.SensitivitySpecificity(), True),
}
# Largest difference, relative to the largest number where that is above 1. Adam divides a gradient
# by its own size, so that the rounding of small ones grows from step to step.
FAR = {
    "weights": 0.0,
    "output": 1e-5,
    "loss": 1e-6,
    "tiles": 1e-5,
    "history": 1e-5,
    "trained": 5e-3,
}


def save(folder):
    """Write networks, images and answers."""
    keras.utils.set_random_seed(0)
    rng, images, used = np.random.default_rng(0), {}, set()
    for name, (builder, arguments) in NETS.items():
        model = getattr(models, builder)(**arguments)
        # also moves the statistics and biases, which start at 0 and 1
        model.set_weights([w + rng.normal(0, 0.02, w.shape) for w in model.get_weights()])
        images[name] = rng.random((2, *arguments["input_shape"]), "float32")
        used |= {type(layer).__name__ for layer in model.layers}
        recipe.save(model, folder / name)
    used |= {type(layer).__name__ for layer in models.dense_twin(window(folder)).layers}
    builders = {name for name in models.__all__ if hasattr(getattr(models, name), "__wrapped__")}
    assert builders == set(SMALL), f"networks without a twin: {builders ^ set(SMALL)}"
    assert set(layers.__all__) <= used, f"layers in no network: {set(layers.__all__) - used}"
    np.savez(folder / "images.npz", **images)
    found = answers(folder)
    still = [name for name, value in found.items() if name[:6] == "output" and not np.ptp(value)]
    assert not still, f"networks that answer the same everywhere: {still}"
    np.savez(folder / "answers.npz", **found)
    print(f"{len(NETS)} networks and {len(found)} answers by {here()}")


def check(folder):
    """Compare the answers found here with the stored ones; fail where they lie too far apart."""
    was, now, failed = dict(np.load(folder / "answers.npz")), answers(folder), []
    assert was.keys() == now.keys(), f"other answers: {sorted(was.keys() ^ now.keys())}"
    by = {name: difference(now[name], value) for name, value in was.items()}
    for kind, far in FAR.items():
        of_kind = {name: gap for name, gap in by.items() if name.split(":")[0] == kind}
        worst = max(of_kind, key=of_kind.get)
        print(f"{here()}: {len(of_kind)} x {worst} {of_kind[worst]:.1e}, allowed {far:g}")
        failed += [f"{name} {gap:.1e}" for name, gap in of_kind.items() if not gap <= far]
    assert not failed, f"differ too much: {', '.join(failed)}"


def answers(folder):
    """{"kind: what": array} of all that is compared."""
    images, found = np.load(folder / "images.npz"), {}
    for name in NETS:
        model = load_model(folder / name)
        found[f"weights: {name}"] = np.concatenate([w.ravel() for w in model.get_weights()])
        found[f"output: {name}"] = output(model, images[name])
    found["output: dense twin"] = output(models.dense_twin(window(folder)), picture(2)[0][None])
    for name, (loss, takes_map) in LOSSES.items():
        found[f"loss: {name}"] = number(loss, takes_map)
    for name in TRAINED:
        model = load_model(folder / name)
        case = as_case(len(model.input_shape) - 2)
        found[f"tiles: {name}"] = inference.probabilities(model, case, tile=16)
        patches = data.Patches([case], 16, batch=2, seed=0, steps=4)
        found[f"history: {name}"] = training.fit(
            model, patches, losses.DiceCrossEntropy(), epochs=2
        )["loss"]
        found[f"trained: {name}"] = output(model, images[name], training=True)
    return {name: np.asarray(value) for name, value in found.items()}


def picture(rank):
    """A noisy image (24, ..., 1) of cubes in three classes, and its label."""
    rng = np.random.default_rng(rank)
    label = np.kron(rng.integers(0, 3, (3,) * rank), np.ones((8,) * rank, int))
    return (label[..., None] + rng.normal(size=(*label.shape, 1))).astype("float32"), label


def as_case(rank):
    image, label = picture(rank)
    grid = data.Grid(label.shape)
    return data.Case("cubes", data.Scan(image, grid), data.Scan(label, grid), classes=3)


def number(loss, takes_map):
    """The loss of fixed probabilities, under a weight map where it takes one."""
    rng, label = np.random.default_rng(5), picture(2)[1][None]
    probabilities = rng.dirichlet(np.ones(3), label.shape).astype("float32")
    weight = rng.random(label.shape, "float32") if takes_map else None
    return keras.ops.convert_to_numpy(loss(label, probabilities, weight))


def window(folder):
    return load_model(folder / "sliding_window_2d")


def output(model, images, training=False):
    return keras.ops.convert_to_numpy(model(images, training=training))


def difference(now, then):
    return float(abs(now - then).max() / max(1, abs(then).max()))


def here():
    return f"Keras {keras.__version__} on {keras.backend.backend()}"


if __name__ == "__main__":
    {"save": save, "check": check}[sys.argv[1]](Path(sys.argv[2]))
