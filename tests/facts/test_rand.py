"""Foreground-restricted Rand score on two cells and one membrane (Arganda-Carreras et al. 2015)."""

import numpy as np
import pytest

from medseg_tf import metrics

TRUTH = np.array([[1, 1, 1, 1, 0, 2, 2, 2, 2]] * 5)


def changed(rows, columns, cell):
    prediction = TRUTH > 0
    prediction[rows, columns] = cell
    return prediction


EVERY = slice(None)
PREDICTIONS = {
    "perfect": TRUTH > 0,
    "A: the wall has a gap of one pixel": changed(2, 4, True),
    "B: a second wall": changed(EVERY, 2, False),
    "C: the wall is three wide": changed(EVERY, slice(3, 6), False),
    "D: the wall is moved by one": changed(EVERY, 4, True) & changed(EVERY, 5, False)
    | (np.arange(9) == 4),
    "E: one pixel of a cell is missed": changed(2, 3, False),
}
ROWS = [  # name, pixel error, pixel F, split, merge, V, V after thinning
    ("perfect", 0, 1, 1, 1, 1, 1),
    ("A: the wall has a gap of one pixel", 0.0222, 0.98765, 1, 0.5, 0.6667, 0.6667),
    ("B: a second wall", 0.1111, 0.9333, 0.6625, 1, 0.7970, 0.7970),
    ("C: the wall is three wide", 0.2222, 0.8571, 0.5750, 1, 0.7302, 1),
    ("D: the wall is moved by one", 0.2222, 0.8750, 0.7875, 1, 0.8811, 0.8811),
    ("E: one pixel of a cell is missed", 0.0222, 0.98734, 0.9525, 1, 0.9757, 1),
]


@pytest.mark.parametrize("name, error, f, split, merge, v, v_thin", ROWS, ids=[r[0] for r in ROWS])
def test_scores_of_five_wrong_membranes(name, error, f, split, merge, v, v_thin):
    prediction = PREDICTIONS[name]
    near = {"abs": 5.1e-5}
    assert 1 - metrics.pixel_accuracy(TRUTH > 0, prediction) == pytest.approx(error, **near)
    assert metrics.dice(TRUTH > 0, prediction)[1] == pytest.approx(f, **near)
    assert metrics.rand_split_merge(TRUTH, prediction) == pytest.approx((split, merge), **near)
    assert metrics.rand_foreground(TRUTH, prediction) == pytest.approx(v, **near)
    assert metrics.rand_after_thinning(TRUTH, prediction) == pytest.approx(v_thin, **near)


def test_one_pixel_can_join_two_cells_or_cost_next_to_nothing():
    gap, hole = (PREDICTIONS[name] for name in PREDICTIONS if name[0] in "AE")
    assert metrics.pixel_accuracy(TRUTH > 0, gap) == metrics.pixel_accuracy(TRUTH > 0, hole)
    assert metrics.rand_foreground(TRUTH, hole) - metrics.rand_foreground(TRUTH, gap) > 0.3


@pytest.mark.parametrize("letter, score", [("A", 0.6552), ("C", 0.7244)])
def test_scikit_images_rand_error_is_another_score(letter, score):
    """It drops pairs of a pixel with itself and takes all missed pixels for one segment."""
    from scipy import ndimage
    from skimage.metrics import adapted_rand_error

    (prediction,) = (p for name, p in PREDICTIONS.items() if name[0] == letter)
    theirs = 1 - adapted_rand_error(TRUTH, ndimage.label(prediction)[0])[0]
    assert theirs == pytest.approx(score, abs=5e-5)
    assert abs(theirs - metrics.rand_foreground(TRUTH, prediction)) > 0.005


@pytest.mark.parametrize("letter, score", [("B", 0.8717), ("D", 0.9513)])
def test_without_its_dividing_line_thinning_gives_another_score(letter, score):
    from skimage.segmentation import watershed

    (prediction,) = (p for name, p in PREDICTIONS.items() if name[0] == letter)
    found = metrics.membranes.segments(prediction.astype(int))
    grown = watershed(found == 0, found, connectivity=1).astype(int)
    assert metrics.rand_foreground(TRUTH, grown) == pytest.approx(score, abs=5e-5)
    assert metrics.rand_after_thinning(TRUTH, prediction.astype(int)) != pytest.approx(score)
