import numpy as np
import pytest

from medseg_tf.data import phantoms
from medseg_tf.errors import ConfigError

CASES = phantoms.ms_lesions(30)


def best_dice(values, inside):
    """The best Dice that one threshold for all images reaches."""
    cuts = np.quantile(values, np.linspace(0.8, 0.999, 80))
    found = [values > cut for cut in cuts]
    return max(2 * (f & inside).sum() / (f.sum() + inside.sum()) for f in found)


def test_a_case_has_flair_and_t1_and_black_outside_the_brain():
    for case in CASES:
        image = case.image.array
        assert image.shape == (48, 48, 2) and image.dtype == "float32"
        assert case.label.array.dtype == "uint8" and case.classes == 2
        assert (image[0, 0] == 0).all() and case.image.grid.spacing == pytest.approx([3, 3])
        assert 0.3 < (image != 0).any(-1).mean() < 0.8


def test_lesions_are_rare_and_most_of_them_small():
    shares = [case.label.array.mean() for case in CASES]
    assert 0.005 < np.mean(shares) < 0.03 and max(shares) < 0.08
    assert np.mean([share > 0 for share in shares]) > 0.9


def test_lesions_are_bright_in_flair_and_dark_in_t1():
    means = []
    for case in CASES:
        image, lesion = case.image.array, case.label.array > 0
        middle = np.zeros(lesion.shape, bool)
        middle[14:34, 14:34] = True
        for_rest = middle & ~lesion & (image[..., 0] > 0.35)
        if lesion.any():
            means.append(image[lesion].mean(0) - image[for_rest].mean(0))
    flair, t1 = np.mean(means, axis=0)
    assert flair > 0.1 and t1 < -0.02


def test_no_threshold_on_one_contrast_finds_them():
    images = np.stack([case.image.array for case in CASES])
    inside = np.stack([case.label.array for case in CASES]) > 0
    assert best_dice(images[..., 0], inside) < 0.5
    brain = images[..., 1] > 0
    assert best_dice(np.where(brain, -images[..., 1], -9), inside) < 0.3


def test_more_lesions_can_be_asked_for():
    many = phantoms.ms_lesions(30, lesions=12)
    assert sum(c.label.array.sum() for c in many) > 1.5 * sum(c.label.array.sum() for c in CASES)


def test_case_i_of_a_seed_does_not_depend_on_how_many_are_asked_for():
    few, many = (phantoms.ms_lesions(n, seed=3, size=(30, 24)) for n in (1, 3))
    np.testing.assert_array_equal(few[0].image.array, many[0].image.array)
    assert len({case.subject for case in many}) == 3
    assert not np.array_equal(many[0].image.array, many[1].image.array)


def test_a_volume_is_made_by_the_same_code():
    (case,) = phantoms.ms_lesions(1, size=(30, 36, 20), spacing=(5, 5, 6), lesions=30)
    assert case.image.array.shape == (30, 36, 20, 2) and case.image.grid.axes == "RAS"
    assert 0 < case.label.array.mean() < 0.05


@pytest.mark.parametrize("wrong", [dict(size=(9, 0)), dict(size=(9,)), dict(spacing=(1, 1, 1))])
def test_a_size_or_spacing_that_no_image_has_is_refused(wrong):
    with pytest.raises(ConfigError, match=r"ms_lesions\(size="):
        phantoms.ms_lesions(1, **wrong)
