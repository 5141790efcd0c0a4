"""Read PNG, TIFF and BMP, write PNG and TIFF.

A picture is (rows, columns); pages of a TIFF are the third axis.

Numbers come as the file stores them: 16 bits stay 16, a palette gives its indices to a label, and
1-, 2- and 4-bit grey is not stretched to 0..255. Pictures know no size in the world, so their grid
is in pixels; the resolution that some files name is meant for paper and left out.

PNG carries checksums and each is verified; TIFF and BMP carry none, so damage that still decodes
passes.
"""

import io
import struct

import numpy as np
from PIL import Image, ImageSequence, UnidentifiedImageError

from medseg_tf.data.case import Grid
from medseg_tf.errors import ConfigError, DataIntegrityError, ImageReadError, LabelError

TYPES = ["uint8", "uint16"]
GRAY = ("1", "L", "I;16", "I;16B", "I;16L", "I;16N", "I", "F")
COLOUR = ("P", "PA", "LA", "RGB", "RGBA")
PNG_START, PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
BMP_START = b"BM"
FORMATS = ("PNG", "TIFF", "BMP")
BITS, SAMPLE_FORMAT = 258, 339  # tags of a TIFF page
STRIPS = ((273, 279), (324, 325))  # tags of offsets and byte counts: strips, tiles
NUMBERS = {1: "uint", 2: "int", 3: "float"}


def read(path, label=False, channels=None):
    """Read a file.

    Returns:
        array: image (rows, columns[, pages], channels) or label (rows, columns[, pages]).
        grid: its Grid, in pixels.
    """
    if channels not in (None, "gray", "rgb") or (label and channels == "rgb"):
        raise ConfigError(
            f"{path}: channels={channels!r}; expected 'gray' or, for an image, 'rgb'."
        )
    decode = _label if label else _image
    arrays = [decode(page, bits, kind, channels, path) for page, bits, kind in _pages(path)]
    if len({array.shape for array in arrays}) > 1:
        raise ImageReadError(
            f"{path}: pages of {sorted({array.shape for array in arrays})}; a volume needs pages "
            "of one size. Save the pages as files of their own."
        )
    array = arrays[0] if len(arrays) == 1 else np.stack(arrays, axis=2)
    return array, Grid(array.shape[: 2 + (len(arrays) > 1)], units="pixel")


def pack(array, grid, path):
    """Return the file's bytes for a label or one channel of uint8 or uint16, or RGB of uint8."""
    if array.ndim > grid.rank and array.shape[-1] == 1:
        array = array[..., 0]
    rgb = array.ndim > grid.rank
    if rgb and (array.shape[-1] != 3 or array.dtype != np.uint8):
        raise ConfigError(
            f"{path}: {array.shape[-1]} channels of {array.dtype}; PNG and TIFF hold one "
            "channel, or three of uint8. Write a .nii.gz file, or the channels one by one."
        )
    png = path.name.lower().endswith(".png")
    if grid.rank == 3 and (png or grid.shape[2] == 1):
        raise ConfigError(
            f"{path}: PNG holds no volume, and TIFF none of a single page, as it would come "
            f"back two-dimensional; this is {grid.shape}. Write a .nii.gz file."
        )
    pages = [array] if grid.rank == 2 else np.moveaxis(array, 2, 0)
    pages = [Image.fromarray(np.ascontiguousarray(page)) for page in pages]
    file = io.BytesIO()
    if png:
        pages[0].save(file, format="PNG")
    else:
        how = {"save_all": True, "append_images": pages[1:], "compression": "tiff_adobe_deflate"}
        pages[0].save(file, format="TIFF", **how)
    return file.getvalue()


def _pages(path):
    """Return (decoded page, bits a sample, kind of number) for each page of a file."""
    data = path.read_bytes()
    try:
        _check_end(data)
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            image.verify()  # a PNG's checksums, which decoding alone does not look at
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            return [_page(page, data) for page in ImageSequence.Iterator(image)]
    except Image.DecompressionBombError as error:
        raise ImageReadError(
            f"{path}: {error}. If you trust the file, raise PIL.Image.MAX_IMAGE_PIXELS."
        ) from error
    except UnidentifiedImageError as error:
        known = data.startswith((PNG_START, *TIFF_STARTS, BMP_START))
        raise ImageReadError(
            f"{path}: {'damaged header' if known else 'not an image we read'} (first bytes "
            f"{data[:8].hex(' ') or 'none'}); expected PNG, TIFF or BMP. Fetch it again or "
            "convert it."
        ) from error
    except EOFError as error:
        raise ImageReadError(f"{path}: file ends early. Fetch or copy it again.") from error
    except Exception as error:  # damaged bytes make Pillow raise nearly anything
        raise DataIntegrityError(
            f"{path}: checksum mismatch or damaged stream ({error}). Fetch or copy the file again."
        ) from error


def _check_end(data):
    """Raise EOFError where a file ends early; Pillow passes over the lost end, or lost pages."""
    if data.startswith(PNG_START) and PNG_END not in data:
        raise EOFError
    if data.startswith(BMP_START) and len(data) < int.from_bytes(data[2:6], "little"):
        raise EOFError
    if not data.startswith(TIFF_STARTS):
        return
    order, large = "<>"[data[0] == ord("M")], 43 in data[2:4]
    start, number, head, count, entry = (8, "Q", 8, "Q", 20) if large else (4, "I", 2, "H", 12)
    try:
        (place,), seen = struct.unpack_from(order + number, data, start), set()
        while place and place not in seen:  # each page's table of tags names the next
            seen.add(place)
            (tags,) = struct.unpack_from(order + count, data, place)
            (place,) = struct.unpack_from(order + number, data, place + head + entry * tags)
    except struct.error as error:
        raise EOFError from error


def _page(page, data):
    if page.format == "PNG":
        return page.copy(), data[24], "uint"
    if page.format == "BMP":  # Pillow gives 0 and 1 of one bit, and indices of a palette
        return page.copy(), 8, "uint"
    tags = page.tag_v2
    for offsets, counts in STRIPS:
        ends = map(sum, zip(tags.get(offsets, ()), tags.get(counts, ()), strict=False))
        if max(ends, default=0) > len(data):
            raise EOFError
    kind = NUMBERS.get(tags.get(SAMPLE_FORMAT, (1,))[0], "uint")
    return page.copy(), max(tags.get(BITS, (1,))), kind


def _image(page, bits, kind, channels, path):
    """Return a page as (rows, columns, channels)."""
    if page.mode in GRAY:
        array = _gray(page, bits, kind)[..., None]
        return array.repeat(3, axis=2) if channels == "rgb" else array
    if page.mode not in COLOUR or channels is None:
        raise ImageReadError(
            f"{path}: mode {page.mode}, expected 1 channel; "
            + ("pass channels='gray' or 'rgb'." if page.mode in COLOUR else "convert it to RGB.")
        )
    page = _opaque(page, bits, path)
    return np.atleast_3d(np.array(page.convert({"gray": "L", "rgb": "RGB"}[channels])))


def _label(page, bits, kind, channels, path):
    """Return a page as (rows, columns)."""
    if page.mode == "P":
        return np.array(page)
    if page.mode in GRAY:
        return _gray(page, bits, kind)
    if page.mode in COLOUR and channels == "gray":
        colours = np.array(_opaque(page, bits, path).convert("RGB"))
        if (colours == colours[..., :1]).all():
            return colours[..., 0]
    count = len(page.getcolors(page.width * page.height))
    raise LabelError(
        f"{path}: mask is {page.mode} with {count} colours; "
        "a label holds class numbers. Turn each colour into its number and save 8-bit grey"
        + ("." if channels else "; if red, green and blue are equal, pass channels='gray'.")
    )


def _gray(page, bits, kind):
    """Return the numbers of a grey page as stored."""
    array = np.array(page)
    if bits < 8:  # Pillow stretches two and four bits to 0..255
        return (array // (255 // (2**bits - 1)) if page.mode == "L" else array).astype(np.uint8)
    return array.astype(f"{kind}{8 if bits == 8 else 16 if bits <= 16 else 32}")


def _opaque(page, bits, path):
    """Return a colour page without its alpha channel, which may only be constant."""
    if bits > 8:
        raise ImageReadError(
            f"{path}: {bits} bits a colour, of which only 8 can be read. Save it with 8 bits, or "
            "its channels as 16-bit grey."
        )
    if page.mode == "P":
        return page.convert("RGB")
    if page.mode.endswith("A"):
        low, high = page.getchannel("A").getextrema()
        if low != high:
            raise ImageReadError(
                f"{path}: mode {page.mode} with transparency from {low} to {high}; what lies "
                "beneath is unknown. Flatten the picture onto a background first."
            )
        page = page.convert("RGBA").convert("RGB") if page.mode == "PA" else page
        page = page.convert("L" if page.mode == "LA" else "RGB")
    return page
