"""A dense conditional random field: every pixel speaks with every other one, then all decide.

Sources: Krähenbühl, Koltun, NIPS 2011, arXiv:1210.5644; as DeepLab uses it, L.-C. Chen et al., IEEE
TPAMI 40:834 (2018), equations 2 and 3. With P the network's probabilities, p a pixel's place and I
its grey value or colours, a label x costs

    E(x) = sum_i -log P_i(x_i)  +  sum_(i<j) [x_i != x_j] k_ij
    k_ij = w1 exp(-|p_i - p_j|^2 / 2 alpha^2 - |I_i - I_j|^2 / 2 beta^2)  (appearance)
         + w2 exp(-|p_i - p_j|^2 / 2 gamma^2)                            (smoothness)

The released code computes something else: a pixel counts among its own neighbours, and each kernel
is divided by its sum, so that it becomes a weighted average times w. Weights that are mild there
overwhelm everything in the formula. `normalize` says which of them is meant.
"""

import numpy as np
from scipy import ndimage, special
from scipy.spatial.distance import cdist

from medseg_tf.errors import ConfigError, GeometryError
from medseg_tf.methods.permutohedral import lattice_filter

LEAST = 1e-5  # of a probability before its logarithm: a network's 0 is no certainty
EXACT = 5000  # pixels of which all pairs are computed: 100 MB
FAR = 6  # standard deviations at which a kernel has ended
NORMALIZE = (None, "rows", "symmetric")


def dense_crf(
    image,
    probabilities,
    w1=4.0,
    alpha=67.0,
    beta=3.0,
    w2=3.0,
    gamma=1.0,
    iterations=10,
    normalize="rows",
    exact=None,
):
    """Return probabilities on which all pixels have agreed, (*spatial, classes) of sum 1.

    Mean field: all pixels at once, Q_i(l) is proportional to P_i(l) exp(sum over j of k_ij Q_j(l)),
    from Q = P on. No class is favoured; pixels of one colour near one another draw together.

    The defaults are the values released for ResNet-101, for colours of 0..255 and pictures of some
    500 pixels. Choose your own on images that are not tested on: beta a few standard deviations
    of the noise, alpha the distance over which a tissue looks alike.

    Args:
        image: (*spatial, channels), 2-D or 3-D, as it was measured, not normalised.
        probabilities: (*spatial, classes), after softmax.
        w1: weight of the appearance kernel.
        alpha: how far it reaches, in pixels: one number, or one an axis.
        beta: and over which difference of grey values: one number, or one a channel.
        w2: weight of the smoothness kernel.
        gamma: how far it reaches, as alpha.
        iterations: updates of all pixels.
        normalize: None for the formula above; "rows" divides each kernel by its sum at the pixel
            that listens, as the released code does; "symmetric" by the root of it at either pixel.
        exact: compute all pairs of the appearance kernel, memory of 4 * pixels^2 bytes; False
            filters in the permutohedral lattice, as the released code does. None: all pairs for
            up to 5000 pixels.

    Raises:
        GeometryError: image and probabilities differ in space.
        ConfigError: no probabilities, numbers out of range, an unknown choice.
    """
    image, found = check(image, probabilities, (alpha, beta, gamma), (w1, w2), normalize)
    shape, classes = found.shape[:-1], found.shape[-1]
    evidence = np.log(np.clip(found, LEAST, None)).reshape(-1, classes)
    exact = len(evidence) <= EXACT if exact is None else exact
    kernels = []
    if w1:
        places = features(image, alpha, beta)
        kernels.append((w1, all_pairs(places) if exact else lattice_filter(places)))
    if w2:
        kernels.append((w2, smoothing(shape, gamma)))
    talks = [(weight, talk(kernel, len(evidence), normalize)) for weight, kernel in kernels]
    q = special.softmax(evidence, axis=-1)
    for _ in range(iterations):
        heard = sum(weight * hear(q) for weight, hear in talks)
        q = special.softmax(evidence + heard, axis=-1)
    return q.reshape(*shape, classes)


def talk(kernel, pixels, normalize):
    """Return the function from Q (pixels, classes) to what each pixel hears through one kernel."""
    if normalize is None:
        return lambda q: kernel(q) - q  # nobody listens to himself
    total = kernel(np.ones((pixels, 1)))
    if normalize == "rows":
        return lambda q: kernel(q) / total
    root = np.sqrt(total)
    return lambda q: kernel(q / root) / root


def features(image, alpha, beta):
    """Return place and colours of each pixel, in standard deviations: (pixels, rank + channels)."""
    shape, rank = image.shape[:-1], image.ndim - 1
    places = np.indices(shape).reshape(rank, -1).T / np.broadcast_to(alpha, rank)
    return np.concatenate([places, image.reshape(len(places), -1) / beta], axis=1)


def all_pairs(places):
    """Return filter(values), exact: a matrix of all pairs, made in blocks of rows."""
    matrix = np.empty((len(places), len(places)), "float32")
    for start in range(0, len(places), 512):
        rows = slice(start, start + 512)
        matrix[rows] = np.exp(-cdist(places[rows], places, "sqeuclidean") / 2)
    return lambda values: matrix @ values.astype("float32")


def smoothing(shape, gamma):
    """Return filter(values) of the smoothness kernel: one axis after the other, no grey values."""
    kernels = []
    for size, deviation in zip(shape, np.broadcast_to(gamma, len(shape)), strict=True):
        reach = min(size - 1, int(np.ceil(FAR * deviation)))
        kernels.append(np.exp(-((np.arange(-reach, reach + 1) / deviation) ** 2) / 2))

    def apply(values):
        maps = values.reshape(*shape, -1)
        for axis, kernel in enumerate(kernels):
            maps = ndimage.correlate1d(maps, kernel, axis, mode="constant")
        return maps.reshape(values.shape)

    return apply


def pair_weights(image, w1, alpha, beta, w2, gamma):
    """Return k_ij of the formula for all pairs of a small image: (pixels, pixels), 0 for i = j.

    Arguments as in `dense_crf`; float64.
    """
    image = np.asarray(image, float)
    colours = features(image, alpha, beta)
    places = features(image[..., :0], gamma, 1)
    one, other = (np.exp(-cdist(f, f, "sqeuclidean") / 2) for f in (colours, places))
    pairs = w1 * one + w2 * other
    np.fill_diagonal(pairs, 0)
    return pairs


def energy(label, probabilities, pairs):
    """Return E(x), what a label costs.

    Args:
        label: whole numbers (*spatial).
        probabilities: (*spatial, classes).
        pairs: `pair_weights` of the image.
    """
    flat = np.ravel(label)
    chosen = np.reshape(probabilities, (flat.size, -1))[np.arange(flat.size), flat]
    apart = flat[:, None] != flat
    return float(-np.log(np.clip(chosen, LEAST, None)).sum() + (pairs * apart).sum() / 2)


def check(image, probabilities, distances, weights, normalize):
    """Return image and probabilities as float arrays, once they fit together."""
    image, found = np.asarray(image, float), np.asarray(probabilities, float)
    if image.ndim < 2 or image.shape[:-1] != found.shape[:-1]:
        raise GeometryError(
            f"dense_crf: image {image.shape} and probabilities {found.shape}; both have the same "
            "spatial axes and one more, of channels and of classes."
        )
    if found.min(initial=0) < 0 or not np.allclose(found.sum(-1), 1, atol=1e-3):
        raise ConfigError(
            "dense_crf: the probabilities of a pixel do not sum to 1. Give them after softmax, "
            "classes last; the logarithm is taken here."
        )
    if min(np.min(one) for one in distances) <= 0 or min(weights) < 0:
        raise ConfigError(
            f"dense_crf: alpha, beta, gamma are {distances}, w1, w2 {weights}; distances are "
            "above 0, weights 0 or more."
        )
    if normalize not in NORMALIZE:
        raise ConfigError(f"dense_crf: normalize is {normalize!r}; choose one of {NORMALIZE}.")
    return image, found
