"""Read and write NIfTI-1 and NIfTI-2. Arrays keep the file's own voxel order (x, y, z).

nibabel knows the header. The bytes are unpacked and checked here, because nibabel stops before a
gzip stream's checksum and believes sizes, scales and offsets that cannot be true.

A file of two dimensions is a 2-D scan. A file of shape (x, y, 1) is a volume of one slice, with a
thickness and a place in space, and stays three-dimensional. Axes after the third are volumes.
"""

import io
import math

import nibabel as nib
import numpy as np

from medseg_tf.data.formats import nifti_header as headers
from medseg_tf.errors import ConfigError, DataIntegrityError, ImageReadError, MedsegError

try:  # optional, the same interface: writing takes less than half the time
    from isal import isal_zlib as zlib
except ImportError:
    import zlib

TYPES = headers.TYPES
GZIP = 31  # zlib's word for a stream with gzip's header and checksum
STEP = 1 << 18  # bytes of a file that are unpacked at once: what they give stays in the cache
PIECE = 1 << 26  # bytes that they may give


def read(path, label=False, volume=None):
    """Read a file.

    The affine is the sform, else the qform, else made from the voxel size with a warning.

    Returns:
        array: image (*spatial, volumes) or label (*spatial) of the stored type; under a scale
            (scl_slope, scl_inter) float32, for a label float64.
        grid: its Grid, in mm or micron; mm is assumed where the file does not say.
        header: the nibabel header, for writing back.
    """
    if path.name.lower().endswith(".gz"):
        data, size = _unpack(path)
    else:
        data = np.fromfile(path, np.uint8)
        size = data.size
    header = headers.parse(data, path)
    grid = headers.grid_of(header, path)
    headers.warn_of_geometry(header, path)
    headers.warn_of_length(header, size, path)
    array = _choose_volume(_voxels(data, header, path), volume, label, path)
    slope, inter = float(header["scl_slope"]), float(header["scl_inter"])
    if slope and (slope, inter) != (1, 0):
        with np.errstate(over="ignore"):  # too large a number is told as an infinite voxel
            array = np.multiply(array, slope, dtype=np.float64) + inter
            array = array if label else array.astype(np.float32)
    header = headers.with_extensions(header, data, path)
    return array[..., 0] if label else array, grid, header


def pack(array, grid, header, path):
    """Return the file's bytes for an array of one of TYPES.

    Units, description and the like come from `header`. Its qform and sform stay as they are, bit
    for bit, where they still say what `grid` says. A grid in pixels has no unit in a NIfTI file
    and comes back as mm.
    """
    is_label = array.ndim == grid.rank
    if not is_label and array.shape[-1] == 1:
        array = array[..., 0]
    if grid.rank == 2 and array.ndim == 3:
        raise ConfigError(
            f"{path}: a 2-D NIfTI holds one channel, the image has {array.shape[-1]}. Write "
            "one file a channel, or a PNG or TIFF."
        )
    large = max(array.shape) > 32767 or isinstance(header, nib.Nifti2Header)
    kind = nib.Nifti2Header if large else nib.Nifti1Header
    header = kind() if header is None else kind.from_header(header, check=False)
    if not headers.agrees(header, grid):
        headers.place(header, grid)
    header.set_data_shape(array.shape)
    header.set_data_dtype(array.dtype)
    header["scl_slope"], header["scl_inter"], header["vox_offset"] = 1, 0, 0
    if is_label:
        header["cal_min"] = header["cal_max"] = 0  # an image's grey window would hide the classes
    head = io.BytesIO()
    header.write_to(head)
    voxels = array.astype(header.get_data_dtype(), copy=False).ravel(order="F").view(np.uint8)
    parts = [head.getvalue(), voxels]
    if path.name.lower().endswith(".gz"):
        packer = zlib.compressobj(1, zlib.DEFLATED, GZIP)
        parts = [*map(packer.compress, parts), packer.flush()]
    return b"".join(parts)


def _pieces(packed):
    """Yield what a gzip file holds; EOFError where it ends early, zlib.error where damaged."""
    view, start = memoryview(packed), 0
    while start < len(view) or not start:  # one stream or several; zeros may follow
        stream = zlib.decompressobj(GZIP)
        while not stream.eof:
            part = view[start : start + STEP]
            piece = stream.decompress(part, PIECE)
            start += len(part) - len(stream.unconsumed_tail) - len(stream.unused_data)
            if not (piece or start < len(view) or stream.eof):
                raise EOFError
            yield piece
        while view[start : start + 1] == b"\0":
            start += 1


def _unpack(path):
    """Return the bytes of a gzip file and their number, all read and the checksum verified.

    Bytes after the last voxel are counted, but not kept where they take much memory.
    """
    packed = path.read_bytes()
    if not b"\x1f\x8b".startswith(packed[:2]):
        raise ImageReadError(
            f"{path} is not a gzip file (first bytes {packed[:4].hex(' ')}). If it is a plain "
            "NIfTI file, name it .nii."
        )
    data, size, most = bytearray(), 0, PIECE
    try:
        for piece in _pieces(packed):
            size += len(piece)
            if len(data) >= most:  # memory follows the header, not the zip
                most = max(most, _promised(data))
            if len(data) < most:
                data += piece
    except EOFError:
        raise DataIntegrityError(
            f"{path}: gzip ends early at {size} of {_promised(data) or 'unknown'} bytes. "
            "Fetch or copy the file again."
        ) from None
    except zlib.error as error:
        raise DataIntegrityError(
            f"{path}: gzip checksum mismatch or damaged stream ({error}). "
            "Fetch or copy the file again."
        ) from error
    return np.frombuffer(data, np.uint8), size


def _promised(data):
    """Return how many bytes the header says that the file has; 0 where it cannot be read."""
    try:
        return headers.end(headers.parse(data, "header"))
    except MedsegError:
        return 0


def _voxels(data, header, path):
    """Return the stored numbers, (*spatial, volumes), in the machine's byte order."""
    size, spatial = headers.end(header), headers.spatial(header)
    if len(data) < size:
        raise ImageReadError(
            f"{path}: file ends early, at {len(data)} of {size} bytes that header field dim "
            f"{header['dim'].tolist()} promises. Fetch the file again or repair the header."
        )
    dtype = header.get_data_dtype()
    array = data[int(header["vox_offset"]) : size].view(dtype)
    array = array.reshape((*spatial, array.size // math.prod(spatial)), order="F")
    return array.astype(dtype.newbyteorder("="), copy=False)


def _choose_volume(array, volume, label, path):
    count = array.shape[-1]
    if volume == "all" and not (label and count > 1):
        return array
    if volume is None and count > 1:
        raise ImageReadError(
            f"{path}: shape {array.shape} holds {count} volumes; give volume=index "
            f"(0 to {count - 1})" + ("." if label else ", or volume='all' to make them channels.")
        )
    if (volume or 0) not in range(count):
        raise ConfigError(f"{path}: volume={volume!r}, but it holds {count}, counted from 0.")
    chosen = array[..., volume or 0, None]
    return chosen if count == 1 else chosen.copy(order="F")
