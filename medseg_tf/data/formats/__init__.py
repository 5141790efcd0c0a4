"""Files to scans and back: one module a file format, one door for all of them."""

import logging
import os
from pathlib import Path

import numpy as np

from medseg_tf.data.case import Scan
from medseg_tf.data.formats import nifti, raster
from medseg_tf.errors import ConfigError, DataNotFoundError, ImageReadError, LabelError

log = logging.getLogger(__name__)

WHOLE = 1e-3  # a class number may be this far from whole: uint8 under a scale gives 3.00000006


def read(path, label=False, volume=None, channels=None):
    """Read a NIfTI, PNG, TIFF or BMP file.

    Args:
        path: the file; its ending decides: .nii, .nii.gz, .png, .tif, .tiff, .bmp.
        label: read a label, int32 (*spatial), instead of an image (*spatial, channels) of the
            file's own type.
        volume: for a NIfTI of several volumes, the index of one, or "all" to make them channels.
        channels: for a picture in colour, "gray" or "rgb".

    Raises:
        DataNotFoundError: there is no such file.
        ImageReadError: not an image we read, a header that cannot be true, NaN or infinite voxels.
        DataIntegrityError: the file is damaged.
        GeometryError: its affine or voxel size cannot be true.
        LabelError: a label with values that are not whole, or in colour.
        ConfigError: `volume` or `channels` does not fit the file.
    """
    path = Path(path)
    if not path.is_file():
        raise DataNotFoundError(f"{path}: no such file. Check the name, or fetch the data first.")
    if _format(path, other=(".bmp",)) is nifti:
        if channels is not None:
            raise ConfigError(f"{path}: channels={channels!r} is for pictures; leave it out.")
        array, grid, header = nifti.read(path, label, volume)
    else:
        if volume is not None:
            raise ConfigError(f"{path}: volume={volume!r} is for NIfTI; leave it out.")
        array, grid, header = *raster.read(path, label, channels), None
    if label:
        return Scan(_whole(array, path), grid, header)
    array = _finite(array, path)
    if array.min() == array.max():
        log.warning("%s: all voxels are %g; nothing can be seen or learned.", path, array.min())
    return Scan(array, grid, header)


def write(scan, path):
    """Write a scan to a file that `read` gives back unchanged; whole, or not at all.

    Labels take the smallest integer type; images keep theirs, or the next that the format knows.

    Raises:
        DataNotFoundError: the folder is not there.
        ImageReadError: an ending we do not write.
        LabelError: a label with values that are not whole.
        ConfigError: the format cannot hold this shape or these values.
    """
    path = Path(path)
    module = _format(path)
    if not path.parent.is_dir():
        raise DataNotFoundError(f"Folder {path.parent} is not there. Make it first.")
    array = _whole(scan.array, path) if scan.is_label else scan.array
    array = _fit(array, module.TYPES, path, smallest=scan.is_label)
    if module is nifti:
        data = nifti.pack(array, scan.grid, scan.header, path)
    else:
        data = raster.pack(array, scan.grid, path)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _format(path, other=()):
    name = path.name.lower()
    if name.endswith((".nii", ".nii.gz")):
        return nifti
    if name.endswith((".png", ".tif", ".tiff", *other)):
        return raster
    raise ImageReadError(
        f"{path}: endings we read and write are .nii, .nii.gz, .png, .tif and .tiff, and .bmp is "
        "read. Convert the file to one of them."
    )


def _finite(array, path):
    if array.dtype.kind == "f" and not (good := np.isfinite(array)).all():
        first = np.unravel_index(np.argmin(good), array.shape)[:-1]
        raise ImageReadError(
            f"{path}: {good.size - np.count_nonzero(good)} of {good.size} voxels are NaN or "
            f"infinite, the first at index {tuple(map(int, first))}. Give them a value first, "
            "e.g. with numpy.nan_to_num."
        )
    return array


def _whole(array, path):
    """Return a label as int32; its values must be whole numbers."""
    if array.dtype.kind == "f":
        whole = np.rint(array)
        with np.errstate(invalid="ignore"):
            good = np.abs(array - whole) <= WHOLE
        if not good.all():
            raise LabelError(
                f"{path}: label holds {array[~good].flat[0]:.3f}; class numbers are whole. "
                "It was probably interpolated: go back to the file before resampling."
            )
        array = whole
    if max(-int(array.min()), int(array.max())) >= 2**31:
        raise LabelError(
            f"{path}: label values reach from {array.min()} to {array.max()}; class and object "
            "numbers are below 2**31. Number the objects anew from 1."
        )
    return array.astype(np.int32, copy=False)


def _fit(array, types, path, smallest):
    """Return `array` in its own type, or in the first of `types` that holds all its values."""
    if array.dtype.name in types and not smallest:
        return array
    low, high = array.min(), array.max()
    for name in types:
        if array.dtype.kind in "biu" and np.dtype(name).kind in "iu":
            fits = np.iinfo(name).min <= int(low) and int(high) <= np.iinfo(name).max
        else:
            fits = np.can_cast(array.dtype, name)
        if fits:
            return array.astype(name)
    raise ConfigError(
        f"{path} cannot hold {array.dtype} values from {low} to {high}, only "
        f"{', '.join(types)}. Convert them, or write a .nii.gz file."
    )
