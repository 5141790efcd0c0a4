"""Images that a few filters explain."""

import numpy as np


def waves(count=24, size=16, seed=0):
    """Images (count, size, size, 1) of straight waves in noise, of mean 0 and variance 1."""
    rng = np.random.default_rng(seed)
    way = rng.normal(size=(count, 2, 1, 1))
    place = np.indices((size, size)) - rng.uniform(0, size, (count, 2, 1, 1))
    image = 1.3 * np.cos((way / np.linalg.norm(way, axis=1, keepdims=True) * place).sum(1))
    image += 0.4 * rng.normal(size=image.shape)
    return ((image - image.mean()) / image.std())[..., None].astype("float32")
