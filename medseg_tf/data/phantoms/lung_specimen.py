"""Simulated micro-CT of a piece of a lung with cancer: three tissues that texture tells apart.

Normal lung is air in thin walls. A cancer that is not invasive grows along the walls, thickens
them and leaves air spaces open, so that it varies much; an invasive one fills them with soft tissue
and varies little. Both have nearly the same mean, and a threshold on grey values tells walls from
air, not one tissue from another.

Patterned on the specimens of Moriya et al., SPIE Medical Imaging 10578 (2018), whose textures were
described in words only.
"""

import numpy as np
from scipy import ndimage

from medseg_tf.data.case import Case, Grid, Scan
from medseg_tf.errors import ConfigError

NORMAL, INVASIVE, OTHER = 0, 1, 2
REGION = 9  # voxels: smoothness of the borders between tissues
SPACES = 2.4  # voxels: smoothness of walls and air spaces; a space is some 7 voxels wide
GAPS = 1.4  # voxels: smoothness of the gaps in invasive cancer
WALL = {NORMAL: 0.35, OTHER: 0.9}  # half thickness of a wall, in standard deviations of its field
AIR, SOFT, SOLID = 0.15, 0.6, 0.75


def lung_specimen(n, seed=0, size=(48, 64, 64)):
    """Simulate `n` micro-CT images of a resected piece of a lung.

    What is simulated: air spaces in walls, thick or thin, solid tissue with gaps, blur and noise.
    What is not: vessels, airways, scars, rings and streaks of the scanner.

    Args:
        n: number of images, each of a subject of its own.
        seed: int or Generator; image i of a seed does not depend on n.
        size: voxels along each axis: two numbers, or three.

    Returns:
        list of Case: image float32 (*size, 1), air .15, walls .75; label uint8 (*size),
        0 normal lung, 1 invasive cancer, 2 cancer that is not invasive. Voxels of 25 um, about.

    Raises:
        ConfigError: a size that is not two or three positive numbers.
    """
    if np.shape(size) not in ((2,), (3,)) or np.min(size) <= 0:
        raise ConfigError(f"lung_specimen(size={size}): give two or three positive numbers.")
    grid = Grid.from_spacing(size, 25, units="um")
    cases = []
    for index, rng in enumerate(np.random.default_rng(seed).spawn(n)):
        fields = [smooth_noise(rng, grid.shape, REGION) for _ in range(3)]
        label = np.argmax([field - field.mean() for field in fields], axis=0).astype("uint8")
        image = scanned(rng, label)[..., None]
        name = f"lung-specimen-{index:03d}"
        cases.append(Case(name, Scan(image, grid), Scan(label, grid), classes=3, name=name))
    return cases


def smooth_noise(rng, shape, sigma):
    """A random field of standard deviation about 1, smooth over `sigma` voxels: float32."""
    field = ndimage.gaussian_filter(rng.standard_normal(shape, "float32"), sigma, mode="wrap")
    # White noise keeps so much of its deviation along each axis.
    return field * (2 * np.sqrt(np.pi) * sigma) ** (len(shape) / 2)


def scanned(rng, label):
    """The picture of tissues: float32 (*shape)."""
    spaces = np.abs(smooth_noise(rng, label.shape, SPACES))
    wall = np.select([label == tissue for tissue in WALL], list(WALL.values()), np.inf)
    gaps = smooth_noise(rng, label.shape, GAPS) < -1.3
    invasive = np.where(gaps, AIR, SOFT)
    image = np.where(label == INVASIVE, invasive, np.where(spaces < wall, SOLID, AIR))
    image = ndimage.gaussian_filter(image.astype("float32"), 0.7)
    return image + 0.08 * rng.standard_normal(label.shape, "float32")
