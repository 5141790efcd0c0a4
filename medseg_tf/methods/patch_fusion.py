"""Patch-based label fusion: every similar patch of labelled atlases has a vote.

Source: Coupe et al., NeuroImage 54:940 (2011): equations of weight, preselection and local scale as
there; sizes as reported (not read again). Nothing is learned, and atlases need an affine
registration only.
"""

import itertools

import numpy as np
from scipy import ndimage

from medseg_tf.errors import ConfigError, GeometryError


def patch_fusion(
    target, atlases, labels, classes=2, patch=7, search=9, threshold=0.95, nearest=20, eps=1e-4
):
    """Return each voxel's share of votes for each class.

    A voxel j of an atlas votes for its label with w = exp(-d / h), d the summed squared difference
    of the patches round j and round the target's voxel, h the smallest such d plus eps. Voxels
    vote whose patch has about the mean and deviation of the target's:

        2 m m' / (m^2 + m'^2) * 2 s s' / (s^2 + s'^2) > threshold

    Where none passes, the voxel of smallest d decides alone. A label is the argmax, or for two
    classes the share of 1 from .5.

    Args:
        target: (*spatial, 1), grey values of 0 or more: the preselection divides by means.
        atlases: list of such arrays, on the target's grid; never the target itself.
        labels: list of integer (*spatial), 0..classes - 1.
        classes: number of classes, background included.
        patch, search: odd sides of patches and of the window of candidates.
        threshold: of the preselection; 0 lets every patch vote.
        nearest: atlases that are looked at, those of smallest squared difference to the target.
        eps: added to h, in squared grey values; so scale images to about 0..1.

    Returns: float32 (*spatial, classes).
    Raises:
        GeometryError: images of different grids. ConfigError: sizes or grey values out of range.
    """
    check(target, atlases, labels, patch, search, nearest)
    target, *atlases = (np.asarray(image, float)[..., 0] for image in (target, *atlases))
    order = np.argsort([((atlas - target) ** 2).sum() for atlas in atlases], kind="stable")
    chosen = [(atlases[index], np.asarray(labels[index])) for index in order[:nearest]]

    smallest = np.full(target.shape, np.inf)  # of the candidates that vote, and of all
    closest, closest_label = smallest.copy(), np.zeros(target.shape, int)
    for place, distance, similar, label in candidates(target, chosen, patch, search):
        votes = similar > threshold
        smallest[place] = np.where(votes, np.minimum(smallest[place], distance), smallest[place])
        nearer = distance < closest[place]
        closest_label[place] = np.where(nearer, label, closest_label[place])
        closest[place] = np.where(nearer, distance, closest[place])

    scale = np.maximum(smallest + eps, 1e-12)
    share = np.zeros((*target.shape, classes), "float32")
    for place, distance, similar, label in candidates(target, chosen, patch, search):
        weight = np.where(similar > threshold, np.exp(-distance / scale[place]), 0)
        for number in range(classes):
            share[(*place, number)] += weight * (label == number)
    total = share.sum(-1, keepdims=True)
    alone = np.eye(classes, dtype="float32")[closest_label]
    return np.where(total > 0, share / np.maximum(total, 1e-30), alone)


def candidates(target, chosen, patch, search):
    """For each atlas and shift: where in the target, distances, similarity, and the labels there.

    A shift at a time for all voxels: the sum over a patch is then a box filter.
    """
    taps = patch**target.ndim
    mean, deviation = moments(target, patch)
    reach = range(-(search // 2), search // 2 + 1)
    wide = np.pad(target, patch // 2, mode="reflect")
    inner = (slice(patch // 2, -(patch // 2) or None),) * target.ndim
    for atlas, label in chosen:
        wide_atlas = np.pad(atlas, patch // 2 + search // 2, mode="reflect")
        atlas_mean, atlas_deviation = moments(atlas, patch)
        for shift in itertools.product(reach, repeat=target.ndim):
            if any(abs(step) >= size for step, size in zip(shift, target.shape, strict=True)):
                continue
            place = tuple(
                slice(max(0, -step), size - max(0, step))
                for step, size in zip(shift, target.shape, strict=True)
            )
            there = tuple(
                slice(max(0, step), size - max(0, -step))
                for step, size in zip(shift, target.shape, strict=True)
            )
            moved = wide_atlas[
                tuple(
                    slice(search // 2 + step, search // 2 + step + size)
                    for step, size in zip(shift, wide.shape, strict=True)
                )
            ]
            distance = ndimage.uniform_filter((wide - moved) ** 2, patch)[inner][place] * taps
            similar = alike(mean[place], atlas_mean[there])
            similar *= alike(deviation[place], atlas_deviation[there])
            # Running sums leave rounding: nothing is nearer than 0.
            yield place, np.maximum(distance, 0), similar, label[there]


def moments(image, patch):
    """Mean and standard deviation of the patch round each voxel."""
    mean = ndimage.uniform_filter(image, patch, mode="mirror")
    square = ndimage.uniform_filter(image**2, patch, mode="mirror")
    return mean, np.sqrt(np.maximum(square - mean**2, 0))


def alike(one, other):
    """2 a b / (a^2 + b^2): 1 if equal, also where both are 0."""
    total = one**2 + other**2
    return np.divide(2 * one * other, total, out=np.ones_like(total), where=total > 0)


def check(target, atlases, labels, patch, search, nearest):
    shape = np.shape(target)
    images = {np.shape(atlas) for atlas in atlases} | {shape}
    grids = {np.shape(label) for label in labels} | {shape[:-1]}
    if len(atlases) != len(labels) or not atlases or shape[-1] != 1 or len(images | grids) > 2:
        raise GeometryError(
            f"patch_fusion: {len(atlases)} atlases and target of {sorted(images)}, {len(labels)} "
            f"labels of {sorted(grids)}; images are (*spatial, 1) on one grid, with a label each. "
            "Register and resample them first."
        )
    if patch < 1 or search < 1 or patch % 2 == 0 or search % 2 == 0 or nearest < 1:
        raise ConfigError(
            f"patch_fusion: patch={patch}, search={search}, nearest={nearest}; give odd sides and "
            "1 atlas or more."
        )
    if patch // 2 + search // 2 >= min(shape[:-1]):
        raise ConfigError(
            f"patch_fusion: a target of {shape[:-1]} is too small for patch={patch} and "
            f"search={search}; give smaller ones."
        )
    lowest = min(np.min(image) for image in (target, *atlases))
    if not lowest >= 0:
        raise ConfigError(
            f"patch_fusion: grey values from {lowest:.3g}; the preselection divides by means, so "
            "give values of 0 or more. Shift images that were brought to mean 0."
        )
