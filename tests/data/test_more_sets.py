"""OASIS-TRT-20 slices, PTBP and ProtonLungMRI, as folders drawn here and as the real ones."""

import os

import nibabel as nib
import numpy as np
import pytest

from medseg_tf import data
from medseg_tf.data import sets
from medseg_tf.errors import ConfigError, DataNotFoundError, GeometryError, LabelError

REAL = pytest.mark.skipif("MEDSEG_DATA" not in os.environ, reason="real sets: set MEDSEG_DATA")
NUMBERS = [[0, 4, 43, 10], [50, 51, 1002, 2035], [2005, 14, 24, 74]]
KINDS = ["mprage_t1", "30dir_anatomical", "30dir_fa_anatomical", "MeanCBFWarpedToT1"]


def save(path, array, shift=0.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = np.eye(4)
    affine[0, 3] = shift
    nib.save(nib.Nifti1Image(np.asarray(array, "float32"), affine), path)


def ramp(*shape):
    return np.arange(np.prod(shape)).reshape(shape)


def write_person(folder, number=1, label=NUMBERS):
    name = f"OASIS-TRT-20-{number}"
    save(folder / "Atlases" / f"{name}_slice118.nii.gz", ramp(3, 4))
    save(folder / "Labels" / f"{name}_DKT31_CMA_labels_slice118.nii.gz", label)
    return folder


def write_child(folder, number=1, label=None):
    save(folder / "JLF" / f"ilist{number}.nii.gz", ramp(2, 3, 4))
    save(folder / "JLF" / f"slist{number}.nii.gz", ramp(2, 3, 4) % 5 if label is None else label)
    return folder


def write_contrasts(folder, name="PEDS012", shift=0.0):
    at = folder / "Subjects" / name / "2010"
    for k, kind in enumerate(KINDS):
        save(at / f"{name}_2010_{kind}.nii.gz", ramp(2, 3, 4) + 100 * k, shift * (k == 2))
    save(at / f"{name}_2010_BrainSegmentation.nii.gz", ramp(2, 3, 4) % 5)
    return folder


def write_chest(folder, name="0004", masks=("LungMasks/{}Mask", "LobeMasks/{}Lobes"), shift=0.0):
    save(folder / "ProtonImages" / f"{name}H1.nii.gz", ramp(2, 3, 4))
    for mask in masks:
        classes = 6 if "Lobes" in mask else 3
        save(folder / f"Proton{mask.format(name)}.nii.gz", ramp(2, 3, 4) % classes, shift)
    return folder


# OASIS-TRT-20_slices


def test_structures_of_both_sides_are_one_class_all_cortex_another_and_the_rest_0(tmp_path):
    (case,) = data.load(write_person(tmp_path))
    assert case.label.array.tolist() == [[0, 1, 1, 2], [3, 4, 5, 5], [5, 0, 0, 0]]
    assert case.image.array.shape == (3, 4, 1) and case.classes == 6
    assert (case.subject, case.name) == ("OASIS-TRT-20-1", "OASIS-TRT-20-1 slice118")


def test_regions_of_the_cortex_can_be_classes_in_the_order_of_their_numbers(tmp_path):
    (case,) = data.load(write_person(tmp_path), regions=True)
    assert case.label.array.tolist() == [[0, 1, 1, 2], [3, 4, 5, 35], [7, 0, 0, 0]]
    assert case.classes == 36


def test_people_are_listed_by_their_numbers(tmp_path):
    for number in (10, 2, 1):
        write_person(tmp_path, number)
    subjects = [case.subject for case in data.load(tmp_path)]
    assert subjects == ["OASIS-TRT-20-1", "OASIS-TRT-20-2", "OASIS-TRT-20-10"]


@pytest.mark.parametrize("number", [2036, -1])
def test_a_number_that_is_none_of_freesurfers_is_refused(tmp_path, number):
    with pytest.raises(LabelError, match=f"labels_slice118.nii.gz holds .*{number}"):
        data.load(write_person(tmp_path, label=[[number, 0, 0, 0], [0] * 4, [0] * 4]))


def test_a_label_of_another_shape_is_refused(tmp_path):
    with pytest.raises(GeometryError, match="OASIS-TRT-20-1"):
        data.load(write_person(tmp_path, label=[[0, 1]]))


def test_a_label_without_its_slice_is_an_error_that_names_the_file(tmp_path):
    (write_person(tmp_path) / "Atlases/OASIS-TRT-20-1_slice118.nii.gz").unlink()
    with pytest.raises(DataNotFoundError, match="Atlases.*OASIS-TRT-20-1_slice118.nii.gz"):
        data.load(tmp_path)


# PTBP


def test_children_in_t1_are_listed_by_number_and_have_five_classes(tmp_path):
    for number in (33, 1, 4):
        write_child(tmp_path, number)
    write_contrasts(tmp_path)
    loaded = data.load(tmp_path)
    assert [case.subject for case in loaded] == ["child 01", "child 04", "child 33"]
    assert loaded[0].image.array.shape == (2, 3, 4, 1) and loaded[0].classes == 5
    np.testing.assert_array_equal(loaded[0].label.array, ramp(2, 3, 4) % 5)


def test_the_child_in_four_contrasts_is_there_to_be_asked_for(tmp_path):
    (case,) = data.load(write_contrasts(write_child(tmp_path)), contrasts=True)
    assert case.image.array[0, 0, 1].tolist() == [1, 101, 201, 301]
    assert case.subject == "PEDS012" and case.classes == 5


def test_a_contrast_in_another_place_is_refused(tmp_path):
    with pytest.raises(GeometryError, match="30dir_fa_anatomical.*channels of one image"):
        data.load(write_contrasts(write_child(tmp_path), shift=1), contrasts=True)


def test_a_class_that_ptbp_does_not_have_is_refused(tmp_path):
    with pytest.raises(LabelError, match=r"child 01: .* expected 0\.\.4"):
        data.load(write_child(tmp_path, label=ramp(2, 3, 4) % 6))


# ProtonLungMRI


def test_lungs_or_lobes_are_the_classes_of_a_chest(tmp_path):
    write_chest(tmp_path)
    for options, classes in [({}, 3), ({"truth": "lobes"}, 6)]:
        (case,) = data.load(tmp_path, **options)
        np.testing.assert_array_equal(case.label.array, ramp(2, 3, 4) % classes)
        assert case.classes == classes and case.subject == "0004"


def test_a_chest_without_the_truth_asked_for_is_no_case(tmp_path):
    write_chest(tmp_path)
    write_chest(tmp_path, "0006", masks=["LobeMasks/{}Lobes"])
    assert [case.subject for case in data.load(tmp_path)] == ["0004"]
    assert [case.subject for case in data.load(tmp_path, truth="lobes")] == ["0004", "0006"]


def test_another_truth_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="truth='lung'; ProtonLungMRI has 'lungs' or 'lobes'"):
        data.load(write_chest(tmp_path), truth="lung")


def test_a_mask_in_another_place_is_refused(tmp_path):
    with pytest.raises(GeometryError, match="0004Mask.nii.gz .* 2 mm apart"):
        data.load(write_chest(tmp_path, shift=2))


# The real ones


def real(name, **options):
    if sets.find(name) is None:
        pytest.skip(f"{name} is not in a data folder")
    return data.load(name, **options)


@REAL
def test_the_real_slices_of_15_people_show_each_class_and_the_front_at_the_end_of_an_axis():
    loaded = real("OASIS-TRT-20_slices")
    assert len({case.subject for case in loaded}) == len(loaded) == 15
    for case in loaded:
        image, label = case.image.array[..., 0], case.label.array
        assert label.shape == (216, 291) and np.unique(label).tolist() == list(range(6))
        ventricle, thalamus, _, _, cortex = (np.median(image[label == k]) for k in range(1, 6))
        assert max(ventricle, cortex) < thalamus
        fronts = [np.argwhere(label == k)[:, 1].max() for k in (2, 3)]
        assert fronts[1] > fronts[0]  # the caudate reaches further to the front


@REAL
def test_the_real_children_have_brighter_white_than_grey_matter_in_t1():
    loaded = [*real("PTBP"), *real("PTBP", contrasts=True)]
    assert [case.image.array.shape[-1] for case in loaded] == [1, 1, 1, 1, 4]
    for case in loaded:
        image, label = case.image.array[..., 0], case.label.array
        fluid, cortex, white, deep = (np.median(image[label == k]) for k in (1, 2, 3, 4))
        assert fluid < cortex < deep < white


@REAL
def test_the_real_chests_have_their_right_lung_on_the_right_and_lobes_within_lungs():
    lungs, lobes = real("ProtonLungMRI"), real("ProtonLungMRI", truth="lobes")
    assert [case.subject for case in lungs] == ["0004", "0006", "0011"]
    for case, parts in zip(lungs, lobes, strict=True):
        grid, label = case.image.grid, case.label.array
        right, left = (grid.to_world(np.argwhere(label == k).mean(0))[0] for k in (1, 2))
        assert right > left
        assert ((parts.label.array > 0) == (label > 0)).mean() > 0.99
