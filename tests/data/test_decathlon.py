"""The layout of the Medical Segmentation Decathlon, on tiny folders written here."""

import json

import numpy as np
import pytest

from medseg_tf import data
from medseg_tf.data import Grid, Scan, sets
from medseg_tf.errors import (
    ConfigError,
    DataIntegrityError,
    DataNotFoundError,
    GeometryError,
    ImageReadError,
    LabelError,
)

SHAPE = (3, 4, 5)


def save(path, array, spacing=2):
    path.parent.mkdir(parents=True, exist_ok=True)
    return Scan(array, Grid.from_spacing(SHAPE, spacing)).write(path)


def image(grey=0, channels=1):
    ramp = np.arange(np.prod(SHAPE)).reshape(SHAPE) + grey
    return np.stack([ramp + 1000 * channel for channel in range(channels)], -1).astype("int16")


def label(highest=2):
    return (np.arange(np.prod(SHAPE)) % (highest + 1)).reshape(SHAPE)


def write(folder, names=("b", "a"), ending=".nii.gz", highest=2, channels=1):
    for grey, name in enumerate(names):
        save(folder / "imagesTr" / f"{name}{ending}", image(grey, channels))
        save(folder / "labelsTr" / f"{name}{ending}", label(highest))
    return folder


def describe(folder, names=("b", "a"), **facts):
    training = [
        {"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"}
        for name in names
    ]
    facts = {"labels": {"0": "background", "1": "head", "3": "tail"}, "training": training} | facts
    (folder / "dataset.json").write_text(json.dumps(facts), "utf-8")
    return folder


# Which cases


def test_the_listed_cases_are_read_by_name_and_the_classes_are_those_named(tmp_path):
    write(tmp_path, ["b", "a", "not listed"])
    loaded = data.load(describe(tmp_path, modality={"0": "MRI"}))
    assert [case.subject for case in loaded] == ["a", "b"]
    assert [case.image.array[0, 0, 0, 0] for case in loaded] == [1, 0]
    assert {case.classes for case in loaded} == {4}  # 3 is named, though no label has it
    assert loaded[0].image.grid.spacing.tolist() == [2, 2, 2]


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_without_a_list_images_and_labels_are_paired_by_name(tmp_path, ending):
    loaded = data.load(write(tmp_path, ["b", "a"], ending))
    assert [(case.subject, case.image.array[0, 0, 0, 0]) for case in loaded] == [("a", 1), ("b", 0)]


def test_all_cases_have_the_highest_number_of_any_label_plus_one(tmp_path):
    write(tmp_path, ["a", "b"], highest=1)
    save(tmp_path / "labelsTr" / "c.nii.gz", label(3))
    save(tmp_path / "imagesTr" / "c.nii.gz", image())
    assert [case.classes for case in data.load(tmp_path)] == [4, 4, 4]
    assert data.load(tmp_path, limit=1)[0].classes == 4
    assert data.load(tmp_path, classes=5)[0].classes == 5


def test_labels_without_anything_in_them_still_make_two_classes(tmp_path):
    assert data.load(write(tmp_path, highest=0))[0].classes == 2


def test_counting_cases_opens_no_file(tmp_path):
    write(tmp_path)
    for path in tmp_path.glob("*/*"):
        path.write_bytes(b"")
    assert len(sets.plan(tmp_path, {})) == 2


def test_the_files_that_macos_leaves_beside_others_are_passed_over(tmp_path):
    write(tmp_path)
    for folder in ("imagesTr", "labelsTr"):
        (tmp_path / folder / "._a.nii.gz").write_bytes(b"\0\5\26\7")
    assert len(data.load(tmp_path)) == 2


# Channels


def test_a_fourth_axis_is_the_channels(tmp_path):
    write(tmp_path, channels=2)
    case = data.load(describe(tmp_path, modality={"0": "T1", "1": "T2"}))[0]
    assert case.image.array.shape == (*SHAPE, 2)


def test_channels_in_files_of_their_own_are_put_together_in_order(tmp_path):
    for name in ("b", "a_0007"):
        for channel in (1, 0):
            save(tmp_path / "imagesTr" / f"{name}_000{channel}.nii.gz", image(100 * channel))
        save(tmp_path / "labelsTr" / f"{name}.nii.gz", label())
    loaded = data.load(tmp_path)
    assert [case.subject for case in loaded] == ["a_0007", "b"]
    assert loaded[0].image.array[0, 0, 0].tolist() == [0, 100]


def test_a_dataset_json_of_nnunet_names_channels_and_regions_and_lists_no_cases(tmp_path):
    for channel in (0, 1):
        save(tmp_path / "imagesTr" / f"a_000{channel}.nii.gz", image())
    save(tmp_path / "labelsTr" / "a.nii.gz", label())
    facts = {
        "channel_names": {"0": "T1", "1": "T2"},
        "labels": {"background": 0, "organ": [1, 2, 3], "tumour": 2},
        "numTraining": 1,
    }
    (tmp_path / "dataset.json").write_text(json.dumps(facts))
    case = data.load(tmp_path)[0]
    assert (case.subject, case.classes, case.image.array.shape[-1]) == ("a", 4, 2)


def test_a_listed_image_may_be_there_as_its_channels(tmp_path):
    save(tmp_path / "imagesTr" / "a_0000.nii.gz", image())
    save(tmp_path / "labelsTr" / "a.nii.gz", label())
    assert data.load(describe(tmp_path, ["a"]))[0].subject == "a"


def test_a_name_that_ends_in_four_digits_is_no_channel_where_the_label_has_it_too(tmp_path):
    loaded = data.load(write(tmp_path, ["scan_0001", "scan_0002"]))
    assert [case.subject for case in loaded] == ["scan_0001", "scan_0002"]


@pytest.mark.parametrize("there", [["a_0000", "a_0002"], ["a_0001"]])
def test_a_missing_channel_is_named(tmp_path, there):
    for name in [*there, "b_0000", "b_0001"]:
        save(tmp_path / "imagesTr" / f"{name}.nii.gz", image())
    for name in "ab":
        save(tmp_path / "labelsTr" / f"{name}.nii.gz", label())
    missing = "a_0001, b_0002" if len(there) == 2 else "a_0000"
    with pytest.raises(DataNotFoundError, match=f"there is no {missing}.* same channels"):
        data.load(tmp_path)


def test_channels_in_different_places_are_refused(tmp_path):
    save(tmp_path / "imagesTr" / "a_0000.nii.gz", image())
    save(tmp_path / "imagesTr" / "a_0001.nii.gz", image(), spacing=3)
    save(tmp_path / "labelsTr" / "a.nii.gz", label())
    with pytest.raises(GeometryError, match=r"a_0001.nii.gz and .*a_0000.nii.gz are channels of"):
        data.load(tmp_path)


def test_another_number_of_channels_than_named_is_refused(tmp_path):
    write(tmp_path, channels=3)
    with pytest.raises(ImageReadError, match=r"a.nii.gz: 3 channels; dataset.json names 2"):
        data.load(describe(tmp_path, modality={"0": "T1", "1": "T2"}))


# What is missing


@pytest.mark.parametrize("kind", ["imagesTr", "labelsTr"])
def test_a_listed_file_that_is_missing_is_named(tmp_path, kind):
    describe(write(tmp_path))
    (tmp_path / kind / "b.nii.gz").unlink()
    with pytest.raises(DataNotFoundError, match=rf"dataset.json lists .*{kind}.b.nii.gz; no such"):
        data.load(tmp_path)


@pytest.mark.parametrize("gone, left, partner", [
    ("imagesTr", "labelsTr", "image"), ("labelsTr", "imagesTr", "label")])  # fmt: skip
def test_an_image_without_label_or_a_label_without_image_is_named(tmp_path, gone, left, partner):
    write(tmp_path)
    (tmp_path / gone / "b.nii.gz").unlink()
    with pytest.raises(DataNotFoundError, match=rf"{left}.b.nii.gz: no {partner} of that name"):
        data.load(tmp_path)


def test_a_list_without_cases_beside_no_images_is_refused(tmp_path):
    with pytest.raises(DataNotFoundError, match="lists no cases and imagesTr holds no"):
        data.load(describe(tmp_path, []))


def test_a_set_that_lacks_files_is_listed_as_present_with_the_reason(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("MEDSEG_DATA", str(tmp_path))
    (tmp_path / "Task04_Hippocampus").mkdir()
    describe(tmp_path / "Task04_Hippocampus")
    rows = {row["name"]: row for row in data.available()}
    assert rows["Task04_Hippocampus"]["cases"] is None
    assert "no such file" in caplog.text


@pytest.mark.parametrize("text", ["{", "[1]", '{"training": [{"image": "a.nii.gz"}]}', b"\xff\xfe"])
def test_a_damaged_list_is_refused(tmp_path, text):
    text = text.encode() if isinstance(text, str) else text
    (tmp_path / "dataset.json").write_bytes(text)
    with pytest.raises(DataIntegrityError, match="dataset.json is damaged or has another layout"):
        data.load(tmp_path)


def test_a_case_that_is_listed_twice_is_refused(tmp_path):
    with pytest.raises(DataIntegrityError, match="lists a more than once"):
        data.load(describe(write(tmp_path), ["a", "a"]))


# Labels


def test_a_label_above_the_named_classes_is_refused_with_the_case(tmp_path):
    write(tmp_path, highest=4)
    with pytest.raises(LabelError, match=r"case a: label values 0, 1, 2, 3, 4; expected 0..3"):
        data.load(describe(tmp_path))


def test_numbers_may_be_given_another_class_all_at_once(tmp_path):
    loaded = data.load(describe(write(tmp_path)), relabel={1: 2, 2: 1})
    expected = np.array([0, 2, 1])[label()]
    np.testing.assert_array_equal(loaded[0].label.array, expected)
    assert loaded[0].classes == 3  # counted, as those named hold no longer


def test_a_number_to_be_ignored_needs_a_class(tmp_path):
    names = {"background": 0, "organ": 1, "ignore": 2}
    describe(write(tmp_path), labels=names)
    with pytest.raises(ConfigError, match=r"ignore label 2.*relabel=\{2: 0\}"):
        data.load(tmp_path)
    assert data.load(tmp_path, relabel={2: 0})[0].classes == 2
