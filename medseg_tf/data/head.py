"""A real head that needs no download: it comes with the package nilearn."""

import numpy as np

from medseg_tf.data.case import Case, Grid, Scan
from medseg_tf.errors import ConfigError, DataNotFoundError

OUTSIDE = 0.05  # the template's black, of a scale up to 1


def mni152(spacing=2):
    """Return the MNI152 brain: the mean T1-weighted MR of 152 people, with its tissues.

    As it is a mean, folds that differ between people are blurred. A voxel's class is its most
    likely tissue; what is neither grey nor white counts as fluid.

    Args:
        spacing: mm between voxels, a whole number from 1.

    Returns:
        Case: image float32 (x, y, z, 1), at most 1; label uint8 (x, y, z), 1 fluid, 2 grey matter,
        3 white matter; both 0 outside the brain. RAS affine, the origin at the anterior commissure.

    Raises:
        ConfigError: a spacing that is no whole number from 1.
        DataNotFoundError: nilearn is not installed.

    Source: Fonov et al., NeuroImage 54:313 (2011): ICBM152, non-linear, of 2009, release a.
    """
    if spacing < 1 or spacing != int(spacing):
        raise ConfigError(f"mni152(spacing={spacing}): give a whole number of mm, from 1.")
    try:
        from nilearn import datasets
    except ModuleNotFoundError as error:
        raise DataNotFoundError(
            'The MNI152 brain comes with nilearn: pip install "medseg-tf[head]".'
        ) from error
    maps = [
        getattr(datasets, f"load_mni152_{kind}template")(resolution=int(spacing))
        for kind in ("", "gm_", "wm_")
    ]
    scan, grey, white = (np.asarray(image.dataobj, "float32") for image in maps)
    tissue = 1 + np.argmax([1 - grey - white, grey, white], axis=0)
    label = np.where(scan > OUTSIDE, tissue, 0).astype("uint8")
    grid = Grid(scan.shape, maps[0].affine)
    image = Scan(np.where(label > 0, scan, 0)[..., None], grid)
    return Case("MNI152", image, Scan(label, grid), classes=4, name="MNI152")
