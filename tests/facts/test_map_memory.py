"""What the maps of a U-Net take, and how wide a tile's margin must be: arithmetic, checked."""

import math

import keras
import numpy as np
import pytest
from counting import build

from medseg_tf import models
from medseg_tf.data import Grid, Scan
from medseg_tf.inference import probabilities
from medseg_tf.models.measure import send_shapes, sight, through

MIB = 2**20


def given(model, size, kinds):
    """How many numbers the layers of these kinds give for one image; the classes are left out."""
    counts = []

    def visit(layer, _, output):
        if type(layer).__name__ in kinds and layer.name != "logits":
            counts.append(math.prod(output.shape[1:]))

    send_shapes("given", model, size, visit)
    return sum(counts)


CONVOLUTIONS = ("Conv2D", "Conv3D")
OTHERS = ("Conv2DTranspose", "Concatenate", "MaxPooling2D")


@pytest.fixture(scope="module")
def published():
    return build(models.unet, (None, None, 1), 1, padding="same", dropout=0)


@pytest.mark.parametrize(
    "side, convolutions, with_others",
    [
        (128, 30.5, 54.875),
        (256, 122, 219.5),
        (512, 488, 878),
        (1024, 1952, 3512),
        (2048, 7808, 14_048),
    ],
)
def test_twice_the_side_takes_four_times_the_memory(published, side, convolutions, with_others):
    size = (side, side)
    assert 4 * given(published, size, CONVOLUTIONS) / MIB == convolutions
    assert 4 * given(published, size, CONVOLUTIONS + OTHERS) / MIB == with_others


def test_the_convolutions_of_the_published_network_give_128_million_numbers(published):
    assert given(published, (512, 512), CONVOLUTIONS) == 127_926_272
    assert published.count_params() == 31_030_593  # with one class and "same" padding


@pytest.mark.parametrize("width, depth, side", [(8, 3, 512), (5, 1, 64), (3, 4, 96)])
def test_the_formula_counts_what_the_convolutions_of_a_u_net_give(width, depth, side):
    model = build(models.unet, (None, None, 1), 1, width, depth, padding="same", dropout=0)
    formula = side**2 * width * (8 - 6 / 2**depth)
    assert given(model, (side, side), CONVOLUTIONS) == formula
    others = side**2 * width * (14.5 - 12.5 / 2**depth)
    assert given(model, (side, side), CONVOLUTIONS + OTHERS) == others


def test_a_u_net_of_width_8_and_depth_3_by_the_numbers():
    model = build(models.unet, (None, None, 1), 1, width=8, depth=3, padding="same", dropout=0)
    assert model.count_params() == 120_681
    numbers = given(model, (256, 256), CONVOLUTIONS + OTHERS)
    assert 4 * 4 * numbers / MIB == 103.5  # a batch of 4
    assert 4 * given(model, (512, 512), CONVOLUTIONS + OTHERS) / MIB == 103.5  # one image
    for side, mib in {64: 6.5, 128: 26.1, 256: 104.5, 512: 418}.items():
        numbers = given(model, (side, side), CONVOLUTIONS + OTHERS)
        assert 4 * 4 * (numbers + side**2) / MIB == pytest.approx(mib, abs=0.05)  # with a class


def test_a_volume_of_128_voxels_a_side_has_177_million_numbers():
    shape = (None, None, None, 1)
    model = build(models.unet, shape, 1, width=16, depth=3, padding="same", dropout=0)
    count = given(model, (128, 128, 128), CONVOLUTIONS)
    assert count == 128**3 * 16 * (16 / 3 - (10 / 3) / 4**3) == 177_209_344
    assert 16 / 3 - (10 / 3) / 4**3 == pytest.approx(5.28125) and 4 * count / MIB == 676


def reach(model):
    """The farthest that an output position away from the borders looks to one side."""
    length = 1024
    line = np.stack([np.arange(length), -np.arange(length)])

    def look(layer):
        return lambda seen, *args, **kwargs: sight(layer, seen, 0)

    low, high = np.concatenate(through(model, [line], look), axis=1) * [[1], [-1]]
    place = np.arange(length)
    middle = slice(256, 768)
    return max((place - low)[middle].max(), (high - place)[middle].max())


@pytest.mark.parametrize("depth, farthest", [(1, 9), (2, 23), (3, 51), (4, 107), (5, 219)])
def test_to_one_side_a_u_net_sees_seven_times_two_to_the_depth_less_five(depth, farthest):
    model = build(models.unet, (None, None, 1), 1, width=1, depth=depth, padding="same", dropout=0)
    assert reach(model) == farthest == 7 * 2**depth - 5


@pytest.fixture(scope="module")
def tiled():
    """A function from a margin to the largest difference between tiles and the whole image."""
    keras.utils.set_random_seed(0)
    model = models.unet((None, None, 1), 2, width=4, depth=2, padding="same", dropout=0)
    image = np.random.default_rng(0).normal(size=(96, 80, 1)).astype("float32")
    scan = Scan(image, Grid((96, 80)))
    whole = probabilities(model, scan)

    def difference(margin):
        parts = probabilities(model, scan, tile=64, overlap=0, margin=margin)
        return float(abs(parts - whole).max())

    return difference


def test_tiles_with_the_safe_margin_are_the_whole_image(tiled):
    assert tiled(24) < 1e-5  # the multiple of 4 above 23


def test_a_margin_that_looks_fine_is_not_exact(tiled):
    assert tiled(0) > tiled(8) > tiled(16) > 1e-5


def test_at_depth_3_a_margin_of_48_is_exact_where_cores_lie_at_multiples_of_32():
    """Three less than the farthest sight, 51: it is not reached from each position."""
    keras.utils.set_random_seed(0)
    model = models.unet((None, None, 1), 2, width=4, depth=3, padding="same", dropout=0)
    scan = Scan(np.random.default_rng(0).normal(size=(192, 128, 1)), Grid((192, 128)))
    whole = probabilities(model, scan)
    apart = [
        float(abs(probabilities(model, scan, tile, overlap=0, margin=margin) - whole).max())
        for tile, margin in [(112, 40), (128, 48)]
    ]
    assert apart[0] > 1e-3 and apart[1] < 1e-5


@pytest.mark.parametrize("tile, times", [(128, 16), (256, 2.56), (512, 1.51)])
def test_what_a_margin_of_48_costs(tile, times):
    assert (tile / (tile - 2 * 48)) ** 2 == pytest.approx(times, abs=0.005)
