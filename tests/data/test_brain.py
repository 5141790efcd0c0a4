"""Simulated brains: a folded sheet of cortex, contrasts as physics has them, each case another."""

import numpy as np
import pytest
from scipy import ndimage

from medseg_tf.data import phantoms
from medseg_tf.data.case import Case, Grid, Scan
from medseg_tf.data.phantoms.draw import averaged
from medseg_tf.errors import ConfigError

FLUID, GREY, WHITE = 1, 2, 3
T1, IR, FLAIR = 0, 1, 2
SMALL = phantoms.brain(4, size=24)
LARGE = phantoms.brain(2, size=64)
SLICES = phantoms.brain(4, size=(96, 96))
EVERY = [*SMALL, *LARGE, *SLICES]


def medians(case):
    """Median grey value of each tissue in each channel: (tissue, channel)."""
    label, image = case.label.array, case.image.array
    return np.array([np.median(image[label == k], axis=0) for k in (FLUID, GREY, WHITE)])


def share(case, tissue):
    return (case.label.array == tissue).sum() / (case.label.array > 0).sum()


def test_a_case_has_three_contrasts_and_four_classes_in_two_and_three_dimensions():
    for case in EVERY:
        rank = case.image.grid.rank
        assert case.image.array.shape == (*case.image.grid.shape, 3) and case.classes == 4
        assert (case.image.array.dtype, case.label.array.dtype) == ("uint16", "uint8")
        assert case.image.grid.units == "mm"
        assert case.image.grid.spacing == pytest.approx([1.5] * rank)
        assert np.unique(case.label.array).tolist() == [0, 1, 2, 3]
    assert SMALL[0].image.grid.axes == "RAS"


def test_t1_shows_white_brightest_inversion_recovery_the_reverse_and_flair_darkens_fluid():
    ratios = []
    for case in EVERY:
        fluid, grey, white = medians(case)
        assert fluid[T1] < 0.75 * grey[T1] and grey[T1] < 0.85 * white[T1]
        assert fluid[IR] > 1.1 * grey[IR] and grey[IR] > 1.3 * white[IR]
        assert fluid[FLAIR] < 0.8 * white[FLAIR]
        ratios.append(grey[FLAIR] / white[FLAIR])
    assert min(ratios) > 0.95 and 1.05 < np.mean(ratios) < 1.5


def test_outside_the_brain_every_channel_is_0_and_inside_hardly_ever():
    for case in EVERY:
        image, outside = case.image.array, case.label.array == 0
        assert not image[outside].any()
        assert (image[~outside] == 0).mean() < 0.01
        assert (image == 65535).mean() < 0.001


def test_grey_matter_takes_about_half_and_white_matter_more_of_large_brains_than_of_small_ones():
    for case in EVERY:
        assert 0.3 < share(case, GREY) < 0.6
        assert 0.1 < share(case, FLUID) < 0.35
        assert share(case, WHITE) > 0.2
    small, large = (np.mean([share(c, WHITE) for c in cases]) for cases in (SMALL, LARGE))
    assert small < large


def depth_of_cortex(case):
    """How many mm of grey matter lie between fluid and white matter, at each white voxel."""
    label, spacing = case.label.array, case.image.grid.spacing
    to_fluid = ndimage.distance_transform_edt(label >= GREY, spacing)
    surface = (label == WHITE) & ndimage.binary_dilation(label == GREY)
    return to_fluid[surface]


def test_cortex_is_nearly_equally_thick_in_small_and_in_large_brains():
    typical = [np.median(depth_of_cortex(case)) for case in [*SMALL, *LARGE]]
    assert 2.5 < min(typical) and max(typical) < 5


def test_white_matter_touches_fluid_hardly_anywhere_but_at_the_ventricles():
    for case in LARGE:
        label = case.label.array
        fluid, count = ndimage.label(label == FLUID)
        outer = np.isin(fluid, np.unique(fluid[ndimage.binary_dilation(label == 0)]))
        touching = (label == WHITE) & ndimage.binary_dilation((label == FLUID) & outer)
        assert touching.sum() < 0.03 * (label == WHITE).sum()


def test_the_surface_of_white_matter_is_folded_and_more_so_in_larger_brains():
    def folding(case):
        """Surface of the white matter over that of a ball as large, about."""
        white = case.label.array == WHITE
        faces = sum((np.diff(white.astype(int), axis=axis) != 0).sum() for axis in range(3))
        ball = 1.5 * (36 * np.pi) ** (1 / 3) * white.sum() ** (2 / 3)  # faces of voxels, not area
        return faces / ball

    small, large = (np.mean([folding(case) for case in cases]) for cases in (SMALL, LARGE))
    assert small > 1.3 and large > 1.3 * small


def test_there_are_ventricles_in_the_middle_on_both_sides():
    for case in LARGE:
        middle = case.label.array[16:48, 16:48, 16:48] == FLUID
        left, right = middle[:16].sum(), middle[16:].sum()
        assert left > 20 and right > 20


def test_each_case_is_another_anatomy_of_its_own_subject_whatever_n_is():
    few, many = phantoms.brain(1, seed=3, size=16), phantoms.brain(2, seed=3, size=16)
    np.testing.assert_array_equal(few[0].image.array, many[0].image.array)
    assert (many[0].label.array != many[1].label.array).mean() > 0.1
    assert [case.subject for case in many] == ["brain-000", "brain-001"]
    other = phantoms.brain(1, seed=np.random.default_rng(3), size=16)[0]
    np.testing.assert_array_equal(few[0].label.array, other.label.array)


def test_channels_have_scales_and_bias_fields_of_their_own():
    scales = np.array([medians(case)[WHITE - 1] for case in EVERY])
    assert (scales.max(0) > 2 * scales.min(0)).all()
    correlation = np.corrcoef(np.log(scales).T)
    assert np.abs(correlation[0, 1:]).max() < 0.9


def test_spacing_changes_how_finely_the_same_brain_is_sampled():
    (fine,) = phantoms.brain(1, seed=2, size=(32, 32, 32))
    (thick,) = phantoms.brain(1, seed=2, size=(32, 32, 16), spacing=(1.5, 1.5, 3))
    assert thick.image.grid.spacing == pytest.approx([1.5, 1.5, 3])
    for tissue in range(4):
        part = averaged((fine.label.array == tissue).astype("f"), (1, 1, 2))
        assert (thick.label.array == tissue)[part == 1].mean() > 0.9
        assert (thick.label.array == tissue)[part == 0].mean() < 0.05
    for case in (fine, thick):
        middle = (np.array(case.image.grid.shape) - 1) / 2
        assert case.image.grid.to_world(middle) == pytest.approx([0, 0, 0])


@pytest.mark.parametrize("size", [8, 33, (9, 12), (16, 10, 12)])
def test_any_size_will_do(size):
    (case,) = phantoms.brain(1, size=size)
    assert case.image.grid.shape == ((size,) * 3 if np.ndim(size) == 0 else size)


@pytest.mark.parametrize(
    "wrong", [dict(size=0), dict(size=(9,)), dict(spacing=(1, 2)), dict(spacing=-1)]
)
def test_a_size_or_spacing_that_no_image_has_is_refused(wrong):
    with pytest.raises(ConfigError, match=r"brain\(size=.*, spacing="):
        phantoms.brain(1, **wrong)


@pytest.fixture
def real_anatomy(monkeypatch):
    """Stands in for the MNI152 brain: a box in a box in a box."""
    label = np.zeros((16, 18, 14), "uint8")
    for tissue, margin in [(FLUID, 2), (GREY, 4), (WHITE, 5)]:
        label[margin:-margin, margin:-margin, margin:-margin] = tissue
    grid = Grid.from_spacing(label.shape, 3)
    case = Case("MNI152", Scan(label[..., None], grid), Scan(label, grid), classes=4)
    monkeypatch.setattr("medseg_tf.data.head.mni152", lambda spacing: case)
    return label


def test_subjects_of_the_mni_brain_are_deformations_of_one_anatomy(real_anatomy):
    one, two = phantoms.mni_brain(2)
    assert [one.subject, two.subject] == ["mni-brain-000", "mni-brain-001"]
    assert (one.label.array != two.label.array).any()
    for case in (one, two):
        assert case.image.array.shape == (16, 18, 14, 3) and case.classes == 4
        assert np.unique(case.label.array).tolist() == [0, 1, 2, 3]
        sizes = np.bincount(case.label.array.ravel()) / np.bincount(real_anatomy.ravel())
        assert (sizes > 0.5).all() and (sizes < 2).all()
        assert not case.image.array[case.label.array == 0].any()


@pytest.mark.slow
def test_subjects_of_the_real_mni_brain_have_its_tissues_and_the_contrasts_of_the_phantom():
    pytest.importorskip("nilearn")
    for case in phantoms.mni_brain(2, spacing=4):
        fluid, grey, white = medians(case)
        assert fluid[T1] < grey[T1] < white[T1] and fluid[IR] > grey[IR] > white[IR]
        assert fluid[FLAIR] < white[FLAIR] < grey[FLAIR]
        assert 0.4 < share(case, GREY) < 0.65 and 0.25 < share(case, WHITE) < 0.5
