"""The simulated visual pathway: thin, faint, curved, and hidden among its like."""

import numpy as np
import pytest
from scipy import ndimage

from medseg_tf.data import phantoms
from medseg_tf.errors import ConfigError

LEFT, RIGHT, CHIASM = 1, 2, 3
HEALTHY = phantoms.visual_pathway(8)
SWOLLEN = phantoms.visual_pathway(8, swollen=True)


def places(case, part):
    """Where the voxels of a part lie: mm, (voxels, 2)."""
    return case.image.grid.to_world(np.argwhere(case.label.array == part))


def test_a_case_has_three_contrasts_and_the_pathway_in_three_parts():
    for case in [*HEALTHY, *SWOLLEN]:
        assert case.image.array.shape == (104, 80, 3) and case.image.array.dtype == "float32"
        assert case.label.array.dtype == "uint8" and case.classes == 4
        assert np.unique(case.label.array).tolist() == [0, 1, 2, 3]
        assert case.image.grid.spacing == pytest.approx([0.8, 0.8])


def test_the_nerves_run_from_the_eyes_on_either_side_back_to_the_chiasm_in_one_piece():
    for case in HEALTHY:
        left, right, chiasm = (places(case, part) for part in (LEFT, RIGHT, CHIASM))
        assert left[:, 0].mean() < -8 and right[:, 0].mean() > 8
        assert np.abs(chiasm.mean(0)).max() < 6
        for nerve in (left, right):
            assert nerve[:, 1].max() > 30 and nerve[:, 1].min() < 8
        assert ndimage.label(case.label.array, np.ones((3, 3)))[1] == 1


def test_the_pathway_is_thin_and_takes_a_few_percent_of_the_picture():
    for case in HEALTHY:
        inside = case.label.array > 0
        assert 0.04 < inside.mean() < 0.1
        assert 1 < 0.8 * ndimage.distance_transform_edt(inside).max() < 3


def contrast(case, part, channel):
    """How much brighter a part is than what lies 2 to 6 pixels around it, away from the eyes."""
    image, label = case.image.array[:, :54, channel], case.label.array[:, :54]
    distance = ndimage.distance_transform_edt(label != part)
    around = (distance > 2) & (distance < 6) & (label == 0)
    return image[label == part].mean() - image[around].mean()


def test_nerves_are_bright_in_t1_and_flair_and_dark_in_t2_and_fade_towards_the_chiasm():
    means = np.array(
        [[[contrast(c, part, k) for k in range(3)] for part in (1, 2, 3)] for c in HEALTHY]
    ).mean(0)
    nerves, chiasm = means[:2].mean(0), means[2]
    assert nerves[0] > 0.08 and nerves[1] < -0.08 and nerves[2] > 0.04
    assert (np.abs(chiasm) < 0.75 * np.abs(nerves)).all()


def best_threshold(image, inside):
    """The best Dice that a threshold on grey values reaches."""
    cuts = np.quantile(image, np.linspace(0.5, 0.99, 50))
    found = [image > cut for cut in cuts]
    return max(2 * (f & inside).sum() / (f.sum() + inside.sum()) for f in found)


def test_no_threshold_on_any_contrast_finds_the_pathway():
    for case in HEALTHY:
        image, inside = case.image.array, case.label.array > 0
        assert best_threshold(image[..., 0], inside) < 0.6
        assert best_threshold(-image[..., 1], inside) < 0.6
        assert best_threshold(image[..., 2], inside) < 0.6


def test_a_swelling_makes_the_same_pathway_thicker_somewhere_and_nowhere_else():
    for healthy, swollen in zip(HEALTHY, SWOLLEN, strict=True):
        before, after = healthy.label.array > 0, swollen.label.array > 0
        assert not (before & ~after).any()
        added = after & ~before
        assert 8 < added.sum() < 200
        spread = healthy.image.grid.spacing * np.ptp(np.argwhere(added), axis=0)
        assert spread.max() < 12
        deepest = [ndimage.distance_transform_edt(mask).max() for mask in (before, after)]
        assert deepest[1] > 1.2 * deepest[0]


def test_shapes_differ_from_case_to_case():
    for one, other in zip(HEALTHY, HEALTHY[1:], strict=False):
        a, b = one.label.array > 0, other.label.array > 0
        assert 2 * (a & b).sum() / (a.sum() + b.sum()) < 0.85


def test_case_i_of_a_seed_does_not_depend_on_how_many_are_asked_for():
    few, many = (phantoms.visual_pathway(n, seed=3, size=(40, 30)) for n in (1, 2))
    np.testing.assert_array_equal(few[0].image.array, many[0].image.array)
    assert len({case.subject for case in many}) == 2


def test_a_volume_is_made_by_the_same_code():
    (case,) = phantoms.visual_pathway(1, size=(80, 64, 20), spacing=(1, 1, 1.5))
    assert case.image.array.shape == (80, 64, 20, 3) and case.image.grid.axes == "RAS"
    assert np.unique(case.label.array).tolist() == [0, 1, 2, 3]
    assert (case.label.array > 0).mean() < 0.03


@pytest.mark.parametrize("wrong", [dict(size=(9, 0)), dict(size=(9,)), dict(spacing=(1, 1, 1))])
def test_a_size_or_spacing_that_no_image_has_is_refused(wrong):
    with pytest.raises(ConfigError, match=r"visual_pathway\(size="):
        phantoms.visual_pathway(1, **wrong)
