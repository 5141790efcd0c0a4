"""The SEG measure of the Cell Tracking Challenge on a drawn example (Maska et al. 2014)."""

import numpy as np
import pytest

from medseg_tf import metrics


def draw(*rows):
    return np.array([list(row.replace(".", "0")) for row in rows], int)


TRUTH = draw("1111..2222", "1111..2222", "1111..2222", "..........", "3333......", "3333......")
FOUND = draw("555...7788", "555...7788", "555...7788", "9999......", "9999......", "9999......")


def test_seg_of_the_drawn_cells_is_17_36ths():
    assert metrics.seg(TRUTH, FOUND) == pytest.approx((9 / 12 + 0 + 8 / 12) / 3)
    assert metrics.seg(TRUTH, FOUND) == pytest.approx(0.4722, abs=5e-5)


def test_a_cell_cut_in_halves_scores_zero_though_every_pixel_is_right():
    numbers, scores = metrics.seg_per_object(TRUTH, FOUND)
    assert dict(zip(numbers.tolist(), scores.tolist(), strict=True)) == {1: 9 / 12, 2: 0, 3: 8 / 12}


def test_iou_of_the_same_cells_is_29_36ths_and_does_not_see_the_cut():
    assert metrics.iou(TRUTH > 0, FOUND > 0)[1] == pytest.approx(29 / 36)
