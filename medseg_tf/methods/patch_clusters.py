"""Segment one image without labels: cluster its patches' features, paint clusters on the middles.

Source: Moriya et al., SPIE Medical Imaging 10578, 2018, arXiv:1804.03830. The encoder is trained
on patches of the very image that is then segmented (`draw_patches`, `jule`): there is no test set.
"""

import itertools

import numpy as np

from medseg_tf.errors import ConfigError, GeometryError


def draw_patches(image, count, patch=27, seed=0):
    """Cut patches at random places: (count, *patch, channels), of the image's dtype.

    Args:
        image: (*spatial, channels).
        count: number of patches.
        patch: side.
        seed: int or Generator.

    Raises:
        ConfigError: a patch larger than the image.
    """
    image = np.asarray(image)
    sides = image.shape[:-1]
    if not 1 <= patch <= min(sides):
        raise ConfigError(
            f"draw_patches: patch={patch} of an image of {sides}; give a side from 1 to "
            f"{min(sides)}."
        )
    starts = np.random.default_rng(seed).integers(
        0, np.array(sides) - patch + 1, (count, len(sides))
    )
    return np.stack([image[tuple(slice(i, i + patch) for i in start)] for start in starts])


def block_features(image, encode, patch=27, stride=3):
    """Describe each block of stride ** rank voxels by the patch round it: (*blocks, n).

    Args:
        image: (*spatial, channels), mirrored beyond its border; a last block may stick out.
        encode: function from patches (count, *patch, channels) to features (count, n), e.g. a
            model's predict_on_batch.
        patch: side.
        stride: side of a block, at most `patch`: finer edges at a cost of 1 / stride ** rank.

    Raises:
        ConfigError: a stride that is not from 1 to the patch's side.
    """
    if not 1 <= stride <= patch:
        raise ConfigError(
            f"block_features: stride={stride}, patch={patch}; a block lies within its patch: give "
            f"a stride from 1 to {patch}."
        )
    image = np.asarray(image)
    sides = np.array(image.shape[:-1])
    blocks = -(-sides // stride)
    before = (patch - stride) // 2
    after = (blocks - 1) * stride + patch - before - sides
    padded = np.pad(image, [*((before, int(end)) for end in after), (0, 0)], mode="reflect")
    rank = len(sides)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (patch,) * rank, range(rank))
    windows = np.moveaxis(windows[(slice(None, None, stride),) * rank], rank, -1)
    rows = []  # one row of blocks at a time bounds memory
    for place in itertools.product(*map(range, blocks[:-1])):
        rows.append(np.asarray(encode(np.ascontiguousarray(windows[place]))))
    return np.stack(rows).reshape(*blocks, -1)


def paint_clusters(features, shape, stride=3, classes=3, seed=0):
    """Cluster blocks by k-means and give all voxels of a block its cluster: uint8 (*shape).

    Cluster numbers carry no meaning and no order; `metrics.match_clusters` gives them classes'.
    Another number of classes needs no new features.

    Args:
        features: (*blocks, n) from `block_features`.
        shape: voxels of the image.
        stride: as given to `block_features`.
        classes: number of clusters, from 2.
        seed: int; the best of five starts counts.

    Raises:
        GeometryError: blocks that do not cover the shape. ConfigError: too few or many clusters.
    """
    from sklearn.cluster import KMeans

    features = np.asarray(features)
    blocks = tuple(-(-size // stride) for size in shape)
    if features.shape[:-1] != blocks:
        raise GeometryError(
            f"paint_clusters: features of {features.shape[:-1]} blocks; an image of "
            f"{tuple(shape)} has {blocks} of stride {stride}. Give block_features' own stride."
        )
    rows = features.reshape(-1, features.shape[-1])
    if not 2 <= classes <= min(256, len(rows)):
        raise ConfigError(
            f"paint_clusters: classes={classes} of {len(rows)} blocks; give from 2 to "
            f"{min(256, len(rows))}."
        )
    label = KMeans(classes, n_init=5, random_state=seed).fit_predict(rows)
    label = label.astype("uint8").reshape(blocks)
    for axis in range(len(shape)):
        label = np.repeat(label, stride, axis)
    return label[tuple(map(slice, shape))]
