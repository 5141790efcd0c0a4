"""Labels from grey values alone: Otsu's threshold, several of them, k-means.

Each takes an image (*spatial, channels) and returns a label, uint8 (*spatial), whose classes are
ordered by brightness: 0 is the darkest. Nothing is learned and no neighbour is looked at, so these
are what a network has to beat. scikit-image and scikit-learn do the work.
"""

import numpy as np

from medseg_tf.errors import ConfigError


def otsu(image):
    """Part an image into dark, 0, and bright, 1, by Otsu's threshold.

    The threshold is the one for which the two classes vary least within themselves, and their
    means lie furthest apart. Several channels are averaged first.

    Args:
        image: (*spatial, channels) of any real dtype.

    Returns:
        uint8 array (*spatial).

    Raises:
        ConfigError: all pixels are alike.

    Source: Otsu, IEEE Trans. Systems, Man, and Cybernetics 9:62 (1979).
    """
    from skimage.filters import threshold_otsu

    grey = brightness(image, 2)
    return (grey > threshold_otsu(grey)).astype("uint8")


def multi_otsu(image, classes=3):
    """Part an image into `classes` of grey values by Otsu's criterion with several thresholds.

    Several channels are averaged first. The search grows as 256 ** (classes - 1): up to 5 classes
    take a second or so.

    Args:
        image: (*spatial, channels) of any real dtype.
        classes: from 2.

    Returns:
        uint8 array (*spatial), 0 the darkest class.

    Raises:
        ConfigError: fewer than 2 classes, or fewer different grey values than classes.

    Source: Liao, Chen, Chung, J. Information Science and Engineering 17:713 (2001).
    """
    from skimage.filters import threshold_multiotsu

    grey = brightness(image, classes)
    if len(values := np.unique(grey)) == classes:
        return np.searchsorted(values, grey).astype("uint8")
    if np.ptp(grey) > 255:  # whole numbers get a bin each, and the search needs bins ** 2 memory
        grey = grey.astype("float64")
    try:
        thresholds = threshold_multiotsu(grey, classes)
    except ValueError as error:
        raise ConfigError(
            f"multi_otsu of {classes} classes: most grey values fall into one of 256 bins from "
            f"{grey.min():g} to {grey.max():g}. Cut outliers off first, e.g. at a percentile."
        ) from error
    # A threshold is the highest value of the class below it; np.digitize would put it above.
    return np.searchsorted(thresholds, grey, side="left").astype("uint8")


def k_means(image, classes=3, seed=0):
    """Part an image into `classes` clusters of its pixels' values, all channels together.

    The same criterion as multi-Otsu (the classes vary least within themselves) without bins and
    for any number of channels, but the best of five random starts instead of a full search.

    Args:
        image: (*spatial, channels) of any real dtype; channels count as they come, so bring them
            to one scale.
        classes: from 2.
        seed: int.

    Returns:
        uint8 array (*spatial), 0 the cluster whose centre is the darkest in the mean of channels.

    Raises:
        ConfigError: fewer than 2 classes, or fewer different grey values than classes.

    Source: Lloyd, IEEE Trans. Information Theory 28:129 (1982).
    """
    from sklearn.cluster import KMeans

    brightness(image, classes)
    found = KMeans(classes, n_init=5, random_state=seed).fit(flat(image))
    rank = np.argsort(np.argsort(found.cluster_centers_.mean(1)))
    return rank[found.labels_].astype("uint8").reshape(np.shape(image)[:-1])


def flat(image):
    """Pixels as rows: (pixels, channels) float."""
    image = np.asarray(image)
    return image.reshape(-1, image.shape[-1]).astype("float64")


def brightness(image, classes):
    """Mean of an image's channels, (*spatial), once it is known to hold `classes` values."""
    if not 2 <= classes <= 256:
        raise ConfigError(f"classes={classes}; give from 2 to 256.")
    image = np.asarray(image)
    grey = image[..., 0] if image.shape[-1] == 1 else image.mean(-1)
    if (count := len(np.unique(grey))) < classes:
        raise ConfigError(
            f"image of shape {image.shape} holds {count} different grey value(s) for {classes} "
            "classes. Ask for fewer classes, or look at the image; its last axis is of channels."
        )
    return grey
