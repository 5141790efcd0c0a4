"""Objects in what a network answers: number them, or keep the largest. 2-D and 3-D.

Plain scipy and scikit-image.
"""

import itertools

import numpy as np
from scipy import ndimage

from medseg_tf import metrics
from medseg_tf.errors import ConfigError, LabelError


def instances(probabilities, threshold=0.5, seeds=None, smallest=16):
    """Number the objects that a foreground/background network sees.

    Objects are the components (face neighbours) above `threshold`. With `seeds` above it, each
    component above `seeds` is the core of an object of its own: cores grow, most probable voxels
    first, over the component they lie in, so cells that a blurred border joins are parted where
    it is least probable; a component without a core stays whole. Holes that one object encloses
    are filled.

    Args:
        probabilities: (*spatial, classes); foreground is all but class 0.
        threshold: foreground probability above which a voxel belongs to an object.
        seeds: the same for a core, or None for no cores. A sure network gains by it (about 0.8);
            an unsure one is cut into pieces.
        smallest: voxels; smaller cores and components are dropped.

    Returns:
        (*spatial) int32 object numbers 1, 2, ..., 0 outside.

    Raises:
        ConfigError: thresholds that are no probabilities or in the wrong order, a negative size.
    """
    seeds = threshold if seeds is None else seeds
    if not 0 <= threshold <= seeds < 1 or smallest < 0:
        raise ConfigError(
            f"instances: threshold={threshold}, seeds={seeds}, smallest={smallest}; need "
            "0 <= threshold <= seeds < 1 and no negative size."
        )
    foreground = 1 - probabilities[..., 0]
    objects = components(foreground > threshold, smallest)
    if seeds > threshold and objects.any():
        objects = split(objects, foreground, components(foreground > seeds, smallest))
    return fill(objects)


def largest_component(labels):
    """Keep each class's largest component (face neighbours); the rest becomes background.

    For organs that come in one piece, such as a prostate: stray islands go, with whatever truth
    they held. Of components of one size the first in the array's order stays.

    Args:
        labels: integer classes (*spatial), 0 is background; a Scan's .array.

    Returns: labels of the same shape and type.
    Raises: LabelError for fractions (probabilities?) or negative numbers.
    """
    labels = np.asarray(labels)
    if labels.dtype.kind not in "biu" or (labels < 0).any():
        raise LabelError(
            f"largest_component: labels are of type {labels.dtype}; it takes whole class numbers "
            "from 0. Probabilities become labels by argmax(axis=-1), a Scan by its .array."
        )
    kept = np.zeros_like(labels)
    for number in np.unique(labels[labels > 0]):
        found, _ = ndimage.label(labels == number)
        sizes = np.bincount(found.ravel())
        kept[found == 1 + sizes[1:].argmax()] = number
    return kept


def choose_cut(truths, maps, smallest=16):
    """Return the arguments of `instances` with the best SEG: {"threshold", "seeds", "smallest"}.

    A weight map that makes gaps dear shifts the odds towards background, so .5 often cuts too
    much. Choose on cases that were learned from, or kept apart for choosing; never on those that
    are scored. Of cuts as good as the best, to .005, the one with the highest `seeds` is taken:
    on new cases a network is less sure of its gaps, and two cells with one core are lost.

    Args:
        truths: list of object numbers (*spatial).
        maps: list of probabilities (*spatial, classes), as `probabilities` returns them.
    """
    thresholds, seeds = (0.5, 0.4, 0.3, 0.2), (None, 0.7, 0.8, 0.9, 0.95)
    cuts = [
        {"threshold": threshold, "seeds": core, "smallest": smallest}
        for threshold, core in itertools.product(thresholds, seeds)
    ]
    scores = [metrics.seg(truths, [instances(m, **cut) for m in maps]) for cut in cuts]
    near = [pair for pair in zip(scores, cuts, strict=True) if pair[0] >= max(scores) - 0.005]
    return max(near, key=lambda pair: (pair[1]["seeds"] or 0, pair[0]))[1]


def components(mask, smallest):
    """Number the components of at least `smallest` voxels: int32."""
    found, count = ndimage.label(mask)
    kept = np.bincount(found.ravel(), minlength=count + 1) >= smallest
    kept[0] = False
    return np.where(kept, np.cumsum(kept), 0).astype("int32")[found]


def split(objects, foreground, cores):
    """Share each object out among the cores in it; one without a core stays whole."""
    from skimage.segmentation import watershed

    lone = np.ones(objects.max() + 1, bool)
    lone[objects[cores > 0]] = False
    lone[0] = False
    numbers = np.where(lone, cores.max() + np.cumsum(lone), 0).astype("int32")
    return watershed(-foreground, cores + numbers[objects], mask=objects > 0)


def fill(objects):
    """Give each hole that meets one object and no border of the image to that object."""
    holes, count = ndimage.label(objects == 0, np.ones((3,) * objects.ndim))
    numbers = np.arange(count + 1)
    highest = ndimage.maximum(ndimage.maximum_filter(objects, 3), holes, numbers)
    others = np.where(objects, objects, np.iinfo("int32").max)
    lowest = ndimage.minimum(ndimage.minimum_filter(others, 3), holes, numbers)
    owners = np.where(highest == lowest, highest, 0).astype("int32")
    for axis in range(objects.ndim):
        owners[holes.take((0, -1), axis)] = 0
    owners[0] = 0
    return np.where(objects, objects, owners[holes])
