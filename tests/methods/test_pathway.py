import numpy as np
import pytest

from medseg_tf.data import phantoms
from medseg_tf.errors import ConfigError, LabelError
from medseg_tf.methods import centre_line, draw_parts, find_parts, learn_parts, patches_at
from medseg_tf.metrics import dice

ALONG = {1: (0, -1), 2: (0, -1), 3: (1, 0)}  # left nerve, right nerve, chiasm
POINTS = 8


def landmarks(case):
    return [centre_line(case.label.array == part, POINTS, ALONG[part]) for part in ALONG]


def describe(image, places):
    return patches_at(image, places, side=3)


@pytest.mark.parametrize("rank", [2, 3])
def test_landmarks_run_along_the_middle_of_a_bent_tube(rank):
    station = np.linspace(0, np.pi, 40)
    line = np.stack([10 + 3 * np.sin(station), 5 + 30 * station / np.pi, 0 * station + 9], 1)
    line = line[:, :rank]
    mask = draw_parts([line], [2.5], (20, 40, 18)[:rank]) == 1
    found = centre_line(mask, 10, (0, -1, 0)[:rank])
    gap = np.linalg.norm(found[:, None] - line, axis=-1).min(1)
    assert gap.max() < 0.8
    assert (np.diff(found[:, 1]) < 0).all()
    back = draw_parts([found], [2.5], mask.shape)
    assert dice(mask.astype(int), back)[1] > 0.85


def test_the_nearest_line_gives_its_part_and_far_voxels_none():
    lines = [np.array([[2.0, 1], [2, 10]]), np.array([[6.0, 1], [6, 10]])]
    label = draw_parts(lines, [1.1, 2.1], (10, 12))
    assert label[:, 5].tolist() == [0, 1, 1, 1, 2, 2, 2, 2, 2, 0]


def test_patches_at_voxels_are_what_lies_there_and_between_them_the_mean():
    image = np.random.default_rng(0).normal(size=(6, 7, 2)).astype("float32")
    found = patches_at(image, [[2, 3]], side=3)
    np.testing.assert_allclose(found.reshape(3, 3, 2), image[1:4, 2:5], atol=1e-6)
    between = patches_at(image, [[[2.5, 3]]], side=1)
    np.testing.assert_allclose(between, image[None, 2:4, 3].mean(1), atol=1e-6)
    assert patches_at(np.ones((4, 4, 4, 1)), [[0, 0, 0]], side=3).tolist() == [[1] * 27]


@pytest.mark.parametrize("parted", [True, False])
def test_unseen_pathways_are_found_better_than_by_their_mean_place(parted):
    cases = phantoms.visual_pathway(12, seed=0)
    train, test = cases[:9], cases[9:]
    lines = [landmarks(case) for case in train]
    images = [case.image.array for case in train]
    learned = learn_parts(images, lines, describe, parted=parted)
    assert len(learned[0]) == (3 if parted else 1) and len(learned[1]) == 3
    mean = [np.mean(part, axis=0) for part in zip(*lines, strict=True)]
    scores = []
    for case in test:
        truth = (case.label.array > 0).astype(int)
        found = find_parts(learned, case.image.array, describe)
        assert [line.shape for line in found] == [(POINTS, 2)] * 3
        scores.append(
            [dice(truth, (draw_parts(own, [2, 2, 2.6], truth.shape) > 0) + 0)[1]
             for own in (found, mean)]
        )  # fmt: skip
    found, still = np.mean(scores, axis=0)
    assert found > still + 0.1


def test_empty_masks_and_uneven_lists_are_refused():
    with pytest.raises(LabelError, match="mask is empty"):
        centre_line(np.zeros((4, 4), bool), 3, (0, 1))
    with pytest.raises(ConfigError, match="one number an axis"):
        centre_line(np.ones((4, 4), bool), 3, (0, 1, 0))
    with pytest.raises(ConfigError, match="1 images and 2 sets"):
        learn_parts([np.zeros((4, 4, 1))], [[], []], describe)
