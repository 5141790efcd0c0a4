import math

import numpy as np
import pytest

from medseg_tf import evaluation
from medseg_tf.data.case import Case, Grid, Scan
from medseg_tf.errors import ConfigError, GeometryError, LabelError


def make_case(label, name="one", classes=2, instances=False, spacing=None):
    """A case whose image is its label, so that a model can be right or wrong on purpose."""
    label = np.array(label)
    grid = Grid(label.shape, units="pixel")
    if spacing:
        grid = Grid.from_spacing(label.shape, spacing)
    image = Scan(label[..., None].astype("float32"), grid)
    return Case("s1", image, Scan(label, grid), classes, instances, name)


def see_everything(case):
    return np.ones(case.image.grid.shape, int)


def test_classes_get_a_row_per_case_and_class_without_the_background():
    cases = [make_case([[0, 1, 2]], name, classes=3) for name in ("one", "two")]
    table = evaluation.evaluate(lambda case: np.array([[0, 1, 1]]), cases)
    assert [(row["case"], row["class"]) for row in table] == [
        ("one", 1),
        ("one", 2),
        ("two", 1),
        ("two", 2),
    ]
    assert table[0] == {
        "case": "one",
        "subject": "s1",
        "class": 1,
        "dice": 2 / 3,
        "iou": 1 / 2,
        "hausdorff95": pytest.approx(0.95),
        "assd": 1 / 3,
        "sensitivity": 1,
        "specificity": 1 / 2,
        "volume_difference": 1,
    }


def test_columns_of_classes_keep_their_order():
    (row,) = evaluation.evaluate(see_everything, [make_case([[0, 1]])])
    assert list(row)[2:] == [
        *("class", "dice", "iou", "hausdorff95", "assd"),
        *("sensitivity", "specificity", "volume_difference"),
    ]


@pytest.mark.parametrize("spacing, distance", [(None, 2), ((9, 0.5), 1), ((0.5, 9), 18)])
def test_distances_are_in_the_units_of_the_grid_and_in_pixels_where_it_has_none(spacing, distance):
    case = make_case([[1, 0, 0]], spacing=spacing)
    (row,) = evaluation.evaluate(lambda case: np.array([[0, 0, 1]]), [case])
    assert row["hausdorff95"] == row["assd"] == distance


def test_objects_get_one_row_per_case_with_seg():
    table = evaluation.evaluate(see_everything, [make_case([[1, 1, 0, 2]], instances=True)])
    assert table == [
        {
            "case": "one",
            "subject": "s1",
            "dice": 6 / 7,
            "iou": 3 / 4,
            "objects": 2,
            "found": 1,
            "seg": pytest.approx((2 / 4 + 1 / 4) / 2),
        }
    ]


def test_means_leave_out_empty_classes_and_count_them():
    cases = [make_case([[0, 1, 1, 0]]), make_case([[0, 0, 0, 0]])]
    table = evaluation.evaluate(lambda case: case.label.array, cases)
    assert math.isnan(table[1]["dice"])
    (row,) = evaluation.summary(table)
    assert (row["cases"], row["left_out"], row["dice"]) == (2, 1, 1)


def test_a_missed_class_counts_in_the_mean_of_overlaps_and_is_left_out_of_distances():
    cases = [make_case([[0, 1, 1, 0]], "seen"), make_case([[1, 0, 0, 0]], "missed")]
    table = evaluation.evaluate(lambda case: np.array([[0, 1, 0, 0]]), cases[:1])
    table += evaluation.evaluate(lambda case: np.zeros((1, 4), int), cases[1:])
    assert table[1]["hausdorff95"] == table[1]["assd"] == math.inf
    (row,) = evaluation.summary(table)
    assert (row["cases"], row["left_out"]) == (2, 1)
    assert row["dice"] == pytest.approx((2 / 3 + 0) / 2)
    assert (row["hausdorff95"], row["assd"]) == pytest.approx((0.95, 1 / 3))


def test_mean_seg_weighs_each_object_and_not_each_case():
    one, three = make_case([[1, 1, 0]], instances=True), make_case([[1, 2, 3]], instances=True)
    none = make_case([[0, 0, 0]], instances=True)
    table = evaluation.evaluate(lambda case: np.array([[1, 1, 0]]), [one, three, none])
    (row,) = evaluation.summary(table)
    assert row["seg"] == pytest.approx((1 + 1 / 2 + 1 / 2 + 0) / 4)
    assert row["left_out"] == 1


def test_a_keras_model_is_run_over_the_case():
    import keras

    layer = keras.layers.Conv2D(2, 1, activation="softmax")
    model = keras.Sequential([keras.Input((None, None, 1)), layer])
    layer.set_weights([np.array([[[[-9.0, 9.0]]]]), np.zeros(2)])  # bright is class 1
    label = np.zeros((12, 12), int)
    label[1:6, 1:6] = 1
    label[7:11, 7:11] = 2
    (row,) = evaluation.evaluate(model, [make_case(label > 0)])
    assert row["dice"] == 1
    (row,) = evaluation.evaluate(model, [make_case(label, instances=True)])
    assert (row["found"], row["seg"]) == (2, 1)


def test_cases_without_a_label_are_refused_before_any_work():
    case = make_case([[0, 1]])
    blank = Case("s2", case.image, name="blank")
    with pytest.raises(ConfigError, match="case blank has no label"):
        evaluation.evaluate(lambda case: pytest.fail("it was asked to segment"), [case, blank])


def test_no_cases_and_cases_of_two_kinds_are_refused():
    with pytest.raises(ConfigError, match="no cases"):
        evaluation.evaluate(see_everything, [])
    with pytest.raises(ConfigError, match="evaluate them apart"):
        mixed = [make_case([[0, 1]]), make_case([[0, 1]], instances=True)]
        evaluation.evaluate(see_everything, mixed)


def test_labels_that_do_not_fit_name_the_case():
    with pytest.raises(GeometryError, match=r"case one: .*\(1, 2\).*\(2, 1\)"):
        evaluation.evaluate(lambda case: case.label.array.T, [make_case([[0, 1]])])
    with pytest.raises(LabelError, match="case one: .*argmax"):
        evaluation.evaluate(lambda case: case.image.array[..., 0] / 2, [make_case([[0, 1]])])
