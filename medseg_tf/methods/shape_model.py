"""Active shape models: how landmarks usually lie, learned, and a search that keeps to it.

Source: Cootes, Taylor, Cooper, Graham, Computer Vision and Image Understanding 61:38 (1995).
Landmarks are (points, axes) arrays in any unit, corresponding from case to case. A model of one
part each is `shape_model` called once a part (Mansoor et al., IEEE TMI 35:1856, 2016, part the
visual pathway; where to part it is theirs to find out and ours to be told).
"""

from dataclasses import dataclass

import numpy as np

from medseg_tf.errors import ConfigError, GeometryError


@dataclass(frozen=True)
class ShapeModel:
    """mean (points, axes), modes (points * axes, k) as orthonormal columns, deviations (k,)."""

    mean: np.ndarray
    modes: np.ndarray
    deviations: np.ndarray


def shape_model(shapes, keep=0.95):
    """Learn the mean shape and its principal modes of variation.

    Args:
        shapes: (cases, points, axes), not aligned: place, turn and size count as shape.
        keep: share of the variance that the modes explain at least, in (0, 1].

    Returns: ShapeModel; `deviations` are the square roots of the modes' variances.
    Raises:
        ConfigError: fewer than two shapes, another number of axes, or such a share.
    """
    shapes = np.asarray(shapes, float)
    if shapes.ndim != 3 or len(shapes) < 2 or not 0 < keep <= 1:
        raise ConfigError(
            f"shape_model: shapes of shape {shapes.shape}, keep={keep}; give (cases, points, axes) "
            "of two cases or more, and a share from 0 to 1."
        )
    rows = shapes.reshape(len(shapes), -1)
    mean = rows.mean(0)
    _, spread, modes = np.linalg.svd(rows - mean, full_matrices=False)
    variances = spread**2 / (len(rows) - 1)
    explained = np.cumsum(variances)
    count = 0
    if explained[-1] > 0:
        count = int(np.searchsorted(explained, (keep - 1e-12) * explained[-1])) + 1
    return ShapeModel(mean.reshape(shapes.shape[1:]), modes[:count].T, np.sqrt(variances[:count]))


def plausible(model, shape, limit=3.0):
    """Return the nearest shape that the model holds for possible: (points, axes).

        b = P^T (v - m),   each b_k clipped to +-limit standard deviations,   v' = m + P b

    Args:
        model: ShapeModel.
        shape: (points, axes).
        limit: standard deviations along each mode; inf only projects.

    Raises:
        GeometryError: a shape of other points or axes than the model's.
    """
    shape = np.asarray(shape, float)
    if shape.shape != model.mean.shape:
        raise GeometryError(
            f"plausible: a shape of {shape.shape} for a model of {model.mean.shape}; both are "
            "(points, axes)."
        )
    modes = (shape - model.mean).ravel() @ model.modes
    modes = np.clip(modes, -limit * model.deviations, limit * model.deviations)
    return model.mean + (model.modes @ modes).reshape(shape.shape)


def search_shape(model, score, start=None, reach=7, steps=12, pull=0.6, lines=1):
    """Move landmarks to where they score best beside the line, and back to a possible shape.

    In each step every landmark looks `reach` to either side, across the line of the landmarks, and
    moves `pull` of the way to the place that scores best; then the shape is made `plausible`.

    Args:
        model: ShapeModel of landmarks along a line, or along several.
        score: function of places (points, places, axes) to numbers (points, places); high where
            the landmark of that row should lie.
        start: landmarks to begin with, (points, axes); None is the mean shape.
        reach: whole number of unit steps to either side.
        steps: how often.
        pull: share of the way, in (0, 1]: less than 1 forgives single landmarks that err.
        lines: how many lines, of equally many landmarks, follow one another in a shape.

    Returns: (points, axes).
    """
    shape = plausible(model, model.mean if start is None else start)
    offsets = np.arange(-reach, reach + 1)
    for _ in range(steps):
        sides = [normals(line) for line in np.split(shape, lines)]
        for across in map(np.concatenate, zip(*sides, strict=True)):
            places = shape[:, None] + offsets[:, None] * across[:, None]
            # Of places that score alike the nearest wins, so that nothing moves without a reason.
            score_here = np.asarray(score(places), float) - 1e-9 * np.abs(offsets)
            best = offsets[score_here.argmax(1)]
            shape = shape + pull * best[:, None] * across
        shape = plausible(model, shape)
    return shape


def normals(shape):
    """Unit vectors across a line of landmarks: a list of (points, axes), axes - 1 of them."""
    along = np.gradient(shape, axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-12)
    if shape.shape[1] == 2:
        return [np.stack([-along[:, 1], along[:, 0]], axis=1)]
    # The axis least along the line gives a first normal, the cross product the second.
    other = np.eye(3)[np.abs(along).argmin(1)]
    first = np.cross(along, other)
    first /= np.maximum(np.linalg.norm(first, axis=1, keepdims=True), 1e-12)
    return [first, np.cross(along, first)]
