"""What to train on a reader's own cases: chosen by looking at them, each number with its reason.

A plan is a plain dictionary, ready for JSON:
    network     "unet" or "vnet"
    channels, classes, objects    what the cases hold (objects: labels are object numbers)
    spacing     distance between voxels to work at, in the cases' units; None keeps the pixels
    normalize   how grey values come to one scale, as a recipe names it
    flips       axes along which mirror images are as likely as the images
    depth, patch, width, batch    what one step of the training sees, and the network's size
    learning_rate    the first one, of `training.fit`
"""

import itertools
import math
import os

import numpy as np

from medseg_tf import data, losses, models, training
from medseg_tf.data.resample import canonical_case, resample_case, respaced
from medseg_tf.errors import ConfigError
from medseg_tf.inference import normalization
from medseg_tf.table import Table

PATCH = {2: 2**16, 3: 2**17}  # voxels of a patch: a second or so of two cores' work
PATCH_GPU = {2: 2**18, 3: 2**21}
BATCH = 2**18  # voxels of a batch, but 2 to 8 patches
BOTTOM = 4  # positions that the coarsest maps keep along each axis
DEEPEST = 4  # poolings, as in the papers
OBJECT = 64  # pixels across: objects larger than this only cost time
ONE_SIDED = 0.8  # share of the cases in which a class lies to the same side of another
SAMPLE = 50_000  # voxels looked at in each case


def look(cases):
    """Return a Table of what the cases hold: sizes, spacings, grey values, classes."""
    grids = [case.image.grid for case in cases]
    greys = np.array([np.percentile(sample(case.image.array), (0, 50, 100)) for case in cases])
    found = {
        "cases": f"{len(cases)}, of {len({case.subject for case in cases})} subjects",
        "voxels": span([grid.shape for grid in grids]),
        f"spacing, {grids[0].units}": span([grid.spacing for grid in grids]),
        "grey values": f"from {greys[:, 0].min():.4g} to {greys[:, 2].max():.4g}, a case's median "
        f"from {greys[:, 1].min():.4g} to {greys[:, 1].max():.4g}",
    }
    if cases[0].instances:
        counts = [len(np.unique(case.label.array)) - 1 for case in cases]
        found["objects"] = f"{min(counts)} to {max(counts)} a case, {sum(counts)} in all"
    else:
        for number in range(1, cases[0].classes):
            shares = np.array([np.mean(case.label.array == number) for case in cases])
            found[f"class {number}"] = (
                f"{100 * shares.mean():.2g} % of the voxels, in {np.count_nonzero(shares)} of "
                f"{len(cases)} cases"
            )
    return Table({"looked at": name, "found": text} for name, text in found.items())


def plan(cases, network="unet", **fixed):
    """Choose how to train a network on cases.

    Args:
        cases: list of Case with labels, all of one rank, channels and classes.
        network: "unet" or "vnet".
        fixed: spacing, flips, depth, patch, width, batch or learning_rate, where the caller knows
            better; None, and what is left out, is chosen here.

    Returns:
        The plan, and a Table with the reason for each of its numbers.

    Raises:
        ConfigError: an unknown network, or a number that does not fit.
    """
    if network not in BUILDERS:
        raise ConfigError(f"network {network!r} is unknown; choose one of {', '.join(BUILDERS)}.")
    cases = [canonical_case(case) for case in cases]
    image = cases[0].image
    chosen = {
        "network": network,
        "channels": image.array.shape[-1],
        "classes": cases[0].classes,
        "objects": cases[0].instances,
    }
    for name, value in fixed.items():
        if value is not None:
            chosen[name] = asked(name, value, image.grid.rank)
    reasons = Table()
    for name, choose in CHOICES.items():
        reason = "as asked"
        if name not in chosen:
            chosen[name], reason = choose(cases, chosen)
        reasons.append({"plan": name, "chosen": words(chosen[name]), "because": reason})
    return chosen, reasons


def asked(name, value, rank):
    """Return a number that the caller fixed as the plan holds it."""
    values = np.atleast_1d(value).tolist()
    if name == "flips":
        if any(axis not in range(rank) for axis in values):
            raise ConfigError(f"flips is {words(values)}; give axes from 0 to {rank - 1}, or none.")
        return [int(axis) for axis in values]
    each_axis = name in ("spacing", "patch")
    if len(values) not in ((1, rank) if each_axis else (1,)) or min(values) <= 0:
        amount = f"one positive number, or {rank} of them" if each_axis else "one positive number"
        raise ConfigError(f"{name} is {words(values)}; give {amount}.")
    if each_axis:
        return values * rank if len(values) == 1 else values
    return values[0]


def choose_spacing(cases, chosen):
    grids = [case.image.grid for case in cases]
    if any(grid.units == "pixel" for grid in grids):
        return None, "the size of a pixel is not known"
    spacings = np.array([grid.spacing for grid in grids])
    median = np.median(spacings, axis=0)
    reason = "all cases have it" if np.allclose(spacings, median, 0.01) else "median of the cases"
    if chosen["objects"] and (across := object_width(cases)) > OBJECT:
        median *= across / OBJECT
        reason = f"objects {across:.0f} pixels across are large enough at {OBJECT}"
    return [float(f"{value:.4g}") for value in median], reason


def choose_normalize(cases, chosen):
    least = min(case.image.array.min() for case in cases)
    if least < -500:
        inside = [case.image.array[case.label.array > 0] for case in cases]
        low, high = np.percentile(np.concatenate([sample(grey) for grey in inside]), (0.5, 99.5))
        window = {"name": "window", "low": round(float(low)), "high": round(float(high))}
        return window, "CT: Hounsfield units from the 0.5th to the 99.5th percentile of the classes"
    empty = np.mean([np.mean(sample(case.image.array) == 0) for case in cases])
    if least >= 0 and empty > 0.3:
        reason = f"{100 * empty:.0f} % of the voxels are 0, outside the body: they are left out"
        return {"name": "z_score_inside"}, reason
    return {"name": "z_score"}, "mean 0 and standard deviation 1 in each scan: no scale is shared"


def choose_flips(cases, chosen):
    rank = cases[0].image.grid.rank
    if chosen["objects"]:
        return list(range(rank)), "objects have no side"
    centres = np.array([class_centres(case) for case in cases])  # (cases, classes, rank)
    sided = {}
    for axis in range(rank):
        for one, other in itertools.combinations(range(centres.shape[1]), 2):
            above = centres[:, one, axis] - centres[:, other, axis]
            above = above[np.isfinite(above)]
            share = max(np.mean(above > 0), np.mean(above < 0)) if len(above) else 0
            if share >= ONE_SIDED:
                sided.setdefault(axis, (share, one, other))
    free = [axis for axis in range(rank) if axis not in sided]
    if not sided:
        return free, "no class lies always to the same side of another"
    reason = "; ".join(
        f"along axis {axis} class {one} lies to one side of class {other} in {100 * share:.0f} %"
        for axis, (share, one, other) in sided.items()
    )
    return free, reason


def choose_depth(cases, chosen):
    if "patch" in chosen:
        sides, all_fit = chosen["patch"], lambda depth: all(s % 2**depth == 0 for s in sides)
        fitting = [depth for depth in range(1, DEEPEST + 1) if all_fit(depth)]
        if not fitting:
            raise ConfigError(f"patch {words(sides)}: each side must be even, to be halved.")
        depth = min(poolings(sides), max(fitting))
    else:
        depth = poolings(view(cases, chosen)[0])
    return depth, f"halvings that leave {BOTTOM} positions an axis; at most {DEEPEST}, as published"


def choose_patch(cases, chosen):
    sides, reason = view(cases, chosen)
    unit = 2 ** chosen["depth"]
    return [math.ceil(side / unit) * unit for side in sides], f"{reason}, in multiples of {unit}"


def choose_width(cases, chosen):
    if on_gpu():
        return 32, "channels of the first stage; a GPU has room"
    if chosen["network"] == "vnet":
        return 12, "channels of the first stage; the way up has twice as many"
    return 16, "channels of the first stage; processors take 16 at a time, so fewer save little"


def choose_batch(cases, chosen):
    voxels = math.prod(chosen["patch"])
    batch = min(max(BATCH // voxels, 2), 8)
    each, memory = activations(chosen), machine_memory()
    if memory is None:
        return batch, f"{each * batch / 1e9:.2g} GB of activations"
    while batch > 1 and each * batch > memory / 2:
        batch -= 1
    if each * batch > memory / 2:
        raise ConfigError(
            f"one patch of {words(chosen['patch'])} needs about {each / 1e9:.2g} GB of memory, "
            f"this machine has {memory / 1e9:.2g} GB. Fix a smaller patch or width."
        )
    return batch, f"{each * batch / 1e9:.2g} GB of activations, of {memory / 1e9:.3g} GB memory"


def choose_learning_rate(cases, chosen):
    if chosen["network"] == "vnet":
        return 1e-3, "at the start: the usual one of AdamW"
    return 3e-3, "at the start: batch normalisation bears it, and few steps fit into minutes"


CHOICES = {
    "spacing": choose_spacing,
    "normalize": choose_normalize,
    "flips": choose_flips,
    "depth": choose_depth,
    "patch": choose_patch,
    "width": choose_width,
    "batch": choose_batch,
    "learning_rate": choose_learning_rate,
}


def build(chosen, shape=None):
    """Return the plan's network, for images of `shape` or, where it is None, of any.

    Raises:
        ConfigError: patch and depth, where both were fixed, do not fit together.
    """
    unit = 2 ** chosen["depth"]
    if any(side % unit for side in chosen["patch"]):
        raise ConfigError(
            f"patch {words(chosen['patch'])} cannot be halved {chosen['depth']} times: give "
            f"multiples of {unit}, or another depth."
        )
    shape = shape or (None,) * len(chosen["patch"])
    return BUILDERS[chosen["network"]]((*shape, chosen["channels"]), chosen)


def build_unet(shape, chosen):
    how = {"width": chosen["width"], "depth": chosen["depth"]}
    return models.unet(shape, chosen["classes"], padding="same", norm="batch", dropout=0, **how)


def build_vnet(shape, chosen):
    stages = (1, 2, 3, 3, 3)[: chosen["depth"] + 1]
    how = {"width": chosen["width"], "convolutions": stages, "kernel": 3, "norm": "batch"}
    return models.vnet(shape, chosen["classes"], **how)


BUILDERS = {"unet": build_unet, "vnet": build_vnet}


def prepare(cases, chosen):
    """Return the cases with axes in order and at the plan's spacing, as training wants them."""
    cases = [canonical_case(case) for case in cases]
    if chosen["spacing"] is None:
        return cases
    return [resample_case(case, chosen["spacing"]) for case in cases]


def patches(cases, chosen, seed=0):
    """Return the Patches that a plan learns from; `cases` come from `prepare`."""
    rank, sides = len(chosen["patch"]), np.array(chosen["patch"])
    anywhere = rank == 2 and len(chosen["flips"]) == 2  # no up and down: turn all the way
    degrees = 180 if anywhere else 10 if rank == 2 else (10, 10, 10)
    shapes = data.warp(degrees=degrees, low=0.85, high=1.18, sd=sides / 32, points=4)
    # A volume has few voxels across an organ, and z-scored scans are alike: change little.
    greys = data.intensity() if rank == 2 else data.intensity(blur=0, shading=0)
    return data.Patches(
        cases,
        chosen["patch"],
        chosen["batch"],
        augment=data.compose(data.flip(chosen["flips"]), shapes, greys),
        weights=data.unet_weight_map if chosen["objects"] else None,
        normalize=normalization(chosen["normalize"]),
        seed=seed,
        steps=50,
    )


def loss(chosen):
    """Return the loss that a plan learns by."""
    if chosen["objects"]:
        return losses.WeightedCrossEntropy()
    return losses.DiceCrossEntropy(squared=True)


def scans(chosen):
    """Return what the recipe of a plan's model says about scans: see `inference`."""
    every = len(chosen["flips"]) == len(chosen["patch"]) == 2
    turns = True if every else chosen["flips"]
    return {"spacing": chosen["spacing"], "normalize": chosen["normalize"], "turns": turns}


def sample(array):
    """Return about SAMPLE of an array's numbers, evenly spread."""
    return array.ravel()[:: max(1, array.size // SAMPLE)]


def span(values):
    """Write the least, median and greatest of each axis: "31-43 x 40-59", median in brackets."""
    values = np.array(values)
    least, median, most = values.min(0), np.median(values, axis=0), values.max(0)
    if np.allclose(least, most):
        return words(least.tolist())
    each = [f"{a:.4g}-{b:.4g}" for a, b in zip(least, most, strict=True)]
    return f"{' x '.join(each)} (median {words(median.tolist())})"


def words(value):
    """Write a value of a plan."""
    if isinstance(value, dict):
        return " ".join(str(part) for part in value.values())
    if isinstance(value, (list, tuple)):
        return " x ".join(f"{part:.4g}" for part in value) or "none"
    return "as stored" if value is None else str(value)


def object_width(cases):
    """Return the median diameter, in pixels, of a disc or ball as large as an object."""
    sizes = np.concatenate([np.unique(c.label.array, return_counts=True)[1][1:] for c in cases])
    size = float(np.median(sizes))
    rank = cases[0].image.grid.rank
    return 2 * math.sqrt(size / math.pi) if rank == 2 else (6 * size / math.pi) ** (1 / 3)


def class_centres(case):
    """Return the centre of each foreground class, (classes - 1, rank), NaN where it is absent."""
    places = [np.argwhere(case.label.array == number) for number in range(1, case.classes)]
    nowhere = np.full(case.image.grid.rank, np.nan)
    return [place.mean(0) if len(place) else nowhere for place in places]


def view(cases, chosen):
    """Return the sides that a patch should show, and why: the median scan, or part of it."""
    grids = [case.image.grid for case in cases]
    if chosen["spacing"] is not None:
        grids = [respaced(grid, chosen["spacing"]) for grid in grids]
    median = np.median([grid.shape for grid in grids], axis=0)
    most = (PATCH_GPU if on_gpu() else PATCH)[len(median)]
    if median.prod() <= most:
        return median, "the median scan"
    side = next(s for s in range(int(median.max()), 0, -1) if np.minimum(median, s).prod() <= most)
    return np.minimum(median, side), f"what {most:,} voxels can show of a scan"


def poolings(sides):
    """Return how often maps of these sides may be halved."""
    return max(1, min(DEEPEST, int(math.log2(min(sides) / BOTTOM))))


def activations(chosen):
    """Bytes that the maps of one patch take in training, forward and backward."""
    return models.measure.map_memory(build(chosen), chosen["patch"])


def machine_memory():
    """Bytes of memory that this machine has, None where it does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def on_gpu():
    return training.precision.gpu_capability() is not None
