"""Read a compressed NIfTI volume, beside SimpleITK, TorchIO and nibabel.

Ours unpacks the file to its end and verifies its checksum, and refuses voxels that are no numbers.
nibabel stops before the checksum, so it stands in a row of its own.
"""

import tempfile
from pathlib import Path

import measure
import numpy as np

SIDE = 256
FILE = Path(tempfile.gettempdir()) / f"medseg_bench_{SIDE}.nii.gz"


def facts(array):
    """What all readers must find: size, and a sum that the order of axes does not change."""
    return {"voxels": array.size, "sum": int(array.squeeze()[::8, ::8, ::8].sum(dtype="int64"))}


def write():
    """The file: smooth noise in 16 bits, about two thirds of it left after compression."""
    if not FILE.exists():
        from medseg_tf import data

        rng = np.random.default_rng(0)
        waves = sum(np.sin(axis / 20) for axis in np.ogrid[(slice(SIDE),) * 3])
        grey = 400 * waves[..., None] + rng.normal(0, 60, (SIDE, SIDE, SIDE, 1))
        scan = data.Scan(grey.astype("int16"), data.Grid((SIDE,) * 3, np.diag([1, 1, 1.5, 1])))
        scan.write(FILE)


def ours():
    from medseg_tf import data

    write()
    return lambda: facts(data.Scan.read(FILE).array)


def simpleitk():
    import SimpleITK

    return lambda: facts(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(FILE)))


def torchio():
    import torchio as tio

    return lambda: facts(tio.ScalarImage(FILE).data.numpy())


def nibabel():
    import nibabel as nib

    return lambda: facts(np.asanyarray(nib.load(FILE).dataobj))


WORK = f"reading a .nii.gz of {SIDE} x {SIDE} x {SIDE}, 16 bits"
UNPACK = (
    "nearly all of it is unpacking, by Python's zlib here and by the faster zlib-ng at SimpleITK; "
    "with isal installed, which ours then takes, it is the other way round"
)
ROWS = [
    measure.Row(
        f"{WORK}, checksum verified",
        ours,
        {"SimpleITK": simpleitk, "TorchIO": torchio},
        mark=1,
        reason=UNPACK,
    ),
    measure.Row(
        f"{WORK}, beside one that does not verify it",
        ours,
        {"nibabel": nibabel},
        reason="nibabel stops before the checksum and gives damaged voxels without a word",
    ),
]

if __name__ == "__main__":
    measure.main(__doc__, ROWS)
