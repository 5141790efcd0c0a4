import logging

import nibabel as nib
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from medseg_tf.data.case import Grid, Scan
from medseg_tf.data.formats import nifti
from medseg_tf.errors import (
    ConfigError,
    ImageReadError,
    LabelError,
)

SHAPE = (3, 4, 5)
OBLIQUE = np.array([[0, 0, 2, 5], [-0.5, 0, 0, 6], [0, 1, 0, -7], [0, 0, 0, 1.0]])


def ramp(shape=SHAPE, dtype="int16"):
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def save(path, array, affine=OBLIQUE, header=None, kind=nib.Nifti1Image, **fields):
    """Write with nibabel, the peer, with header fields set by name."""
    saved = kind(array, affine, header, dtype=array.dtype)
    for field, value in fields.items():
        saved.header[field] = value
    nib.save(saved, path)
    return path


@st.composite
def affines(draw):
    """Turned, mirrored, uneven and shifted, in numbers a float32 holds."""
    angles = draw(st.lists(st.floats(-180, 180), min_size=3, max_size=3))
    spacing = draw(st.lists(st.floats(0.2, 8), min_size=3, max_size=3))
    shift = draw(st.lists(st.floats(-200, 200), min_size=3, max_size=3))
    turn = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag(
        np.array(spacing) * draw(st.sampled_from([[1, 1, 1], [-1, 1, 1]]))
    )
    affine[:3, 3] = shift
    affine = affine.astype("float32").astype(float)
    assume(is_quaternion(affine))
    return affine


def is_quaternion(affine):
    """Whether nibabel, which writes the test's files, takes the rounding of its own quaternion."""
    header = nib.Nifti2Header()
    try:
        header.set_qform(affine, 1)
        header.get_qform()
    except ValueError:
        return False
    return True


@settings(max_examples=50, deadline=None)
@given(
    shape=st.lists(st.integers(1, 5), min_size=3, max_size=3),
    dtype=st.sampled_from(nifti.TYPES),
    order=st.sampled_from("<>"),
    kind=st.sampled_from([nib.Nifti1Image, nib.Nifti2Image]),
    codes=st.sampled_from([(0, 2), (1, 0), (1, 1), (2, 4), (0, 0)]),
    affine=affines(),
    ending=st.sampled_from([".nii", ".nii.gz"]),
)
def test_read_and_written_back_a_file_keeps_voxels_affines_and_codes_to_the_bit(
    tmp_path_factory, shape, dtype, order, kind, codes, affine, ending
):
    folder = tmp_path_factory.getbasetemp()
    array = (ramp(shape) - (0 if dtype[0] == "u" else 7)).astype(dtype)
    image = kind(array, affine, kind.header_class(endianness=order), dtype=dtype)
    image.set_sform(affine, codes[1])
    image.set_qform(affine, codes[0])
    image.header["descrip"] = b"a turned box"
    image.header.set_xyzt_units("mm", "sec")
    nib.save(image, folder / f"there{ending}")

    scan = Scan.read(folder / f"there{ending}")
    there = nib.load(folder / f"there{ending}")
    back = nib.load(scan.write(folder / f"back{ending}"))
    assert scan.array.dtype == dtype  # in this machine's byte order
    assert back.get_data_dtype() == np.dtype(dtype).newbyteorder(order)
    np.testing.assert_array_equal(scan.array[..., 0], array)
    np.testing.assert_array_equal(np.asanyarray(back.dataobj), array)
    np.testing.assert_array_equal(scan.grid.affine, there.affine)
    for field in there.header:
        np.testing.assert_array_equal(there.header[field], back.header[field], err_msg=field)


@settings(max_examples=25, deadline=None)
@given(shape=st.lists(st.integers(1, 5), min_size=3, max_size=3), affine=affines())
def test_a_scan_that_never_was_a_file_keeps_voxels_affine_and_units(
    tmp_path_factory, shape, affine
):
    scan = Scan(ramp(shape)[..., None], Grid(shape, affine, "um"))
    back = Scan.read(scan.write(tmp_path_factory.getbasetemp() / "new.nii.gz"))
    np.testing.assert_array_equal(back.array, scan.array)
    np.testing.assert_array_equal(back.grid.affine, affine)
    assert back.grid.units == "um"


def test_an_image_ends_in_a_channel_axis_and_a_label_does_not(tmp_path):
    path = save(tmp_path / "a.nii", ramp())
    assert Scan.read(path).array.shape == (*SHAPE, 1)
    assert Scan.read(path, label=True).array.shape == SHAPE


def test_a_fourth_axis_of_one_is_dropped(tmp_path):
    path = save(tmp_path / "a.nii", ramp((*SHAPE, 1)))
    assert Scan.read(path, label=True).array.shape == SHAPE


def test_several_volumes_are_refused_until_one_or_all_are_chosen(tmp_path):
    path = save(tmp_path / "a.nii", ramp((*SHAPE, 2)))
    with pytest.raises(ImageReadError, match=r"\(3, 4, 5, 2\) holds 2 volumes; give volume=index"):
        Scan.read(path)
    np.testing.assert_array_equal(Scan.read(path, volume="all").array, ramp((*SHAPE, 2)))
    np.testing.assert_array_equal(Scan.read(path, volume=1).array, ramp((*SHAPE, 2))[..., 1:])
    np.testing.assert_array_equal(
        Scan.read(path, volume=1, label=True).array, ramp((*SHAPE, 2))[..., 1]
    )


@pytest.mark.parametrize(
    "volume, label", [(2, False), (-1, False), ("first", False), ("all", True)]
)
def test_a_volume_that_is_not_there_is_refused(tmp_path, volume, label):
    path = save(tmp_path / "a.nii", ramp((*SHAPE, 2)))
    with pytest.raises(ConfigError, match="holds 2"):
        Scan.read(path, volume=volume, label=label)


def test_channels_come_back_as_volumes(tmp_path):
    scan = Scan(ramp((*SHAPE, 2))[..., :], Grid(SHAPE))
    back = Scan.read(scan.write(tmp_path / "a.nii.gz"), volume="all")
    np.testing.assert_array_equal(back.array, scan.array)


def test_one_slice_is_a_volume_where_the_file_says_three_dimensions(tmp_path):
    assert Scan.read(save(tmp_path / "a.nii", ramp((3, 4, 1)))).grid.shape == (3, 4, 1)


def test_a_file_of_two_dimensions_is_a_2d_scan_with_the_x_y_part_of_the_affine(tmp_path):
    affine = np.array([[0, -2, 0, 5], [3, 0, 0, 6], [0, 0, 4, 7], [0, 0, 0, 1.0]])
    scan = Scan.read(save(tmp_path / "a.nii", ramp((3, 4)), affine))
    assert scan.array.shape == (3, 4, 1)
    assert scan.grid.affine.tolist() == [[0, -2, 5], [3, 0, 6], [0, 0, 1]]


def test_a_2d_file_tilted_out_of_the_plane_keeps_its_spacing_and_is_written_back_whole(tmp_path):
    path = save(tmp_path / "a.nii", ramp((3, 4)))  # first axis along y, second along z
    scan = Scan.read(path)
    assert scan.grid.spacing.tolist() == [0.5, 1]
    np.testing.assert_array_equal(nib.load(scan.write(tmp_path / "b.nii")).affine, OBLIQUE)


def test_two_channels_of_a_2d_scan_have_no_place_in_a_nifti_file(tmp_path):
    with pytest.raises(ConfigError, match="2-D NIfTI holds one channel"):
        Scan(np.zeros((3, 4, 2), "uint8"), Grid((3, 4))).write(tmp_path / "a.nii")


@pytest.mark.parametrize(
    "code, units, spacing", [(0, "mm", 2), (1, "mm", 2000), (2, "mm", 2), (3, "um", 2)]
)
def test_metres_become_mm_and_an_unset_unit_is_taken_for_mm(tmp_path, code, units, spacing):
    path = save(tmp_path / "a.nii", ramp(), np.diag([2.0, 2, 2, 1]), xyzt_units=code)
    grid = Scan.read(path).grid
    assert (grid.units, grid.spacing[0]) == (units, spacing)


def test_a_file_in_metres_is_written_back_in_metres(tmp_path):
    scan = Scan.read(save(tmp_path / "a.nii", ramp(), xyzt_units=1))
    back = nib.load(scan.write(tmp_path / "b.nii"))
    np.testing.assert_array_equal(back.affine, OBLIQUE)
    assert back.header["xyzt_units"] == 1


def test_scaled_values_come_as_float32(tmp_path):
    path = save(tmp_path / "a.nii", ramp())
    patch(path, scl_slope=0.5, scl_inter=-1)
    array = Scan.read(path).array
    assert array.dtype == "float32"
    np.testing.assert_array_equal(array[..., 0], ramp() * 0.5 - 1)
    back = Scan.read(Scan.read(path).write(tmp_path / "b.nii"))  # written without the scale
    np.testing.assert_array_equal(back.array, array)


def test_a_label_stored_as_a_fraction_of_255_is_whole_again(tmp_path):
    path = save(tmp_path / "a.nii", np.array([[[0, 85, 255]]], "uint8"))
    patch(path, scl_slope=3 / 255)
    array = Scan.read(path, label=True).array
    assert array.dtype == "int32"
    assert array.ravel().tolist() == [0, 1, 3]


@pytest.mark.parametrize(
    "highest, dtype",
    [(1, "uint8"), (255, "uint8"), (256, "uint16"), (65535, "uint16"), (65536, "int32")],
)
def test_labels_take_the_smallest_type_and_no_scale(tmp_path, highest, dtype):
    scan = Scan(np.full(SHAPE, highest, "int64"), Grid(SHAPE))
    back = nib.load(scan.write(tmp_path / "a.nii.gz"))
    assert back.get_data_dtype() == dtype
    assert (back.dataobj.slope, back.dataobj.inter) == (1, 0)


@pytest.mark.parametrize(
    "dtype, stored",
    [("bool", "uint8"), ("float16", "float32"), ("int64", "int64"), ("float64", "float64")],
)
def test_images_keep_their_type_or_take_the_next_that_nifti_has(tmp_path, dtype, stored):
    array = (ramp() % 2).astype(dtype)
    back = Scan.read(Scan(array[..., None], Grid(SHAPE)).write(tmp_path / "a.nii"))
    assert back.array.dtype == stored
    np.testing.assert_array_equal(back.array[..., 0], array)


def test_complex_numbers_are_refused_on_writing(tmp_path):
    with pytest.raises(ConfigError, match="cannot hold complex64"):
        Scan(np.ones((*SHAPE, 1), "complex64"), Grid(SHAPE)).write(tmp_path / "a.nii")


def test_a_label_on_its_images_header_keeps_place_and_units_but_not_the_grey_window(tmp_path):
    image = save(tmp_path / "a.nii", ramp(), cal_max=500, descrip=b"knee", xyzt_units=10)
    scan = Scan.read(image)
    written = Scan((ramp() > 7).astype("int32"), scan.grid, scan.header).write(tmp_path / "b.nii")
    header, label = nib.load(image).header, nib.load(written).header
    for field in ("srow_x", "srow_y", "srow_z", "sform_code", "qform_code", "quatern_b", "descrip"):
        np.testing.assert_array_equal(header[field], label[field], err_msg=field)
    assert (label["xyzt_units"], label["cal_max"]) == (10, 0)


def test_a_cropped_scan_is_written_with_its_own_grid_not_the_headers(tmp_path):
    scan = Scan.read(save(tmp_path / "a.nii", ramp()))
    moved = scan.grid.affine.copy()
    moved[:3, 3] += moved[:3, 2]
    cropped = Scan(scan.array[:, :, 1:], Grid((3, 4, 4), moved), scan.header)
    back = nib.load(cropped.write(tmp_path / "b.nii"))
    np.testing.assert_array_equal(back.affine, moved)
    np.testing.assert_allclose(back.get_qform(), moved, atol=1e-6)


def test_a_grid_in_other_units_than_the_headers_is_written_with_its_own(tmp_path):
    scan = Scan.read(save(tmp_path / "a.nii", ramp(), xyzt_units=2))
    micron = Scan(scan.array, Grid(SHAPE, scan.grid.affine, "um"), scan.header)
    assert Scan.read(micron.write(tmp_path / "b.nii")).grid.units == "um"


def test_a_sheared_grid_gets_no_qform_for_a_quaternion_cannot_shear(tmp_path):
    affine = np.eye(4)
    affine[0, 1] = 0.5
    back = nib.load(Scan(ramp()[..., None], Grid(SHAPE, affine)).write(tmp_path / "a.nii"))
    np.testing.assert_array_equal(back.affine, affine)
    assert back.header["qform_code"] == 0


def test_sform_is_preferred_to_qform_and_a_difference_is_told(tmp_path, caplog):
    image = nib.Nifti1Image(ramp(), OBLIQUE)
    image.set_sform(OBLIQUE, 1)
    image.set_qform(np.eye(4), 1)
    nib.save(image, tmp_path / "a.nii")
    np.testing.assert_array_equal(Scan.read(tmp_path / "a.nii").grid.affine, OBLIQUE)
    assert "sform and qform differ" in caplog.text


def test_agreeing_forms_are_read_without_a_word(tmp_path, caplog):
    image = nib.Nifti1Image(ramp(), OBLIQUE)
    image.set_sform(OBLIQUE, 1)
    image.set_qform(OBLIQUE, 1)
    nib.save(image, tmp_path / "a.nii")
    Scan.read(tmp_path / "a.nii")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_notes_of_other_programs_after_the_header_are_written_back(tmp_path):
    header = nib.Nifti1Header()
    header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"seen by a radiologist"))
    scan = Scan.read(save(tmp_path / "a.nii.gz", ramp(), header=header))
    back = nib.load(scan.write(tmp_path / "b.nii.gz"))
    assert [note.get_content() for note in back.header.extensions] == [b"seen by a radiologist"]
    np.testing.assert_array_equal(np.asanyarray(back.dataobj), ramp())


def test_an_axis_longer_than_32767_makes_a_nifti_2_file(tmp_path):
    array = np.zeros((40000, 2, 1), "uint8")
    array[39999] = 1
    path = Scan(array, Grid((40000, 2, 1))).write(tmp_path / "a.nii.gz")
    assert isinstance(nib.load(path), nib.Nifti2Image)
    np.testing.assert_array_equal(Scan.read(path, label=True).array, array)


def test_the_same_scan_gives_the_same_bytes(tmp_path):
    scan = Scan(ramp(), Grid(SHAPE))
    one, two = scan.write(tmp_path / "one.nii.gz"), scan.write(tmp_path / "two.nii.gz")
    assert one.read_bytes() == two.read_bytes()


def test_a_label_of_whole_floats_is_read_as_integers(tmp_path):
    path = save(tmp_path / "a.nii.gz", (ramp() % 3).astype("float32"))
    array = Scan.read(path, label=True).array
    assert array.dtype == "int32"
    np.testing.assert_array_equal(array, ramp() % 3)


def test_a_quaternion_a_rounding_error_too_long_is_read(tmp_path):
    path = save(tmp_path / "a.nii", ramp(), np.eye(4), kind=nib.Nifti2Image)
    header = nib.Nifti2Header(path.read_bytes()[:540])
    header["sform_code"], header["qform_code"] = 0, 1
    header["quatern_b"], header["quatern_c"] = 0.6, 0.8 * (1 + 1e-15)  # half a turn
    path.write_bytes(header.binaryblock + path.read_bytes()[540:])
    with pytest.raises(ValueError, match="positive"):
        nib.load(path)
    turn = Rotation.from_quat([0.6, 0.8, 0, 0]).as_matrix()
    np.testing.assert_allclose(Scan.read(path).grid.affine[:3, :3], turn, atol=1e-7)


def test_a_handedness_of_zero_is_taken_for_one(tmp_path):
    path, affine = tmp_path / "a.nii", np.diag([2.0, 3, 4, 1])
    save(path, ramp(), affine)
    patch(path, sform_code=0, qform_code=1, pixdim=[0, 2, 3, 4, 0, 0, 0, 0])
    np.testing.assert_array_equal(Scan.read(path).grid.affine, affine)


def test_a_label_far_from_whole_is_refused_with_the_value(tmp_path):
    path = save(tmp_path / "a.nii", np.array([[[0, 0.5, 1]]], "float32"))
    with pytest.raises(LabelError, match="0.500; class numbers are whole"):
        Scan.read(path, label=True)


def patch(path, **fields):
    """Set header fields in the bytes of an unpacked file."""
    data = bytearray(path.read_bytes())
    header = np.frombuffer(data, nib.nifti1.header_dtype, 1)
    for field, value in fields.items():
        header[field] = value
    path.write_bytes(data)
