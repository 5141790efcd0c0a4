"""The simulated masses: what tells benign from malignant, and that it does not tell all."""

import numpy as np
import pytest
from scipy import ndimage

from medseg_tf.data import phantoms
from medseg_tf.errors import ConfigError
from medseg_tf.methods import MEASURES, region_measures

MASSES = phantoms.breast_masses(200)
KINDS = np.array([case.label.array.max() for case in MASSES])


def test_each_image_has_one_mass_of_one_kind_in_its_middle():
    for case in MASSES:
        label = case.label.array
        assert case.image.array.shape == (32, 32, 1) and case.image.array.dtype == "float32"
        assert len(np.unique(label)) == 2 and case.classes == 3
        pieces = np.bincount(ndimage.label(label)[0][label > 0])
        assert pieces.max() > 0.9 * pieces.sum()
        assert np.abs(np.argwhere(label).mean(0) - 15.5).max() < 5
        assert 0.04 < (label > 0).mean() < 0.5


def test_about_half_are_malignant_and_every_image_is_a_subject_of_its_own():
    assert set(KINDS) == {1, 2} and 0.4 < np.mean(KINDS == 2) < 0.6
    assert len({case.subject for case in MASSES}) == len(MASSES)


def test_malignant_masses_are_less_compact_but_the_kinds_overlap():
    place = MEASURES.index("compactness")
    compact = np.array([region_measures(c.image.array, c.label.array > 0)[place] for c in MASSES])
    ragged = compact < np.median(compact)
    assert 0.7 < np.mean(ragged == (KINDS == 2)) < 0.95


def test_a_mass_is_brighter_than_tissue_by_about_1():
    steps = [
        case.image.array[..., 0][case.label.array > 0].mean()
        - case.image.array[..., 0][case.label.array == 0].mean()
        for case in MASSES
    ]
    assert np.mean(steps) == pytest.approx(0.85, abs=0.15)


def test_case_i_of_a_seed_does_not_depend_on_how_many_are_asked_for():
    few, many = phantoms.breast_masses(1, seed=3), phantoms.breast_masses(2, seed=3)
    other = phantoms.breast_masses(1, seed=np.random.default_rng(3))
    assert np.array_equal(few[0].image.array, many[0].image.array)
    assert np.array_equal(few[0].image.array, other[0].image.array)
    assert not np.array_equal(many[0].image.array, many[1].image.array)


def test_more_pixels_show_the_same_40_mm():
    (coarse,), (fine,) = (phantoms.breast_masses(1, seed=1, size=size) for size in (32, 64))
    assert coarse.image.grid.spacing == pytest.approx([1.25, 1.25])
    assert fine.image.grid.spacing == pytest.approx([0.625, 0.625])
    bigger = np.kron(coarse.label.array, np.ones((2, 2), int))
    assert np.mean(bigger == fine.label.array) > 0.9


@pytest.mark.parametrize("size", [0, -3, 2.5, (32, 32)])
def test_impossible_sizes_are_refused(size):
    with pytest.raises(ConfigError, match="breast_masses"):
        phantoms.breast_masses(1, size=size)
