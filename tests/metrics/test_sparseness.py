import numpy as np
import pytest

from medseg_tf.metrics import sparseness


def test_it_is_zero_where_all_respond_alike_and_one_where_one_alone_does():
    rows = np.array([[2.0, 2, 2, 2], [0, 3, 0, 0], [1, 1, 0, 0]])
    assert sparseness(rows, axis=1).tolist() == pytest.approx([0, 1, 2 / 3])


def test_the_axis_says_whether_it_is_of_units_or_of_samples():
    responses = np.eye(3)[[0, 0, 1, 2]]
    assert sparseness(responses, axis=1).shape == (4,)
    assert sparseness(responses, axis=0).tolist() == pytest.approx([2 / 3, 1, 1])


def test_it_does_not_depend_on_the_scale():
    responses = np.random.default_rng(0).random((5, 6))
    np.testing.assert_allclose(sparseness(responses, 1), sparseness(40 * responses, 1))


def test_what_never_responds_has_none_nor_has_a_single_one():
    assert np.isnan(sparseness(np.zeros((3, 2)), axis=0)).all()
    assert np.isnan(sparseness(np.ones((3, 1)), axis=1)).all()
