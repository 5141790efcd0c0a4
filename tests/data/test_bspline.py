import numpy as np
import pytest
from scipy.interpolate import BSpline

from medseg_tf.data import augment
from medseg_tf.data.augment import bspline_matrix, smooth_field
from medseg_tf.errors import GeometryError


@pytest.mark.parametrize("size", [1, 2, 17, 48])
@pytest.mark.parametrize("mesh", [1, 2, 5])
def test_four_weights_count_at_each_place_and_sum_to_one(size, mesh):
    weights = bspline_matrix(size, mesh + 3)
    assert weights.shape == (size, mesh + 3)
    assert weights.min() >= 0 and (weights > 0).sum(1).max() <= 4
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-6)


@pytest.mark.parametrize("shape", [(9, 12), (5, 8, 6)])
def test_equal_coefficients_shift_everything_alike(shape):
    coefficients = np.full((5,) * len(shape), 2.5)
    np.testing.assert_allclose(smooth_field(coefficients, shape, bspline_matrix), 2.5, atol=1e-5)


@pytest.mark.parametrize("shape, mesh", [((9, 12), 2), ((5, 8, 6), 3)])
def test_the_field_is_the_product_of_scipys_splines_with_the_mesh_from_corner_to_corner(
    shape, mesh
):
    coefficients = np.random.default_rng(0).normal(0, 15, (mesh + 3,) * len(shape))
    expected, knots = coefficients, np.arange(-3.0, mesh + 4)
    for axis, size in enumerate(shape):
        along = np.moveaxis(expected, axis, 0)
        along = BSpline(knots, along, 3)(np.linspace(0, mesh, size))
        expected = np.moveaxis(along, 0, axis)
    field = smooth_field(coefficients, shape, bspline_matrix)
    assert (field.shape, field.dtype) == (shape, "float32")
    np.testing.assert_allclose(field, expected, atol=1e-4)


def test_the_curvature_changes_without_a_jump_where_cells_meet():
    step = 2 / 60
    curvature = np.diff(bspline_matrix(61, 5), 2, axis=0) / step**2
    # A third derivative of at most 3 explains .1; quadratic splines would jump by 1 to 2.
    assert np.abs(np.diff(curvature, axis=0)).max() < 0.13
    assert np.abs(curvature).max() > 1


def ramps(shape):
    """An image whose channels hold the coordinates of each voxel."""
    return np.moveaxis(np.indices(shape), 0, -1).astype("float32")


@pytest.mark.parametrize("shape", [(40, 30), (20, 24, 16)])
def test_the_label_moves_by_nearest_neighbour_through_the_images_field(shape):
    rng = np.random.default_rng(0)
    label = rng.integers(0, 100, shape)
    coordinates, moved = augment.bspline(3)(ramps(shape), label, rng)
    # Where the mirror image is out of reach, the moved ramps are the places that were read.
    known = ((coordinates > 0.5) & (coordinates < np.array(shape) - 1.5)).all(-1)
    known &= (np.abs(coordinates % 1 - 0.5) > 1e-3).all(-1)
    assert known.mean() > 0.4
    assert np.abs(coordinates - ramps(shape))[known].max() > 1
    expected = label[tuple(np.rint(coordinates).astype(int)[known].T)]
    np.testing.assert_array_equal(moved[known], expected)


def test_still_axes_do_not_move_and_leave_the_others_as_they_would_be():
    shape = (16, 14, 12)
    free = augment.bspline(2)(ramps(shape), None, np.random.default_rng(4))[0]
    held = augment.bspline(2, still=(2,))(ramps(shape), None, np.random.default_rng(4))[0]
    np.testing.assert_array_equal(held[..., 2], ramps(shape)[..., 2])
    np.testing.assert_allclose(held[..., :2], free[..., :2], atol=1e-4)
    assert np.abs(free[..., 2] - ramps(shape)[..., 2]).max() > 0.5


def test_each_axis_may_have_its_own_strength():
    moved = augment.bspline((0, 3))(ramps((16, 16)), None, np.random.default_rng(0))[0]
    np.testing.assert_array_equal(moved[..., 0], ramps((16, 16))[..., 0])
    assert np.abs(moved[..., 1] - ramps((16, 16))[..., 1]).max() > 1


def test_a_label_of_another_shape_is_refused():
    image = ramps((8, 8))
    with pytest.raises(GeometryError, match=r"\(6, 8\).*\(8, 8\)"):
        augment.bspline(1)(image, np.zeros((6, 8), int), np.random.default_rng(0))
