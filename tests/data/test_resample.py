import numpy as np
import pytest

from medseg_tf.data import Case, Grid, Scan
from medseg_tf.data.resample import back_to, canonical_scan, resample_case, resample_scan, resize
from medseg_tf.errors import ConfigError


def case(shape, spacing):
    grid = Grid.from_spacing(shape, spacing)
    image = np.arange(np.prod(shape), dtype="uint8").reshape(shape)
    return Case("a", Scan(image[..., None], grid), Scan(image % 2, grid))


def test_doubling_the_spacing_halves_the_shape_and_keeps_the_edges():
    half = resample_case(case((4, 6), 1.0), 2.0)
    assert half.image.array.shape == (2, 3, 1) and half.label.array.shape == (2, 3)
    assert half.image.grid.spacing.tolist() == [2, 2]
    assert half.image.grid.affine[:2, 2].tolist() == [0.5, 0.5]  # centre of the first 2 x 2 block


def test_uneven_spacing_in_3d_becomes_even():
    even = resample_case(case((4, 4, 4), (1.0, 1.0, 2.0)), 1.0)
    assert even.image.grid.shape == (4, 4, 8)


def test_a_label_holds_no_number_that_it_did_not_hold():
    label = np.pad(np.full((4, 4), 2), 2)
    assert set(np.unique(resize(label, (6, 6), is_label=True))) == {0, 2}


def test_a_label_that_is_doubled_and_halved_is_the_same():
    label = np.arange(12).reshape(3, 4)
    there = resize(label, (6, 8), is_label=True)
    assert (resize(there, (3, 4), is_label=True) == label).all()


def test_an_image_is_averaged_before_it_is_thinned_out():
    stripes = np.tile([0.0, 1.0], 8)[None, :, None].repeat(4, 0)
    assert (
        abs(resize(stripes, (4, 4)) - 0.5).max() < 0.2
    )  # every fourth pixel alone would be 0 or 1


def test_linear_ramps_stay_linear_between_voxel_centres():
    ramp = np.array([0.0, 1.0, 2.0, 3.0])[:, None]
    assert resize(ramp, (8,))[:, 0] == pytest.approx([0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3])


@pytest.mark.parametrize("spacing", [0, -1, 100])
def test_a_spacing_that_leaves_no_voxel_is_refused(spacing):
    with pytest.raises(ConfigError, match="spacing"):
        resample_case(case((4, 6), 1.0), spacing)


LEFT_HANDED = np.array([[0, 0, -2.0, 5], [1.5, 0, 0, 1], [0, 3, 0, 2], [0, 0, 0, 1]])


def test_a_volume_s_axes_are_put_in_order_and_its_voxels_stay_where_they_are():
    array = np.arange(24).reshape(2, 3, 4)
    scan = Scan(array, Grid(array.shape, LEFT_HANDED))
    straight = canonical_scan(scan)
    assert straight.grid.shape == (4, 2, 3)
    assert straight.grid.affine[:3, :3].tolist() == np.diag([2, 1.5, 3]).tolist()
    for index in np.ndindex(*array.shape):
        place = LEFT_HANDED @ [*index, 1]
        there = np.rint(np.linalg.inv(straight.grid.affine) @ place).astype(int)[:3]
        assert straight.array[tuple(there)] == array[index]


def test_probabilities_come_back_to_the_scan_s_own_voxels():
    array = np.arange(24.0).reshape(2, 3, 4, 1)
    scan = Scan(array, Grid(array.shape[:3], LEFT_HANDED))
    assert (back_to(scan.grid, canonical_scan(scan).array) == array).all()


def test_a_ramp_comes_back_from_another_spacing():
    ramp = np.arange(8.0)[:, None, None, None] + np.zeros((1, 6, 4, 1))
    scan = Scan(ramp, Grid(ramp.shape[:3], np.diag([-1.0, 1, 1, 1])))
    worked = resample_scan(canonical_scan(scan), 0.5)
    assert worked.grid.shape == (16, 12, 8)
    back = back_to(scan.grid, worked.array)
    assert back.shape == ramp.shape and back == pytest.approx(ramp, abs=0.26)  # at the borders


def test_pictures_have_no_order_of_axes():
    picture = case((4, 6), 1.0).image
    assert canonical_scan(picture) is picture
    assert back_to(picture.grid, picture.array) is picture.array
