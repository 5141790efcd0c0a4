"""Simulated MR of infants: the crop round a left hippocampus, in T1 and T2 of little contrast.

Unripe white matter holds more water than grey: it is darker in T1 and brighter in T2, the reverse
of an adult's. It ripens within the first year, so at about five months grey and white matter look
alike. The anatomy is that of `hippocampus`, on a smaller scale.
"""

import numpy as np

from medseg_tf.data.case import Case, Scan
from medseg_tf.data.phantoms.hippocampus import CENTRE, anatomy, around, scanned, three

SCALE = 0.75  # an infant's hippocampus over an adult's
MONTHS = (0.5, 9)
# Brightness of fluid, grey and white matter in T1 and in T2 at some ages in months.
AGES = (0.5, 5, 9)
T1 = [(0.10, 0.57, 0.45), (0.11, 0.51, 0.50), (0.12, 0.46, 0.60)]
T2 = [(0.95, 0.49, 0.62), (0.95, 0.56, 0.54), (0.95, 0.59, 0.46)]
ADULT = (0.11, 0.5, 1.0)  # the same tissues in the anatomy's picture


def infant_hippocampus(n, seed=0, size=(32, 44, 32), spacing=1):
    """Simulate `n` MR images in T1 and T2 round the left hippocampus of infants.

    Each is of another age, two weeks to nine months: what is simulated besides is what
    `hippocampus` simulates. What is not: how the brain's shape changes with age.

    Args:
        n: number of images, each of a subject of its own.
        seed: int or Generator; image i of a seed does not depend on n.
        size: voxels along x (medial), y (anterior) and z (superior): one number, or three. The
            hippocampus takes about 17 x 30 x 19 mm in the middle.
        spacing: mm between voxels: one number, or three.

    Returns:
        list of Case: image uint16 (*size, 2), channels T1 and T2; label uint8 (*size),
        1 hippocampus; RAS affine; the name says the age in months. `data.slices(case, axis=0)`
        cuts it into sagittal slices.

    Raises:
        ConfigError: a size or spacing that is not positive, or neither one number nor three.
    """
    size = three("infant_hippocampus", size=size)
    spacing = three("infant_hippocampus", spacing=spacing)
    cases = []
    for index, rng in enumerate(np.random.default_rng(seed).spawn(n)):
        age = rng.uniform(*MONTHS)
        grid = around(SCALE * rng.normal(CENTRE, 1.5), size, spacing)
        tissue, parts = anatomy(rng, grid.shape, grid.spacing / SCALE, 1 / SCALE)
        image = [scanned(rng, ripened(tissue, age, k), grid.spacing) for k in (T1, T2)]
        image = Scan(np.concatenate(image, -1), grid)
        label = Scan((parts > 0).astype("uint8"), grid)
        subject = f"infant-hippocampus-{index:03d}"
        cases.append(Case(subject, image, label, name=f"{subject}, {age:.1f} months"))
    return cases


def ripened(tissue, age, contrast):
    """Turn an adult's brightness (white matter 1) into that of an infant of `age` months."""
    levels = [np.interp(age, AGES, tissues) for tissues in zip(*contrast, strict=True)]
    return np.interp(tissue, ADULT, levels).astype("float32")
