"""One test a row of docs/bad_input.md, for the rows about files, places and labels."""

import gzip
import re
import struct
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from medseg_tf import errors
from medseg_tf.data.case import Case, Grid, Scan
from medseg_tf.data.normalize import z_score
from medseg_tf.errors import (
    ConfigError,
    DataIntegrityError,
    DataNotFoundError,
    GeometryError,
    ImageReadError,
    LabelError,
)

RAMP = np.arange(60, dtype="int16").reshape(3, 4, 5)
GREY = np.arange(12, dtype="uint8").reshape(3, 4)


def nifti(path, array=RAMP, **fields):
    """Write a NIfTI file and then set header fields in its bytes to what may not be."""
    nib.save(nib.Nifti1Image(array, np.diag([2.0, 3, 4, 1])), path.with_name("plain.nii"))
    data = bytearray(path.with_name("plain.nii").read_bytes())
    header = np.frombuffer(data, nib.nifti1.header_dtype, 1)
    for field, value in fields.items():
        header[field] = value
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def png(path, array=GREY):
    Image.fromarray(array).save(path)
    return path


def rgba(alpha=255):
    return np.dstack([GREY, GREY, GREY + 1, np.broadcast_to(np.uint8(alpha), GREY.shape)])


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DataNotFoundError, match="no such file"):
        Scan.read(tmp_path / "a.nii.gz")


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(DataNotFoundError, match="Folder .*absent is not there"):
        Scan(GREY, Grid((3, 4))).write(tmp_path / "absent" / "a.png")


@pytest.mark.parametrize("name", ["a.mha", "a.jpg", "a.nii.bz2", "a"])
def test_an_ending_we_do_not_read(tmp_path, name):
    (tmp_path / name).write_bytes(b"1234")
    with pytest.raises(ImageReadError, match=r"\.nii, \.nii\.gz, \.png, \.tif and \.tiff"):
        Scan.read(tmp_path / name)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_a_picture_that_is_none(tmp_path, name):
    (tmp_path / name).write_bytes(b"<html>no such page</html>")
    with pytest.raises(ImageReadError, match="not an image we read .first bytes 3c 68 74 6d"):
        Scan.read(tmp_path / name)


def test_an_empty_file(tmp_path):
    for name in ("a.png", "a.nii"):
        (tmp_path / name).write_bytes(b"")
        with pytest.raises(ImageReadError, match="first bytes none|ends early, at 0 bytes"):
            Scan.read(tmp_path / name)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_a_truncated_picture(tmp_path, name):
    path = png(tmp_path / name)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ImageReadError, match="file ends early"):
        Scan.read(path)


def test_a_flipped_bit_in_a_png(tmp_path):
    path = png(tmp_path / "a.png")
    data = bytearray(path.read_bytes())
    data[data.index(b"IDAT") + 8] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataIntegrityError, match="checksum mismatch"):
        Scan.read(path)


def test_a_picture_too_large_to_be_honest(tmp_path, monkeypatch):
    path = png(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5)
    with pytest.raises(ImageReadError, match=r"12 pixels.*raise PIL\.Image\.MAX_IMAGE_PIXELS"):
        Scan.read(path)


@pytest.mark.parametrize("channels, mode", [(2, "LA"), (3, "RGB"), (4, "RGBA")])
def test_colour_where_one_channel_is_due(tmp_path, channels, mode):
    path = png(tmp_path / "a.png", rgba()[..., 4 - channels :].copy())
    with pytest.raises(ImageReadError, match=f"mode {mode}, expected 1 channel; pass channels='gr"):
        Scan.read(path)


def test_transparency_that_is_not_the_same_everywhere(tmp_path):
    path = png(tmp_path / "a.png", rgba(alpha=GREY))
    with pytest.raises(ImageReadError, match="transparency from 0 to 11"):
        Scan.read(path, channels="gray")


def test_sixteen_bits_a_colour(tmp_path):
    (tmp_path / "a.png").write_bytes(sixteen_bit_colour())
    with pytest.raises(ImageReadError, match="16 bits a colour, of which only 8"):
        Scan.read(tmp_path / "a.png", channels="rgb")


def test_cmyk(tmp_path):
    Image.new("CMYK", (4, 3)).save(tmp_path / "a.tif")
    with pytest.raises(ImageReadError, match="mode CMYK, expected 1 channel; convert it to RGB"):
        Scan.read(tmp_path / "a.tif", channels="rgb")


def test_pages_of_different_size(tmp_path):
    other = Image.fromarray(GREY.T.copy())
    Image.fromarray(GREY).save(tmp_path / "a.tif", save_all=True, append_images=[other])
    with pytest.raises(ImageReadError, match=r"pages of .*\(3, 4, 1\), \(4, 3, 1\)"):
        Scan.read(tmp_path / "a.tif")


def test_a_mask_in_colour(tmp_path):
    path = png(tmp_path / "a.png", rgba()[..., :3].copy())
    for channels in (None, "gray"):
        with pytest.raises(LabelError, match="mask is RGB with 12 colours"):
            Scan.read(path, label=True, channels=channels)


def test_a_mask_of_more_values_than_classes(tmp_path):
    path = png(tmp_path / "a.png", GREY.astype("uint16") * 300)
    label = Scan.read(path, label=True)
    with pytest.raises(LabelError, match="label values 0, 300, .*expected 0..1"):
        Case("a", Scan(label.array[..., None], label.grid), label, classes=2)


@pytest.mark.parametrize(
    "values, core",
    [
        ([0, 1, 255], "values 0, 1, 255; expected 0..1. 255 is often 'ignore'"),
        ([0, 1, -1], "values -1, 0, 1; expected 0..1"),
        ([0, 1, 0.5], "holds 0.500; class numbers are whole"),
    ],
)
def test_labels_outside_the_classes(values, core):
    array = np.array([values])
    with pytest.raises(LabelError, match=re.escape(core)):
        Case("a", Scan(array[..., None], Grid((1, 3))), Scan(array, Grid((1, 3))), classes=2)


@pytest.mark.parametrize(
    "value, core", [(0.5, "holds 0.500"), (np.nan, "nan"), (3e9, "below 2..31")]
)
def test_a_label_file_with_numbers_that_count_nothing(tmp_path, value, core):
    path = nifti(tmp_path / "a.nii", np.array([[[0, 1, value]]], "float32"))
    with pytest.raises(LabelError, match=core):
        Scan.read(path, label=True)


def test_image_and_label_of_different_shape():
    image = Scan(RAMP[..., None], Grid((3, 4, 5)))
    with pytest.raises(GeometryError, match=r"image \(3, 4, 5\) and label \(3, 5, 4\) differ"):
        Case("a", image, Scan(RAMP.reshape(3, 5, 4), Grid((3, 5, 4))))


def test_image_and_label_in_different_places(tmp_path):
    label = Scan(RAMP * 0, Grid.from_spacing((3, 4, 5), (2, 3, 4.5)))
    image = Scan.read(nifti(tmp_path / "a.nii"))
    with pytest.raises(GeometryError, match="lie up to 2 mm apart"):  # 4 steps of 0.5 mm
        Case("a", image, label)


def test_nan_and_infinite_voxels(tmp_path):
    array = RAMP.astype("float32")
    array[0, 3, 2], array[2, 0, 0] = np.nan, np.inf
    core = r"2 of 60 voxels are NaN or infinite, the first at index \(0, 3, 2\)"
    with pytest.raises(ImageReadError, match=core):
        Scan.read(nifti(tmp_path / "a.nii.gz", array))


def test_a_truncated_gzip(tmp_path):
    path = nifti(tmp_path / "a.nii.gz")
    path.write_bytes(path.read_bytes()[:-8])  # all voxels are there, the checksum is not
    with pytest.raises(DataIntegrityError, match="gzip ends early at 472 of 472 bytes"):
        Scan.read(path)


def test_a_flipped_bit_in_a_gzip(tmp_path):
    path = nifti(tmp_path / "a.nii.gz")
    data = bytearray(path.read_bytes())
    data[-40] ^= 4
    path.write_bytes(data)
    with pytest.raises(DataIntegrityError, match="gzip checksum mismatch"):
        Scan.read(path)


def test_a_plain_file_named_gz(tmp_path):
    path = nifti(tmp_path / "a.nii").rename(tmp_path / "a.nii.gz")
    with pytest.raises(ImageReadError, match=r"not a gzip file .first bytes 5c 01 00 00.*\.nii"):
        Scan.read(path)


def test_a_nifti_cut_short(tmp_path):
    path = nifti(tmp_path / "a.nii")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ImageReadError, match="file ends early, at 471 of 472 bytes"):
        Scan.read(path)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_nifti_longer_than_its_header_says(tmp_path, caplog, ending):
    # the header lost a slice of the five: twelve numbers of two bytes are left over
    Scan.read(nifti(tmp_path / f"a{ending}", dim=[3, 3, 4, 4, 1, 1, 1, 1]))
    assert "24 bytes follow the voxels that header field dim [3, 3, 4, 4, " in caplog.text


def test_a_scale_that_no_voxel_survives(tmp_path):
    with pytest.raises(ImageReadError, match="58 of 60 voxels are NaN or infinite"):
        Scan.read(nifti(tmp_path / "a.nii", scl_slope=3e38))  # all but 0 and 1


def test_a_constant_image(tmp_path, caplog):
    scan = Scan.read(nifti(tmp_path / "a.nii", RAMP * 0 + 7))
    assert "a.nii: all voxels are 7; nothing can be seen or learned" in caplog.text
    assert not z_score(scan.array).any()


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize(
    "field, value",
    [
        ("sizeof_hdr", 0),
        ("magic", b"ni1"),
        ("magic", b""),
        ("dim", [3, 0, 4, 5, 1, 1, 1, 1]),
        ("dim", [3, 3, -4, 5, 1, 1, 1, 1]),
        ("dim", [3, 32767, 32767, 32767, 1, 1, 1, 1]),
        ("dim", [0, 3, 4, 5, 1, 1, 1, 1]),
        ("dim", [1, 60, 1, 1, 1, 1, 1, 1]),
        ("dim", [9, 3, 4, 5, 1, 1, 1, 1]),
        ("datatype", 999),
        ("datatype", 0),
        ("vox_offset", 0),
        ("vox_offset", np.nan),
        ("vox_offset", np.inf),
        ("vox_offset", 352.5),
        ("scl_slope", np.nan),
        ("scl_slope", np.inf),
        ("scl_inter", np.nan),
    ],
)
def test_a_header_that_cannot_be_true(tmp_path, ending, field, value):
    with pytest.raises(ImageReadError, match=field):
        Scan.read(nifti(tmp_path / f"a{ending}", **{field: value}))


@pytest.mark.parametrize("length", [0, -2, np.nan, np.inf])
def test_a_voxel_size_that_cannot_be_true(tmp_path, length):
    with pytest.raises(GeometryError, match="pixdim"):
        Scan.read(nifti(tmp_path / "a.nii", pixdim=[1, 2, length, 4, 0, 0, 0, 0]))


@pytest.mark.parametrize(
    "fields, core",
    [
        ({"srow_x": [0, 0, 0, 0]}, "affine has no inverse"),
        ({"srow_x": [0, 3, 0, 0]}, "affine has no inverse"),
        ({"srow_x": [np.nan, 0, 0, 0]}, "affine holds NaN"),
        ({"sform_code": 0, "qform_code": 1, "quatern_b": 2}, "affine holds NaN"),
        ({"sform_code": 0, "qform_code": 1, "quatern_b": np.nan}, "affine holds NaN"),
    ],
)
def test_an_affine_without_inverse(tmp_path, fields, core):
    with pytest.raises(GeometryError, match=rf"a\.nii: {core}"):
        Scan.read(nifti(tmp_path / "a.nii", **fields))


def test_orientation_unknown(tmp_path, caplog):
    scan = Scan.read(nifti(tmp_path / "a.nii", sform_code=0, qform_code=0))
    assert "orientation unknown (sform and qform codes are 0)" in caplog.text
    assert scan.grid.spacing.tolist() == [2, 3, 4]


def test_qform_and_sform_disagree(tmp_path, caplog):
    path = nifti(tmp_path / "a.nii", sform_code=1, qform_code=1, qoffset_x=0.002)
    assert Scan.read(path).grid.affine[0, 3] == 0
    assert "sform and qform differ by more than 0.001; sform is used" in caplog.text


def test_voxel_size_and_sform_disagree(tmp_path, caplog):
    path = nifti(tmp_path / "a.nii", qform_code=0, pixdim=[1, 2, 3.1, 4, 0, 0, 0, 0])
    assert Scan.read(path).grid.spacing.tolist() == [2, 3, 4]
    assert "pixdim says voxels of [2.0, 3.0999999046325684, 4.0], sform says" in caplog.text


def test_several_volumes(tmp_path):
    path = nifti(tmp_path / "a.nii", RAMP[..., None].repeat(2, axis=3))
    with pytest.raises(ImageReadError, match=r"shape \(3, 4, 5, 2\) .*give volume=index"):
        Scan.read(path)
    with pytest.raises(ConfigError, match="volume=2, but it holds 2, counted from 0"):
        Scan.read(path, volume=2)


@pytest.mark.parametrize("code, name", [(128, "RGB24"), (2304, "RGBA32"), (32, "complex64")])
def test_colour_and_complex_voxels(tmp_path, code, name):
    with pytest.raises(ImageReadError, match=f"datatype is {code} .{name} data type"):
        Scan.read(nifti(tmp_path / "a.nii", datatype=code))


def test_an_argument_for_the_other_format(tmp_path):
    with pytest.raises(ConfigError, match="volume=1 is for NIfTI"):
        Scan.read(png(tmp_path / "a.png"), volume=1)
    with pytest.raises(ConfigError, match="channels='gray' is for pictures"):
        Scan.read(nifti(tmp_path / "a.nii"), channels="gray")


def test_values_that_a_format_cannot_hold(tmp_path):
    with pytest.raises(ConfigError, match="cannot hold float64 values from 0.0 to 11.0"):
        Scan(GREY[..., None] / 1.0, Grid((3, 4))).write(tmp_path / "a.png")


def test_the_table_names_only_errors_that_exist():
    table = Path(__file__).parents[2].joinpath("docs", "bad_input.md").read_text()
    named = set(re.findall(r"`(\w+Error)`", table)) - {"ValueError"}
    assert named and named <= set(vars(errors))


def sixteen_bit_colour():
    """Return a PNG of one pixel with 16 bits a colour, which Pillow cannot write."""

    def chunk(name, body):
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    head = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)
    body = zlib.compress(b"\0" + struct.pack(">HHH", 1, 2, 3))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
