"""Sparse patch matching: atlases give labels to patches whose features are like theirs.

Source: Guo et al., MICCAI 2014, LNCS 8674:308: features from a stacked autoencoder of T1 and T2
patches, labels from few well matching patches of several atlases. Intensities (`patch_vectors`) and
`patch_statistics` are the features to compare a network's with. The sparse code is the usual one,
with the nearest candidates of a search window as its atoms; sizes are ours.
"""

import itertools

import numpy as np
from scipy import ndimage

from medseg_tf.errors import ConfigError, GeometryError

CHUNK = 500  # voxels that are coded together: bounds memory


def patch_vectors(image, side=9):
    """Return each voxel's patch as one vector: (*spatial, side ** rank * channels).

    Args:
        image: (*spatial, channels), mirrored beyond its border.
        side: odd number of voxels.
    """
    image = np.asarray(image, "float32")
    rank = image.ndim - 1
    if side < 1 or side % 2 == 0:
        raise ConfigError(f"patch_vectors: side={side}; give an odd number of voxels.")
    padded = np.pad(image, [(side // 2, side // 2)] * rank + [(0, 0)], mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side,) * rank, range(rank))
    return np.moveaxis(windows, rank, -1).reshape(*image.shape[:-1], -1)


def patch_statistics(image, side=9):
    """Return hand-made features: a voxel's value, mean, deviation and slope, of each channel.

    image: (*spatial, channels). side: voxels of the neighbourhood.
    Returns: (*spatial, channels * 4), float32.
    """
    features = []
    for grey in np.moveaxis(np.asarray(image, "float32"), -1, 0):
        mean = ndimage.uniform_filter(grey, side)
        square = ndimage.uniform_filter(grey**2, side)
        slope = ndimage.gaussian_gradient_magnitude(grey, side / 6)
        features += [grey, mean, np.sqrt(np.maximum(square - mean**2, 0)), slope]
    return np.stack(features, -1)


def sparse_code(target, atoms, sparsity=0.05, steps=150):
    """Write features as a sum of few atoms, none of them negative.

        c = argmin over c >= 0 of  1/2 |f - F c|^2 + sparsity * sum of c

    Args:
        target: f, (..., n).
        atoms: F^T, (..., atoms, n): one set for each target.
        sparsity: the larger, the fewer atoms; at max(F^T f) none is left.
        steps: of the accelerated projected gradient (Beck, Teboulle, SIAM J. Imaging Sciences
            2:183, 2009).

    Returns: c, (..., atoms).
    Raises:
        GeometryError: shapes that do not fit together.
    """
    target, atoms = np.asarray(target, float), np.asarray(atoms, float)
    if atoms.ndim != target.ndim + 1 or atoms.shape[-1] != target.shape[-1]:
        raise GeometryError(
            f"sparse_code: target {target.shape} and atoms {atoms.shape}; give (..., n) and "
            "(..., atoms, n)."
        )
    gram = atoms @ np.swapaxes(atoms, -1, -2)
    pull = (atoms @ target[..., None])[..., 0] - sparsity
    # The largest row sum bounds the largest eigenvalue: a step that never overshoots.
    rate = 1 / np.maximum(np.abs(gram).sum(-1).max(-1), 1e-12)[..., None]
    code = before = np.zeros_like(pull)
    for step in range(steps):
        ahead = code + step / (step + 3) * (code - before)
        before = code
        code = np.maximum(ahead - rate * ((gram @ ahead[..., None])[..., 0] - pull), 0)
    return code


def match_patches(
    target, atlases, labels, classes=2, search=9, candidates=60, sparsity=0.05, region=None
):
    """Return each voxel's probabilities of classes, from atlas patches with like features.

    A voxel's candidates are the voxels of all atlases in a search window round its own place; the
    nearest are coded by `sparse_code` (all features of length 1), and a code's numbers weigh their
    labels. Where the code is empty the nearest candidate's label counts. Atlases lie on the
    target's grid, registered.

    Args:
        target: features (*spatial, n) of the image to label: `patch_vectors`, or an encoder's codes
            by `block_features` with a stride of 1.
        atlases: list of such arrays.
        labels: list of integer (*spatial), 0..classes - 1.
        classes: number of classes, background included.
        search: odd side of the search window.
        candidates: atoms of a code.
        sparsity: as in `sparse_code`; None weighs candidates by exp(-d / smallest d), d the
            squared distance, instead: non-local means, the twin.
        region: boolean (*spatial) of voxels to label; elsewhere class 0 has probability 1.

    Returns: float32 (*spatial, classes).
    Raises:
        GeometryError: atlases or labels of another grid. ConfigError: sizes that make no search.
    """
    shape = check(target, atlases, labels, search, candidates)
    region = np.ones(shape, bool) if region is None else np.asarray(region, bool)
    result = np.zeros((*shape, classes), "float32")
    result[..., 0] = 1
    target, atlases = unit(target), np.stack([unit(atlas) for atlas in atlases])
    labels = np.stack(labels)
    places = np.argwhere(region)
    for start in range(0, len(places), CHUNK):
        rows = places[start : start + CHUNK]
        features = target[tuple(rows.T)]
        atoms, votes, distance = nearest(features, rows, atlases, labels, search, candidates)
        if sparsity is None:
            weights = np.exp(-distance / np.maximum(distance[:, :1], 1e-12))
        else:
            weights = sparse_code(features, atoms, sparsity)
        weights[:, 0] += weights.sum(1) == 0  # nothing chosen: the nearest counts
        share = np.eye(classes)[votes] * (weights / weights.sum(1, keepdims=True))[..., None]
        result[tuple(rows.T)] = share.sum(1)
    return result


def nearest(features, places, atlases, labels, search, count):
    """Features, labels and squared distances of each place's `count` nearest, nearest first."""
    shape = np.array(labels.shape[1:])
    reach = range(-(search // 2), search // 2 + 1)
    offsets = np.array(list(itertools.product(reach, repeat=len(shape))))
    distance = np.full((len(places), len(atlases), len(offsets)), np.inf, "float32")
    for number, offset in enumerate(offsets):
        there = places + offset
        inside = ((there >= 0) & (there < shape)).all(1)
        index = tuple(there[inside].T)
        for which, atlas in enumerate(atlases):
            gap = atlas[index] - features[inside]
            distance[inside, which, number] = np.einsum("ij,ij->i", gap, gap)
    distance = distance.reshape(len(places), -1)
    count = min(count, distance.shape[1])
    chosen = np.argpartition(distance, count - 1, axis=1)[:, :count]
    order = np.take_along_axis(distance, chosen, 1).argsort(1, kind="stable")
    chosen = np.take_along_axis(chosen, order, 1)
    which, number = np.divmod(chosen, len(offsets))
    # Too few candidates near the border: those there stand for the missing ones once more.
    there = np.clip(places[:, None] + offsets[number], 0, shape - 1)
    index = (which, *np.moveaxis(there, -1, 0))
    return (
        atlases[index],
        labels[index],
        np.take_along_axis(distance, chosen, 1),
    )


def unit(features):
    features = np.asarray(features, "float32")
    return features / np.maximum(np.linalg.norm(features, axis=-1, keepdims=True), 1e-12)


def check(target, atlases, labels, search, candidates):
    shape = np.shape(target)[:-1]
    shapes = [np.shape(atlas)[:-1] for atlas in atlases] + [np.shape(label) for label in labels]
    if len(atlases) != len(labels) or not atlases or set(shapes) != {shape}:
        raise GeometryError(
            f"match_patches: target {np.shape(target)}, {len(atlases)} atlases and {len(labels)} "
            f"labels of {sorted(set(shapes))}; all lie on one grid, a label for each atlas. "
            "Register and resample them first."
        )
    if search < 1 or search % 2 == 0 or candidates < 1:
        raise ConfigError(
            f"match_patches: search={search}, candidates={candidates}; give an odd side and 1 or "
            "more."
        )
    return shape
