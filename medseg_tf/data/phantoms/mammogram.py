"""Simulated mammograms, seen from the side: fatty and dense tissue that differ in texture.

Dense tissue is brighter, as it absorbs more; but the breast is thinner towards its rim and exposed
unevenly, so that grey alone does not tell the two apart everywhere. Dense tissue runs in fibres
towards the nipple, fat is a fine mesh without a direction.
"""

import numpy as np
from scipy import ndimage

from medseg_tf.data.case import Case, Grid, Scan
from medseg_tf.data.phantoms.draw import bent, wavy
from medseg_tf.errors import ConfigError

FATTY, DENSE = 1, 2
FAT, BRIGHTER, MUSCLE = 0.45, 0.10, 0.85  # brightness of fat, how much more dense tissue has
TEXTURE, NOISE = 0.07, 0.06  # standard deviations


def mammogram(n, seed=0, size=(160, 120)):
    """Simulate `n` mammograms.

    What is simulated: a breast on the left border, the pectoral muscle in its upper corner, dense
    regions of different share, fibres, uneven thickness and exposure, noise. What is not: vessels,
    calcifications, masses, the nipple, labels and markers.

    Args:
        n: number of images, each of a subject of its own.
        seed: int or Generator; image i of a seed does not depend on n.
        size: rows and columns: one number, or two.

    Returns:
        list of Case: image float32 (*size, 1), about 0 to 1; label uint8 (*size), 0 background and
        pectoral muscle, 1 fatty, 2 dense tissue: the density in per cent is
        100 * dense / (fatty + dense). Pixels of 1 mm.

    Raises:
        ConfigError: a size that is not positive, or neither one number nor two.
    """
    if np.shape(size) not in ((), (2,)) or np.min(size) <= 0:
        raise ConfigError(f"mammogram(size={size}): give one positive number, or two.")
    grid = Grid.from_spacing(np.broadcast_to(size, 2), 1.0)
    cases = []
    for index, rng in enumerate(np.random.default_rng(seed).spawn(n)):
        image, label = simulate(rng, grid.shape)
        name = f"mammogram-{index:03d}"
        image = image[..., None].astype("float32")
        cases.append(Case(name, Scan(image, grid), Scan(label, grid), classes=3, name=name))
    return cases


def simulate(rng, shape):
    """One image (rows, columns) and its label, uint8."""
    extent = float(max(shape))
    rows, columns = bent(rng, shape, (0.012 * extent, 0.4 * extent))
    high, wide = rng.uniform(0.42, 0.48), rng.uniform(0.7, 0.9)
    down = (rows - shape[0] / 2) / (high * shape[0])
    across = columns / (wide * shape[1])
    radius = np.hypot(down, across)
    breast = radius < 1
    muscle = rows / (0.5 * shape[0]) + columns / (rng.uniform(0.2, 0.4) * shape[1]) < 1

    # Denser in the middle of the breast than below its skin.
    wanted = wavy(rng, shape, 0.25 * extent) - 1.2 * radius
    tissue = breast & ~muscle & (radius < 0.92)
    share = rng.uniform(0.1, 0.6)
    cut = np.quantile(wanted[tissue], 1 - share) if tissue.any() else np.inf
    dense = tissue & (wanted > cut)
    label = np.where(breast & ~muscle, FATTY, 0)
    label[dense] = DENSE

    mesh, fibres = (texture(rng, shape, sigma) for sigma in ((0.9, 0.9), (0.7, 3.5)))
    image = FAT + TEXTURE * np.where(dense, fibres, mesh) + BRIGHTER * dense
    image[muscle] = MUSCLE + TEXTURE / 2 * mesh[muscle]
    thickness = np.sqrt(np.clip(1 - radius**3, 0, 1))
    image = image * (0.6 + 0.4 * thickness) + 0.08 * wavy(rng, shape, 0.5 * extent)
    image = np.where(breast, image, 0.03) + NOISE * rng.standard_normal(shape)
    return image, label.astype("uint8")


def texture(rng, shape, sigma):
    """Noise smoothed by `sigma` pixels along rows and columns, of standard deviation about 1."""
    field = ndimage.gaussian_filter(rng.standard_normal(shape), sigma, mode="wrap")
    return field * np.sqrt(4 * np.pi * sigma[0] * sigma[1])
