"""A damaged .nii.gz never passes for a good one, and takes no memory beyond what it promises."""

import gzip

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medseg_tf.data.case import Scan
from medseg_tf.data.formats import nifti
from medseg_tf.errors import DataIntegrityError, ImageReadError


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """A .nii.gz file whose voxels deflate cannot foresee, so that flips reach them."""
    path = tmp_path_factory.mktemp("packed") / "a.nii.gz"
    array = np.random.default_rng(0).integers(0, 4, (9, 10, 11)).astype("int16")
    nib.save(nib.Nifti1Image(array, np.eye(4)), path)
    return path.read_bytes(), array


@settings(max_examples=50, deadline=None)
@given(where=st.floats(0, 1, exclude_max=True))
def test_one_flipped_bit_of_a_packed_file_never_gives_other_voxels(packed, tmp_path_factory, where):
    good, array = packed
    bit = int(where * len(good) * 8)
    damaged = bytearray(good)
    damaged[bit // 8] ^= 1 << bit % 8
    path = tmp_path_factory.getbasetemp() / "flipped.nii.gz"
    path.write_bytes(damaged)
    try:
        voxels = Scan.read(path).array[..., 0]
    except DataIntegrityError:
        return
    except ImageReadError:
        assert bit < 16  # the two bytes by which gzip is known
        return
    np.testing.assert_array_equal(voxels, array)


def test_a_packed_file_cut_short_anywhere_never_passes(packed, tmp_path):
    good, _ = packed
    path = tmp_path / "cut.nii.gz"
    for length in [*range(0, len(good), 7), *range(len(good) - 9, len(good))]:
        path.write_bytes(good[:length])
        with pytest.raises(DataIntegrityError, match="gzip ends early"):
            Scan.read(path)


@pytest.mark.parametrize("step", [7, nifti.STEP])
def test_streams_one_after_the_other_and_zeros_at_the_end_are_gzip_too(
    packed, tmp_path, monkeypatch, step
):
    monkeypatch.setattr(nifti, "STEP", step)
    plain = gzip.decompress(packed[0])
    path = tmp_path / "two.nii.gz"
    path.write_bytes(gzip.compress(plain[:700]) + gzip.compress(plain[700:]) + bytes(50))
    np.testing.assert_array_equal(Scan.read(path).array[..., 0], packed[1])


def test_what_a_gzip_file_holds_beyond_the_voxels_takes_no_memory(packed, tmp_path, monkeypatch):
    monkeypatch.setattr(nifti, "PIECE", 4096)
    path = tmp_path / "bomb.nii.gz"
    path.write_bytes(gzip.compress(gzip.decompress(packed[0]) + bytes(1_000_000)))
    assert len(nifti._unpack(path)[0]) < 10_000
    np.testing.assert_array_equal(Scan.read(path).array[..., 0], packed[1])
