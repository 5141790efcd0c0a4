"""Gaussian filtering of values that lie anywhere in space, in time that grows as their number.

Source: Adams, Baek, Davis, "Fast high-dimensional filtering using the permutohedral lattice",
Computer Graphics Forum 29:753 (2010). Each value is shared out among the d + 1 corners of the
simplex it lies in, corners share with their neighbours along d + 1 directions, and each value is
read back from its corners. Only corners that some value touches exist, so the ends of a Gaussian
may be missing where values lie far apart.
"""

import numpy as np
from scipy import sparse


def lattice_filter(places):
    """Return filter(values) that sums, for each place, all values by their Gaussian distance.

    With p the places, filter(v)_i is about  sum over j of exp(-|p_i - p_j|^2 / 2) v_j,  j = i
    included. How well depends on how densely the places lie: divided by filter(1), as weighted
    averages are, it is good to some per cent, and best for smooth values.

    Args:
        places: (n, d) coordinates, in standard deviations of the Gaussian.

    Returns: function from (n, channels) to (n, channels), float.
    """
    corners, shares = simplices(np.asarray(places, float))
    count, d = corners.shape[0], corners.shape[1] - 1
    # A corner's key is a hash: sums of coordinates times random numbers, which wrap around.
    factors = np.random.default_rng(0).integers(2**62, size=d, dtype=np.int64)
    keys, number = np.unique(corners @ factors, return_inverse=True)
    number = number.reshape(count, d + 1)
    rows = np.repeat(np.arange(count), d + 1)
    share = sparse.csr_array(
        (shares.ravel(), (rows, number.ravel())), shape=(count, len(keys)), dtype=float
    )
    blurs = [blur(keys, direction @ factors) for direction in directions(d)]
    # What makes it a sum: the corners' density against that of a Gaussian's weight.
    scale = (4 * np.pi / 3) ** (d / 2) * np.sqrt(d + 1) / 2 ** (d + 1)

    def apply(values):
        at_corners = share.T @ values
        for one in blurs:
            at_corners = one @ at_corners
        return scale * (share @ at_corners)

    return apply


def simplices(places):
    """Return the corners of the simplex that each place lies in, and its shares of them.

    Returns: whole numbers (n, d + 1, d), a corner's first d coordinates in the lattice's own
        space of d + 1, and shares (n, d + 1) of sum 1.
    """
    n, d = places.shape
    # Into the plane of sum 0, so that one standard deviation is that of spreading and reading.
    axis = np.arange(1, d + 1)
    scaled = places * (np.sqrt(2 / 3) * (d + 1) / np.sqrt(axis * (axis + 1)))
    plane = np.triu(np.ones((d + 1, d)))
    plane[axis, axis - 1] = -axis
    lifted = scaled @ plane.T
    # The nearest corner of remainder 0, and in which order the coordinates leave it.
    zero = np.rint(lifted / (d + 1)).astype(np.int64)
    order = np.argsort(-(lifted - zero * (d + 1)), axis=1, kind="stable")
    rank = np.argsort(order, axis=1, kind="stable") + zero.sum(1, keepdims=True)
    wrong = (rank < 0).astype(np.int64) - (rank > d)
    rank, zero = rank + wrong * (d + 1), (zero + wrong) * (d + 1)
    ranked = np.empty((n, d + 1))
    np.put_along_axis(ranked, rank, (lifted - zero) / (d + 1), axis=1)
    shares = np.empty((n, d + 1))
    shares[:, 0] = 1 + ranked[:, d] - ranked[:, 0]
    shares[:, 1:] = (ranked[:, :-1] - ranked[:, 1:])[:, ::-1]
    remainder = np.arange(d + 1)[:, None]
    step = np.where(np.arange(d + 1) <= d - remainder, remainder, remainder - d - 1)
    corners = zero[:, None, :d] + np.moveaxis(step[:, rank[:, :d]], 0, 1)
    return corners, shares


def directions(d):
    """Return the lattice's d + 1 directions: (d + 1, d) whole numbers."""
    return np.vstack([(d + 1) * np.eye(d, dtype=np.int64) - 1, -np.ones((1, d), np.int64)])


def blur(keys, step):
    """Return the matrix that adds half of either neighbour along one direction.

    keys: of all corners, sorted; a neighbour's key differs by `step`.
    """
    here = np.arange(len(keys))
    with np.errstate(over="ignore"):  # keys wrap around
        wanted = keys + step
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    there = keys[place] == wanted
    half = sparse.csr_array(
        (np.full(there.sum(), 0.5), (here[there], place[there])), shape=(len(keys),) * 2
    )
    return (sparse.eye_array(len(keys), format="csr") + half + half.T).tocsr()
