import numpy as np
import pytest
from scipy import ndimage

from medseg_tf.data import phantoms
from medseg_tf.errors import ConfigError

CASES = phantoms.mammogram(12)
FATTY, DENSE = 1, 2


def test_a_case_is_grey_with_background_fat_and_dense_tissue():
    for case in CASES:
        assert case.image.array.shape == (160, 120, 1) and case.image.array.dtype == "float32"
        assert np.unique(case.label.array).tolist() == [0, FATTY, DENSE] and case.classes == 3
        assert 0.2 < (case.label.array > 0).mean() < 0.7


def test_densities_differ_from_breast_to_breast():
    density = [100 * (c.label.array == DENSE).sum() / (c.label.array > 0).sum() for c in CASES]
    assert min(density) < 25 and max(density) > 40


def test_the_breast_lies_on_the_left_and_the_muscle_in_its_corner_is_bright_and_no_tissue():
    for case in CASES:
        image, label = case.image.array[..., 0], case.label.array
        assert (label[:, -6:] == 0).all()
        columns = np.argwhere(label > 0)[:, 1]
        assert columns.mean() < 60
        assert np.mean(label[:30, :10] == 0) > 0.8
        assert image[20:40, :5].mean() > image[label > 0].mean()


def test_grey_alone_tells_dense_from_fat_only_partly():
    greys = np.concatenate([c.image.array[c.label.array > 0, 0] for c in CASES])
    dense = np.concatenate([c.label.array[c.label.array > 0] == DENSE for c in CASES])
    assert greys[dense].mean() > greys[~dense].mean() + 0.03
    accuracy = max(
        ((greys > cut) == dense).mean() for cut in np.quantile(greys, np.arange(0.02, 1, 0.02))
    )
    assert max(dense.mean(), 1 - dense.mean()) < accuracy < 0.8


def steps(image, inside, axis):
    """Mean square of the differences between neighbours within a tissue."""
    pair = inside & np.roll(inside, 1, axis)
    return np.square(image - np.roll(image, 1, axis))[pair].mean()


def test_dense_tissue_runs_along_the_rows_and_fat_has_no_direction():
    for case in CASES:
        image, label = case.image.array[..., 0], case.label.array
        ratios = [
            steps(image, ndimage.binary_erosion(label == part), 0)
            / steps(image, ndimage.binary_erosion(label == part), 1)
            for part in (FATTY, DENSE)
        ]
        assert 0.85 < ratios[0] < 1.2 and ratios[1] > 1.25


@pytest.mark.parametrize("size", [8, 40, (50, 33)])
def test_images_of_any_size_can_be_asked_for(size):
    (case,) = phantoms.mammogram(1, size=size)
    assert case.image.array.shape == (*np.broadcast_to(size, 2), 1)


def test_case_i_of_a_seed_does_not_depend_on_how_many_are_asked_for():
    few, many = (phantoms.mammogram(n, seed=3, size=40) for n in (1, 3))
    np.testing.assert_array_equal(few[0].image.array, many[0].image.array)
    assert len({case.subject for case in many}) == 3


@pytest.mark.parametrize("size", [0, (4, -1), (3, 4, 5)])
def test_a_size_that_no_image_has_is_refused(size):
    with pytest.raises(ConfigError, match=r"mammogram\(size="):
        phantoms.mammogram(1, size=size)
