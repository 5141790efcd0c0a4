"""Whether a network's number means how often it is right, and how to make it so."""

import numpy as np

from medseg_tf.errors import ConfigError


def prior_shift(probability, share, learned=0.5):
    """Turn what a network says that learned on balanced classes into probabilities of real images.

        q = p a / (p a + (1 - p) b),    a = share / learned,  b = (1 - share) / (1 - learned)

    The order of pixels stays, only the meaning of .5 changes: .5 becomes `share`. It corrects the
    sampling and not what the network is wrong about by itself; Ciresan et al. (NIPS 2012) fit a
    monotone cubic polynomial to images held back instead.

    Args:
        probability: array of any shape, of one class.
        share: the class's share of the pixels where the network is used.
        learned: its share of the windows that were learned from.

    Returns: array of the same shape.
    Raises:
        ConfigError: a share that is not between 0 and 1, or probabilities that are none.

    Source: Saerens, Latinne, Decaestecker, Neural Computation 14, 2002, equation 2.4.
    """
    p = np.asarray(probability, float)
    if not (0 < share < 1 and 0 < learned < 1 and p.min(initial=0) >= 0 and p.max(initial=1) <= 1):
        raise ConfigError(
            f"prior_shift: share={share}, learned={learned}; shares lie between 0 and 1, and "
            "probabilities in 0..1 (of one class, after softmax)."
        )
    odds = p * share / learned, (1 - p) * (1 - share) / (1 - learned)
    return odds[0] / (odds[0] + odds[1])


def calibration_error(confidence, right, bins=10):
    """Return the expected calibration error, ECE: 0 where confidence says how often it is right.

        sum over bins of (samples in the bin / samples) |share that is right - mean confidence|

    Args:
        confidence: (samples,), the largest probability of each, 0 to 1.
        right: (samples,) boolean.
        bins: of equal width; an edge belongs to the bin below it.

    Source: Guo, Pleiss, Sun, Weinberger, ICML 2017, equation 3.
    """
    confidence, right = np.asarray(confidence, float), np.asarray(right, float)
    own = np.clip(np.ceil(confidence * bins) - 1, 0, bins - 1).astype(int)
    gaps = np.bincount(own, right - confidence, bins)
    return float(np.abs(gaps).sum() / len(right))
