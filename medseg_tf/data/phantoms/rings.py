"""Simulated cells that only their outline shows: inside and outside look the same."""

import numpy as np
from scipy import ndimage

from medseg_tf.data.case import Case, Grid, Scan

THICKNESS = 2.4  # of every line, in pixels
RADII = (9, 16)


def rings(n, seed=0, size=160):
    """Simulate `n` images of thin bright rings and stray pieces of line, in noise.

    A pixel off the lines has the same grey values in a ring and out of it, so what it is can be
    told from a line in sight alone: how far a network sees decides how often it can be right.

    Args:
        n: number of images, each of a subject of its own.
        seed: int or Generator; image i of a seed does not depend on n.
        size: rows and columns.

    Returns:
        list of Case: image uint8 (size, size, 1); label uint8, 0 outside, 1 inside a ring, 2 on a
        line. Rings do not touch; their radii are 9 to 16 pixels.
    """
    grid = Grid((size, size), units="pixel")
    cases = []
    for index, rng in enumerate(np.random.default_rng(seed).spawn(n)):
        inside, line = draw(rng, size)
        grey = 90 + 100 * line + rng.normal(0, 25, line.shape)
        image = np.clip(grey, 0, 255).astype("uint8")[..., None]
        label = np.where(line > 0.5, 2, inside).astype("uint8")
        name = f"rings-{index:03d}"
        cases.append(Case(name, Scan(image, grid), Scan(label, grid), classes=3, name=name))
    return cases


def draw(rng, size):
    """Return where the inside of rings is, and how much of each pixel a line covers."""
    place = np.indices((size, size)).astype(float)
    inside, line, taken = np.zeros((3, size, size))
    wanted = round(7 * (size / 160) ** 2)
    for _ in range(wanted * 8):
        if wanted and ring_fits(centre := rng.uniform(0, size, 2), r := rng.uniform(*RADII), taken):
            distance = np.hypot(*(place.T - centre).T)
            inside += distance < r
            taken += distance < r + THICKNESS
            line = np.maximum(line, stroke(distance - r))
            wanted -= 1
    free = ndimage.binary_erosion(taken == 0, iterations=4)
    for _ in range(round(14 * (size / 160) ** 2)):
        line = np.maximum(line, stroke(to_segment(rng, place)) * free)
    return inside, line


def ring_fits(centre, radius, taken):
    """Whether a ring lies in the image and apart from the others."""
    edge = radius + 2 * THICKNESS
    if (centre < edge).any() or (centre > len(taken) - 1 - edge).any():
        return False
    angles = np.linspace(0, 2 * np.pi, 32)
    spots = np.rint(centre + edge * np.stack([np.cos(angles), np.sin(angles)], -1)).astype(int)
    spots = np.vstack([spots, np.rint(centre).astype(int)])
    return not taken[tuple(spots.T)].any()


def stroke(distance):
    """How much of a pixel at some distance from a line's middle it covers: 1 on it, 0 off it."""
    return np.clip(THICKNESS / 2 + 0.5 - np.abs(distance), 0, 1)


def to_segment(rng, place):
    """Distance of each pixel to a straight piece of line somewhere, 8 to 24 pixels long."""
    middle, angle = rng.uniform(0, place.shape[1], 2), rng.uniform(0, np.pi)
    way = np.array([np.cos(angle), np.sin(angle)])
    offset = (place.T - middle).T
    along = np.tensordot(way, offset, 1)
    half = rng.uniform(4, 12)
    return np.hypot(*(offset - np.clip(along, -half, half) * way[:, None, None]))
