"""Kallenberg 2016: the layer chain, lifetime and population sparsity, and their rivals by hand."""

import numpy as np
import pytest
from counting import build

from medseg_tf.losses import sparsity
from medseg_tf.metrics import sparseness
from medseg_tf.models import csae

A = np.array([[0.9, 0.1, 0, 0], [0.1, 0.8, 0, 0.1], [0, 0.9, 0.1, 0]], "float32")
R = np.array([[1, 0, 0, 0], [0, 2, 0, 0], [0, 1, 1, 0]], float)


def test_a_patch_of_24_becomes_18_9_5_and_1():
    model = build(csae)
    names = ("encode1", "pool1", "encode2", "encode3")
    sizes = [model.get_layer(name).output.shape[1:] for name in names]
    assert sizes == [(18, 18, 50), (9, 9, 50), (5, 5, 50), (1, 1, 100)]


def test_its_layers_have_2500_62550_125100_and_303_weights():
    model = build(csae)
    counts = [layer.count_params() for layer in model.layers if layer.weights]
    assert counts == [2_500, 62_550, 125_100, 303] and sum(counts) == 190_453


@pytest.mark.parametrize(
    "scales, classes, count", [(1, 2, 190_352), (3, 3, 195_353), (4, 3, 197_803)]
)
def test_more_scales_make_the_first_layer_larger(scales, classes, count):
    assert build(csae, (24, 24, scales), classes).count_params() == count


def test_lifetime_looks_down_the_columns_and_population_along_the_rows():
    assert A.mean(0) == pytest.approx([1 / 3, 0.6, 1 / 30, 1 / 30])
    assert A.mean(1) == pytest.approx([0.25] * 3)


@pytest.mark.parametrize(
    "target, lifetime, population", [(0.05, 0.0956944, 0.04), (0.25, 0.0323611, 0.0)]
)
def test_the_term_is_the_sum_of_its_two_parts(target, lifetime, population):
    excess = np.maximum(A.mean(0) - target, 0) ** 2
    assert excess.mean() == pytest.approx(lifetime, abs=1e-5)
    assert float(sparsity(A, target)) == pytest.approx(lifetime + population, abs=1e-5)


def test_the_other_form_an_entropy_knows_the_lifetime_alone():
    rho, mean = 0.05, A.mean(0)
    terms = rho * np.log(rho / mean) + (1 - rho) * np.log((1 - rho) / (1 - mean))
    assert terms == pytest.approx([0.24161, 0.69750, 0.00375, 0.00375], abs=1e-5)
    assert terms.sum() == pytest.approx(0.94661, abs=1e-5)


def test_sparseness_of_rows_and_columns_and_a_dead_unit_without_any():
    assert sparseness(R, axis=1) == pytest.approx([1, 1, 2 / 3])
    np.testing.assert_allclose(sparseness(R, axis=0), [1, 0.6, 1, np.nan], atol=1e-6)


def test_a_guarded_denominator_would_give_a_dead_unit_more_than_one():
    dead, n = R[:, 3], 3
    guarded = (1 - dead.mean() ** 2 / ((dead**2).mean() + 1e-8)) / (1 - 1 / n)
    assert guarded == pytest.approx(1.5)


def test_sparse_filtering_gives_a_dead_unit_half_of_the_code():
    rows = np.sqrt(R**2 + 1e-8)
    rows = rows / np.linalg.norm(rows, axis=0)
    codes = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    assert codes.sum() == pytest.approx(4.3839, abs=1e-4)
    assert codes[:, 3] == pytest.approx([0.50, 0.54, 0.47], abs=0.005)
