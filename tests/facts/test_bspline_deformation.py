"""Milletari, Navab, Ahmadi, 3DV 2016: B-spline deformation of the training volumes."""

import numpy as np
import pytest

from medseg_tf.data.augment import bspline_matrix


def test_a_mesh_of_2_cells_has_5_cubic_coefficients_with_weights_1_4_1_sixths_in_the_middle():
    middle = bspline_matrix(3, 2 + 3)[1]
    np.testing.assert_allclose(middle, np.array([0, 1, 4, 1, 0]) / 6, atol=1e-6)


def test_coefficients_of_sd_15_move_the_middle_of_a_volume_by_an_sd_of_5_3_voxels():
    middle = bspline_matrix(65, 5)[32].astype(float)
    in_three_axes = np.einsum("i,j,k->ijk", middle, middle, middle)
    # The sum of independent coefficients: variances add with squared weights.
    assert 15 * np.sqrt((in_three_axes**2).sum()) == pytest.approx(5.303, abs=1e-3)
