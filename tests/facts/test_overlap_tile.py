"""Overlap-tile with mirrored border: Ronneberger, Fischer, Brox, MICCAI 2015, figure 2."""

import platform

import keras
import numpy as np
import pytest

from medseg_tf import models
from medseg_tf.data import Grid, Scan
from medseg_tf.inference import probabilities, size_multiple, tiles

# Bit for bit where one kernel computes each voxel the same way whatever the map's size.
EXACT = keras.backend.backend() == "tensorflow" and platform.machine() in ("x86_64", "AMD64")
ROUNDING = 0 if EXACT else 1e-6

SIDE = 16 * 14 + 60  # one pass: 284 -> 100
WINDOW = 16 * 9 + 60  # a tile: 204 -> 20


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    return models.unet((None, None, 1), classes=2, width=2, depth=4, dropout=0)


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).normal(size=(1, SIDE, SIDE, 1)).astype("float32")


@pytest.fixture(scope="module")
def one_pass(network, image):
    return network.predict_on_batch(image)[0]


def difference(network, image, one_pass, offset):
    rows = slice(offset, offset + WINDOW)
    tile = network.predict_on_batch(np.ascontiguousarray(image[:, rows, rows]))[0]
    return np.abs(tile - one_pass[offset : offset + 20, offset : offset + 20]).max()


@pytest.mark.parametrize("offset", [16, 32, 64])
def test_a_tile_at_a_multiple_of_2_to_the_depth_is_the_same_region_of_one_pass(
    network, image, one_pass, offset
):
    assert difference(network, image, one_pass, offset) <= ROUNDING


@pytest.mark.parametrize("offset", [1, 4, 8, 12])
def test_a_tile_elsewhere_is_not(network, image, one_pass, offset):
    assert difference(network, image, one_pass, offset) > 10 * 1e-6


def test_the_second_tile_of_388_over_512_starts_at_128_and_not_at_124():
    assert [span.start for span in tiles.lay(512, output=388, step=384, stride=16)] == [0, 128]


@pytest.mark.parametrize("depth, shape, tile", [(2, (61, 90), 48), (3, (70, 50), (100, 116))])
def test_stitched_tiles_are_one_pass_over_the_mirrored_image(depth, shape, tile):
    keras.utils.set_random_seed(1)
    model = models.unet((None, None, 1), classes=2, width=4, depth=depth, dropout=0)
    image = np.random.default_rng(2).normal(size=(*shape, 1)).astype("float32")
    one = probabilities(model, Scan(image, Grid(shape)))
    tiled = probabilities(model, Scan(image, Grid(shape)), tile=tile)
    np.testing.assert_allclose(tiled, one, rtol=0, atol=ROUNDING)
    assert size_multiple(model) == (2**depth,) * 2


def test_stitched_volumes_are_one_pass_too():
    keras.utils.set_random_seed(1)
    model = models.unet((None, None, None, 1), classes=2, width=2, depth=1, dropout=0)
    image = np.random.default_rng(2).normal(size=(9, 12, 7, 1)).astype("float32")
    one = probabilities(model, Scan(image, Grid((9, 12, 7))))
    tiled = probabilities(model, Scan(image, Grid((9, 12, 7))), tile=22)
    np.testing.assert_allclose(tiled, one, rtol=0, atol=ROUNDING)
