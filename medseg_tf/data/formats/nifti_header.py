"""What a NIfTI header says, believed only where it can be true."""

import io
import logging
import math

import nibabel as nib
import numpy as np

from medseg_tf.data.case import Grid
from medseg_tf.errors import GeometryError, ImageReadError

log = logging.getLogger(__name__)

TYPES = "uint8 int8 uint16 int16 int32 uint32 int64 uint64 float32 float64".split()
OTHER_TYPES = {32: "complex64", 128: "RGB24", 1536: "float128", 1792: "complex128", 2304: "RGBA32"}
UNITS = {1: ("mm", 1000.0), 3: ("um", 1.0)}  # xyzt_units: metre, micron; all others are mm
CODES = {"mm": 2, "um": 3, "pixel": 0}
ROUNDING = 1e-6  # how far the squares of a quaternion may sum to more than 1
AGREE = 1e-3  # how far the entries of qform and sform may differ


def parse(data, path):
    """Return the header, every field that decides about voxels or places checked."""
    block = bytes(data[: nib.Nifti2Header.sizeof_hdr])
    if len(block) < nib.Nifti1Header.sizeof_hdr:
        raise ImageReadError(
            f"{path}: file ends early, at {len(block)} bytes; a NIfTI header has 348. "
            "Fetch or copy the file again."
        )
    for kind in (nib.Nifti1Header, nib.Nifti2Header):
        for order in ("little", "big"):
            if int.from_bytes(block[:4], order) == kind.sizeof_hdr <= len(block):
                header = kind(block[: kind.sizeof_hdr], order, check=False)
                _check_voxels(header, path)
                _check_place(header, path)
                return header
    raise ImageReadError(
        f"{path} is not NIfTI: its first field, sizeof_hdr, is "
        f"{int.from_bytes(block[:4], 'little')}, expected 348 or 540. Convert it to .nii.gz."
    )


def with_extensions(header, data, path):
    """Return the header with what other programs wrote between it and the voxels."""
    offset = int(header["vox_offset"])
    if offset == header.single_vox_offset:
        return header
    try:
        block = io.BytesIO(data[:offset].tobytes())
        return type(header).from_fileobj(block, header.endianness, check=False)
    except nib.spatialimages.HeaderDataError as error:
        raise ImageReadError(f"{path}: damaged extension of the header ({error}).") from error


def _check_voxels(header, path):
    """Raise ImageReadError unless the fields that say what the bytes mean can be true."""
    magic = bytes(header["magic"].item())[:3]
    dims = header["dim"].tolist()
    datatype = int(header["datatype"])
    offset, least = float(header["vox_offset"]), header.single_vox_offset
    slope, inter = float(header["scl_slope"]), float(header["scl_inter"])
    if magic != header.single_magic[:3]:
        wrong = f"magic is {magic}; expected {header.single_magic[:3]}, header and voxels in one"
    elif not 2 <= dims[0] <= 7 or min(dims[1 : dims[0] + 1]) < 1:
        wrong = f"dim is {dims}; expected 2 to 7 axes (the first number), none shorter than 1"
    elif datatype not in {nib.nifti1.data_type_codes[name] for name in TYPES}:
        name = OTHER_TYPES.get(datatype, "unknown")
        wrong = f"datatype is {datatype} ({name} data type); expected one of {', '.join(TYPES)}"
    elif not (offset >= least and offset.is_integer()):
        wrong = f"vox_offset is {offset:g}; expected a whole number from {least}"
    elif not (math.isfinite(slope) and math.isfinite(inter)):
        wrong = f"scl_slope, scl_inter are {slope:g}, {inter:g}; expected finite numbers"
    else:
        return
    raise ImageReadError(f"{path}: header field {wrong}. Repair or convert the file.")


def _check_place(header, path):
    pixdim = header["pixdim"][1 : 1 + len(spatial(header))]
    if not (np.isfinite(pixdim) & (pixdim > 0)).all():
        raise GeometryError(
            f"{path}: header field pixdim says voxels of {pixdim.tolist()}; expected lengths above "
            "0. Set the true voxel size in the header."
        )


def end(header):
    """Return the number of bytes up to the last voxel's end."""
    count = math.prod(header["dim"].tolist()[1 : 1 + int(header["dim"][0])])
    return int(header["vox_offset"]) + count * header.get_data_dtype().itemsize


def spatial(header):
    """Return the shape without the axes after the third."""
    return tuple(header["dim"].tolist()[1 : 1 + min(int(header["dim"][0]), 3)])


def _qform(header):
    """Return the affine of the quaternion, NaN where it is none."""
    header = header.copy()
    header.quaternion_threshold = ROUNDING
    if header["pixdim"][0] == 0:  # the standard takes a handedness of 0 for 1
        header["pixdim"][0] = 1
    try:
        return header.get_qform()
    except (nib.spatialimages.HeaderDataError, ValueError):
        return np.full((4, 4), np.nan)


@np.errstate(over="ignore", invalid="ignore")  # Grid refuses what comes of it
def grid_of(header, path):
    """Return the Grid that a header describes."""
    if header["sform_code"] > 0:
        affine = header.get_sform()
    else:
        affine = _qform(header) if header["qform_code"] > 0 else header.get_base_affine()
    shape = spatial(header)
    units, factor = UNITS.get(int(header["xyzt_units"]) & 7, ("mm", 1.0))
    affine = np.diag([factor, factor, factor, 1]) @ affine
    if len(shape) == 2:
        lengths = np.linalg.norm(affine[:3, :2], axis=0)
        level = (np.abs(affine[2, :2]) <= AGREE * lengths).all()
        # A slice tilted out of the x-y plane has no 2-D affine: its voxel size is what remains.
        affine = np.delete(np.delete(affine, 2, 0), 2, 1) if level else np.diag([*lengths, 1])
    try:
        return Grid(shape, affine, units)
    except GeometryError as error:
        raise GeometryError(f"{path}: {error}") from None


@np.errstate(over="ignore", invalid="ignore")
def warn_of_geometry(header, path):
    if header["sform_code"] <= 0 and header["qform_code"] <= 0:
        log.warning(
            "%s: orientation unknown (sform and qform codes are 0); the first axis is taken to "
            "point left, the others to the front and up.",
            path,
        )
    elif header["sform_code"] > 0 and header["qform_code"] > 0:
        if not np.allclose(header.get_sform(), _qform(header), rtol=0, atol=AGREE):
            log.warning("%s: sform and qform differ by more than %g; sform is used.", path, AGREE)
    elif header["sform_code"] > 0:
        rank = len(spatial(header))
        says = header["pixdim"][1 : 1 + rank]
        used = np.linalg.norm(header.get_sform()[:3, :rank], axis=0)
        if not np.allclose(says, used, rtol=AGREE, atol=0):
            log.warning(
                "%s: header field pixdim says voxels of %s, sform says %s; sform is used.",
                path, says.tolist(), used.tolist(),
            )  # fmt: skip
    if int(header["xyzt_units"]) & 7 not in (1, 2, 3):
        log.info("%s: no unit of length in the header; mm is assumed.", path)


def warn_of_length(header, size, path):
    if size > end(header):
        log.warning(
            "%s: %d bytes follow the voxels that header field dim %s promises; it may be wrong.",
            path, size - end(header), header["dim"].tolist(),
        )  # fmt: skip


def agrees(header, grid):
    """Whether the header describes `grid` to the last bit."""
    if spatial(header) != grid.shape:
        return False
    own = grid_of(header, "header")
    return own.units == grid.units and np.array_equal(own.affine, grid.affine)


def place(header, grid):
    """Make the header describe `grid`."""
    rank, affine = grid.rank, np.eye(4)
    affine[:rank, :rank], affine[:rank, 3] = grid.affine[:-1, :-1], grid.affine[:-1, -1]
    header.set_sform(affine, code=int(header["sform_code"]) or 2)
    header.set_qform(affine, code=int(header["qform_code"]) or 2)
    if not np.allclose(header.get_qform(), affine, rtol=0, atol=AGREE):
        header["qform_code"] = 0  # a quaternion cannot shear
    header["xyzt_units"] = int(header["xyzt_units"]) & ~7 | CODES[grid.units]
