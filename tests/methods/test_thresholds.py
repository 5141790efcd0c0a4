import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medseg_tf import methods
from medseg_tf.errors import ConfigError

ALL = [methods.otsu, methods.multi_otsu, methods.k_means]


def image(values, dtype="uint8"):
    """An image of one row and one channel, of (count, value) pairs."""
    return np.repeat(*zip(*[(v, n) for n, v in values], strict=True)).astype(dtype)[None, :, None]


SEVEN = image([(4, 0), (3, 1), (1, 2), (1, 5), (2, 6), (1, 7)])
NINE = image([(5, 0), (3, 1), (4, 4), (4, 5), (3, 8), (5, 9)])


def within(image, label):
    """Sum of squared distances of grey values to their class mean."""
    grey = image[..., 0].astype(float)
    return sum(grey[label == k].var() * (label == k).sum() for k in np.unique(label))


def test_otsu_leaves_the_least_variance_within_two_classes():
    label = methods.otsu(SEVEN)
    grey = SEVEN[..., 0]
    assert [grey[label == k].mean() for k in (0, 1)] == pytest.approx([0.625, 6])
    assert grey.astype(float).var() == pytest.approx(6.90972, abs=1e-5)
    assert within(SEVEN, label) / 12 == pytest.approx(0.4896, abs=1e-4)
    assert grey.astype(float).var() - within(SEVEN, label) / 12 == pytest.approx(6.4201, abs=1e-4)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
@pytest.mark.parametrize("method", [methods.multi_otsu, methods.k_means])
def test_three_classes_of_eight_pixels_each_are_found_and_ordered_by_brightness(method, dtype):
    label = method(NINE.astype(dtype), 3)
    assert label.shape == (1, 24) and label.dtype == "uint8"
    assert label[0].tolist() == [0] * 8 + [1] * 8 + [2] * 8
    grey = NINE[..., 0]
    assert [grey[label == k].mean() for k in range(3)] == pytest.approx([0.375, 4.5, 8.625])
    assert within(NINE, label) == pytest.approx(5.75)
    assert grey.astype(float).var() - within(NINE, label) / 24 == pytest.approx(11.34375)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999), classes=st.integers(2, 3))
def test_no_other_cut_of_an_8_bit_image_varies_less_within_its_classes(seed, classes):
    grey = np.random.default_rng(seed).integers(0, 256, (4, 5, 1)).astype("uint8")
    method = methods.otsu if classes == 2 else methods.multi_otsu
    best = within(grey, methods.multi_otsu(grey, classes))
    values = np.unique(grey)
    cuts = np.array(np.meshgrid(*[values] * (classes - 1))).reshape(classes - 1, -1).T
    tried = [within(grey, (grey > cut).sum(-1)) for cut in cuts if len(set(cut)) == classes - 1]
    assert best == pytest.approx(min(tried))
    assert within(grey, method(grey)) == pytest.approx(best)
    assert within(grey, methods.k_means(grey, classes)) <= 1.35 * best


@pytest.mark.parametrize("method", ALL)
def test_classes_do_not_depend_on_the_scale_of_grey_values(method):
    grey = np.random.default_rng(0).normal([0, 4], 1, (40, 2)).reshape(8, 10, 1)
    expected = method(grey)
    assert (method(grey * 700 - 9000) == expected).mean() > 0.98


@pytest.mark.parametrize("method", ALL)
def test_a_volume_gets_a_volume_of_classes(method):
    volume = np.random.default_rng(0).integers(0, 4000, (4, 5, 6, 1)).astype("uint16")
    label = method(volume)
    assert label.shape == (4, 5, 6) and label.dtype == "uint8"
    means = [volume[..., 0][label == k].mean() for k in range(label.max() + 1)]
    assert means == sorted(means)


def test_k_means_sees_colours_where_the_others_see_their_mean():
    red, green = [200, 40, 40], [40, 201, 40]
    picture = np.array([[red, green, red, [0, 0, 0]]], "uint8")
    assert methods.k_means(picture, 3)[0].tolist() == [1, 2, 1, 0]
    assert methods.otsu(picture)[0].tolist() == [1, 1, 1, 0]


@pytest.mark.parametrize("method", ALL)
def test_an_image_of_one_grey_value_is_refused(method):
    with pytest.raises(ConfigError, match=r"holds 1 different grey value\(s\) for [23] classes"):
        method(np.full((4, 4, 1), 7))


@pytest.mark.parametrize("method", [methods.multi_otsu, methods.k_means])
def test_fewer_than_two_classes_are_refused(method):
    with pytest.raises(ConfigError, match="classes=1; give from 2 to 256"):
        method(NINE, 1)


def test_outliers_that_push_all_else_into_one_bin_are_named():
    with pytest.raises(ConfigError, match="Cut outliers off first"):
        methods.multi_otsu(np.array([0.0, 1, 2, 3, 1e6])[None, :, None], 3)
