"""Simulated MR of brains with lesions of multiple sclerosis, in FLAIR and T1.

Lesions are bright in FLAIR and dark in T1. So are others: the cortex is as bright in FLAIR, and
fluid is darker in T1; spots of flow are bright in FLAIR alone. What tells a lesion is both
contrasts and its surroundings, white matter. Lesions are few and most of them small.
"""

import numpy as np
from scipy import ndimage

from medseg_tf.data.case import Case, Scan
from medseg_tf.data.phantoms.draw import bent, centred, depth, wavy

FILLED = 0.43  # half axes of the brain as a share of the picture's extent
CORTEX = 7  # mm: thick, for the voxels are large
# Brightness of white matter, grey matter, fluid, lesions and flow in FLAIR and T1.
WHITE, GREY, FLUID, LESION, FLOW = (0.55, 1.0), (0.75, 0.7), (0.15, 0.3), (0.95, 0.75), (1.0, 1.0)
NOISE = 0.09
# Ventricles, their mirror images added: centre and half axes as shares of the brain's half axes.
VENTRICLE = (0.14, 0.02, 0.05), (0.10, 0.38, 0.16)


def ms_lesions(n, seed=0, size=(48, 48), spacing=3.0, lesions=4):
    """Simulate `n` MR images of brains with white-matter lesions in two contrasts.

    What is simulated: white matter, a cortex as bright in FLAIR as a faint lesion, ventricles,
    lesions of 1.5 to 8 mm radius, more of them near the ventricles, spots of flow, partial volume,
    bias fields, noise. What is not: folds, deep nuclei, black holes, lesions of the cortex.

    Args:
        n: number of images, each of a subject of its own.
        seed: int or Generator; image i of a seed does not depend on n.
        size: voxels along x (right), y (front) and, in a volume, z (up): two numbers or three.
        spacing: mm between voxels: one number, or one an axis.
        lesions: mean number of lesions beyond the first.

    Returns:
        list of Case: image float32 (*size, 2), channels FLAIR and T1, 0 outside the brain; label
        uint8 (*size), 1 lesion. RAS affine, the origin in the middle.

    Raises:
        ConfigError: a size of other than two or three axes, or not positive, or such a spacing.
    """
    grid = centred("ms_lesions", size, spacing)
    cases = []
    for index, rng in enumerate(np.random.default_rng(seed).spawn(n)):
        image, label = simulate(rng, grid, lesions)
        name = f"ms-lesions-{index:03d}"
        cases.append(Case(name, Scan(image, grid), Scan(label, grid), classes=2, name=name))
    return cases


def simulate(rng, grid, lesions):
    """One image, float32 (*size, 2), and its label, uint8 (*size)."""
    shape, step, rank = grid.shape, grid.spacing, grid.rank

    def waves(period):
        return wavy(rng, shape, period, step)

    def inside(depth):
        """How much of a voxel lies on the inner side of a surface that is `depth` mm away."""
        return np.clip(depth / float(step.mean()) + 0.5, 0, 1)

    place = bent(rng, shape, (2.0, 50), (1.0, 15), spacing=step)
    extent = step * (np.array(shape) - 1)
    for axis, length in zip(place, extent, strict=True):
        axis -= length / 2 + rng.normal(0, 0.01 * length)
    half = (FILLED * extent * np.exp(rng.normal(0, 0.04, rank))).astype("float32")
    hull = depth(place, half)
    white = hull - CORTEX * np.clip(1 + 0.35 * waves(20), 0.3, 2)
    centre, axes = (np.array(numbers[:rank]) for numbers in VENTRICLE)
    axes = half * axes * np.exp(rng.normal(0.0, 0.2, rank))
    paired = [np.abs(place[0]) - centre[0] * half[0]]
    paired += [p - c * h for p, c, h in zip(place[1:], centre[1:], half[1:], strict=True)]
    ventricle = depth(paired, axes.astype("float32"))

    image = np.stack([np.full(shape, value, "float32") for value in GREY])
    mix(image, inside(white), WHITE)
    for spot in spots(rng, place, hull, np.inf, rng.poisson(3), (1.2, 2.5), step):
        mix(image, inside(spot), FLOW)
    label = np.zeros(shape, bool)
    near = np.minimum(white, -ventricle) - 1
    for spot in spots(rng, place, near, 12, 1 + rng.poisson(lesions), (1.5, 8), step):
        share = inside(np.minimum(spot + 0.6 * waves(8), white))
        mix(image, share * rng.uniform(0.6, 1), LESION)
        label |= share > 0.5
    mix(image, inside(ventricle), FLUID)
    label &= ventricle < 0
    brain = inside(hull)
    scan = [channel * np.exp(0.06 * waves(70)) for channel in image]
    scan = [ndimage.gaussian_filter(channel * brain, 0.8 / step) for channel in scan]
    noise = NOISE * rng.standard_normal((len(scan), *shape), "float32")
    scan = np.moveaxis((np.stack(scan) + noise) * (brain > 0.5), 0, -1)
    return scan.astype("float32"), label.astype("uint8")


def mix(image, share, values):
    """Let a tissue take its share of each voxel, in place."""
    for channel, value in zip(image, values, strict=True):
        channel += share * (value - channel)


def spots(rng, place, room, within, count, radii, step):
    """How many mm each voxel lies within a spot, for each of `count` spots.

    Args:
        room: mm of tissue round each voxel; a spot's middle has some, but at most `within`.
        radii: smallest and largest, mm; small ones are more frequent.
    """
    free = np.argwhere((room > 0) & (room < within))
    for _ in range(count if len(free) else 0):
        middle = tuple(free[rng.integers(len(free))])
        radius = np.exp(rng.uniform(*np.log(radii)))
        axes = np.maximum(radius * np.exp(rng.normal(0, 0.2, len(place))), step / 2)
        shift = (step * rng.uniform(-0.5, 0.5, len(step))).astype("float32")
        away = [p - p[middle] + by for p, by in zip(place, shift, strict=True)]
        yield depth(away, axes.astype("float32"))
