import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from medseg_tf.data.case import Grid, Scan
from medseg_tf.errors import ConfigError, ImageReadError, LabelError, MedsegError

RAMP = np.arange(12, dtype="uint8").reshape(3, 4)
RGB = np.stack([RAMP, RAMP + 1, RAMP + 2], axis=2)


def save(path, array, **options):
    """Write with Pillow itself."""
    Image.fromarray(array).save(path, **options)
    return path


def with_alpha(colours, alpha):
    return np.concatenate([colours, np.broadcast_to(alpha, (3, 4))[..., None]], 2).astype("uint8")


def cuts(data):
    return [*range(8, len(data), 7), *range(len(data) - 20, len(data))]


def palette(path, indices, **options):
    picture = Image.frombytes("P", indices.shape[::-1], indices.tobytes())
    picture.putpalette([0, 0, 0, 255, 0, 0, 0, 0, 255, 9, 9, 9] + [0] * 756)
    picture.save(path, **options)
    return path


@settings(max_examples=40, deadline=None)
@given(
    shape=st.sampled_from([(1, 1), (3, 4), (5, 2), (3, 4, 2), (2, 2, 5)]),
    kind=st.sampled_from(["uint8", "uint16", "rgb"]),
    ending=st.sampled_from([".png", ".tif", ".tiff"]),
    seed=st.integers(0, 99),
)
def test_an_image_comes_back_with_its_values_and_type(tmp_path_factory, shape, kind, ending, seed):
    channels, dtype = (3, "uint8") if kind == "rgb" else (1, kind)
    ending = ending if len(shape) == 2 else ".tif"
    high = np.iinfo(dtype).max
    array = np.random.default_rng(seed).integers(0, high, (*shape, channels), dtype, endpoint=True)
    scan = Scan(array, Grid(shape, units="pixel"))
    path = scan.write(tmp_path_factory.getbasetemp() / f"picture{ending}")
    back = Scan.read(path, channels="rgb" if kind == "rgb" else None)
    assert back.array.dtype == dtype
    np.testing.assert_array_equal(back.array, array)
    assert (back.grid.shape, back.grid.units) == (shape, "pixel")


@pytest.fixture(scope="module", params=["uint8", "uint16", "palette", "rgb"])
def good(request, tmp_path_factory):
    """A PNG's bytes, how to read it, and what it holds."""
    path = tmp_path_factory.mktemp("good") / f"{request.param}.png"
    noise = np.random.default_rng(0).integers(0, 4, (9, 11)).astype("uint8")
    how = {"label": request.param == "palette"}
    if request.param == "palette":
        palette(path, noise)
    elif request.param == "rgb":
        save(path, np.stack([noise] * 3, axis=2))
        how["channels"] = "gray"
    else:
        save(path, noise.astype(request.param))
    return path.read_bytes(), how, noise


@settings(max_examples=50, deadline=None)
@given(where=st.floats(0, 1, exclude_max=True))
def test_one_flipped_bit_of_a_png_never_gives_other_pixels(good, tmp_path_factory, where):
    data, how, array = good
    damaged, bit = bytearray(data), int(where * len(data) * 8)
    damaged[bit // 8] ^= 1 << bit % 8
    path = tmp_path_factory.getbasetemp() / "flipped.png"
    path.write_bytes(damaged)
    try:
        read = Scan.read(path, **how).array
    except MedsegError:
        return
    assert bit >= 8 * (len(data) - 12)  # only the empty last chunk's length may pass
    np.testing.assert_array_equal(read.reshape(array.shape), array)


def test_a_png_cut_short_anywhere_never_passes(good, tmp_path):
    data, how, _ = good
    path = tmp_path / "cut.png"
    for length in cuts(data):
        path.write_bytes(data[:length])
        with pytest.raises(ImageReadError, match="ends early"):
            Scan.read(path, **how)


@pytest.mark.parametrize("kind", ["one bit", "grey", "rgb", "palette"])
def test_a_bmp_is_read_and_one_cut_short_anywhere_is_not(tmp_path, kind):
    path, how, array = tmp_path / "a.bmp", {"label": True}, RAMP
    if kind == "palette":
        palette(path, array := RAMP % 4)
    elif kind == "rgb":
        save(path, array := RGB)
        how = {"channels": "rgb"}
    else:
        save(path, array := RAMP > 5 if kind == "one bit" else RAMP)
    read = Scan.read(path, **how).array
    assert read.dtype == ("uint8" if kind == "rgb" else "int32")
    np.testing.assert_array_equal(read, array)
    data = path.read_bytes()
    for length in cuts(data):
        path.write_bytes(data[:length])
        with pytest.raises(ImageReadError, match="ends early"):
            Scan.read(path, **how)


def test_a_bmp_is_not_written(tmp_path):
    with pytest.raises(ImageReadError, match=r"and \.bmp is read\. Convert"):
        Scan(RAMP, Grid((3, 4))).write(tmp_path / "a.bmp")


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate"])
def test_a_tiff_cut_short_anywhere_never_passes(tmp_path, compression):
    pages = [Image.fromarray(RAMP + page) for page in range(3)]
    how = {"save_all": True, "append_images": pages[1:], "compression": compression}
    pages[0].save(tmp_path / "a.tif", **how)
    data = (tmp_path / "a.tif").read_bytes()
    assert Scan.read(tmp_path / "a.tif").array.shape == (3, 4, 3, 1)
    for length in cuts(data):
        (tmp_path / "a.tif").write_bytes(data[:length])
        try:
            kept = Scan.read(tmp_path / "a.tif").array[..., 0]
        except ImageReadError:
            continue
        assert len(data) - length < 16 and not any(data[length:])  # padding after the last page
        np.testing.assert_array_equal(kept, np.stack([RAMP, RAMP + 1, RAMP + 2], axis=2))


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_sixteen_bits_stay_sixteen(tmp_path, ending):
    path = save(tmp_path / f"a.{ending}", RAMP.astype("uint16") * 300)
    image = Scan.read(path).array
    assert image.dtype == "uint16"
    np.testing.assert_array_equal(image[..., 0], RAMP.astype("uint16") * 300)
    np.testing.assert_array_equal(Scan.read(path, label=True).array, RAMP.astype(int) * 300)


def test_integers_below_zero_and_floats_of_a_tiff_come_as_stored(tmp_path):
    for name, array in (("int32", RAMP.astype("int32") - 5), ("float32", RAMP / np.float32(4))):
        read = Scan.read(save(tmp_path / "a.tif", array)).array
        assert read.dtype == name
        np.testing.assert_array_equal(read[..., 0], array)


def test_one_bit_masks_hold_0_and_1(tmp_path):
    path = save(tmp_path / "a.png", RAMP > 5)
    assert set(Scan.read(path, label=True).array.ravel().tolist()) == {0, 1}


@pytest.mark.parametrize("bits", [2, 4])
def test_two_and_four_bit_grey_is_not_stretched_to_255(tmp_path, bits):
    (tmp_path / "a.png").write_bytes(low_grey_png(RAMP % 4, bits))
    np.testing.assert_array_equal(Scan.read(tmp_path / "a.png", label=True).array, RAMP % 4)


def test_a_palette_gives_a_label_its_indices(tmp_path):
    path = palette(tmp_path / "a.png", RAMP % 4)
    np.testing.assert_array_equal(Scan.read(path, label=True).array, RAMP % 4)


def test_a_palette_gives_an_image_its_colours(tmp_path):
    path = palette(tmp_path / "a.png", np.array([[0, 1, 2]], "uint8"))
    assert Scan.read(path, channels="rgb").array.tolist() == [[[0, 0, 0], [255, 0, 0], [0, 0, 255]]]


@pytest.mark.parametrize("alpha", [255, 7])
def test_a_constant_alpha_channel_is_dropped(tmp_path, alpha):
    path = save(tmp_path / "a.png", with_alpha(RGB, alpha))
    np.testing.assert_array_equal(Scan.read(path, channels="rgb").array, RGB)


def test_grey_with_constant_alpha_is_grey(tmp_path):
    path = save(tmp_path / "a.png", with_alpha(RAMP[..., None], 255))
    np.testing.assert_array_equal(Scan.read(path, channels="gray").array[..., 0], RAMP)


def test_equal_red_green_and_blue_become_the_same_grey(tmp_path):
    path = save(tmp_path / "a.png", np.stack([RAMP] * 3, axis=2))
    np.testing.assert_array_equal(Scan.read(path, channels="gray").array[..., 0], RAMP)
    np.testing.assert_array_equal(Scan.read(path, channels="gray", label=True).array, RAMP)


def test_grey_asked_for_in_colour_has_three_equal_channels(tmp_path):
    read = Scan.read(save(tmp_path / "a.png", RAMP), channels="rgb").array
    np.testing.assert_array_equal(read, np.stack([RAMP] * 3, axis=2))


def test_the_pages_of_a_tiff_are_the_third_axis(tmp_path):
    pages = [Image.fromarray(RAMP), Image.fromarray(RAMP + 100)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    scan = Scan.read(tmp_path / "a.tif")
    assert scan.grid.shape == (3, 4, 2)
    np.testing.assert_array_equal(scan.array[:, :, 1, 0], RAMP + 100)


def test_colour_pages_keep_their_channels_last(tmp_path):
    scan = Scan(np.stack([RGB, RGB + 50], axis=2), Grid((3, 4, 2), units="pixel"))
    back = Scan.read(scan.write(tmp_path / "a.tif"), channels="rgb")
    np.testing.assert_array_equal(back.array, scan.array)


def test_a_lzw_tiff_is_read(tmp_path):
    path = save(tmp_path / "a.tif", RAMP.astype("uint16") * 300, compression="tiff_lzw")
    assert Scan.read(path).array.max() == 3300


@pytest.mark.parametrize("highest, bits", [(255, 8), (256, 16)])
def test_labels_take_eight_bits_where_they_fit_and_sixteen_else(tmp_path, highest, bits):
    path = Scan(np.full((3, 4), highest), Grid((3, 4))).write(tmp_path / "a.png")
    assert path.read_bytes()[24] == bits


@pytest.mark.parametrize("highest", [-1, 65536])
def test_a_number_that_sixteen_bits_cannot_hold_is_refused(tmp_path, highest):
    with pytest.raises(ConfigError, match="cannot hold"):
        Scan(np.full((3, 4), highest), Grid((3, 4))).write(tmp_path / "a.png")


@pytest.mark.parametrize(
    "array, rank, name, message",
    [
        (np.zeros((3, 4, 1), "float32"), 2, "a.png", "cannot hold float32"),
        (np.zeros((3, 4, 2), "uint8"), 2, "a.png", "2 channels of uint8"),
        (np.zeros((3, 4, 3), "uint16"), 2, "a.tif", "3 channels of uint16"),
        (np.zeros((3, 4, 2, 1), "uint8"), 3, "a.png", "PNG holds no volume"),
        (np.zeros((3, 4, 1, 1), "uint8"), 3, "a.tif", "none of a single page"),
    ],
)
def test_what_a_picture_cannot_hold_is_refused_on_writing(tmp_path, array, rank, name, message):
    with pytest.raises(ConfigError, match=message):
        Scan(array, Grid(array.shape[:rank])).write(tmp_path / name)


@pytest.mark.parametrize("channels, label", [("red", False), ("rgb", True)])
def test_channels_are_gray_or_rgb_and_a_label_is_never_in_colour(tmp_path, channels, label):
    with pytest.raises(ConfigError, match="expected 'gray'"):
        Scan.read(save(tmp_path / "a.png", RAMP), channels=channels, label=label)


def test_a_float_mask_must_be_whole(tmp_path):
    path = save(tmp_path / "a.tif", RAMP.astype("float32"))
    np.testing.assert_array_equal(Scan.read(path, label=True).array, RAMP)
    path = save(tmp_path / "a.tif", RAMP / np.float32(2))
    with pytest.raises(LabelError, match="0.500"):
        Scan.read(path, label=True)


def low_grey_png(array, bits):
    """Return a grey PNG of two or four bits a pixel, which Pillow reads but does not write."""

    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    rows, columns = array.shape
    places = np.unpackbits(array[..., None], axis=2)[..., 8 - bits :].reshape(rows, -1)
    lines = b"".join(b"\0" + row.tobytes() for row in np.packbits(places, axis=1))
    head = struct.pack(">IIBBBBB", columns, rows, bits, 0, 0, 0, 0)
    chunks = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks
