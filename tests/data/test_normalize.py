from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from medseg_tf.data import window, z_score, z_score_inside
from medseg_tf.errors import ConfigError


def test_two_values_become_minus_one_and_one():
    image = np.array([[[10], [14]]], "uint8")
    np.testing.assert_array_equal(z_score(image), [[[-1], [1]]])
    assert z_score(image).dtype == "float32"


def test_each_channel_is_scaled_by_itself():
    image = np.array([[[0, 100], [2, 300]]], "int16")
    np.testing.assert_array_equal(z_score(image), [[[-1, -1], [1, 1]]])


@pytest.mark.parametrize("value", [0, 7, 0.1, -1e6])
def test_a_constant_channel_becomes_zeros(value):
    image = np.full((3, 5, 7, 1), value, "float32")
    np.testing.assert_array_equal(z_score(image), 0)


def test_a_faint_structure_on_a_large_offset_is_not_taken_for_constant():
    image = np.full((4, 4, 1), 30_000, "uint16")
    image[0, 0] += 1
    assert z_score(image).std() == pytest.approx(1)


def test_whole_numbers_do_not_overflow():
    image = np.full((600, 600, 1), 65_000, "uint16")
    image[:300] = 1000
    np.testing.assert_allclose(np.unique(z_score(image)), [-1, 1])


@settings(max_examples=50, deadline=None)
@given(
    arrays.arrays(
        np.int16,
        arrays.array_shapes(min_dims=3, max_dims=4, max_side=6),
        elements=st.integers(-2000, 2000),
    )
)
def test_scaling_twice_is_scaling_once(image):
    once = z_score(image)
    np.testing.assert_allclose(z_score(once), once, atol=1e-5)


def test_inside_the_body_is_what_lies_above_zero_and_the_rest_is_stretched_alike():
    image = np.array([[[0], [0], [0], [10], [14]]], "uint8")
    np.testing.assert_array_equal(z_score_inside(image)[0, :, 0], [-6, -6, -6, -1, 1])
    assert z_score_inside(image).dtype == "float32"


def test_where_the_body_begins_may_be_told():
    image = np.array([[[-1000], [-900], [10], [14]]], "int16")
    np.testing.assert_array_equal(z_score_inside(image, above=-500)[0, 2:, 0], [-1, 1])


def test_black_round_the_body_does_not_change_the_body():
    body = np.random.default_rng(0).uniform(1, 9, (6, 6, 6, 2))
    framed = np.pad(body, [(3, 3)] * 3 + [(0, 0)])
    inner = z_score_inside(framed)[3:-3, 3:-3, 3:-3]
    np.testing.assert_allclose(inner, z_score(body), atol=1e-5)
    assert np.abs(z_score(framed)[3:-3, 3:-3, 3:-3] - z_score(body)).max() > 0.3


@pytest.mark.parametrize("value", [0, 5, -3])
def test_a_constant_channel_has_no_body_and_becomes_zeros(value):
    np.testing.assert_array_equal(z_score_inside(np.full((3, 4, 1), value, "int16")), 0)


@pytest.mark.parametrize("values", [(0, 1), (-7, -2)])
def test_without_a_spread_inside_the_whole_channel_counts(values):
    image = np.array(values, "int16").reshape(1, 2, 1)
    np.testing.assert_array_equal(z_score_inside(image), [[[-1], [1]]])


def test_each_channel_has_a_body_of_its_own():
    image = np.array([[[0, 100], [2, 300], [4, 0]]], "int16")
    np.testing.assert_array_equal(z_score_inside(image), [[[-3, -1], [-1, 1], [1, -2]]])


def test_a_window_maps_its_borders_to_minus_one_and_one_and_cuts_off_the_rest():
    image = np.array([-1000, -160, 40, 240, 3000], "int16").reshape(1, 5, 1)
    scaled = window(image, -160, 240)
    np.testing.assert_array_equal(scaled[0, :, 0], [-1, -1, 0, 1, 1])
    assert scaled.dtype == "float32"


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float64"])
def test_a_window_through_partial_treats_all_scans_alike(dtype):
    scale = partial(window, low=0, high=np.float64(200))
    dark, bright = (scale(np.full((2, 2, 1), value, dtype)) for value in (50, 100))
    assert dark.dtype == "float32"
    np.testing.assert_array_equal(dark, -0.5)
    np.testing.assert_array_equal(bright, 0)


@pytest.mark.parametrize("low, high", [(100, -100), (5, 5), (0, np.nan)])
def test_a_window_without_width_is_refused(low, high):
    with pytest.raises(ConfigError, match="low must be less than high"):
        window(np.zeros((2, 2, 1)), low, high)
