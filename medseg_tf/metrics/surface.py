"""Scores from the distances between two surfaces.

The surface of a mask is its voxels that have a face neighbour (4 in 2-D, 6 in 3-D) outside the
mask; outside the grid counts as outside. Each voxel of one surface has a distance to the nearest
of the other, centre to centre, which makes two directed lists, and of these are

    hausdorff     the largest of all
    hausdorff95   the larger of the two lists' 95th percentiles (linear interpolation)
    assd          the mean of all: average symmetric surface distance

Other programs may take hausdorff95 of both lists pooled, and assd as the mean of the two lists'
means: compare numbers only where the definition is the same.

truth, prediction: integer labels of one shape (*spatial), in 2-D or 3-D. Distances are in the units
of `spacing`, a scan's `grid.spacing`: one number, or one an axis. Each score is an array over all
classes, background (class 0) included; a class that neither holds scores NaN, one that only one of
them holds is infinitely far away.
"""

import numpy as np

from medseg_tf.errors import ConfigError
from medseg_tf.metrics.checks import class_pair, label_pair


def hausdorff(truth, prediction, classes=2, spacing=1.0):
    """Return the largest distance between the surfaces of each class: (classes,) float array.

    Raises:
        GeometryError: the shapes differ.
        LabelError: an array holds fractions, or values outside 0..classes - 1.
        ConfigError: classes is below 2; spacing is not one positive number, or one an axis.
    Source: Huttenlocher, Klanderman, Rucklidge, IEEE TPAMI 15, 1993.
    """
    return _each_class(farthest, truth, prediction, classes, spacing)


def hausdorff95(truth, prediction, classes=2, spacing=1.0):
    """Return the distance that 95 of 100 surface voxels keep, per class: (classes,) float array.

    Of the two directions the worse one. Errors as in hausdorff.
    """
    return _each_class(farthest95, truth, prediction, classes, spacing)


def assd(truth, prediction, classes=2, spacing=1.0):
    """Return the mean distance between the surfaces of each class: (classes,) float array.

    Errors as in hausdorff.
    """
    return _each_class(average, truth, prediction, classes, spacing)


def surface_distances(truth, prediction, spacing=1.0):
    """Measure how far each surface voxel of one mask is from the other's surface.

    Args:
        truth, prediction: masks (*spatial) of one shape, boolean, or integer with 0 outside.
        spacing: distance between voxels: one number, or one an axis.

    Returns: two float arrays, from the truth to the prediction (one number a surface voxel of the
    truth) and back. A list is empty if its mask is, and infinite if only the other one is.
    Raises: GeometryError, LabelError, ConfigError as hausdorff.
    """
    truth, prediction = (mask > 0 for mask in label_pair(truth, prediction))
    spacing = _steps(spacing, truth.ndim)
    box = _box(truth | prediction)
    surfaces = _surface(truth[box]), _surface(prediction[box])
    return _nearest(*surfaces, spacing), _nearest(*surfaces[::-1], spacing)


def farthest(there, back):
    """Return hausdorff of the two lists of surface_distances: a float."""
    return _unless_empty(there, back, lambda: max(there.max(), back.max()))


def farthest95(there, back):
    """Return hausdorff95 of the two lists of surface_distances: a float."""
    return _unless_empty(there, back, lambda: max(np.percentile(one, 95) for one in (there, back)))


def average(there, back):
    """Return assd of the two lists of surface_distances: a float."""
    return _unless_empty(there, back, lambda: np.concatenate([there, back]).mean())


def _unless_empty(there, back, score):
    """Apply the rule for empty masks, else `score`: a percentile of infinities would be NaN."""
    if not there.size or not back.size:
        return float("inf") if there.size or back.size else float("nan")
    return float(score())


def _each_class(of, truth, prediction, classes, spacing):
    truth, prediction = class_pair(truth, prediction, classes)
    pairs = ((truth == number, prediction == number) for number in range(classes))
    return np.array([of(*surface_distances(*pair, spacing)) for pair in pairs])


def _steps(spacing, rank):
    """Return the spacing as (rank,) floats."""
    steps = np.asarray(spacing, float)
    if steps.shape not in ((), (rank,)) or not (np.isfinite(steps) & (steps > 0)).all():
        raise ConfigError(
            f"spacing={spacing} for labels of {rank} axes; give one positive number, or one an "
            "axis in the order of the array's axes: a scan's grid.spacing."
        )
    return np.broadcast_to(steps, rank)


def _box(mask):
    """Return the slices that hold all of a mask."""
    axes = range(mask.ndim)
    shadows = (mask.any(axis=tuple(other for other in axes if other != axis)) for axis in axes)
    found = (np.flatnonzero(shadow) for shadow in shadows)
    return tuple(slice(one[0], one[-1] + 1) if one.size else slice(0) for one in found)


def _surface(mask):
    """Mark the voxels of a mask with a face neighbour outside: bool (*spatial)."""
    inside = mask.copy()
    for axis in range(mask.ndim):
        kept, beside = inside.swapaxes(0, axis), mask.swapaxes(0, axis)
        kept[1:] &= beside[:-1]
        kept[:-1] &= beside[1:]
        kept[:1] = kept[-1:] = False
    return mask & ~inside


def _nearest(start, goal, spacing):
    """Return the distance from each voxel of `start` to the nearest one of `goal`: (n,) floats."""
    from scipy.spatial import cKDTree

    distances = np.where(goal[start], 0.0, np.inf)  # voxels of both surfaces need no search
    apart = start & ~goal
    if apart.any() and goal.any():
        # Asked once only, so the tree is built the quick way.
        tree = cKDTree(np.argwhere(goal) * spacing, balanced_tree=False, compact_nodes=False)
        distances[~goal[start]] = tree.query(np.argwhere(apart) * spacing, workers=-1)[0]
    return distances
