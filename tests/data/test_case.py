import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from medseg_tf.data.case import Case, Grid, Scan, slices
from medseg_tf.errors import GeometryError, ImageReadError, LabelError


def shifted(shape, *by):
    affine = np.eye(len(shape) + 1)
    affine[:-1, -1] = by
    return Grid(shape, affine)


def image(*shape, grid=None):
    return Scan(np.zeros((*shape, 1), "uint8"), grid or Grid(shape))


def label(values, grid=None):
    array = np.array(values)
    return Scan(array, grid or Grid(array.shape))


def test_a_grid_without_affine_has_spacing_one():
    assert Grid((4, 5)).spacing.tolist() == [1, 1]


def test_one_number_is_the_spacing_of_every_axis():
    assert Grid.from_spacing((4, 5, 6), 0.5, "um").spacing.tolist() == [0.5, 0.5, 0.5]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.floats(0.1, 10), min_size=3, max_size=3),
    st.lists(st.floats(-180, 180), min_size=3, max_size=3),
    st.sampled_from([-1, 1]),
)
def test_turning_and_mirroring_a_grid_keeps_its_spacing(spacing, angles, side):
    affine = np.eye(4)
    turn = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    affine[:3, :3] = turn @ np.diag([side * spacing[0], *spacing[1:]])
    np.testing.assert_allclose(Grid((2, 3, 4), affine).spacing, spacing)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-180, 180), min_size=3, max_size=3), st.sampled_from([-1, 1]))
def test_a_voxel_goes_to_the_world_and_back(angles, side):
    affine = np.eye(4)
    turn = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    affine[:3, :3] = turn @ np.diag([side * 0.5, 2, 3])
    affine[:3, 3] = -90, 20, 7
    grid = Grid((2, 3, 4), affine)
    voxels = np.argwhere(np.ones(grid.shape)).reshape(*grid.shape, 3)
    places = grid.to_world(voxels)
    assert places[1, 2, 3] == pytest.approx((affine @ [1, 2, 3, 1])[:3])
    np.testing.assert_allclose(grid.to_voxel(places), voxels, atol=1e-9)


def test_a_plane_has_places_too_but_names_no_sides():
    grid = Grid.from_spacing((4, 5), (2, 3))
    assert grid.to_world((1, 1)).tolist() == [2, 3]
    assert grid.to_voxel((2, 3)).tolist() == [1, 1]
    with pytest.raises(GeometryError, match="only volumes name sides"):
        _ = grid.axes


def test_axes_are_named_in_the_arrays_own_order():
    affine = np.array([[0, 0, -2, 0], [3, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1.0]])
    assert Grid((2, 3, 4), affine).axes == "AIL"


@pytest.mark.parametrize(
    "affine, message",
    [
        (np.diag([1.0, 0, 1, 1]), "no inverse"),
        ([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], "no inverse"),
        (np.diag([1e300, 1, 1, 1]), "no inverse"),  # its length is past what a number holds
        (np.diag([1.0, np.nan, 1, 1]), "NaN"),
        (np.eye(3), r"shape \(3, 3\) for a grid of rank 3"),
    ],
)
def test_an_affine_that_leads_nowhere_is_refused(affine, message):
    with pytest.raises(GeometryError, match=message):
        Grid((2, 3, 4), affine)


def test_a_grid_without_voxels_is_refused():
    with pytest.raises(GeometryError, match="at least one voxel"):
        Grid((3, 0))


def test_unknown_units_are_refused():
    with pytest.raises(GeometryError, match="'micron'; expected one of mm, um, pixel"):
        Grid((3, 4), units="micron")


def test_grids_shifted_by_3_and_4_mm_lie_5_mm_apart():
    assert Grid((8, 9)).corner_distance(shifted((8, 9), 3, 4)) == 5


def test_a_spacing_off_by_a_thousandth_moves_the_far_corner_of_101_voxels_by_a_tenth():
    assert Grid((101,)).corner_distance(Grid.from_spacing((101,), 1.001)) == pytest.approx(0.1)


@pytest.mark.parametrize("shift, same", [(0.0009, True), (0.0011, False)])
def test_grids_are_in_the_same_place_up_to_a_thousandth(shift, same):
    assert Grid((8, 9)).same_place(shifted((8, 9), shift, 0)) is same


def test_grids_of_different_shape_are_not_in_the_same_place():
    assert not Grid((8, 9)).same_place(Grid((9, 8)))


def test_a_scan_with_a_channel_axis_is_an_image_and_one_without_is_a_label():
    assert not image(4, 5).is_label
    assert label([[0, 1]]).is_label


def test_an_array_off_its_grid_is_refused():
    with pytest.raises(GeometryError, match=r"\(4, 5\) on a grid of shape \(5, 4\)"):
        Scan(np.zeros((4, 5)), Grid((5, 4)))


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = label([[0, 1]]).write(tmp_path / "label.png")
    before = path.read_bytes()
    with pytest.raises(LabelError):
        label([[0, 0.5]]).write(path)
    assert [file.name for file in tmp_path.iterdir()] == ["label.png"]
    assert path.read_bytes() == before


@settings(max_examples=30, deadline=None)
@given(
    shape=st.lists(st.integers(2, 6), min_size=2, max_size=3),
    ending=st.sampled_from([".tif", ".nii", ".nii.gz"]),
    highest=st.sampled_from([1, 255, 256, 65535]),
    seed=st.integers(0, 99),
)
def test_a_label_comes_back_from_every_format(tmp_path_factory, shape, ending, highest, seed):
    array = np.random.default_rng(seed).integers(0, highest, shape, endpoint=True)
    path = label(array).write(tmp_path_factory.getbasetemp() / f"label{ending}")
    back = Scan.read(path, label=True)
    assert back.array.dtype == "int32"
    np.testing.assert_array_equal(back.array, array)


def test_a_case_needs_an_image_with_channels():
    with pytest.raises(ImageReadError, match="no channel axis"):
        Case("a", label([[0, 1]]))


def test_a_case_needs_a_label_without_channels():
    with pytest.raises(LabelError, match="has a channel axis"):
        Case("a", image(4, 5), image(4, 5))


def test_image_and_label_of_different_shape_are_refused_with_both_shapes():
    with pytest.raises(GeometryError, match=r"image \(4, 5\) and label \(1, 2\)"):
        Case("a", image(4, 5), label([[0, 1]]))


def test_image_and_label_in_different_places_are_refused_with_their_distance():
    with pytest.raises(GeometryError, match="up to 5 mm apart"):
        Case("a", image(1, 2), label([[0, 1]], shifted((1, 2), 3, 4)))


@pytest.mark.parametrize(
    "values, message",
    [
        ([[0, 255]], r"values 0, 255; expected 0..1. 255 is often 'ignore'"),
        ([[0, 2]], r"values 0, 2; expected 0..1"),
        ([[-1, 0]], r"values -1, 0"),
        ([[0, 0.5]], "0.500; class numbers are whole"),
        ([[0, np.nan]], "nan; class numbers are whole"),
    ],
)
def test_labels_that_are_no_class_numbers_are_refused(values, message):
    with pytest.raises(LabelError, match=message):
        Case("a", image(1, 2), label(values), classes=2)


def test_object_numbers_may_exceed_the_classes_but_not_fall_below_zero():
    Case("a", image(1, 2), label([[0, 700]]), instances=True)
    with pytest.raises(LabelError, match="-1"):
        Case("a", image(1, 2), label([[-1, 700]]), instances=True)


def test_a_volume_is_cut_into_slices_that_keep_subject_classes_and_spacing():
    array = np.arange(24).reshape(2, 3, 4)
    grid = Grid.from_spacing(array.shape, (1, 2, 3))
    case = Case("a", Scan(array[..., None], grid), Scan(array % 3, grid), classes=3, name="a1")
    cut = slices(case, axis=1)
    assert len(cut) == 3 and {one.subject for one in cut} == {"a"}
    assert cut[2].image.grid.spacing.tolist() == [1, 3] and cut[2].classes == 3
    assert (cut[2].image.array[..., 0] == array[:, 2]).all()
    assert (cut[2].label.array == array[:, 2] % 3).all()
