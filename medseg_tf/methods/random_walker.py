"""Random walks over an image: seeds spread as far as its edges let them, maps become consistent.

Sources: Grady, IEEE TPAMI 28:1768 (2006), with seeds; Grady, CVPR 2005, with a map of probabilities
in their place. Bao, Chung (2018) correct a network's map by a "dynamic random walker with decayed
region of interest", which could not be read: the plain walk with priors stands for it.
scikit-image has the seeded walk alone, and its beta is divided by 10 standard deviations.
"""

import numpy as np
from scipy import sparse
from scipy.sparse import linalg

from medseg_tf.errors import ConfigError, GeometryError, LabelError

LEAST = 1e-6  # of an edge's weight: no region is ever cut off
DIRECT = {1: 10**6, 2: 300_000, 3: 6_000}  # voxels that are solved for directly, by rank


def random_walker(image, prior=None, seeds=None, beta=30.0, gamma=1.0):
    """Return the probability that each voxel belongs to each class, consistent with its neighbours.

    Neighbours are joined by edges of weight exp(-beta * d), d their squared difference of grey
    values (summed over channels), scaled to 1 for the largest in the image. With L the Laplacian
    of this graph, U the voxels without seed and m the seeds, the probabilities x solve, class by
    class,  (L_U + gamma * sum of prior) x_U = gamma * prior_U - B^T m.

    Args:
        image: (*spatial, channels), any rank.
        prior: (*spatial, classes), 0 or more, e.g. a network's probabilities; or None.
        seeds: integer (*spatial): the class where it is known, -1 elsewhere; or None. Without a
            prior at least one voxel is needed.
        beta: how much an edge of the image hinders; 0 is blind to the image.
        gamma: how much the prior counts against the neighbours; a large one returns the prior, a
            small one lets small structures vanish.

    Returns: float (*spatial, classes), of sum 1; of seeds alone, classes are 0..largest seed.
    Raises:
        GeometryError: shapes that do not fit together. LabelError: seeds that are no classes.
        ConfigError: neither prior nor seeds, or numbers out of range.
    """
    image = np.asarray(image, float)
    shape, known, classes, prior = check(image, prior, seeds, beta, gamma)
    laplacian = graph_laplacian(edge_weights(image, beta), shape)
    free = np.flatnonzero(known < 0)
    fixed = np.flatnonzero(known >= 0)
    result = np.eye(classes)[np.maximum(known, 0)]
    rows = laplacian[free]
    matrix = rows[:, free]
    right = -rows[:, fixed] @ result[fixed]
    if prior is not None:
        matrix = matrix + sparse.diags(gamma * prior[free].sum(1))
        right = right + gamma * prior[free]
    if len(free):
        found = solve(matrix.tocsc(), right, len(free) <= DIRECT.get(len(shape), 0))
        found = np.clip(found, 0, None)
        result[free] = found / found.sum(1, keepdims=True)
    return result.reshape(*shape, classes)


def edge_weights(image, beta):
    """Return the weights of edges along each axis: a list of arrays one shorter in that axis."""
    gaps = [(np.diff(image, axis=axis) ** 2).sum(-1) for axis in range(image.ndim - 1)]
    largest = max((gap.max(initial=0) for gap in gaps), default=0) or 1
    return [np.exp(-beta * gap / largest) + LEAST for gap in gaps]


def graph_laplacian(weights, shape):
    """Return the Laplacian of a grid, sparse (voxels, voxels): degrees minus weights.

    weights: of edges along each axis, as `edge_weights` gives them. shape: of the grid.
    """
    number = np.arange(np.prod(shape)).reshape(shape)
    one, other = [], []
    for axis in range(len(shape)):
        one.append(np.delete(number, -1, axis).ravel())
        other.append(np.delete(number, 0, axis).ravel())
    one, other = np.concatenate(one), np.concatenate(other)
    weight = np.concatenate([np.ravel(weight) for weight in weights])
    edges = sparse.coo_array((weight, (one, other)), (number.size, number.size))
    edges = (edges + edges.T).tocsr()
    return (sparse.diags_array(edges.sum(1)) - edges).tocsr()


def solve(matrix, right, directly):
    """Solve for each column: by factors, or step by step where these would fill the memory."""
    if directly:
        return linalg.splu(matrix).solve(right)
    diagonal = matrix.diagonal()
    scale = sparse.diags(1 / diagonal)
    found = np.empty_like(right)
    for column, start in zip(range(right.shape[1]), (right / diagonal[:, None]).T, strict=True):
        found[:, column], _ = linalg.cg(matrix, right[:, column], x0=start, M=scale)
    return found


def check(image, prior, seeds, beta, gamma):
    """Return the grid's shape, seeds as a row (-1: none), number of classes, priors as rows."""
    shape = image.shape[:-1]
    if prior is None and seeds is None or beta < 0 or gamma <= 0:
        raise ConfigError(
            f"random_walker: beta={beta}, gamma={gamma}; give a prior, or seeds, or both; beta "
            "from 0, gamma above 0."
        )
    known = np.full(shape, -1) if seeds is None else np.asarray(seeds)
    if known.shape != shape or (prior is not None and np.shape(prior)[:-1] != shape):
        raise GeometryError(
            f"random_walker: image {image.shape}, prior {np.shape(prior)}, seeds {known.shape}; "
            "all have the image's spatial axes; image and prior one more."
        )
    if prior is None:
        classes = int(known.max(initial=-1)) + 1
    else:
        prior = np.asarray(prior, float).reshape(known.size, -1)
        classes = prior.shape[1]
        if not prior.min(initial=0) >= 0 or not (prior.sum(1) > 0).all():
            raise ConfigError(
                "random_walker: the prior holds negative numbers, NaN, or a voxel of zeros. Give "
                "probabilities, after softmax."
            )
    if known.dtype.kind not in "iu" or known.min(initial=0) < -1 or known.max() >= classes:
        raise LabelError(
            f"random_walker: seeds of type {known.dtype} from {known.min()} to {known.max()} for "
            f"{classes} classes; give whole numbers, -1 where the class is not known."
        )
    if prior is None and classes == 0:
        raise ConfigError("random_walker: no voxel has a seed, and no prior was given.")
    return shape, known.ravel().astype(int), classes, prior
