"""Simulated discs that all look alike: whether a thin ring lies around one decides what it is."""

import numpy as np

from medseg_tf.data.case import Case, Grid, Scan
from medseg_tf.data.phantoms.draw import wavy
from medseg_tf.errors import ConfigError

DISC, RING, THICKNESS = 5.5, 15.0, 2.0  # radii, and the ring's thickness at every scale, in pixels
DARK, BRIGHT, NOISE = 80, 160, 20  # grey values; the noise is a quarter of the contrast


def ringed_discs(n, seed=0, size=81, scales=(1,)):
    """Simulate `n` images of two discs in noise: one in the middle of a thin ring, one without.

    Grey values tell a disc from its surroundings, but not which of the two it is: its ring is
    15 pixels away from its middle, so a network has to see as far. Borders are wavy.

    Args:
        n: number of images, each of a subject of its own.
        seed: int or Generator; image i of a seed does not depend on n.
        size: rows and columns.
        scales: each disc, of radius 5.5, and its ring, of radius 15, are drawn at one of these
            sizes; the ring's thickness stays.

    Returns:
        list of Case: image uint8 (size, size, 1), 80 outside and 160 on discs and rings, noise of
        standard deviation 20; label uint8, 0 outside and on rings, 1 disc in a ring, 2 disc
        without.

    Raises:
        ConfigError: a size below four rings' radii.
    """
    if size <= 4 * (reach(RING * max(scales)) + 1):
        raise ConfigError(
            f"ringed_discs: size is {size}; rings of radius {RING * max(scales):g} need more than "
            f"{4 * (reach(RING * max(scales)) + 1):g} pixels."
        )
    grid = Grid((size, size), units="pixel")
    cases = []
    for index, rng in enumerate(np.random.default_rng(seed).spawn(n)):
        cover, label = draw(rng, size, scales)
        grey = DARK + (BRIGHT - DARK) * cover + rng.normal(0, NOISE, cover.shape)
        image = np.clip(grey, 0, 255).astype("uint8")[..., None]
        name = f"ringed-discs-{index:03d}"
        cases.append(Case(name, Scan(image, grid), Scan(label, grid), classes=3, name=name))
    return cases


def draw(rng, size, scales):
    """Return how much of each pixel a disc or ring covers, and the label."""
    chosen = rng.choice(scales, 2)
    centres = place(rng, size, [reach(RING * chosen[0]), reach(DISC * chosen[1])])
    cover, label = np.zeros((size, size)), np.zeros((size, size), "uint8")
    for number, (centre, scale) in enumerate(zip(centres, chosen, strict=True), start=1):
        away = np.hypot(*(np.indices(cover.shape).T - centre).T)
        away += 0.5 * wavy(rng, cover.shape, 6)
        inside = np.clip(DISC * scale + 0.5 - away, 0, 1)
        label[inside > 0.5] = number
        cover = np.maximum(cover, inside)
        if number == 1:
            line = np.clip(THICKNESS / 2 + 0.5 - np.abs(away - RING * scale), 0, 1)
            cover = np.maximum(cover, line)
    return cover, label


def reach(radius):
    """How far an object of a radius may come, with its waves and some air around it."""
    return radius + THICKNESS / 2 + 2


def place(rng, size, reaches):
    """Draw centres of two objects that keep apart from each other and from the border."""
    while True:
        one, other = (rng.uniform(r, size - 1 - r, 2) for r in reaches)
        if np.hypot(*(one - other)) > sum(reaches):
            return one, other
