"""Find thin, curved parts, such as optic nerves: learned features and a shape model of each part.

Source: Mansoor et al., IEEE TMI 35:1856 (2016), whose abstract names the steps: a deep network's
features, shape and appearance models parted by how shapes vary. Layer sizes and the search are not
in it; ours is an active shape model with logistic regression on whatever features are given.
Landmarks are in voxels.
"""

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from medseg_tf.errors import ConfigError, LabelError
from medseg_tf.methods.shape_model import normals, search_shape, shape_model

NEAR = 1  # voxels: places nearer to the line belong to it


def centre_line(mask, points, along):
    """Return landmarks on the middle line of a part that runs in about one direction.

    The part is cut across `along` into `points` equal stretches; a landmark is the mean of a
    stretch, softly bounded. So landmarks correspond from case to case.

    Args:
        mask: boolean (*spatial).
        points: how many, 2 or more.
        along: the direction, one number an axis; the first landmark lies at its beginning.

    Returns: (points, axes), voxels.
    Raises:
        LabelError: an empty mask. ConfigError: fewer than two points, or no direction.
    """
    along = np.asarray(along, float)
    if points < 2 or along.shape != (np.ndim(mask),) or not along.any():
        raise ConfigError(
            f"centre_line: points={points}, along={along.tolist()} for {np.ndim(mask)} axes; give "
            "2 or more points and one number an axis, not all 0."
        )
    places = np.argwhere(mask)
    if not len(places):
        raise LabelError("centre_line: the mask is empty. Does this case lack the part?")
    where = places @ (along / np.linalg.norm(along))
    ends = np.linspace(where.min(), where.max(), points + 1)
    step = max(ends[1] - ends[0], 0.5)
    weights = np.exp(-2 * ((where - (ends[:-1] + ends[1:])[:, None] / 2) / step) ** 2)
    return weights @ places / weights.sum(1, keepdims=True)


def patches_at(image, places, side=11):
    """Cut patches round places between voxels: (places, side ** rank * channels), float32.

    Args:
        image: (*spatial, channels); beyond the border its edge is repeated.
        places: (..., axes), voxels.
        side: odd number of voxels.
    """
    image, places = np.asarray(image, "float32"), np.asarray(places, float)
    rank = image.ndim - 1
    window = np.indices((side,) * rank).reshape(rank, -1).T - (side - 1) / 2
    taps = (places.reshape(-1, 1, rank) + window).reshape(-1, rank).T
    values = [
        ndimage.map_coordinates(image[..., channel], taps, order=1, mode="nearest")
        for channel in range(image.shape[-1])
    ]
    return np.stack(values, -1).reshape(-1, len(window) * image.shape[-1])


def learn_parts(images, lines, describe, reach=7, keep=0.95, parted=True):
    """Learn shape and appearance of parts from landmarks on training images.

    Args:
        images: list of (*spatial, channels).
        lines: list of (points, axes) landmarks of each image, one such array a part: lines[image]
            [part], voxels.
        describe: function of an image and places (places, axes) to features (places, n), e.g. an
            encoder's codes of `patches_at`.
        reach: voxels to either side of the line that are shown as what is not the part.
        keep: as in `shape_model`.
        parted: a shape model for each part; False is one of all landmarks together, the twin.

    Returns: what `find_parts` takes: (list of shape models, list of one classifier a part).
    Raises: ConfigError: images and lines of different number.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if len(images) != len(lines) or not images:
        raise ConfigError(
            f"learn_parts: {len(images)} images and {len(lines)} sets of lines; give one set an "
            "image."
        )
    parts = list(zip(*lines, strict=True))
    shapes = parts if parted else [[np.concatenate(own) for own in lines]]
    offsets = np.arange(-reach, reach + 1)
    classifiers = []
    for part in parts:
        features, near = [], []
        for image, line in zip(images, part, strict=True):
            for across in normals(np.asarray(line, float)):
                places = line[:, None] + offsets[:, None] * across[:, None]
                features.append(describe(image, places.reshape(-1, line.shape[1])))
                near.append(np.tile(np.abs(offsets) <= NEAR, len(line)))
        classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        classifiers.append(classifier.fit(np.concatenate(features), np.concatenate(near)))
    return [shape_model(shape, keep) for shape in shapes], classifiers


def find_parts(learned, image, describe, reach=7, steps=12):
    """Find the parts' landmarks in an image, from their mean shapes: list of (points, axes).

    Args:
        learned: from `learn_parts`.
        image: (*spatial, channels).
        describe: as given to `learn_parts`.
        reach, steps: as in `search_shape`.
    """
    models, classifiers = learned

    def scored(owners):
        """A score of landmarks, of which each is judged by the classifier of its own part."""

        def score(places):
            found = np.empty(places.shape[:2])
            for part, classifier in enumerate(classifiers):
                own = owners == part
                if own.any():
                    features = describe(image, places[own].reshape(-1, places.shape[-1]))
                    found[own] = classifier.decision_function(features).reshape(own.sum(), -1)
            return found

        return score

    if len(models) == len(classifiers):
        owners = [np.full(len(model.mean), part) for part, model in enumerate(models)]
        return [
            search_shape(model, scored(owner), reach=reach, steps=steps)
            for model, owner in zip(models, owners, strict=True)
        ]
    owner = np.arange(len(models[0].mean)) * len(classifiers) // len(models[0].mean)
    found = search_shape(models[0], scored(owner), reach=reach, steps=steps, lines=len(classifiers))
    return [found[owner == part] for part in range(len(classifiers))]


def draw_parts(lines, radii, shape):
    """Paint tubes round lines: label uint8 (*shape), part p as p + 1, 0 elsewhere.

    Args:
        lines: list of (points, axes), voxels; where parts overlap, the one counts whose
            surface lies farther out.
        radii: one number of voxels a part.
        shape: voxels of the image.
    """
    voxels = np.indices(shape).reshape(len(shape), -1).T
    outside = []  # voxels from each part's surface, negative within
    for line, radius in zip(lines, radii, strict=True):
        station = np.linspace(0, len(line) - 1, 20 * len(line))
        fine = np.stack([np.interp(station, np.arange(len(line)), axis) for axis in line.T], 1)
        outside.append(cKDTree(fine).query(voxels)[0] - radius)
    part = np.argmin(outside, axis=0)
    return np.where(np.min(outside, axis=0) <= 0, part + 1, 0).astype("uint8").reshape(shape)
