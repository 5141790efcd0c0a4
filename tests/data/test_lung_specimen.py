"""The simulated lung specimen: texture tells its tissues apart, grey values do not."""

import numpy as np
import pytest
from scipy import ndimage
from skimage.filters import threshold_multiotsu

from medseg_tf.data import phantoms
from medseg_tf.data.phantoms.lung_specimen import smooth_noise
from medseg_tf.errors import ConfigError

NORMAL, INVASIVE, OTHER = 0, 1, 2
SPECIMENS = phantoms.lung_specimen(4)


def grey(case, tissue):
    return case.image.array[..., 0][case.label.array == tissue]


def test_a_specimen_has_large_pieces_of_all_three_tissues():
    for case in SPECIMENS:
        assert case.image.array.shape == (48, 64, 64, 1) and case.image.array.dtype == "float32"
        assert case.classes == 3 and case.label.array.dtype == "uint8"
        shares = np.bincount(case.label.array.ravel()) / case.label.array.size
        assert shares.min() > 0.08
        inner = [
            ndimage.binary_erosion(case.label.array == k, iterations=2, border_value=1)
            for k in range(3)
        ]
        assert np.sum(inner) > 0.6 * case.label.array.size  # more than 2 voxels from a border
        assert case.image.grid.spacing.tolist() == [25] * 3 and case.image.grid.units == "um"


def test_normal_lung_is_darkest_and_the_two_cancers_are_equally_bright():
    for case in SPECIMENS:
        normal, invasive, other = (grey(case, k).mean() for k in (NORMAL, INVASIVE, OTHER))
        assert normal < 0.4 and invasive == pytest.approx(other, abs=0.06)
        assert min(invasive, other) > 0.47


def test_invasive_cancer_varies_little_and_the_other_much():
    for case in SPECIMENS:
        assert grey(case, OTHER).std() > 1.5 * grey(case, INVASIVE).std()


def right(case, called):
    """Share of voxels that are right, when each number called stands for its commonest tissue."""
    tables = [np.bincount(case.label.array[called == k], minlength=3) for k in range(3)]
    return sum(table.max() for table in tables) / called.size


def test_thresholds_on_grey_values_call_half_of_the_voxels_wrong_and_spread_of_texture_fewer():
    for case in SPECIMENS:
        image = case.image.array[..., 0]
        by_grey = np.digitize(image, threshold_multiotsu(image))
        mean, square = (ndimage.gaussian_filter(x, 3) for x in (image, image**2))
        even = np.sqrt(square - mean**2) < 0.17
        by_texture = np.where(even, 0, np.where(mean > 0.43, 1, 2))
        assert right(case, by_grey) < 0.62
        assert right(case, by_texture) > right(case, by_grey) + 0.08


@pytest.mark.parametrize("rank", [2, 3])
def test_smooth_noise_has_a_standard_deviation_of_about_1(rank):
    field = smooth_noise(np.random.default_rng(0), (60,) * rank, 2.0)
    assert field.std() == pytest.approx(1, abs=0.1)


def test_case_i_of_a_seed_does_not_depend_on_how_many_are_asked_for():
    few, many = (phantoms.lung_specimen(n, seed=3, size=(20, 24)) for n in (1, 2))
    np.testing.assert_array_equal(few[0].image.array, many[0].image.array)
    assert not np.array_equal(many[0].label.array, many[1].label.array)
    assert len({case.subject for case in many}) == 2


@pytest.mark.parametrize("wrong", [0, (9,), (9, 9, 0)])
def test_a_size_that_no_image_has_is_refused(wrong):
    with pytest.raises(ConfigError, match=r"lung_specimen\(size="):
        phantoms.lung_specimen(1, size=wrong)
