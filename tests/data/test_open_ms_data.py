"""open_ms_data: as a folder drawn here and as the real one."""

import os

import nibabel as nib
import numpy as np
import pytest

from medseg_tf import data
from medseg_tf.data import sets
from medseg_tf.errors import DataNotFoundError, GeometryError, LabelError

REAL = pytest.mark.skipif("MEDSEG_DATA" not in os.environ, reason="real sets: set MEDSEG_DATA")
ENDINGS = {
    "FLAIR": "N4_noneck_reduced_winsor_regtoFLAIR_brain_N4_regtoMNI",
    "T1": "N4_noneck_reduced_winsor_regtoFLAIR_brain_N4_regtoMNI",
    "T2": "N4_noneck_reduced_winsor_regtoFLAIR_brain_N4_regtoMNI",
    "GOLD_STANDARD": "N4_noneck_reduced_winsor_regtoFLAIR_regtoMNI",
}


def path_of(folder, name, kind):
    return folder / "cross_sectional/MNI" / name / f"{kind}_{ENDINGS[kind]}.nii.gz"


def save(path, array, spacing=2):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, np.diag([spacing, spacing, spacing, 1.0])), path)


def write_patient(folder, name="patient07", label=None):
    """Write a patient whose contrast number k is 10 (k + 1) everywhere."""
    for k, kind in enumerate(["FLAIR", "T1", "T2"], start=1):
        save(path_of(folder, name, kind), np.full((3, 4, 5), 10 * k, "int16"))
    label = np.indices((3, 4, 5)).sum(0) % 2 if label is None else label
    save(path_of(folder, name, "GOLD_STANDARD"), label.astype("float32"))
    return folder


def test_contrasts_are_channels_in_a_fixed_order_and_the_label_has_two_classes(tmp_path):
    (case,) = data.load(write_patient(tmp_path))
    assert case.image.array.shape == (3, 4, 5, 3) and case.classes == 2
    assert case.image.array[0, 0, 0].tolist() == [10, 20, 30]
    assert np.unique(case.label.array).tolist() == [0, 1]
    assert case.subject == "patient07" and case.image.grid.spacing == pytest.approx([2, 2, 2])


def test_patients_are_listed_by_number(tmp_path):
    write_patient(write_patient(tmp_path, "patient19"), "patient02")
    assert [case.subject for case in data.load(tmp_path)] == ["patient02", "patient19"]


def test_a_contrast_after_contrast_agent_is_no_t1(tmp_path):
    write_patient(tmp_path)
    other = path_of(tmp_path, "patient07", "T1")
    save(other.with_name(other.name.replace("T1_", "T1POST_")), np.zeros((3, 4, 5), "int16"))
    (case,) = data.load(tmp_path)
    assert case.image.array[0, 0, 0].tolist() == [10, 20, 30]


def test_a_missing_contrast_is_an_error_that_names_it(tmp_path):
    path_of(write_patient(tmp_path), "patient07", "T2").unlink()
    with pytest.raises(DataNotFoundError, match=r"patient07 holds 0 files T2_"):
        data.load(tmp_path)


def test_a_contrast_on_another_grid_is_refused(tmp_path):
    save(path_of(write_patient(tmp_path), "patient07", "T2"), np.zeros((3, 4, 5), "int16"), 3)
    with pytest.raises(GeometryError, match="channels of one image"):
        data.load(tmp_path)


@pytest.mark.parametrize("numbers", [0.5, 2])
def test_a_label_of_other_numbers_is_refused(tmp_path, numbers):
    with pytest.raises(LabelError):
        data.load(write_patient(tmp_path, label=np.full((3, 4, 5), numbers)))


@REAL
def test_the_real_patients_have_many_and_few_lesions_which_are_bright_in_flair():
    if sets.find("open_ms_data") is None:
        pytest.skip("open_ms_data is not in a data folder")
    few, many = data.load("open_ms_data")
    assert (few.subject, many.subject) == ("patient07", "patient19")
    assert few.label.array.sum() == 154 and many.label.array.sum() == 6456
    for case in (few, many):
        assert case.image.array.shape == (91, 109, 91, 3) and case.image.grid.axes == "LAS"
        flair, t1, _ = np.moveaxis(case.image.array, -1, 0)
        brain, lesion = flair > 0, case.label.array > 0
        assert flair[lesion].mean() > 1.2 * flair[brain & ~lesion].mean()
        assert t1[lesion].mean() < np.median(t1[brain & ~lesion])
