import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medseg_tf import data
from medseg_tf.data import sets
from medseg_tf.data.sets.sequences import blocks
from medseg_tf.errors import ConfigError, DataNotFoundError, GeometryError, LabelError

DATA_README = Path(__file__).parents[2] / "data" / "README.md"


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(array)).save(path)
    return path


def two_cells():
    label = np.zeros((8, 8), "uint16")
    label[:3, :3], label[5:, 5:] = 1, 300
    return label


def write_cells(folder, sequence="01", frames=range(40), silver=None, gold=(), digits=3):
    """Write a Cell Tracking Challenge sequence whose frame n is of grey n and has two cells."""
    for n in frames:
        save(folder / sequence / f"t{n:0{digits}}.tif", np.full((8, 8), n % 256, "uint8"))
    for kind, truth in [("ST", frames if silver is None else silver), ("GT", gold)]:
        for n in truth:
            seg = folder / f"{sequence}_{kind}" / "SEG"
            save(seg / f"man_seg{n:0{digits}}.tif", two_cells())
    return folder


def write_sections(folder, sections=range(4, 26), label=(0, 255)):
    for n in sections:
        save(folder / "train" / "image" / f"{n}.png", np.full((8, 8), n % 256, "uint8"))
        save(folder / "train" / "label" / f"{n}.png", np.tile(np.uint8(label), (8, 4)))
    return folder


def write_nuclei(folder, name="a", boxes=((0, 3), (5, 8)), shape=(8, 10)):
    at = folder / "stage1_train" / name
    colour = np.tile(np.uint8([200, 100, 0, 255]), (8, 10, 1))
    save(at / "images" / f"{name}.png", colour)
    for number, (start, stop) in enumerate(boxes):
        mask = np.zeros(shape, "uint8")
        mask[start:stop, start:stop] = 255
        save(at / "masks" / f"{number}.png", mask)
    return folder


def write_lesion(folder, name="IMD002", mask=None):
    """Write a picture and its mask in the layout of PH2, one bit a pixel unless `mask` is given."""
    at = folder / "PH2 Dataset images" / name
    save(
        at / f"{name}_Dermoscopic_Image" / f"{name}.bmp",
        np.tile(np.uint8([200, 100, 0]), (6, 9, 1)),
    )
    mask = np.arange(54).reshape(6, 9) > 30 if mask is None else mask
    save(at / f"{name}_lesion" / f"{name}_lesion.bmp", mask)
    return folder


def write_slice(folder, name="ID_0000_Z_0142", lung=255):
    save(
        folder / "2d_images" / f"{name}.tif",
        np.linspace(-1000, 400, 54).reshape(6, 9).astype("int16"),
    )
    save(folder / "2d_masks" / f"{name}.tif", np.uint8([[0, lung, lung]] * 6).repeat(3, axis=1))
    return folder


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Two empty data folders, searched before any other; the working directory is elsewhere."""
    paths = [tmp_path / "first", tmp_path / "second"]
    monkeypatch.setenv("MEDSEG_DATA", os.pathsep.join(map(str, paths)))
    monkeypatch.setattr(sets, "download_folders", lambda: [tmp_path / "cache"])
    monkeypatch.chdir(tmp_path)
    return paths


# Where sets lie


def test_a_set_is_found_in_the_second_data_folder(folders):
    write_cells(folders[1] / "DIC-C2DH-HeLa")
    assert sets.find("DIC-C2DH-HeLa") == folders[1] / "DIC-C2DH-HeLa"


def test_a_folder_of_the_right_name_with_other_files_is_not_the_set(folders):
    save(folders[0] / "DIC-C2DH-HeLa" / "picture.png", two_cells())
    assert sets.find("DIC-C2DH-HeLa") is None


def test_the_projects_data_folder_is_found_from_a_folder_below_it(tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "medseg-tf"\n')
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    assert sets.download_folders()[0] == tmp_path / "data"


def test_another_projects_data_folder_is_not_searched(tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "other"\n')
    monkeypatch.chdir(tmp_path)
    assert tmp_path / "data" not in sets.download_folders()


def test_a_missing_set_is_an_error_that_says_where_to_get_it_and_where_to_put_it(folders):
    with pytest.raises(DataNotFoundError) as error:
        data.load("PhC-C2DH-U373")
    message = str(error.value)
    assert "https://celltrackingchallenge.net/2d-datasets/" in message
    assert "MEDSEG_DATA" in message and str(folders[0] / "PhC-C2DH-U373") in message


def test_any_folder_of_a_known_layout_is_found_by_its_name_in_a_data_folder(folders):
    write_nuclei(folders[1] / "MyNuclei")
    assert [case.subject for case in data.load("MyNuclei")] == ["a"]


def test_an_unknown_name_is_an_error_that_lists_the_known_ones():
    with pytest.raises(ConfigError, match="PhC-C2DH-U373, DIC-C2DH-HeLa, ISBI2012-EM"):
        data.load("U373")


def test_a_missing_path_is_an_error(tmp_path):
    with pytest.raises(DataNotFoundError, match="There is no folder"):
        data.load(tmp_path / "nowhere")


def test_a_folder_of_unknown_layout_is_an_error_that_lists_the_known_layouts(tmp_path):
    with pytest.raises(DataNotFoundError, match="stage1_train/ID/images/ID.png"):
        data.load(tmp_path)


def test_an_unknown_option_is_an_error_that_lists_the_readers_own(tmp_path):
    with pytest.raises(ConfigError, match="it knows truth, spacing_um, count, gap"):
        data.load(write_cells(tmp_path), trust="gold")


def test_available_counts_the_cases_of_a_set_that_is_there(folders):
    write_nuclei(folders[0] / "DSB2018-nuclei")
    rows = {row["name"]: row for row in data.available()}
    assert rows["DSB2018-nuclei"]["cases"] == 1
    assert rows["DSB2018-nuclei"]["present"] == str(folders[0] / "DSB2018-nuclei")
    assert rows["DSB2018-nuclei"]["pictures may be published"] == "yes"
    assert rows["ISBI2012-EM"]["present"] == "-" and rows["ISBI2012-EM"]["cases"] is None


def test_every_registered_set_states_the_same_facts_and_stands_in_the_data_page():
    rows = sets.registry()
    facts = {"title", "reader", "owner", "page", "licence", "pictures", "citation", "layout",
             "megabytes", "extent", "download", "url", "sha256"}  # fmt: skip
    for name, row in rows.items():
        assert row.keys() - {"options"} == facts
        assert row["reader"] in sets.READERS
        assert bool(row["url"]) == bool(row["sha256"]) == row["download"]
        assert f"`{name}`" in DATA_README.read_text("utf-8")


# Which cases


def test_a_limit_takes_one_case_of_each_subject_before_a_second(tmp_path):
    write_cells(tmp_path, "01", range(20))
    write_cells(tmp_path, "02", range(3))
    assert sorted(case.subject for case in data.load(tmp_path, limit=2)) == ["01", "02"]


def test_a_larger_limit_only_adds_cases_and_keeps_the_order_of_the_files(tmp_path):
    write_cells(tmp_path)
    few, more = ([c.name for c in data.load(tmp_path, limit=n, seed=3)] for n in (5, 9))
    assert set(few) < set(more) and more == sorted(more)


def test_a_limit_above_the_number_of_cases_gives_them_all(tmp_path):
    write_cells(tmp_path, frames=range(3))
    assert len(data.load(tmp_path, limit=99)) == 3


def test_another_seed_draws_other_cases(tmp_path):
    write_cells(tmp_path)
    draws = {tuple(c.name for c in data.load(tmp_path, limit=4, seed=seed)) for seed in range(5)}
    assert len(draws) > 1


def test_a_limit_of_zero_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="limit is 0"):
        data.load(tmp_path, limit=0)


def test_22_sections_make_four_blocks_with_one_left_out_between_two():
    assert sorted(set(blocks(range(4, 26), count=4, gap=1).values())) == [
        (4, 7), (9, 13), (15, 19), (21, 25)]  # fmt: skip


def test_without_a_gap_every_number_is_in_a_block():
    assert list(blocks(range(10), count=4, gap=0)) == list(range(10))


def test_a_sequence_too_short_to_be_parted_is_one_block():
    assert set(blocks(range(6), count=4, gap=3).values()) == {(0, 5)}


# Cell tracking


def test_cell_tracking_cases_hold_object_numbers_as_the_file_has_them(tmp_path):
    case = data.load(write_cells(tmp_path, frames=[7]))[0]
    assert case.instances and case.classes == 2 and case.name == "01/t007"
    assert np.unique(case.label.array).tolist() == [0, 1, 300]
    assert case.image.array.shape == (8, 8, 1) and case.image.array.max() == 7


def test_silver_truth_is_preferred_and_gold_is_there_to_be_asked_for(tmp_path):
    write_cells(tmp_path, frames=range(9), gold=[3, 4])
    assert len(data.load(tmp_path)) == 9
    assert [case.name for case in data.load(tmp_path, truth="gold")] == ["01/t003", "01/t004"]


def test_gold_truth_is_read_where_there_is_no_silver(tmp_path):
    write_cells(tmp_path, frames=range(9), silver=[], gold=[3])
    assert [case.name for case in data.load(tmp_path)] == ["01/t003"]


def test_truth_that_is_not_there_is_an_error_naming_a_file_of_it(tmp_path):
    with pytest.raises(DataNotFoundError, match="no gold truth.*01_GT.*man_seg000.tif"):
        data.load(write_cells(tmp_path), truth="gold")


def test_a_truth_of_another_name_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="truth='bronze'"):
        data.load(write_cells(tmp_path), truth="bronze")


def test_the_subject_is_the_sequence_where_there_are_several_and_none_is_left_out(tmp_path):
    write_cells(tmp_path, "02", range(20))
    write_cells(tmp_path, "05", range(20))
    assert [case.subject for case in data.load(tmp_path)] == ["02"] * 20 + ["05"] * 20


def test_a_lone_sequence_is_parted_into_blocks_three_frames_apart(tmp_path):
    # (40 + 3) / 4 = 10.75: blocks start at 0, 10, 21, 32 and each ends four before the next
    loaded = data.load(write_cells(tmp_path, "02", range(40)))
    assert list(dict.fromkeys(case.subject for case in loaded)) == [
        "02 frames 0-6", "02 frames 10-17", "02 frames 21-28", "02 frames 32-39"]  # fmt: skip
    assert len(loaded) == 31


def test_gold_and_silver_truth_of_a_frame_belong_to_one_block(tmp_path):
    write_cells(tmp_path, gold=[12, 35])
    silver = {case.name: case.subject for case in data.load(tmp_path)}
    for case in data.load(tmp_path, truth="gold"):
        assert case.subject == silver[case.name]


def test_frames_of_four_digits_are_read(tmp_path):
    loaded = data.load(write_cells(tmp_path, frames=[998, 1000], digits=4), gap=0, count=1)
    assert [case.name for case in loaded] == ["01/t0998", "01/t1000"]


def test_the_spacing_comes_from_the_registry_for_a_known_folder_name(tmp_path):
    grid = data.load(write_cells(tmp_path / "PhC-C2DH-U373", frames=[0]))[0].image.grid
    assert grid.spacing.tolist() == [0.65, 0.65] and grid.units == "um"


def test_a_folder_of_another_name_has_no_known_spacing(tmp_path):
    assert data.load(write_cells(tmp_path / "mine", frames=[0]))[0].image.grid.units == "pixel"


# ISBI 2012


def test_membrane_is_class_0_and_the_inside_of_cells_class_1(tmp_path):
    case = data.load(write_sections(tmp_path))[0]
    assert case.label.array[0].tolist() == [0, 1] * 4
    assert not case.instances and case.name == "section 4"


def test_sections_are_sorted_by_number_and_parted_into_blocks(tmp_path):
    loaded = data.load(write_sections(tmp_path))
    numbers = [int(case.image.array[0, 0, 0]) for case in loaded]
    assert numbers == sorted(numbers) and len(numbers) == 19
    assert loaded[-1].subject == "sections 21-25"


def test_a_resampled_membrane_label_is_refused(tmp_path):
    with pytest.raises(LabelError, match="4.png holds .*128"):
        data.load(write_sections(tmp_path, label=(0, 128)))


# Data Science Bowl 2018


def test_masks_become_object_numbers_in_the_order_of_their_names(tmp_path):
    label = data.load(write_nuclei(tmp_path))[0].label.array
    assert (label[0, 0], label[7, 7], label[4, 4]) == (1, 2, 0)


def test_a_colour_picture_is_read_as_one_grey_channel_unless_rgb_is_asked_for(tmp_path):
    write_nuclei(tmp_path)
    grey, colour = data.load(tmp_path)[0], data.load(tmp_path, channels="rgb")[0]
    assert grey.image.array.shape == (8, 10, 1)
    assert colour.image.array[0, 0].tolist() == [200, 100, 0]


def test_masks_that_share_a_pixel_are_refused_and_both_named(tmp_path):
    with pytest.raises(LabelError, match="1.png shares pixels with 0.png"):
        data.load(write_nuclei(tmp_path, boxes=((0, 4), (3, 8))))


def test_a_mask_of_another_shape_is_refused(tmp_path):
    with pytest.raises(GeometryError, match=r"\(8, 9\), its picture \(8, 10\)"):
        data.load(write_nuclei(tmp_path, shape=(8, 9)))


# PH2 and LungCT


def test_a_lesion_is_class_1_on_a_picture_in_colour(tmp_path):
    (case,) = data.load(write_lesion(tmp_path))
    assert (case.subject, case.classes) == ("IMD002", 2)
    assert case.image.array[0, 0].tolist() == [200, 100, 0]
    np.testing.assert_array_equal(case.label.array, np.arange(54).reshape(6, 9) > 30)


def test_a_mask_of_eight_bits_is_read_as_one_of_one_bit(tmp_path):
    mask = (np.arange(54).reshape(6, 9) > 30).astype("uint8") * 255
    (case,) = data.load(write_lesion(tmp_path, mask=mask))
    np.testing.assert_array_equal(case.label.array, mask > 0)


def test_a_resampled_mask_is_refused(tmp_path):
    mask = np.linspace(0, 255, 54).reshape(6, 9).astype("uint8")
    with pytest.raises(LabelError, match=r"IMD002: label values .* expected 0\.\.1"):
        data.load(write_lesion(tmp_path, mask=mask))


def test_a_picture_without_a_mask_is_no_case(tmp_path):
    write_lesion(write_lesion(tmp_path), "IMD003")
    (tmp_path / "PH2 Dataset images" / "IMD003" / "IMD003_lesion" / "IMD003_lesion.bmp").unlink()
    assert [case.subject for case in data.load(tmp_path)] == ["IMD002"]


def test_slices_of_one_patient_have_one_subject_and_keep_their_hounsfield_units(tmp_path):
    for name in ("ID_0000_Z_0142", "ID_0000_Z_0150", "ID_0010_Z_0007"):
        write_slice(tmp_path, name)
    loaded = data.load(tmp_path)
    assert [case.subject for case in loaded] == ["ID_0000", "ID_0000", "ID_0010"]
    assert loaded[0].image.array.min() == -1000
    assert loaded[0].label.array[0].tolist() == [0] * 3 + [1] * 6
    assert loaded[0].image.grid.units == "pixel"
