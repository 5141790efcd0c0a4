"""Milletari, Navab, Ahmadi, 3DV 2016: histogram matching to other training volumes."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from skimage.exposure import match_histograms

from medseg_tf.data import match_histogram


def matched(source, template):
    """One channel matched, flat arrays in and out."""
    transform = match_histogram([np.asarray(template, float)[:, None]])
    image = np.asarray(source, "float32")[:, None]
    return transform(image, None, np.random.default_rng(0))[0][:, 0]


SOURCE = (1, 1, 2, 3, 3, 3, 5, 7)
TEMPLATE = (10, 20, 20, 20, 40, 40, 80, 80)


def test_eight_grey_values_take_the_values_at_their_quantiles():
    # Shares up to each value: of the source 1/4, 3/8, 3/4, 7/8, 1; of the template 1/8, 1/2,
    # 3/4, 1. The value 1 lies a third of the way from 1/8 to 1/2: 10 + 10 / 3.
    expected = (40 / 3, 40 / 3, 50 / 3, 40, 40, 40, 60, 80)
    np.testing.assert_allclose(matched(SOURCE, TEMPLATE), expected, rtol=1e-6)


greys = arrays.arrays(np.float32, st.integers(1, 60), elements=st.integers(-20, 20))


@settings(max_examples=100, deadline=None)
@given(greys, greys)
def test_the_order_never_changes_and_equal_values_stay_equal(source, template):
    result = matched(source, template)
    order = np.argsort(source)
    steps, rises = np.diff(source[order]), np.diff(result[order])
    assert (rises >= 0).all() and (rises[steps == 0] == 0).all()
    assert template.min() <= result.min() and result.max() == template.max()


@settings(max_examples=50, deadline=None)
@given(greys, greys)
def test_it_is_the_matching_of_scikit_image(source, template):
    expected = match_histograms(source.astype(float), template.astype(float))
    np.testing.assert_allclose(matched(source, template), expected, atol=1e-4)


def test_a_reference_of_many_values_is_as_good_as_all_of_them():
    rng = np.random.default_rng(0)
    source, template = rng.normal(size=5000), rng.gamma(2, 3, size=50_000)
    expected = match_histograms(source, template)
    np.testing.assert_allclose(matched(source, template), expected, rtol=0.01, atol=0.01)
