"""Simulated brain regions: alike in grey values, told apart by place and shape."""

import numpy as np
import pytest
from scipy import ndimage

from medseg_tf.data import phantoms
from medseg_tf.data.phantoms.brain_regions import REGIONS
from medseg_tf.errors import ConfigError

CAUDATE, PUTAMEN, PALLIDUM, THALAMUS, HIPPOCAMPUS = range(1, 6)
CASES = phantoms.brain_regions(8)


def places(case, region):
    """Where the voxels of a region lie: mm, (voxels, rank)."""
    return case.image.grid.to_world(np.argwhere(case.label.array == region))


def test_a_case_has_five_regions_each_on_both_sides():
    assert REGIONS[PUTAMEN - 1] == "putamen"
    for case in CASES:
        assert case.image.array.shape == (64, 72, 1) and case.image.array.dtype == "float32"
        assert case.label.array.dtype == "uint8" and case.classes == 6
        assert np.unique(case.label.array).tolist() == list(range(6))
        for region in range(1, 6):
            x = places(case, region)[:, 0]
            assert (x < 0).sum() > 15 and (x > 0).sum() > 15
            pieces = ndimage.label(case.label.array == region, np.ones((3, 3)))[0]
            assert (np.bincount(pieces.ravel())[1:] > 15).sum() == 2


def test_regions_lie_where_they_do_in_a_brain():
    for case in CASES:
        fronts = {region: places(case, region)[:, 1].mean() for region in range(1, 6)}
        aside = {region: np.abs(places(case, region)[:, 0]).mean() for region in range(1, 6)}
        assert fronts[CAUDATE] > fronts[PUTAMEN] > fronts[THALAMUS] > fronts[HIPPOCAMPUS]
        assert aside[THALAMUS] < aside[PALLIDUM] < aside[PUTAMEN]


def test_caudate_putamen_and_hippocampus_are_equally_bright_and_darker_than_white_matter():
    medians = np.array(
        [[np.median(c.image.array[c.label.array == k]) for k in range(1, 6)] for c in CASES]
    )
    same = medians[:, [CAUDATE - 1, PUTAMEN - 1, HIPPOCAMPUS - 1]]
    assert np.ptp(same.mean(0)) < 0.06 and same.max() < 0.8
    assert (medians[:, PALLIDUM - 1] > same.mean(1) + 0.05).all()


def test_grey_values_alone_do_not_tell_the_regions_apart():
    scores = []
    for case in CASES:
        image, label = case.image.array[..., 0], case.label.array
        bins = np.digitize(image, np.quantile(image, np.linspace(0, 1, 40)[1:-1]))
        table = np.stack([np.bincount(bins[label == k], minlength=40) for k in range(6)])
        table = table / np.maximum(table.sum(1, keepdims=True), 1)  # each region counts alike
        called = table.argmax(0)[bins]
        scores += [
            2 * ((called == k) & (label == k)).sum() / ((called == k).sum() + (label == k).sum())
            for k in (CAUDATE, PUTAMEN, HIPPOCAMPUS)
        ]
    assert np.mean(scores) < 0.3


def test_another_cases_label_is_a_start_and_no_answer():
    scores = []
    for one, other in zip(CASES, CASES[1:], strict=False):
        for region in range(1, 6):
            a, b = one.label.array == region, other.label.array == region
            scores.append(2 * (a & b).sum() / (a.sum() + b.sum()))
    assert 0.4 < np.mean(scores) < 0.85


def test_a_volume_is_made_by_the_same_code():
    (case,) = phantoms.brain_regions(1, size=(32, 36, 16), spacing=3)
    assert case.image.array.shape == (32, 36, 16, 1) and case.image.grid.axes == "RAS"
    assert np.unique(case.label.array).tolist() == list(range(6))


def test_case_i_of_a_seed_does_not_depend_on_how_many_are_asked_for():
    few, many = (phantoms.brain_regions(n, seed=3, size=(20, 24)) for n in (1, 2))
    np.testing.assert_array_equal(few[0].image.array, many[0].image.array)
    assert not np.array_equal(many[0].label.array, many[1].label.array)
    assert len({case.subject for case in many}) == 2


@pytest.mark.parametrize("wrong", [dict(size=(9, 0)), dict(size=(9,)), dict(spacing=(1, 1, 1))])
def test_a_size_or_spacing_that_no_image_has_is_refused(wrong):
    with pytest.raises(ConfigError, match=r"brain_regions\(size="):
        phantoms.brain_regions(1, **wrong)
