"""Simulated regions of interest of a mammogram, each with one mass: benign or malignant.

A benign mass tends to be round and sharp, a malignant one to have a ragged outline that fades. Both
tendencies overlap, so that nobody, knowing all there is, could tell every mass.
"""

import numpy as np
from scipy import ndimage

from medseg_tf.data.case import Case, Grid, Scan
from medseg_tf.data.phantoms.draw import wavy
from medseg_tf.errors import ConfigError

FIELD = 40  # mm along a side, whatever the number of pixels
FINEST = 32  # pixels a side at which lengths below are counted
BENIGN, MALIGNANT = 1, 2
# Mean of the outline's raggedness and of the border's blur (pixels); their deviations.
KINDS = {BENIGN: (0.10, 0.90), MALIGNANT: (0.29, 1.35)}
SPREADS = 0.065, 0.28


def breast_masses(n, seed=0, size=32):
    """Simulate `n` regions of interest, each round one mass, half of them malignant.

    What is simulated: outlines between round and ragged, borders between sharp and faded, uneven
    tissue, noise. What is not: calcifications, vessels, the breast's edge, two views of one mass.

    Args:
        n: number of images, each of a subject of its own.
        seed: int or Generator; image i of a seed does not depend on n.
        size: rows and columns. All sizes show 40 mm.

    Returns:
        list of Case: image float32 (size, size, 1), tissue about 0, the mass about 1; label uint8
        (size, size), 0 tissue, 1 a benign, 2 a malignant mass. The class of the whole image is
        that of its mass: label.array.max().

    Raises:
        ConfigError: a size that is not a positive whole number.
    """
    if np.ndim(size) or size != int(size) or size < 1:
        raise ConfigError(f"breast_masses(size={size}): give one positive whole number.")
    grid = Grid.from_spacing((int(size),) * 2, FIELD / size)
    cases = []
    for index, rng in enumerate(np.random.default_rng(seed).spawn(n)):
        kind = MALIGNANT if rng.random() < 0.5 else BENIGN
        ragged, blur = np.clip(rng.normal(KINDS[kind], SPREADS), 0, None)
        mass = shape(rng, grid.shape, ragged)
        image = seen(rng, mass, blur * size / FINEST)[..., None]
        label = (kind * mass).astype("uint8")
        name = f"breast-mass-{index:04d}"
        cases.append(Case(name, Scan(image, grid), Scan(label, grid), classes=3, name=name))
    return cases


def shape(rng, sides, ragged):
    """Where a mass lies: boolean; its outline is a circle and seven waves round it."""
    scale = sides[0] / FINEST
    middle = (np.array(sides) - 1) / 2 + rng.normal(0, scale, 2)
    down, right = (axis - at for axis, at in zip(np.indices(sides), middle, strict=True))
    angle = np.arctan2(down, right)
    radius = np.ones(sides)
    for wave in range(2, 9):
        strength, turn = rng.normal(), rng.uniform(0, 2 * np.pi)
        radius += 0.8 * ragged * strength * np.cos(wave * angle + turn) / np.sqrt(wave)
    return np.hypot(down, right) < scale * rng.uniform(6, 10) * np.clip(radius, 0.3, None)


def seen(rng, mass, blur):
    """The picture of a mass whose border is blurred over so many pixels: float32."""
    tissue = 0.18 * wavy(rng, mass.shape, mass.shape[0] / 3)
    noise = rng.normal(0, 0.1, mass.shape)
    return (ndimage.gaussian_filter(mass.astype(float), blur) + tissue + noise).astype("float32")
