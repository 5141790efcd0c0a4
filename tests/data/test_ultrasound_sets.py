"""HC18 and BUSI: tiny folders of their layouts, and the real ones where they lie."""

import os

import numpy as np
import pytest
from PIL import Image

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
TABLE = "training_set_pixel_size_and_HC.csv"


def drawn(*rows):
    """An array from rows of digits."""
    return np.array([list(row) for row in rows], dtype="uint8")


CLOSED = drawn("00000000", "00111100", "01000010", "01000010", "00111100", "00000000")
FILLED = drawn("00000000", "00111100", "01111110", "01111110", "00111100", "00000000")
CUT = drawn("01000010", "01000010", "00111100", "00000000", "00000000", "00000000")
CUT_FILLED = drawn("01111110", "01111110", "00111100", "00000000", "00000000", "00000000")
OPEN = drawn("00000000", "00111100", "01000010", "01000000", "00111100", "00000000")


LESION = drawn("0011", "0000")


def write(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def write_heads(folder, outlines):
    for name, outline in outlines.items():
        write(
            folder / "training_set" / f"{name}.png", 3 * np.arange(48, dtype="uint8").reshape(6, 8)
        )
        write(folder / "training_set" / f"{name}_Annotation.png", 255 * outline)
    lines = [f"{name}.png,0.2,99.5" for name in outlines]
    (folder / TABLE).write_text(
        "filename,pixel size(mm),head circumference (mm)\n" + "\n".join(lines)
    )
    return folder


def test_heads_are_filled_and_have_the_tables_pixels(tmp_path):
    (case,) = data.load(write_heads(tmp_path, {"010_HC": CLOSED}))
    np.testing.assert_array_equal(case.label.array, FILLED)
    assert case.image.array.shape == (6, 8, 1) and case.classes == 2
    assert case.image.grid.spacing == pytest.approx([0.2, 0.2]) and case.image.grid.units == "mm"


def test_a_head_cut_off_by_the_border_is_filled_up_to_it(tmp_path):
    (case,) = data.load(write_heads(tmp_path, {"010_HC": CUT}))
    np.testing.assert_array_equal(case.label.array, CUT_FILLED)


@pytest.mark.parametrize("outline", [OPEN, 0 * CLOSED], ids=["open", "empty"])
def test_an_outline_that_encloses_nothing_is_refused(tmp_path, outline):
    with pytest.raises(LabelError, match="010_HC_Annotation.png"):
        data.load(write_heads(tmp_path, {"010_HC": outline}))


def test_pictures_of_one_pregnancy_are_one_subject(tmp_path):
    names = ["010_2HC", "010_HC", "012_HC"]
    loaded = data.load(write_heads(tmp_path, dict.fromkeys(names, CLOSED)))
    assert [case.subject for case in loaded] == ["010", "010", "012"]
    assert [case.name for case in loaded] == names


def test_a_picture_that_the_table_does_not_know_is_an_error(tmp_path):
    write_heads(tmp_path, {"010_HC": CLOSED, "011_HC": CLOSED})
    (tmp_path / TABLE).write_text("filename,pixel size(mm)\n010_HC.png,0.1\n")
    with pytest.raises(DataIntegrityError, match="no line for 011_HC.png"):
        data.load(tmp_path)


def write_breast(folder, kind="benign", number=1, masks=(LESION,), grey=90):
    write(folder / kind / f"{kind} ({number}).png", np.full((2, 4, 3), grey, "uint8"))
    for place, mask in enumerate(masks):
        ending = f"_{place}" if place else ""
        path = folder / kind / f"{kind} ({number})_mask{ending}.png"
        write(path, mask.astype(bool) if kind != "normal" else np.stack([mask] * 3, -1))
    return folder


def test_the_masks_of_a_picture_are_one_label(tmp_path):
    masks = [drawn("0011", "0000"), drawn("0001", "1000")]
    (case,) = data.load(write_breast(tmp_path, masks=masks))
    assert case.label.array.tolist() == [[0, 0, 1, 1], [1, 0, 0, 0]]
    assert case.image.array.shape == (2, 4, 1) and set(case.image.array.flat) == {90}
    assert case.image.grid.units == "pixel" and case.subject == "benign (1)"


def test_kinds_come_in_their_order_by_number_and_normal_ones_are_empty(tmp_path):
    for kind, number in [("malignant", 3), ("benign", 12), ("benign", 9)]:
        write_breast(tmp_path, kind, number)
    write_breast(tmp_path, "normal", 1, [drawn("0000", "0000")])
    loaded = data.load(tmp_path)
    names = ["benign (9)", "benign (12)", "malignant (3)", "normal (1)"]
    assert [case.subject for case in loaded] == names
    assert not loaded[-1].label.array.any()
    only = data.load(tmp_path, kinds=("malignant",))
    assert [case.subject for case in only] == ["malignant (3)"]


def test_what_busi_does_not_have_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="'cyst' is none of"):
        data.load(write_breast(tmp_path), kinds=("cyst",))
    with pytest.raises(GeometryError, match=r"benign \(1\)_mask.png"):
        data.load(write_breast(tmp_path, masks=[drawn("01", "00")]))


def test_a_picture_without_mask_is_no_case(tmp_path):
    write_breast(tmp_path, masks=())
    with pytest.raises(DataNotFoundError, match="layout"):
        data.load(tmp_path)


def real(name):
    if sets.find(name) is None:
        pytest.skip(f"{name} is not in a data folder")
    return data.load(name)


@REAL
def test_the_real_heads_are_47_of_42_pregnancies_with_the_tables_circumference():
    loaded = real("HC18")
    assert len(loaded) == 47 and len({case.subject for case in loaded}) == 42
    with open(sets.find("HC18") / TABLE) as file:
        lines = [line.split(",") for line in file.read().splitlines()[1:]]
    known = {name.removesuffix(".png"): float(around) for name, _, around in lines}
    from skimage.measure import regionprops

    for case in loaded[::6]:
        (head,) = regionprops(case.label.array.astype(int))
        a, b = (side / 2 * case.image.grid.spacing[0] for side in
                (head.axis_major_length, head.axis_minor_length))  # fmt: skip
        around = np.pi * (3 * (a + b) - np.sqrt((3 * a + b) * (a + 3 * b)))  # Ramanujan
        assert around == pytest.approx(known[case.name], rel=0.03)


@REAL
def test_the_real_breasts_are_22_pictures_three_of_them_normal():
    loaded = real("BUSI")
    assert len(loaded) == 22
    empty = [case.subject for case in loaded if not case.label.array.any()]
    assert len(empty) == 3 and all(name.startswith("normal") for name in empty)
