"""Patches of several scales round one place, from a Gaussian pyramid."""

import numpy as np
from scipy import ndimage

from medseg_tf.errors import ConfigError


def pyramid_patches(image, centres, side=24, scales=(1, 2, 4, 8)):
    """Cut patches of several scales round each centre, as channels one behind the other.

    At scale s the image is smoothed by a Gaussian of s / 2 voxels (not at scale 1) and read at
    every s-th voxel, so that a patch covers side * s voxels. On every scale the centre itself is
    at index side // 2.

    Args:
        image: (*spatial, channels), mirrored beyond its border.
        centres: (count, rank), indices of voxels.
        side: of a patch, in samples.
        scales: whole numbers from 1.

    Returns:
        float32 (count, *patch, channels * scales): all channels of the first scale come first.

    Raises:
        ConfigError: scales that are no whole numbers from 1, centres of another rank or outside.

    Source: Kallenberg et al., IEEE Transactions on Medical Imaging 35:1322 (2016), for patches of
    several scales; Burt, Adelson, IEEE Transactions on Communications 31:532 (1983), for the
    pyramid. How much is smoothed is our choice.
    """
    image, centres = np.asarray(image, "float32"), np.asarray(centres)
    shape = image.shape[:-1]
    within = centres.ndim == 2 and centres.shape[1:] == (len(shape),)
    within = within and (centres >= 0).all() and (centres < shape).all()
    if not within or side < 1 or not scales or any(s < 1 or s != int(s) for s in scales):
        raise ConfigError(
            f"pyramid_patches: centres of shape {centres.shape} in an image of {shape}, "
            f"side={side}, scales={tuple(scales)}; give (count, {len(shape)}) indices within the "
            "image, and whole numbers from 1."
        )
    found = []
    for scale in scales:
        sigma = [scale / 2 if scale > 1 else 0] * len(shape) + [0]
        smooth = ndimage.gaussian_filter(image, sigma, mode="mirror")
        margin = scale * side
        padded = np.pad(smooth, [(margin, margin)] * len(shape) + [(0, 0)], mode="reflect")
        steps = scale * (np.arange(side) - side // 2) + margin
        for_axis = []
        for axis in range(len(shape)):
            index = centres[:, axis, None] + steps  # (count, side)
            wide = [len(centres)] + [side if other == axis else 1 for other in range(len(shape))]
            for_axis.append(index.reshape(wide))
        found.append(padded[tuple(for_axis)])
    return np.concatenate(found, axis=-1)
