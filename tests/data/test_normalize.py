import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from medseg_tf.data import z_score


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
