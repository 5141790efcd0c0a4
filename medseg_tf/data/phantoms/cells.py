"""Simulated phase contrast: packed cells that touch, with the number of every cell.

A flat cell is an almost clear object that delays light. The optics turn delay into darkness, but
lose its slow changes: a bright halo surrounds each cell, its middle is as grey as the background
(shade-off), and where two cells meet only a thin bright line tells them apart. So a threshold on
grey values finds neither cells nor their borders.
"""

import numpy as np
from scipy import ndimage

from medseg_tf.data.case import Case, Grid, Scan
from medseg_tf.data.phantoms.draw import bent, disc, packed, territories, wavy

PITCH = 29  # mean distance between the centres of neighbouring cells, in pixels


def cells(n, seed=0, size=160):
    """Simulate `n` phase-contrast images of packed cells, about 29 on 160 x 160 pixels.

    Gaps between neighbours are 0 to 2 pixels wide. What is simulated: rounded polygons of random
    shape, empty patches between colonies, thickness, nuclei, granules, halo and shade-off,
    uneven light, blur and noise. What is not: division, dirt, changes of focus.

    Args:
        n: number of images, each of a subject of its own.
        seed: int or Generator; image i of a seed does not depend on n.
        size: rows and columns.

    Returns:
        list of Case: image uint8 (size, size, 1), label int32 object numbers, .65 um a pixel.
    """
    grid = Grid.from_spacing((size, size), 0.65, units="um")
    cases = []
    for index, rng in enumerate(np.random.default_rng(seed).spawn(n)):
        label, depth = outlines(rng, grid.shape)
        image = phase_contrast(rng, label, depth)
        name = f"cells-{index:03d}"
        cases.append(
            Case(name, Scan(image, grid), Scan(label, grid), classes=2, instances=True, name=name)
        )
    return cases


def outlines(rng, shape):
    """Draw cells: object numbers, and how deep (in pixels) each pixel lies within its cell."""
    centres = packed(rng, shape, PITCH, rounds=4)
    owner, distance, to_midline = territories(bent(rng, shape, (3, 40), (0.5, 10)), centres)
    gap = np.clip(1.3 + 0.7 * wavy(rng, shape, 30), 0, 2)
    radius = PITCH * rng.uniform(0.42, 0.6, len(centres))
    depth = np.minimum(to_midline - gap / 2, radius[owner] - distance)
    # Cells grow in colonies: a quarter of the places, where a slow field is lowest, stays empty.
    inside = np.clip(np.rint(centres), 0, np.array(shape) - 1).astype(int)
    favour = wavy(rng, shape, 90)[tuple(inside.T)]
    depth[(favour < np.quantile(favour, 0.25))[owner]] = 0
    return number(owner, depth)


def number(owner, depth):
    """Number the cells from 1; crumbs, mostly of cells beyond the border, become background."""
    label = np.zeros(owner.shape, "int32")
    for cell in np.unique(owner[depth > 0]):
        parts, _ = ndimage.label((owner == cell) & (depth > 0))
        sizes = np.bincount(parts.ravel())[1:]
        if sizes.max() >= 30:
            label[parts == sizes.argmax() + 1] = label.max() + 1
    return label, np.where(label > 0, depth, 0)


def phase_contrast(rng, label, depth):
    """The picture of cells whose numbers and depths are given: uint8 (rows, columns, 1)."""
    shape, count = label.shape, label.max() + 1
    nuclei, nucleoli = np.zeros(shape), np.zeros(shape)
    for centre in ndimage.center_of_mass(label > 0, label, np.arange(1, count)):
        centre, radius = rng.normal(centre, 1.5), rng.uniform(3.5, 6)
        nuclei += disc(shape, centre, radius, rng.uniform(0.8, 1.25))
        for _ in range(rng.integers(1, 3)):
            nucleoli += disc(shape, rng.normal(centre, radius / 3), 1)
    nuclei, nucleoli = np.where(label > 0, (nuclei, nucleoli), 0).clip(0, 1)
    granules = np.where(depth > 1, ndimage.gaussian_filter(rng.normal(size=shape), 0.9), 0)
    delay = (1 - np.exp(-depth / 2)) * rng.uniform(0.8, 1.2, count)[label]
    delay += 0.25 * nuclei + 1.0 * nucleoli + 0.5 * granules * (1 - nuclei)
    # The optics: what changes slowly is lost. Then light from one side, blur, noise.
    signal = 1.2 * ndimage.gaussian_filter(delay, 4) - delay + 0.1 * wavy(rng, shape, 160)
    signal = ndimage.gaussian_filter(signal, 1) + rng.normal(0, 0.06, shape)
    return np.clip(140 + 100 * signal, 0, 255).astype("uint8")[..., None]
