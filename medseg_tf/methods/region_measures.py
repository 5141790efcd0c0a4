"""Twenty-one numbers that describe a mass in a region of interest: its outline, its grey values.

Sun et al. (2017) compute 21 measures, which are not listed in what could be read; ours are the
usual ones of that time: shape, radial length, grey values, border gradient, co-occurrence.
"""

import numpy as np
from scipy import ndimage

from medseg_tf.errors import ConfigError
from medseg_tf.methods.thresholds import otsu

GREYS = 16  # levels of histogram and co-occurrence
TEXTURE = ("contrast", "dissimilarity", "homogeneity", "energy", "correlation")
MEASURES = (
    *("area", "perimeter", "eccentricity", "solidity", "extent", "compactness", "diameter"),
    *("radial spread", "radial crossings", "mean inside", "sd inside", "mean step"),
    *("border gradient", "border gradient sd", "entropy", "skewness"),
    *(f"texture {name}" for name in TEXTURE),
)


def region_measures(image, mask=None):
    """Measure the bright mass of a region of interest: 21 numbers, in the order of MEASURES.

    Lengths are in pixels, grey values in the image's own, so standardise images first.

    Args:
        image: (rows, columns, channels); channels are averaged.
        mask: boolean (rows, columns); if left out, the piece above Otsu's threshold that lies
            nearest to the middle, holes filled.

    Returns:
        float array (21,).

    Raises:
        ConfigError: an image that is not 2-D with channels, or of one grey value.

    Sources: Haralick, Shanmugam, Dinstein, IEEE Trans. SMC 3:610 (1973) (texture); Kilday,
    Palmieri, Fox, IEEE TMI 12:664 (1993) (radial length).
    """
    if np.ndim(image) != 3:
        raise ConfigError(
            f"region_measures: image of shape {np.shape(image)}; give (rows, columns, channels)."
        )
    grey = np.asarray(image, float).mean(-1)
    mask = middle_piece(otsu(image) > 0) if mask is None else np.asarray(mask, bool)
    return np.array([*outline(mask), *greys(grey, mask), *texture(grey)])


def middle_piece(mask):
    """The piece of a mask that lies nearest to the middle, its holes filled."""
    pieces, _ = ndimage.label(mask)
    away = [(np.arange(size) - (size - 1) / 2) ** 2 for size in mask.shape]
    distance = np.where(mask, away[0][:, None] + away[1], np.inf)
    return ndimage.binary_fill_holes(pieces == pieces.flat[distance.argmin()])


def outline(mask):
    """Nine numbers of a shape."""
    from skimage.measure import regionprops

    (shape,) = regionprops(mask.astype("uint8"))
    perimeter = max(shape.perimeter, 1.0)
    border = np.argwhere(rim(mask)) - np.array(shape.centroid)
    radii = np.hypot(*border.T)[np.argsort(np.arctan2(*border.T))]
    about = radii - radii.mean()
    crossings = np.mean(np.sign(about) != np.sign(np.roll(about, 1)))
    return (
        *(shape.area, perimeter, shape.eccentricity, shape.solidity, shape.extent),
        *(4 * np.pi * shape.area / perimeter**2, shape.equivalent_diameter_area),
        *(radii.std() / max(radii.mean(), 0.5), crossings),
    )


def rim(mask):
    """The outermost pixels of a mask."""
    return mask & ~ndimage.binary_erosion(mask)


def greys(grey, mask):
    """Seven numbers of the grey values in a mask and at its border."""
    inside, outside = grey[mask], grey[~mask]
    slope = ndimage.gaussian_gradient_magnitude(grey, 1)[rim(mask)]
    shares = np.histogram(inside, GREYS, (grey.min(), grey.max()))[0] / inside.size
    entropy = -np.sum(shares * np.log2(np.where(shares > 0, shares, 1)))
    spread = inside.std()
    skewness = np.mean((inside - inside.mean()) ** 3) / max(spread, 1e-6) ** 3
    step = inside.mean() - (outside.mean() if outside.size else 0)
    return inside.mean(), spread, step, slope.mean(), slope.std(), entropy, skewness


def texture(grey):
    """Five numbers of how often two grey values are neighbours, means over four directions."""
    from skimage.feature import graycomatrix, graycoprops

    low, high = grey.min(), grey.max()
    levels = np.clip((grey - low) / (high - low) * GREYS, 0, GREYS - 1).astype("uint8")
    angles = np.arange(4) * np.pi / 4
    pairs = graycomatrix(levels, [1], angles, GREYS, symmetric=True, normed=True)
    return [graycoprops(pairs, name).mean() for name in TEXTURE]
