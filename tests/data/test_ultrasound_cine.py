"""The simulated beating ventricle: exact truth, five views, speckle, leakage."""

import numpy as np
import pytest
from scipy import ndimage

from medseg_tf.data import phantoms
from medseg_tf.data.phantoms.ultrasound_cine import VIEWS
from medseg_tf.errors import ConfigError

CINES = {view: phantoms.ultrasound_cine(3, view=view, frames=6) for view in VIEWS}


def test_frames_come_cine_after_cine_and_a_cine_is_a_subject():
    for view, cases in CINES.items():
        assert [case.subject for case in cases[::6]] == [f"patient-00{k}" for k in range(3)]
        assert len({case.name for case in cases}) == 18 and cases[7].name == f"{view}-001 frame 01"
        for case in cases:
            assert case.image.array.shape == (64, 64, 1) and case.image.array.dtype == "uint8"
            assert case.label.array.dtype == "uint8" and case.classes == 2
            assert case.image.grid.spacing == pytest.approx([2, 2])


def test_the_cavity_is_one_piece_within_the_picture_and_has_the_exact_area():
    for view, cases in CINES.items():
        axes = phantoms.ventricle_axes(3, view=view, frames=6).reshape(-1, 2)
        for case, (long, short) in zip(cases, axes, strict=True):
            inside = case.label.array > 0
            assert ndimage.label(inside)[1] == 1
            assert not (inside[0].any() or inside[-1].any())
            assert not (inside[:, 0].any() or inside[:, -1].any())
            assert 4 * inside.sum() == pytest.approx(np.pi * long * short, rel=0.03)


def test_it_beats():
    for cases in CINES.values():
        areas = np.reshape([case.label.array.sum() for case in cases], (3, 6))
        assert (areas.min(1) < 0.8 * areas.max(1)).all()
        assert set(areas.argmin(1)) <= {2, 3, 4}  # systole is in the middle


def test_the_cavity_is_darker_than_its_wall_and_speckle_makes_a_threshold_leak():
    for cases in CINES.values():
        for case in cases:
            image, inside = case.image.array[..., 0].astype(float), case.label.array > 0
            distance = ndimage.distance_transform_edt(~inside)
            wall = (distance > 0) & (distance < 3)
            assert image[inside].mean() < image[wall].mean() - 10
            assert (image[inside] > np.median(image[wall])).any()


def test_views_differ_in_shape_and_place():
    stretch = {v: np.divide(*phantoms.ventricle_axes(20, view=v)[:, 0].T).mean() for v in VIEWS}
    assert min(stretch, key=stretch.get) == "PSAX" and stretch["PSAX"] < 1.2 < stretch["A4C"]
    extent = np.ptp(np.argwhere(CINES["PLAX"][0].label.array), axis=0)
    assert extent[0] < extent[1]  # lies
    extent = np.ptp(np.argwhere(CINES["A4C"][0].label.array), axis=0)
    assert extent[0] > extent[1]  # stands


def test_a_cine_depends_on_seed_and_number_alone_and_size_shows_the_same_more_finely():
    again, more = phantoms.ultrasound_cine(1, frames=6), phantoms.ultrasound_cine(2, frames=6)
    for one, two, three in zip(again, more, CINES["A4C"], strict=False):
        np.testing.assert_array_equal(one.image.array, two.image.array)
        np.testing.assert_array_equal(one.image.array, three.image.array)
    other = phantoms.ultrasound_cine(1, seed=1, frames=1)[0]
    assert not np.array_equal(other.image.array, again[0].image.array)
    fine = phantoms.ultrasound_cine(1, size=(96, 128), frames=1)[0]
    assert fine.label.array.shape == (96, 128)
    assert fine.label.array.sum() == pytest.approx(4 * again[0].label.array.sum(), rel=0.05)


def test_less_contrast_makes_the_cavity_less_dark_and_it_may_change_within_the_cine():
    def dark(contrast):
        cases = phantoms.ultrasound_cine(4, frames=4, contrast=contrast)
        gaps = [
            np.median(c.image.array[c.label.array == 0]) - c.image.array[c.label.array == 1].mean()
            for c in cases
        ]
        return np.reshape(gaps, (4, 4)).mean(0)

    strong, weak, fading = dark(1), dark(0.7), dark((1, 0.7))
    assert (strong > weak + 10).all()
    assert fading[0] == pytest.approx(strong[0]) and fading[3] == pytest.approx(weak[3])


def test_axes_follow_the_beat():
    axes = phantoms.ventricle_axes(5, shortening=(0.5, 0.5), frames=400)
    long, short = axes[..., 0], axes[..., 1]
    s = short / short.max(1, keepdims=True)
    assert s.min(1) == pytest.approx(0.5, abs=1e-3)
    assert long / long.max(1, keepdims=True) == pytest.approx(np.sqrt(s), abs=1e-3)


@pytest.mark.parametrize(
    "wrong", [{"view": "A5C"}, {"size": 0}, {"size": (1, 2, 3)}, {"frames": 0}]
)
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(ConfigError, match="ultrasound_cine"):
        phantoms.ultrasound_cine(1, **wrong)
