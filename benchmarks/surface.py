"""HD95 and ASSD of two rough balls on 128 x 128 x 128 voxels, beside distance transforms.

The rival erodes each mask and takes one distance transform of the whole grid a surface; both are
timed in turn.
"""

import time
from statistics import median

import numpy as np
from scipy import ndimage

from medseg_tf import metrics
from medseg_tf.metrics import surface

SPACING = (1.5, 1, 1)


def rough_ball(seed, size=128, radius=40):
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(size,) * 3), 2)
    from_centre = np.sqrt(sum((axis - size / 2) ** 2 for axis in np.ogrid[(slice(size),) * 3]))
    return from_centre + 3 * noise / noise.std() < radius


def ours(truth, prediction):
    lists = metrics.surface_distances(truth, prediction, SPACING)
    return surface.farthest95(*lists), surface.average(*lists)


def transforms(truth, prediction):
    one, other = (mask & ~ndimage.binary_erosion(mask) for mask in (truth, prediction))
    there = ndimage.distance_transform_edt(~other, SPACING)[one]
    back = ndimage.distance_transform_edt(~one, SPACING)[other]
    hd95 = max(np.percentile(there, 95), np.percentile(back, 95))
    return float(hd95), float(np.concatenate([there, back]).mean())


def seconds(function, pair):
    start = time.perf_counter()
    function(*pair)
    return time.perf_counter() - start


if __name__ == "__main__":
    pair = rough_ball(0), rough_ball(1)
    rounds = [(seconds(ours, pair), seconds(transforms, pair)) for _ in range(7)]
    fast, slow = (1e3 * median(column) for column in zip(*rounds, strict=True))
    np.testing.assert_allclose(ours(*pair), transforms(*pair))
    print(f"surface voxels {[len(one) for one in metrics.surface_distances(*pair)]}")
    print("HD95 {:.4f}, ASSD {:.4f} by both".format(*ours(*pair)))
    print(f"surface_distances {fast:.0f} ms, distance transforms {slow:.0f} ms")
    print(f"ratio {slow / fast:.1f}")
