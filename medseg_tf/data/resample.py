"""To another spacing or order of axes and back: images linearly, labels by nearest neighbour.

Spacing works in 2-D and 3-D; axes are put in order in 3-D alone, where the affine names them.
"""

from dataclasses import replace

import numpy as np

from medseg_tf.data.case import Grid, Scan
from medseg_tf.errors import ConfigError


def resample_case(case, spacing):
    """Return the case with its image and label at another spacing, the same edges.

    Args:
        case: Case.
        spacing: distance between voxels, in the units of the grid: one number, or one an axis.

    Raises:
        ConfigError: a spacing that is not positive, or finds no whole voxel in the image.
    """
    label = case.label and resample_scan(case.label, spacing)
    return replace(case, image=resample_scan(case.image, spacing), label=label)


def resample_scan(scan, spacing):
    """Return the scan at another spacing: see `resample_case`."""
    grid = respaced(scan.grid, spacing)
    if grid.shape == scan.grid.shape:
        return scan
    return Scan(resize(scan.array, grid.shape, scan.is_label), grid)


def canonical_case(case):
    """Return the case with the axes of its volumes in order: see `canonical_scan`."""
    label = case.label and canonical_scan(case.label)
    return replace(case, image=canonical_scan(case.image), label=label)


def canonical_scan(scan):
    """Return a volume with its axes swapped and flipped to point right, front and up.

    Nothing is interpolated: a tilted scan stays tilted, its axes pointing there as well as they
    can. A 2-D scan is returned as it is.
    """
    from nibabel import orientations

    if scan.grid.rank != 3:
        return scan
    axes = orientations.io_orientation(scan.grid.affine)
    affine = scan.grid.affine @ orientations.inv_ornt_aff(axes, scan.grid.shape)
    array = orientations.apply_orientation(scan.array, axes)
    return Scan(array, Grid(array.shape[:3], affine, scan.grid.units))


def back_to(grid, array):
    """Return an array of the canonical, resampled scan on the grid that the scan came from.

    Args:
        grid: Grid of the scan before `canonical_scan` and `resample_scan`.
        array: probabilities (*spatial, classes) on the grid after them.
    """
    from nibabel import orientations

    if grid.rank != 3:
        return array if array.shape[:-1] == grid.shape else resize(array, grid.shape)
    axes = orientations.io_orientation(grid.affine)
    order = np.argsort(axes[:, 0]).astype(int)
    shape = tuple(grid.shape[axis] for axis in order)
    array = array if array.shape[:-1] == shape else resize(array, shape)
    back = orientations.ornt_transform([[0, 1], [1, 1], [2, 1]], axes)
    return orientations.apply_orientation(array, back)


def respaced(grid, spacing):
    """Return the grid with the same edges whose spacing is nearest to `spacing`."""
    spacing = np.broadcast_to(np.asarray(spacing, float), grid.rank)
    shape = np.array(grid.shape)
    sizes = np.rint(shape * grid.spacing / spacing) if (spacing > 0).all() else np.zeros(1)
    if (sizes < 1).any():
        raise ConfigError(
            f"spacing {spacing.tolist()} {grid.units} for a grid of {grid.shape} voxels of "
            f"{grid.spacing.tolist()}; it must be positive and leave at least one voxel an axis."
        )
    step = shape / sizes
    # The first voxel's edge stays where it is, so its centre moves.
    affine = grid.affine @ np.block(
        [
            [np.diag(step), ((step - 1) / 2)[:, None]],
            [np.zeros((1, grid.rank)), np.ones((1, 1))],
        ]
    )
    return Grid(sizes.astype(int), affine, grid.units)


def resize(array, shape, is_label=False):
    """Resize the spatial axes of an array to `shape`, its edges fixed.

    Args:
        array: label (*spatial), or image or probabilities (*spatial, channels).
        shape: spatial shape of the result.
        is_label: nearest neighbour instead of linear interpolation (smoothed first where the
            result is coarser, so that nothing finer than its voxels turns into false pattern).
    """
    from skimage.transform import resize as resize_linear

    if is_label:
        # Not by interpolation of order 0, which goes through floats: picks exact old voxels.
        picks = [
            np.minimum(((np.arange(new) + 0.5) * old / new).astype(int), old - 1)
            for new, old in zip(shape, array.shape, strict=True)
        ]
        return array[np.ix_(*picks)]
    finer = all(new >= old for new, old in zip(shape, array.shape, strict=False))
    resized = resize_linear(
        array.astype("float32"),
        (*shape, array.shape[-1]),
        order=1,
        mode="edge",
        anti_aliasing=not finer,
        preserve_range=True,
    )
    return resized.astype("float32")
