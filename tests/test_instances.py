"""Objects from drawn maps: a digit is a foreground probability in tenths, or a class."""

import numpy as np
import pytest

from medseg_tf import data, metrics
from medseg_tf.errors import ConfigError, LabelError
from medseg_tf.inference import choose_cut, instances, largest_component


def draw(*rows):
    """(rows, columns, 2) probabilities; a blank is 0."""
    foreground = np.array([[int(digit) / 10 for digit in row.replace(" ", "0")] for row in rows])
    return np.stack([1 - foreground, foreground], axis=-1)


def show(objects):
    return ["".join(str(number or " ") for number in row) for row in objects]


def test_components_of_foreground_are_objects_and_corners_do_not_join():
    found = instances(draw("99  ", "99  ", "  99", "  99"), smallest=0)
    assert show(found) == ["11  ", "11  ", "  22", "  22"]
    assert found.dtype == np.int32


BRIDGE = draw("9999   9999", "9999766799 ", "9999   9999")


def test_cells_joined_by_a_weak_bridge_are_split_where_it_is_weakest():
    found = instances(BRIDGE, seeds=0.8, smallest=0)
    assert found.max() == 2
    assert found[1, 4] == 1 and found[1, 7] == 2
    assert (found > 0).sum() == (BRIDGE[..., 1] > 0.5).sum()


def test_without_seeds_a_bridge_joins():
    assert instances(BRIDGE, smallest=0).max() == 1


def test_an_object_without_a_core_stays_beside_those_that_have_one():
    found = instances(draw("99  66  99"), seeds=0.8, smallest=0)
    assert sorted(np.unique(found)) == [0, 1, 2, 3]
    assert found[0, 4] == found[0, 5] > 0


def test_specks_smaller_than_smallest_are_dropped_and_make_no_core():
    assert show(instances(draw("9  6696  999"), seeds=0.8, smallest=2)) == ["   2222  111"]
    assert show(instances(draw("9  6696  999"), seeds=0.8, smallest=4)) == ["   1111     "]


def test_an_enclosed_hole_is_filled_whatever_its_size():
    ring = draw("99999", "9   9", "9   9", "99999")
    assert (instances(ring, smallest=0) == 1).all()


def test_a_hole_between_two_objects_or_on_the_border_stays_open():
    two = draw("99699", "9   9", "99699")
    found = instances(two, seeds=0.8, smallest=0)
    assert found.max() == 2 and (found[1, 1:4] == 0).all()
    bay = draw("99999", "9   9", "9   9")
    assert (instances(bay, smallest=0) > 0).sum() == 9


def test_touching_cells_parted_for_training_come_back_as_the_same_number_of_objects():
    label = np.zeros((12, 12), "int32")
    label[1:6, 1:6], label[1:6, 6:11], label[6:11, 3:9] = 1, 2, 3
    parted = data.separate(label).astype("float32")
    found = instances(np.stack([1 - parted, parted], axis=-1))
    assert found.max() == 3
    for number in (1, 2, 3):
        assert len(np.unique(found[(label == number) & (parted > 0)])) == 1


def test_volumes_are_numbered_and_filled_in_the_same_way():
    shell = np.zeros((7, 7, 16), "float32")
    shell[1:6, 1:6, 1:6] = 0.9
    shell[3, 3, 3] = 0.1
    shell[1:6, 1:6, 8:13] = 0.9
    shell[3, 3, 6:8] = 0.6
    found = instances(np.stack([1 - shell, shell], axis=-1), seeds=0.8)
    assert found.max() == 2
    assert found[3, 3, 3] == found[1, 1, 1] == 1
    assert found[3, 3, 6] == 1 and found[3, 3, 7] == 2


def test_foreground_is_every_class_but_the_first():
    three = np.zeros((1, 4, 3), "float32")
    three[0, :, 0], three[0, 1, 1], three[0, 2, 2] = [1, 0, 0, 1], 1, 1
    assert show(instances(three, smallest=0)) == [" 11 "]


def test_an_empty_map_has_no_objects():
    assert not instances(draw("    ", "    ")).any()


@pytest.mark.parametrize(
    "wrong", [{"threshold": 0.9, "seeds": 0.8}, {"seeds": 1.0}, {"smallest": -1}]
)
def test_thresholds_out_of_order_are_refused(wrong):
    with pytest.raises(ConfigError, match="threshold"):
        instances(draw("99"), **wrong)


def classes(*rows):
    return np.array([list(row.replace(" ", "0")) for row in rows], dtype="uint8")


def test_each_class_keeps_its_largest_component_and_corners_do_not_join():
    labels = classes("11 22", "11 22", "  1  ", "2   1")
    assert show(largest_component(labels)) == ["11 22", "11 22", "     ", "     "]


def test_a_class_is_not_held_together_by_another():
    assert show(largest_component(classes("112111"))) == ["  2111"]


def test_of_components_of_one_size_the_first_stays():
    assert show(largest_component(classes("11 11", "     "))) == ["11   ", "     "]


def test_labels_keep_their_type_and_the_array_given_stays_as_it_was():
    labels = classes("1 11")
    for kind in ("uint8", "int32", "int64", bool):
        given = labels.astype(kind)
        assert largest_component(given).dtype == kind
        assert (given == labels).all()


def test_volumes_and_labels_without_foreground_are_taken_too():
    volume = np.zeros((4, 4, 4), "int32")
    volume[0, 0, 0], volume[2:, 2:, 2:] = 3, 3
    assert (np.argwhere(largest_component(volume)).min(axis=0) == 2).all()
    assert not largest_component(np.zeros((3, 3), int)).any()


@pytest.mark.parametrize("wrong", [np.full((2, 2), 0.5), np.array([[0, -1]])])
def test_labels_that_are_no_class_numbers_are_refused(wrong):
    with pytest.raises(LabelError, match="argmax"):
        largest_component(wrong)


def test_the_cut_is_the_one_that_finds_the_true_objects():
    truth = np.zeros((12, 20), int)
    truth[2:10, 2:9], truth[2:10, 10:18] = 1, 2
    foreground = np.where(truth > 0, 0.45, 0.1)
    foreground[2:10, 9] = 0.35  # the gap is above some thresholds and below .4
    foreground[4:8, 4:7] = foreground[4:8, 12:16] = 0.93
    foreground[3:9:5, 2:9] = 0.97  # two cores in one object, if cores are cut at .95
    maps = np.stack([1 - foreground, foreground], -1)
    cut = choose_cut([truth], [maps], smallest=6)
    assert cut["threshold"] == 0.4 and cut["smallest"] == 6
    assert metrics.seg(truth, instances(maps, **cut)) == 1
    assert cut["seeds"] == 0.9  # .7 and .8 are as good, .95 is not
