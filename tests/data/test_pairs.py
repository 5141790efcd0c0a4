"""Images and labels paired by two patterns."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medseg_tf import data
from medseg_tf.data import Grid, Scan
from medseg_tf.errors import ConfigError, DataNotFoundError, GeometryError, LabelError

SHAPE = (3, 4, 5)
MASK = np.uint8([[0, 1], [1, 0]])


def volume(path, array, spacing=2, shape=SHAPE):
    path.parent.mkdir(parents=True, exist_ok=True)
    return Scan(array, Grid.from_spacing(shape, spacing)).write(path)


def volumes(folder, names=("anna", "bo"), highest=2, spacing=2):
    for grey, name in enumerate(names):
        ramp = np.arange(60, dtype="int16").reshape(SHAPE)
        volume(folder / "scans" / f"{name}.nii.gz", ramp[..., None] + grey)
        volume(folder / "masks" / f"{name}_seg.nii.gz", ramp % (highest + 1), spacing)
    return {"name_or_folder": folder / "scans/*.nii.gz", "labels": folder / "masks/*_seg.nii.gz"}


def picture(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(array)).save(path)


def pictures(folder, pairs):
    """Write a picture and its mask for each pair of names."""
    for image, mask in pairs:
        picture(folder / image, MASK + 7)
        picture(folder / mask, MASK)


def test_files_whose_wildcards_match_the_same_text_are_a_case(tmp_path):
    loaded = data.load(**volumes(tmp_path))
    assert [(case.subject, case.name) for case in loaded] == [("anna", "anna"), ("bo", "bo")]
    assert [case.image.array[0, 0, 0, 0] for case in loaded] == [0, 1]
    assert loaded[0].classes == 3 and loaded[0].label.array.max() == 2


def test_patterns_are_seen_from_the_working_directory(tmp_path, monkeypatch):
    volumes(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert len(data.load("./scans/*.nii.gz", labels="masks//*_seg.nii.gz", limit=1)) == 1


def test_pictures_may_lie_beside_their_masks_which_both_patterns_match(tmp_path):
    names = [("benign (1).png", "benign (1)_mask.png"), ("b.png", "b_mask.png")]
    pictures(tmp_path / "set (2)", names)  # nothing of a name is taken for a regular expression
    loaded = data.load(tmp_path / "set (2)/*.png", labels=tmp_path / "set (2)/*_mask.png")
    assert [case.subject for case in loaded] == ["b", "benign (1)"]
    assert loaded[0].image.array.max() == 8 and loaded[0].label.array.max() == 1


def test_the_first_wildcard_is_the_subject_so_that_a_persons_slices_stay_together(tmp_path):
    names = [("anna", 1), ("anna", 2), ("bo", 1)]
    pictures(tmp_path, [(f"{who}/slice_{n}.png", f"{who}/seg/{n}.png") for who, n in names])
    loaded = data.load(tmp_path / "*/slice_?.png", labels=tmp_path / "*/seg/?.png")
    assert [case.subject for case in loaded] == ["anna", "anna", "bo"]
    assert [case.name for case in loaded] == ["anna/1", "anna/2", "bo/1"]


@pytest.mark.parametrize(
    "images, labels, subjects",
    [
        ("i/case??.png", "m/case??.png", ["07", "12"]),
        ("i/case[0-9][0-9].png", "m/case[!a][!a].png", ["07", "12"]),
        ("i/[c]*.png", "m/[c]*.png", ["case07", "case12"]),
    ],
)
def test_wildcards_side_by_side_are_one_text(tmp_path, images, labels, subjects):
    pictures(tmp_path, [(f"i/case{n}.png", f"m/case{n}.png") for n in ("07", "12")])
    loaded = data.load(tmp_path / images, labels=tmp_path / labels)
    assert [case.subject for case in loaded] == subjects


def test_two_stars_stand_for_any_folders(tmp_path):
    pictures(tmp_path, [("i/x.png", "m/x.png"), ("i/a/b/x.png", "m/a/b/x.png")])
    loaded = data.load(tmp_path / "i/**/*.png", labels=tmp_path / "m/**/*.png")
    assert [case.subject for case in loaded] == ["a/b/x", "x"]
    loaded = data.load(tmp_path / "i/**/x*.png", labels=tmp_path / "m/**/x*.png")
    assert [case.subject for case in loaded] == ["a/b", "x"]


def test_hidden_files_are_passed_over(tmp_path):
    patterns = volumes(tmp_path)
    (tmp_path / "scans/._anna.nii.gz").write_bytes(b"\0")
    assert len(data.load(**patterns)) == 2


@pytest.mark.parametrize("kind, gone", [("label", "masks/bo_seg"), ("image", "scans/bo")])
def test_a_file_without_partner_is_named(tmp_path, kind, gone):
    patterns = volumes(tmp_path, ["anna", "bo"])
    (tmp_path / f"{gone}.nii.gz").unlink()
    with pytest.raises(DataNotFoundError, match=rf"1 of 2 files have no {kind}: \S*bo\S*\.nii\.gz"):
        data.load(**patterns)


def test_of_many_files_without_partner_the_first_are_named(tmp_path):
    patterns = volumes(tmp_path, "abcdef")
    for path in sorted((tmp_path / "masks").iterdir())[1:]:
        path.unlink()
    core = r"5 of 6 files have no label: \S+b\.nii\.gz, .* and 2 more"
    with pytest.raises(DataNotFoundError, match=core):
        data.load(**patterns)


@pytest.mark.parametrize("images, labels, missing", [
    ("scans/*.nii", "masks/*_seg.nii.gz", "scans/*.nii"),
    ("scans/*.nii.gz", "mask/*.nii.gz", "mask/*.nii.gz"),
    ("scans/*.nii.gz", "scans/*.nii.gz", "scans/*.nii.gz")])  # fmt: skip
def test_a_pattern_that_matches_nothing_is_named(tmp_path, images, labels, missing):
    volumes(tmp_path)
    with pytest.raises(DataNotFoundError) as error:
        data.load(tmp_path / images, labels=tmp_path / labels)
    assert f"No file matches {(tmp_path / missing).as_posix()}" in str(error.value)


@pytest.mark.parametrize("images, labels", [("*/a*.png", "*.png"), ("a.png", "b.png")])
def test_patterns_without_a_shared_text_are_refused(images, labels):
    with pytest.raises(ConfigError, match="the same number, at least one"):
        data.load(images, labels=labels)


@pytest.mark.parametrize("pattern", ["scans/*.png", "*.png"])
def test_a_lone_pattern_asks_for_that_of_the_labels(pattern):
    with pytest.raises(ConfigError, match=r"labels='masks/\*\.nii\.gz'"):
        data.load(pattern)


def test_an_unknown_option_is_an_error_that_lists_those_of_pairs(tmp_path):
    with pytest.raises(ConfigError, match="it knows labels, channels, volume, classes, relabel"):
        data.load(**volumes(tmp_path), class_count=2)


# What the files hold


def test_masks_of_black_and_white_need_a_class_for_255(tmp_path):
    pictures(tmp_path, [("a.png", "a_mask.png")])
    picture(tmp_path / "a_mask.png", MASK * 255)
    patterns = {"name_or_folder": tmp_path / "*.png", "labels": tmp_path / "*_mask.png"}
    with pytest.raises(LabelError, match=r"numbers 0, 255, .* 256 classes, .*relabel=\{255: 1\}"):
        data.load(**patterns)
    case = data.load(**patterns, relabel={255: 1})[0]
    np.testing.assert_array_equal(case.label.array, MASK)
    assert case.classes == 2


def test_colour_pictures_are_read_as_asked_and_their_grey_masks_too(tmp_path):
    colour = np.dstack([MASK * 9, MASK * 5, MASK])
    picture(tmp_path / "i/a.png", colour)
    picture(tmp_path / "m/a.tif", np.dstack([MASK] * 3))
    loaded = data.load(tmp_path / "i/*.png", labels=tmp_path / "m/*.tif", channels="rgb")
    np.testing.assert_array_equal(loaded[0].image.array, colour)
    np.testing.assert_array_equal(loaded[0].label.array, MASK)


def test_one_volume_of_several_is_read_where_it_is_chosen(tmp_path):
    patterns = volumes(tmp_path, ["anna"])
    two = np.arange(120, dtype="int16").reshape(*SHAPE, 2)
    volume(tmp_path / "scans/anna.nii.gz", two)
    assert data.load(**patterns, volume="all")[0].image.array.shape == (*SHAPE, 2)
    np.testing.assert_array_equal(data.load(**patterns, volume=1)[0].image.array, two[..., 1:])


@pytest.mark.parametrize("options", [{"classes": 1}, {"classes": "two"}, {"relabel": [0, 255]}])
def test_an_option_that_cannot_be_is_refused(tmp_path, options):
    with pytest.raises(ConfigError, match=f"{next(iter(options))}="):
        data.load(**volumes(tmp_path), **options)


def test_fewer_classes_than_a_label_has_are_refused(tmp_path):
    with pytest.raises(LabelError, match="label values 0, 1, 2; expected 0..1"):
        data.load(**volumes(tmp_path), classes=2)


# Places


def test_a_label_in_another_place_is_refused_with_the_distance_and_the_way_round(tmp_path):
    patterns = volumes(tmp_path, ["anna"], spacing=(2, 2, 2.5))
    core = r"anna_seg\.nii\.gz and its image \S+anna\.nii\.gz lie up to 2 mm apart; .*=True"
    with pytest.raises(GeometryError, match=core):  # 4 steps of 0.5 mm
        data.load(**patterns)


def test_a_label_in_another_place_is_put_on_the_images_grid_where_that_is_allowed(tmp_path, caplog):
    patterns = volumes(tmp_path, ["anna"], spacing=(2, 2, 2.5))
    case = data.load(**patterns, allow_affine_mismatch=True)[0]
    assert case.label.grid is case.image.grid
    assert "lie up to 2 mm apart; the image's affine is taken for both" in caplog.text


@pytest.mark.parametrize("allowed", [False, True])
def test_a_label_of_another_shape_is_refused_even_where_another_place_is_allowed(tmp_path, allowed):
    patterns = volumes(tmp_path, ["anna"])
    volume(tmp_path / "masks/anna_seg.nii.gz", np.zeros((3, 5, 4), "uint8"), shape=(3, 5, 4))
    with pytest.raises(GeometryError, match=r"shape: \(3, 5, 4\) and \(3, 4, 5\)"):
        data.load(**patterns, allow_affine_mismatch=allowed)


def test_labels_that_agree_are_read_without_a_word(tmp_path, caplog):
    data.load(**volumes(tmp_path))
    assert caplog.text == ""


def test_a_path_and_a_text_are_one_pattern(tmp_path):
    patterns = volumes(tmp_path)
    texts = {name: str(pattern) for name, pattern in patterns.items()}
    assert isinstance(patterns["labels"], Path)
    assert [case.name for case in data.load(**texts)] == ["anna", "bo"]
