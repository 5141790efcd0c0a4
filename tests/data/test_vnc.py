"""The ssTEM set of a ventral nerve cord: polarity, masks of one and of eight bits, blocks."""

import os

import numpy as np
import pytest
from PIL import Image

from medseg_tf import data
from medseg_tf.data import sets
from medseg_tf.errors import GeometryError

WHITE = np.tile([False, True, True, False], (4, 2))


def write(folder, sections=range(8), mask=WHITE):
    for kind in ("raw", "membranes"):
        (folder / "stack1" / kind).mkdir(parents=True, exist_ok=True)
    for n in sections:
        Image.fromarray(np.full((4, 8), 10 * n, "uint8")).save(folder / f"stack1/raw/{n:02}.tif")
        Image.fromarray(np.asarray(mask)).save(folder / f"stack1/membranes/{n:02}.png")
    return folder


def test_white_is_membrane_and_becomes_class_0_as_in_the_isbi_set(tmp_path):
    case = data.load(write(tmp_path))[0]
    assert case.label.array[0].tolist() == [1, 0, 0, 1] * 2
    assert (case.name, case.classes, case.instances) == ("section 0", 2, False)


def test_a_mask_of_eight_bits_with_grey_borders_is_cut_at_128(tmp_path):
    grey = np.tile(np.uint8([0, 255, 130, 120]), (4, 2))
    case = data.load(write(tmp_path, mask=grey))[0]
    assert case.label.array[0].tolist() == [1, 0, 0, 1] * 2


def test_a_section_without_any_membrane_is_all_cell(tmp_path):
    assert data.load(write(tmp_path, mask=0 * WHITE > 0))[0].label.array.all()


def test_sections_are_parted_into_two_blocks_with_one_left_out(tmp_path):
    loaded = data.load(write(tmp_path))
    assert list(dict.fromkeys(case.subject for case in loaded)) == ["sections 0-2", "sections 4-7"]
    assert [int(case.image.array[0, 0, 0]) // 10 for case in loaded] == [0, 1, 2, 4, 5, 6, 7]


def test_a_section_without_a_mask_is_no_case(tmp_path):
    (write(tmp_path) / "stack1/membranes/07.png").unlink()
    assert "section 7" not in [case.name for case in data.load(tmp_path)]


def test_a_mask_of_another_shape_is_refused(tmp_path):
    with pytest.raises(GeometryError):
        data.load(write(tmp_path, mask=WHITE[:3]))


def test_the_spacing_comes_from_the_registry(tmp_path):
    case = data.load(write(tmp_path / "VNC-ssTEM"))[0]
    assert case.image.grid.spacing == pytest.approx([0.0046, 0.0046])
    assert case.image.grid.units == "um"


@pytest.mark.skipif("MEDSEG_DATA" not in os.environ, reason="real sets: set MEDSEG_DATA")
def test_the_real_set_has_seven_sections_of_which_a_fifth_is_membrane():
    if sets.find("VNC-ssTEM") is None:
        pytest.skip("VNC-ssTEM is in no data folder")
    loaded = data.load("VNC-ssTEM")
    assert {case.image.array.shape for case in loaded} == {(1024, 1024, 1)} and len(loaded) == 7
    assert all(0.77 < case.label.array.mean() < 0.82 for case in loaded)
    for case in loaded:  # membranes are darker than cells
        inside = case.label.array == 1
        assert case.image.array[~inside].mean() < case.image.array[inside].mean()
