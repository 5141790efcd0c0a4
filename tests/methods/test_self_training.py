"""Self-training with "networks" that only remember what they were given."""

import keras
import numpy as np
import pytest

from medseg_tf import losses, training
from medseg_tf.data import Case, Grid, Scan
from medseg_tf.errors import ConfigError, GeometryError
from medseg_tf.methods import KnownPatches, pseudo_label, self_training

GRID = Grid((4, 6))


def case(name, share=0.5):
    """An image of 0 and 1, 1 where the label is 1: the first columns."""
    label = np.zeros((4, 6), "uint8")
    label[:, : round(6 * share)] = 1
    image = label[..., None].astype("float32")
    return Case(name, Scan(image, GRID), Scan(label, GRID), classes=2)


def maps(share, sure=0.95):
    """Probabilities that call the first columns class 1."""
    one = np.where(case("", share).label.array == 1, sure, 1 - sure)
    return np.stack([1 - one, one], axis=-1)


def test_a_pseudo_label_holds_sure_answers_and_one_class_more_for_the_others():
    unsure = maps(0.5)
    unsure[0, 0] = [0.4, 0.6]
    found = pseudo_label(case("a"), unsure, tau=0.9)
    assert found.classes == 3 and found.label.array[0, 0] == 2
    assert (found.label.array[1:] == case("a").label.array[1:]).all()
    assert pseudo_label(case("a"), unsure, tau=0.5).label.array.max() == 1


def test_answers_of_another_image_and_impossible_thresholds_are_refused():
    with pytest.raises(GeometryError, match=r"\(6, 4, 2\)"):
        pseudo_label(case("a"), maps(0.5).swapaxes(0, 1))
    with pytest.raises(ConfigError, match="tau=1"):
        pseudo_label(case("a"), maps(0.5), tau=1)


def test_students_learn_from_the_labelled_cases_and_the_last_models_answers():
    few, many = [case("a")], [case("b", 1 / 6), case("c", 1 / 6)]
    seen = []

    def train(cases):
        seen.append(cases)
        return len(seen)

    shares = {1: 0.5, 2: 1 / 3}  # what the teacher and the first student answer
    models = self_training(few, many, train, 2, predict=lambda model, case: maps(shares[model]))
    assert models == [1, 2, 3]
    assert [len(cases) for cases in seen] == [1, 3, 3]
    for cases, share in zip(seen[1:], shares.values(), strict=True):
        assert cases[0] is few[0]
        for one in cases[1:]:
            assert np.mean(one.label.array == 1) == pytest.approx(share, abs=0.01)
    assert many[0].label.array.mean() == pytest.approx(1 / 6)  # the truth was not looked at


@pytest.mark.parametrize("share, models", [(0.0, 1), (1 / 6, 1), (1 / 3, 3)])
def test_a_teacher_that_finds_less_than_half_of_the_foreground_has_no_student(share, models):
    found = self_training(
        [case("a")], [case("b")], lambda cases: 0, 2, predict=lambda *_: maps(share)
    )
    assert len(found) == models


def test_patches_leave_unknown_voxels_out_of_the_loss():
    unsure = maps(0.5)
    unsure[:, 2:4] = 0.5
    cases = [case("a"), pseudo_label(case("b"), unsure)]
    patches = KnownPatches(cases, (4, 6), 8, classes=2, steps=4, seed=1)
    assert patches.classes == 2
    weights = []
    for index in range(4):
        x, y, w = patches[index]
        assert x.shape == (8, 4, 6, 1) and y.max() == 1 and w.dtype == "float32"
        weights += w.mean((1, 2)).tolist()
    assert sorted(set(np.round(weights, 5))) == [round(4 / 6, 5), 1]


def test_weights_of_ones_own_count_where_the_label_is_known():
    unsure = maps(0.5)
    unsure[0] = 0.5
    options = {"classes": 2, "steps": 1, "weights": lambda label: np.full(label.shape, 3.0)}
    _, _, w = KnownPatches([pseudo_label(case("b"), unsure)], (4, 6), 2, **options)[0]
    assert w[0].tolist() == [[0] * 6] + [[3] * 6] * 3


def test_no_patch_is_centred_on_what_is_not_known():
    unsure = np.full((4, 6, 2), 0.5)
    unsure[0, 0] = [0.05, 0.95]
    patches = KnownPatches([pseudo_label(case("b"), unsure)], (1, 1), 16, classes=2, balance=1)
    assert (patches[0][1] == 1).all() and (patches[0][2] == 1).all()


def test_fit_takes_them_and_unknown_labels_change_nothing():
    unsure = maps(0.5)
    unsure[:, 3:] = 0.5
    results = []
    for hidden in (0.9, 0.1):  # what stands in the unknown voxels of the image's other half
        labelled = pseudo_label(case("b"), unsure)
        image = labelled.image.array.copy()
        image[:, 3:] = hidden
        labelled = Case("b", Scan(image, GRID), labelled.label, classes=3)
        keras.utils.set_random_seed(0)
        inputs = keras.Input((4, 6, 1))
        model = keras.Model(inputs, keras.layers.Conv2D(2, 1, activation="softmax")(inputs))
        options = {"classes": 2, "steps": 2, "normalize": lambda image: image}
        patches = KnownPatches([labelled], (4, 6), 2, **options)
        training.fit(model, patches, losses.WeightedCrossEntropy(), epochs=1)
        results.append(model.get_weights())
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
