"""Sets of heads: IBSR18 and BRATS2013_2D, as folders drawn here and as the real ones."""

import os

import nibabel as nib
import numpy as np
import pytest

from medseg_tf import data
from medseg_tf.data import sets
from medseg_tf.errors import (
    ConfigError,
    DataIntegrityError,
    DataNotFoundError,
    GeometryError,
    LabelError,
)

REAL = pytest.mark.skipif("MEDSEG_DATA" not in os.environ, reason="real sets: set MEDSEG_DATA")
TISSUES = np.arange(24).reshape(2, 3, 4, 1) % 4
SPACING = (0.9375, 1.5, 0.9375)
KINDS = ["T1", "T1C", "T2", "FLAIR"]


def save(path, array, spacing=(1, 1, 1)):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, np.diag([*spacing, 1.0])), path)


def write_person(folder, name="IBSR_01", label=TISSUES, spacing=SPACING, part="Training_Set"):
    """Write a volume and its label in the layout of IBSR18, both with a fourth axis of length 1."""
    at = folder / part / name
    save(at / f"{name}.nii.gz", np.arange(24, dtype="int16").reshape(2, 3, 4, 1), SPACING)
    save(at / f"{name}_seg.nii.gz", np.asarray(label, "int16"), spacing)
    return folder


def write_slice(folder, name="BRATS_HG0001", label=range(8), part="TrainingData"):
    """Write a slice whose contrast number k is 10 k everywhere but at its first pixel."""
    at = folder / part / name
    for k, kind in enumerate(KINDS):
        array = np.full((2, 4), 10 * k, "float32")
        array[0, 0] = -1
        save(at / f"{name}_{kind}_slice90.nii.gz", array)
    label = np.reshape(label, (2, 4)).astype("float32")
    save(at / f"{name}_atropos_truth_slice90.nii.gz", label)
    save(at / f"{name}_MASK_slice90.nii.gz", np.ones((2, 4, 1), "float32"))
    return folder


# IBSR18


def test_a_volume_of_a_trailing_axis_is_a_case_of_four_classes_with_its_size_in_mm(tmp_path):
    (case,) = data.load(write_person(tmp_path))
    assert case.image.array.shape == (2, 3, 4, 1) and case.classes == 4
    np.testing.assert_array_equal(case.label.array, TISSUES[..., 0])
    assert case.image.grid.spacing == pytest.approx(SPACING) and case.image.grid.units == "mm"


def test_people_of_both_folders_are_listed_by_number(tmp_path):
    write_person(tmp_path, "IBSR_11", part="Validation_Set")
    write_person(tmp_path, "IBSR_12")
    write_person(tmp_path, "IBSR_03")
    assert [case.subject for case in data.load(tmp_path)] == ["IBSR_03", "IBSR_11", "IBSR_12"]


def test_a_volume_without_a_label_is_no_case(tmp_path):
    write_person(write_person(tmp_path), "IBSR_02")
    (tmp_path / "Training_Set/IBSR_02/IBSR_02_seg.nii.gz").unlink()
    assert [case.subject for case in data.load(tmp_path)] == ["IBSR_01"]


def test_a_label_without_its_volume_is_an_error_that_names_the_file(tmp_path):
    (write_person(tmp_path) / "Training_Set/IBSR_01/IBSR_01.nii.gz").unlink()
    with pytest.raises(DataNotFoundError, match="IBSR_01.nii.gz: no such file"):
        data.load(tmp_path)


def test_a_label_with_other_numbers_is_refused(tmp_path):
    with pytest.raises(LabelError, match=r"IBSR_01: label values .* expected 0\.\.3"):
        data.load(write_person(tmp_path, label=2 * TISSUES))


def test_a_label_on_another_grid_is_refused(tmp_path):
    with pytest.raises(GeometryError, match="IBSR_01_seg.nii.gz .* mm apart"):
        data.load(write_person(tmp_path, spacing=(1, 1.5, 1)))


def test_a_volume_cut_short_is_refused(tmp_path):
    path = write_person(tmp_path) / "Training_Set/IBSR_01/IBSR_01.nii.gz"
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(DataIntegrityError, match="gzip ends early"):
        data.load(tmp_path)


# BRATS2013_2D


def test_contrasts_are_channels_in_a_fixed_order_and_all_parts_of_a_tumour_classes(tmp_path):
    (case,) = data.load(write_slice(tmp_path))
    assert case.image.array.shape == (2, 4, 4) and case.classes == 8
    assert case.image.array[1, 1].tolist() == [0, 10, 20, 30]
    assert case.label.array.ravel().tolist() == list(range(8))
    assert (case.subject, case.name) == ("BRATS_HG0001", "BRATS_HG0001 slice90")


def test_a_tumour_can_be_made_one_class(tmp_path):
    (case,) = data.load(write_slice(tmp_path), relabel={5: 4, 6: 4, 7: 4})
    assert case.label.array.ravel().tolist() == [0, 1, 2, 3, 4, 4, 4, 4] and case.classes == 5


def test_patients_of_both_folders_are_listed_by_number(tmp_path):
    write_slice(tmp_path, "BRATS_HG0006", part="TestingData")
    write_slice(tmp_path, "BRATS_HG0002")
    assert [case.subject for case in data.load(tmp_path)] == ["BRATS_HG0002", "BRATS_HG0006"]


def test_a_missing_contrast_is_an_error_that_names_its_file(tmp_path):
    write_slice(tmp_path)
    (tmp_path / "TrainingData/BRATS_HG0001/BRATS_HG0001_T2_slice90.nii.gz").unlink()
    with pytest.raises(DataNotFoundError, match="BRATS_HG0001_T2_slice90.nii.gz: no such file"):
        data.load(tmp_path)


def test_a_contrast_on_another_grid_is_refused(tmp_path):
    write_slice(tmp_path)
    path = tmp_path / "TrainingData/BRATS_HG0001/BRATS_HG0001_FLAIR_slice90.nii.gz"
    save(path, np.eye(2, 4, dtype="float32"), (2, 2, 1))
    with pytest.raises(GeometryError, match="FLAIR.* and .*T1_slice90.* channels of one image"):
        data.load(tmp_path)


def test_a_label_that_was_interpolated_is_refused(tmp_path):
    with pytest.raises(LabelError, match="atropos_truth.* label holds 0.500"):
        data.load(write_slice(tmp_path, label=np.arange(8) / 2))


def test_a_number_of_classes_that_is_none_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="classes=1"):
        data.load(write_slice(tmp_path), classes=1)


# The real ones


def real(name, limit=None):
    if sets.find(name) is None:
        pytest.skip(f"{name} is not in a data folder")
    return data.load(name, limit=limit)


@REAL
def test_the_real_ibsr_has_11_people_with_white_matter_brighter_than_grey_than_fluid():
    loaded = real("IBSR18", limit=3)
    assert len({subject for subject, _ in sets.plan("IBSR18", {})}) == 11
    for case in loaded:
        assert case.image.array.shape == (256, 128, 256, 1)
        image, label = case.image.array[..., 0], case.label.array
        assert case.image.grid.spacing[1] == pytest.approx(1.5)
        assert np.unique(label).tolist() == [0, 1, 2, 3]
        fluid, grey, white = (np.median(image[label == k]) for k in (1, 2, 3))
        assert fluid < grey < white
        assert 0.005 < (label == 1).sum() / (label > 0).sum() < 0.05


@REAL
def test_the_real_slices_are_of_6_patients_in_four_contrasts():
    loaded = real("BRATS2013_2D")
    assert len({case.subject for case in loaded}) == len(loaded) == 6
    for case in loaded:
        assert case.image.array.shape[-1] == 4 and case.image.grid.rank == 2
        assert {1, 2, 3} < set(np.unique(case.label.array).tolist()) <= set(range(8))
        assert (case.image.grid.spacing == 1).all() and case.image.grid.units == "mm"
