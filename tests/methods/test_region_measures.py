"""Twenty-one measures of shapes that one can draw."""

import numpy as np
import pytest

from medseg_tf.errors import ConfigError
from medseg_tf.methods import MEASURES, region_measures

ROWS, COLUMNS = np.indices((41, 41)) - 20


def measured(mask, image=None):
    image = mask.astype(float) if image is None else image
    return dict(zip(MEASURES, region_measures(image[..., None]), strict=True))


def test_there_are_21_and_all_are_numbers():
    noise = np.random.default_rng(0).normal(size=(32, 32, 1))
    assert len(MEASURES) == len(set(MEASURES)) == 21
    assert np.isfinite(region_measures(noise)).all()


def test_a_disc_is_round_compact_and_of_one_radius():
    disc = measured(np.hypot(ROWS, COLUMNS) < 10.5)
    assert disc["diameter"] == pytest.approx(21, abs=0.5)
    assert disc["compactness"] == pytest.approx(1, abs=0.12) and disc["solidity"] > 0.95
    assert disc["eccentricity"] < 0.05 and disc["radial spread"] < 0.04
    assert disc["mean inside"] == 1 and disc["sd inside"] == 0 and disc["mean step"] == 1


def test_a_star_of_five_is_less_compact_and_its_radius_crosses_its_mean_often():
    angle = np.arctan2(ROWS, COLUMNS)
    star = np.hypot(ROWS, COLUMNS) < 10 * (1 + 0.4 * np.cos(5 * angle))
    found, disc = measured(star), measured(np.hypot(ROWS, COLUMNS) < 10.5)
    assert found["compactness"] < 0.7 * disc["compactness"] and found["solidity"] < 0.85
    border = found["radial crossings"] * np.sum(star & ~inner(star))
    assert 10 <= border <= 16  # ten, and a few where pixels straddle the mean


def inner(mask):
    return mask & np.all([np.roll(mask, s, a) for s in (1, -1) for a in (0, 1)], axis=0)


def test_a_bar_is_eccentric():
    assert measured((abs(ROWS) < 3) & (abs(COLUMNS) < 12))["eccentricity"] > 0.95


def test_a_blurred_border_has_a_smaller_gradient():
    distance = np.hypot(ROWS, COLUMNS) - 10
    sharp, soft = (1 / (1 + np.exp(np.clip(distance / w, -50, 50))) for w in (0.3, 3))
    assert measured(None, soft)["border gradient"] < 0.6 * measured(None, sharp)["border gradient"]


def test_the_piece_in_the_middle_is_measured_and_its_holes_are_filled():
    ring = (np.hypot(ROWS, COLUMNS) < 8) & (np.hypot(ROWS, COLUMNS) > 3)
    other = np.hypot(ROWS - 15, COLUMNS - 15) < 4.5
    assert measured(ring | other)["area"] == np.sum(np.hypot(ROWS, COLUMNS) < 8)


def test_a_mask_may_be_given():
    image = np.random.default_rng(0).normal(size=(41, 41, 2))
    mask = abs(ROWS) + abs(COLUMNS) < 5
    found = dict(zip(MEASURES, region_measures(image, mask), strict=True))
    assert found["area"] == mask.sum()
    assert found["mean inside"] == pytest.approx(image.mean(-1)[mask].mean())


def test_images_without_grey_values_or_without_channels_are_refused():
    with pytest.raises(ConfigError, match="1 different grey"):
        region_measures(np.zeros((8, 8, 1)))
    with pytest.raises(ConfigError, match=r"\(8, 8\)"):
        region_measures(np.zeros((8, 8)))
