"""Simulated MR of the middle of the brain: deep nuclei that look alike, each with its own label.

Grey values of caudate, putamen and hippocampus are the same but for noise, and little else differs:
where a structure lies among the others and how it is shaped tells which it is. This is what
labelled atlases know.
"""

import numpy as np
from scipy import ndimage

from medseg_tf.data.case import Case, Scan
from medseg_tf.data.phantoms.draw import bent, centred, depth, wavy

REGIONS = ("caudate", "putamen", "pallidum", "thalamus", "hippocampus")  # labels 1 to 5
# On the right, mm from the middle of the brain: centre and half axes, x (right), y (front), z (up);
# and brightness, white matter 1. The left is the mirror image.
NUCLEI = [
    ((14, 22, 3), (4.5, 9, 8), 0.66),
    ((28, 6, 0), (5.5, 14, 9), 0.66),
    ((20, 1, -1), (4.5, 8, 6), 0.82),
    ((10, -15, 2), (8, 12, 9), 0.75),
    ((27, -27, -2), (5, 9, 6), 0.66),
]
FLUID, GREY = 0.25, 0.62
VENTRICLES = [((6, 24, 3), (3, 10, 6)), ((0, -12, 0), (1.8, 12, 8)), ((14, -36, 3), (4, 9, 6))]


def brain_regions(n, seed=0, size=(64, 72), spacing=1.5):
    """Simulate `n` T1-weighted MR images of the middle of the brain with five labelled regions.

    What is simulated: both sides of caudate, putamen, pallidum, thalamus and hippocampus, which
    differ in place, size and shape from case to case, ventricles, insular cortex as bright as the
    nuclei, partial volume, bias field, noise. What is not: the folded cortex, vessels, lesions.

    Args:
        n: number of images, each of a subject of its own.
        seed: int or Generator; image i of a seed does not depend on n.
        size: voxels along x (right), y (front) and, in a volume, z (up): two numbers or three.
        spacing: mm between voxels: one number, or one an axis.

    Returns:
        list of Case: image float32 (*size, 1), white matter about 1; label uint8 (*size),
        0 elsewhere, 1 to 5 as in REGIONS. The origin is the middle.

    Raises:
        ConfigError: a size of other than two or three axes, or not positive, or such a spacing.
    """
    grid = centred("brain_regions", size, spacing)
    cases = []
    for index, rng in enumerate(np.random.default_rng(seed).spawn(n)):
        image, label = simulate(rng, grid)
        name = f"brain-regions-{index:03d}"
        cases.append(Case(name, Scan(image, grid), Scan(label, grid), classes=6, name=name))
    return cases


def simulate(rng, grid):
    """One image, float32 (*size, 1), and its label, uint8 (*size)."""
    shape, step, rank = grid.shape, grid.spacing, grid.rank

    def waves(period):
        return wavy(rng, shape, period, step)

    def inside(depth):
        """How much of a voxel lies on the inner side of a surface that is `depth` mm away."""
        return np.clip(depth / float(step.mean()) + 0.5, 0, 1)

    place = bent(rng, shape, (1.5, 40), (0.5, 12), spacing=step)
    for axis, length in zip(place, step * (np.array(shape) - 1), strict=True):
        axis -= length / 2 + rng.normal(0, 1.2)

    def ball(side, centre, axes):
        centre = rng.normal(centre, 0.6)[:rank] * [side, *[1] * (rank - 1)]
        axes = axes[:rank] * np.exp(rng.normal(0, 0.08, rank))
        away = [p - c for p, c in zip(place, centre.astype("float32"), strict=True)]
        return depth(away, axes.astype("float32"))

    label = np.zeros(shape, "uint8")
    # The insula: a wavy sheet of cortex on either side, fluid beyond it.
    image = np.ones(shape, "float32")
    beyond = np.abs(place[0]) - 37 + 1.5 * waves(12)
    image += inside(beyond) * (GREY - image)
    image += inside(beyond - 3) * (FLUID - image)
    for side in (-1, 1):
        for number, (centre, axes, brightness) in enumerate(NUCLEI, start=1):
            share = inside(ball(side, centre, axes))
            image += share * (brightness + rng.normal(0, 0.01) - image)
            label[share > 0.5] = number
        for centre, axes in VENTRICLES:
            share = inside(ball(side, centre, axes))
            image += share * (FLUID - image)
            label[share > 0.5] = 0
    image *= 1 + 0.06 * waves(60) + 0.03 * waves(6)
    image = ndimage.gaussian_filter(image, 0.5 / step)
    image += rng.normal(0, 0.05, shape).astype("float32")
    return image[..., None], label
