"""Simulated electron microscopy: neurites cut across, bright inside dark membranes.

A grey value alone does not tell a membrane: mitochondria and vesicles are as dark inside the
cells, and where the cut meets a membrane at a slant the membrane is broad and faint.
"""

import numpy as np
from scipy import ndimage

from medseg_tf.data.case import Case, Grid, Scan
from medseg_tf.data.phantoms.draw import bent, disc, wavy


def membranes(n, seed=0, size=192):
    """Simulate `n` electron micrographs of a section through neurites.

    What is simulated: processes of very different size with curved outlines, membranes that
    change in width and contrast, some of them slanted, mitochondria with cristae, vesicles,
    dark blots as at synapses, cytoplasm, blur and noise. What is not: the third dimension,
    scratches, folds.

    Args:
        n: number of images, each of a subject of its own.
        seed: int or Generator; image i of a seed does not depend on n.
        size: rows and columns.

    Returns:
        list of Case: image uint8 (size, size, 1); label uint8, 1 cell interior, 0 membrane, a bit
        over a fifth of all pixels; 4 nm a pixel.
    """
    grid = Grid.from_spacing((size, size), 0.004, units="um")
    cases = []
    for index, rng in enumerate(np.random.default_rng(seed).spawn(n)):
        owner, depth = processes(rng, grid.shape)
        width = np.clip(2.1 + 0.4 * wavy(rng, grid.shape, 40), 1.4, 3)
        label = (depth > width).astype("uint8")
        image = micrograph(rng, owner, depth, width)
        name = f"membranes-{index:03d}"
        cases.append(Case(name, Scan(image, grid), Scan(label, grid), classes=2, name=name))
    return cases


def processes(rng, shape):
    """Cut through neurites: which one each pixel is of, and how far its membrane is, in pixels."""
    low, high = -20, np.array(shape) + 20
    count = int(np.prod((high - low) / 10))
    centres, radii = [], []
    # Large ones first, smaller ones in what room they leave.
    for radius in sorted(np.clip(rng.lognormal(2.3, 0.6, count), 8, 36), reverse=True):
        centre = rng.uniform(low, high)
        apart = [np.hypot(*(centre - other)) for other in centres]
        if all(far > 0.9 * (radius + other) for far, other in zip(apart, radii, strict=True)):
            centres.append(centre)
            radii.append(radius)
    pixels = bent(rng, shape, (5, 70), (2, 25), (0.3, 9))
    reach = [np.hypot(*(pixels.T - c).T) - r for c, r in zip(centres, radii, strict=True)]
    owner = np.argmin(reach, axis=0)
    edges = ndimage.maximum_filter(owner, 2) != ndimage.minimum_filter(owner, 2)
    return owner, ndimage.distance_transform_edt(~edges)


def micrograph(rng, owner, depth, width):
    """The picture of such a cut: uint8 (rows, columns, 1); `width` is half of a membrane's."""
    shape = owner.shape
    grain = ndimage.gaussian_filter(rng.normal(size=shape), 1.2)
    bright = 0.7 + rng.normal(0, 0.04, owner.max() + 1)[owner] + 0.03 * wavy(rng, shape, 15)
    bright += 0.25 * grain
    # Slant: 0 where the cut meets a membrane squarely, 1 where it runs almost along it.
    slant = np.clip(wavy(rng, shape, 40) - 0.8, 0, 1)
    line = np.exp(-((depth / (width * (0.85 + 0.9 * slant))) ** 2))
    darkness = np.clip(0.45 + 0.07 * wavy(rng, shape, 25), 0.25, 0.6) * (1 - 0.5 * slant)
    bright -= darkness * line
    bright -= mitochondria(rng, depth) + vesicles(rng, depth) + blots(rng, depth)
    bright = ndimage.gaussian_filter(bright, 0.7) + rng.normal(0, 0.05, shape)
    bright += 0.03 * wavy(rng, shape, 150)
    return np.clip(255 * bright, 0, 255).astype("uint8")[..., None]


def somewhere(rng, allowed, count):
    """Up to `count` random pixels among the allowed ones: (pixels, 2)."""
    places = np.argwhere(allowed)
    return places[rng.permutation(len(places))[:count]]


def mitochondria(rng, depth):
    """Darkness of ellipses with dark rims and striped insides, in the roomier processes."""
    dark = np.zeros(depth.shape)
    for centre in somewhere(rng, depth > 9, depth.size // 7000):
        radius = min(0.75 * depth[tuple(centre)], 18)
        angle = rng.uniform(0, np.pi)
        body = disc(depth.shape, centre, radius, rng.uniform(1, 1.4), angle)
        rows, columns = bent(rng, depth.shape, (1.5, 15))
        across = columns * np.cos(angle) - rows * np.sin(angle)
        stripes = np.sin(2 * np.pi * across / rng.uniform(4, 6))
        inside = body * (0.2 + 0.1 * stripes) + 0.9 * body * (1 - body)
        dark = np.maximum(dark, np.where(depth > 2, inside, 0))
    return dark


def vesicles(rng, depth):
    """Darkness of small rings, crowded in some places."""
    crowd = wavy(rng, depth.shape, 60) + 0.5 * rng.normal(size=depth.shape) > 0.8
    marks = np.ones(depth.shape, bool)
    marks[tuple(somewhere(rng, crowd & (depth > 5), depth.size // 350).T)] = False
    if marks.all():
        return np.zeros(depth.shape)
    distance = ndimage.distance_transform_edt(marks)
    return np.where(depth > 2, 0.3 * np.exp(-(((distance - 2.5) / 0.9) ** 2)), 0)


def blots(rng, depth):
    """Darkness of soft spots on membranes, as at synapses."""
    dark = np.zeros(depth.shape)
    for centre in somewhere(rng, depth < 1, depth.size // 10000):
        dark = np.maximum(dark, disc(depth.shape, centre, rng.uniform(3, 7), 1.2))
    return 0.3 * ndimage.gaussian_filter(dark, 2)
