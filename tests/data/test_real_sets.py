"""The public sets that lie in a data folder hold what their owners say."""

import os

import numpy as np
import pytest

from medseg_tf import data
from medseg_tf.data import sets

REAL = pytest.mark.skipif("MEDSEG_DATA" not in os.environ, reason="real sets: set MEDSEG_DATA")


def real(name):
    if sets.find(name) is None:
        pytest.skip(f"{name} is not in a data folder")
    return data.load(name)


@REAL
@pytest.mark.parametrize(
    "name, every, blocked, subjects, shape",
    [
        ("PhC-C2DH-U373", 48, 40, 8, (520, 696, 1)),
        ("DIC-C2DH-HeLa", 33, 26, 8, (512, 512, 1)),
        ("ISBI2012-EM", 22, 19, 4, (512, 512, 1)),
    ],
)
def test_a_real_sequence_has_its_published_cases(name, every, blocked, subjects, shape):
    loaded = real(name)
    assert len(loaded) == blocked and len(data.load(name, gap=0)) == every
    assert len({case.subject for case in loaded}) == subjects
    assert {case.image.array.shape for case in loaded} == {shape}


@REAL
@pytest.mark.parametrize("name, frames", [("PhC-C2DH-U373", 15), ("DIC-C2DH-HeLa", 9)])
def test_a_real_cell_set_has_its_frames_of_gold_truth(name, frames):
    real(name)
    assert len(data.load(name, truth="gold", gap=0)) == frames


@REAL
def test_the_real_nuclei_are_773_in_34_pictures():
    loaded = real("DSB2018-nuclei")
    assert len(loaded) == 34 and sum(int(case.label.array.max()) for case in loaded) == 773


@REAL
def test_the_real_hippocampus_set_has_195_volumes_of_three_classes():
    loaded = real("Task04_Hippocampus")
    assert len({case.subject for case in loaded}) == len(loaded) == 195
    assert {case.classes for case in loaded} == {3}
    assert {case.image.array.shape[-1] for case in loaded} == {1}
    assert {case.label.array.dtype.name for case in loaded} == {"int32"}  # some files hold float32
    shapes = np.array([case.image.grid.shape for case in loaded])
    assert shapes.min(0).tolist() == [31, 40, 26] and shapes.max(0).tolist() == [43, 58, 47]
    assert all((case.image.grid.spacing == 1).all() for case in loaded)
    assert all(np.unique(case.label.array).tolist() == [0, 1, 2] for case in loaded)


@REAL
def test_the_real_lesions_are_82_pictures_in_colour():
    loaded = real("PH2")
    assert len({case.subject for case in loaded}) == len(loaded) == 82
    assert {case.image.array.shape[-1] for case in loaded} == {3}
    assert all(case.label.array.any() for case in loaded)


@REAL
def test_the_real_lungs_are_21_slices_of_21_patients_and_darker_than_the_body():
    loaded = real("LungCT")
    assert len({case.subject for case in loaded}) == len(loaded) == 21
    assert {case.image.array.shape for case in loaded} == {(512, 512, 1)}
    hounsfield = [np.median(case.image.array[case.label.array == 1]) for case in loaded]
    assert -950 < min(hounsfield) and max(hounsfield) < -500
