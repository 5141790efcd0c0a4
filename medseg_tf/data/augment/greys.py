"""Random changes of grey values; the label stays."""

import numpy as np
from scipy import ndimage

from medseg_tf.data.augment.fields import smooth_field
from medseg_tf.errors import ConfigError, GeometryError

VALUES_KEPT = 4096  # of a reference's histogram: as good as all, little memory


def intensity(gain=0.25, shift=0.25, gamma=0.3, noise=0.1, blur=1.0, shading=0.2):
    """Change grey values as microscopes and scanners do; the label stays.

    Every strength is drawn anew each time, every effect can be switched off by 0. Images are
    z-scored, so grey values count in standard deviations.

    Args:
        gain: contrast about the mean, a factor from 1 / (1 + gain) to 1 + gain for each channel.
        shift: sd of a constant added to each channel.
        gamma: exponent from 1 / (1 + gamma) to 1 + gamma, on each channel's own range.
        noise: largest sd of Gaussian noise.
        blur: largest sigma in voxels of a Gaussian; every other time it sharpens instead.
        shading: sd of slow changes of brightness, both factor and summand, over the image.

    Raises:
        ConfigError: a strength is negative.
    """
    if min(gain, shift, gamma, noise, blur, shading) < 0:
        raise ConfigError(
            f"intensity(gain={gain}, shift={shift}, gamma={gamma}, noise={noise}, blur={blur}, "
            f"shading={shading}): strengths are at least 0; 0 switches an effect off."
        )

    def transform(image, label, rng):
        shape, channels = image.shape[:-1], image.shape[-1]
        space = tuple(range(len(shape)))

        def factors(strength):
            return np.exp(np.log1p(strength) * rng.uniform(-1, 1, channels)).astype("float32")

        image = image.astype("float32")
        if blur:
            image = focus(image, rng.uniform(0, blur), sharpen=rng.random() < 0.5)
        if gamma:
            low, high = image.min(space), image.max(space)
            span = np.maximum(high - low, 1e-6)
            image = ((image - low) / span) ** factors(gamma) * span + low
        if shading:
            factor, summand = rng.normal(0, shading, (2,) + (3,) * len(shape))
            image *= 1 + smooth_field(factor, shape)[..., None]
            image += smooth_field(summand, shape)[..., None]
        if gain:
            mean = image.mean(space)
            image = (image - mean) * factors(gain) + mean
        image += rng.normal(0, shift, channels).astype("float32")
        if noise:
            image += rng.uniform(0, noise) * rng.standard_normal(image.shape, "float32")
        return image, label

    return transform


def focus(image, sigma, sharpen):
    """Blur by a Gaussian of `sigma` voxels, or add what that blur takes away."""
    sigmas = (sigma,) * (image.ndim - 1) + (0,)
    blurred = ndimage.gaussian_filter(image, sigmas, mode="mirror", truncate=3)
    return 2 * image - blurred if sharpen else blurred


def match_histogram(references):
    """Give each channel the histogram of a scan that is drawn anew each time.

    The share of voxels below a grey value stays, and the value becomes the one with that share
    below it in the reference, linearly between its values; so the order of grey values stays.
    Meant for whole volumes: a crop that holds more of the dark background than the reference
    does is brightened for it.

    Args:
        references: arrays (*spatial, channels) of any shape, normalised as the images are:
            [normalize(case.image.array) for case in training_cases].

    Raises:
        ConfigError: no references.
        GeometryError: when called: image and reference differ in the number of channels.

    Source: Milletari, Navab, Ahmadi, 3DV 2016, on training: every volume, to another one of the
    training set.
    """
    histograms = [
        [histogram(channel) for channel in np.moveaxis(np.asarray(array), -1, 0)]
        for array in references
    ]
    if not histograms:
        raise ConfigError("match_histogram: no references. Give images of the training cases.")

    def transform(image, label, rng):
        reference = histograms[rng.integers(len(histograms))]
        if image.shape[-1] != len(reference):
            raise GeometryError(
                f"match_histogram: an image of {image.shape[-1]} channels and a reference of "
                f"{len(reference)}; take the references from cases of the same kind."
            )
        matched = np.empty(image.shape, "float32")
        for channel, (values, shares) in enumerate(reference):
            grey = image[..., channel]
            _, inverse, counts = np.unique(grey, return_inverse=True, return_counts=True)
            targets = np.interp(np.cumsum(counts) / grey.size, shares, values)
            matched[..., channel] = targets[inverse].reshape(grey.shape)
        return matched, label

    return transform


def histogram(channel):
    """Grey values of an array in order, and the share of its voxels up to each of them."""
    values, counts = np.unique(channel, return_counts=True)
    shares = np.cumsum(counts) / channel.size
    if len(values) > VALUES_KEPT:
        kept = np.linspace(0, len(values) - 1, VALUES_KEPT).astype(int)
        values, shares = values[kept], shares[kept]
    return values, shares
