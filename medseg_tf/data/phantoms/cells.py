"""Simulated phase contrast: packed cells that touch, with the number of every cell.

A flat cell is an almost clear object that delays light. The optics turn delay into darkness, but
lose its slow changes: a bright halo surrounds each cell, its middle is as grey as the background
(shade-off), and where two cells meet only a thin bright line tells them apart. So a threshold on
grey values finds neither cells nor their borders.
"""

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from medseg_tf.data.augment import smooth_field
from medseg_tf.data.case import Case, Grid, Scan

PITCH = 29  # mean distance between the centres of neighbouring cells, in pixels


def cells(n, seed=0, size=160):
    """Simulate `n` phase-contrast images of packed cells, about 25 on 160 x 160 pixels.

    Gaps between neighbours are 0 to 2 pixels wide. What is simulated: rounded polygons of random
    shape, empty patches between colonies, thickness, nuclei, granules, halo and shade-off,
    uneven light, blur and noise. What is not: division, dirt, focus, debris.

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
        label, depth = outlines(rng, size)
        image = phase_contrast(rng, label, depth)
        name = f"cells-{index:03d}"
        cases.append(
            Case(name, Scan(image, grid), Scan(label, grid), classes=2, instances=True, name=name)
        )
    return cases


def wavy(rng, size, period):
    """A smooth random field of standard deviation about 1 whose hills lie `period` pixels apart."""
    points = max(2, round(2 * size / period) + 1)
    return 1.5 * smooth_field(rng.normal(size=(points, points)), (size, size))


def outlines(rng, size):
    """Draw cells: object numbers, and how deep (in pixels) each pixel lies within its cell."""
    low, high = -PITCH, size + PITCH
    centres = rng.uniform(low, high, (round(((high - low) / PITCH) ** 2), 2))
    places = np.mgrid[low:high:4, low:high:4].reshape(2, -1).T
    for _ in range(4):  # Lloyd: move each centre to the middle of its cell
        owner = cKDTree(centres).query(places)[1]
        count = np.maximum(np.bincount(owner, minlength=len(centres)), 1)
        sums = [np.bincount(owner, places[:, axis], len(centres)) for axis in (0, 1)]
        centres = np.stack(sums, axis=1) / count[:, None]
    pixels = np.indices((size, size)) + 3 * np.stack([wavy(rng, size, 40), wavy(rng, size, 40)])
    pixels += 0.5 * np.stack([wavy(rng, size, 10), wavy(rng, size, 10)])
    distance, (owner, rival) = (
        np.moveaxis(found, -1, 0)
        for found in cKDTree(centres).query(np.moveaxis(pixels, 0, -1), k=2)
    )
    apart = np.linalg.norm(centres[owner] - centres[rival], axis=-1)
    to_rival = (distance[1] ** 2 - distance[0] ** 2) / (2 * apart)
    gap = np.clip(1.5 + 0.7 * wavy(rng, size, 30), 0, 2)
    radius = rng.uniform(0.42, 0.6, len(centres)) * PITCH
    depth = np.minimum(to_rival - gap / 2, radius[owner] - distance[0])
    # Colonies: where a slow field is lowest there are no cells.
    colony = wavy(rng, size, 90)
    inside = np.clip(np.rint(centres), 0, size - 1).astype(int)
    wanted = colony[tuple(inside.T)]
    depth[(wanted < np.quantile(wanted, 0.25))[owner]] = -1
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
    """Picture cells of given depth maps: uint8 (rows, columns, 1)."""
    shape, count = label.shape, label.max() + 1
    nuclei, nucleoli = np.zeros(shape), np.zeros(shape)
    for centre in ndimage.center_of_mass(label > 0, label, np.arange(1, count)):
        centre, radius = rng.normal(centre, 1.5), rng.uniform(3.5, 6)
        nuclei += disc(shape, centre, radius, rng.uniform(0.8, 1.25))
        for _ in range(rng.integers(1, 3)):
            nucleoli += disc(shape, rng.normal(centre, radius / 3), 1, 1)
    nuclei, nucleoli = np.where(label > 0, (nuclei, nucleoli), 0).clip(0, 1)
    granules = np.where(depth > 1, ndimage.gaussian_filter(rng.normal(size=shape), 0.9), 0)
    delay = (1 - np.exp(-depth / 2)) * rng.uniform(0.8, 1.2, count)[label]
    delay += 0.25 * nuclei + 1.0 * nucleoli + 0.5 * granules * (1 - nuclei)
    signal = ndimage.gaussian_filter(delay, 4) - delay + 0.08 * wavy(rng, len(label), 160)
    signal = ndimage.gaussian_filter(signal, 1) + rng.normal(0, 0.08, shape)
    return np.clip(140 + 100 * signal, 0, 255).astype("uint8")[..., None]


def disc(shape, centre, radius, stretch):
    """A filled ellipse with a soft edge, 1 inside and 0 outside."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    squared = ((rows - centre[0]) * stretch) ** 2 + ((columns - centre[1]) / stretch) ** 2
    return 1 / (1 + np.exp(np.minimum(2 * (np.sqrt(squared) - radius), 50)))
