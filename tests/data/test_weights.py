import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from medseg_tf.data import separate, unet_weight_map
from medseg_tf.errors import ConfigError

SHAPES = arrays.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=9)
LABELS = arrays.arrays(np.int32, SHAPES, elements=st.sampled_from([0, 0, 0, 1, 2, 3, 7]))


def textbook(label, w0, sigma):
    """The formula with one distance transform for each object."""
    label = label * separate(label)
    weights, numbers = np.ones(label.shape), np.unique(label[label > 0])
    if len(numbers) > 1:
        distances = [ndimage.distance_transform_edt(label != number) for number in numbers]
        total = np.sort(distances, axis=0)[:2].sum(0)
        weights += np.where(label > 0, 0, w0 * np.exp(-(total**2) / (2 * sigma**2)))
    return weights


@settings(max_examples=60, deadline=None)
@given(LABELS, st.sampled_from([0.5, 1, 5]))
def test_the_weight_map_equals_one_distance_transform_for_each_object(label, sigma):
    expected = textbook(label, 10, sigma)
    np.testing.assert_allclose(unet_weight_map(label, sigma=sigma), expected, atol=1e-5)


def blobs(shape, cells):
    """Discs of random size with gaps, every cell another number."""
    rng = np.random.default_rng(0)
    label = np.zeros(shape, "int32")
    for number in range(1, cells + 1):
        squared = ((np.indices(shape).T - rng.uniform(0, shape)) ** 2).sum(-1).T
        label[squared < rng.uniform(9, 40)] = number
    return label


@pytest.mark.parametrize("shape", [(90, 70), (14, 40, 30)])
def test_the_weight_map_of_many_cells_equals_the_textbook_one(shape):
    label = blobs(shape, cells=30)
    np.testing.assert_allclose(unet_weight_map(label), textbook(label, 10, 5), atol=1e-5)


def test_object_numbers_need_be_neither_small_nor_consecutive():
    label = blobs((40, 40), cells=8)
    large = np.where(label > 0, label * 40_000_003, 0).astype("int64")
    np.testing.assert_array_equal(unet_weight_map(large), unet_weight_map(label))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int64"])
def test_the_weight_map_is_float32_for_labels_of_any_integer_type(dtype):
    label = blobs((30, 30), cells=4)
    weights = unet_weight_map(label.astype(dtype))
    assert weights.dtype == "float32"
    np.testing.assert_array_equal(weights, unet_weight_map(label))


def test_touching_objects_get_the_weight_of_a_gap_one_pixel_wide():
    weights = unet_weight_map(np.tile([1, 1, 2, 2], (3, 1)))
    np.testing.assert_allclose(weights[1], [1, 1, 1 + 9.2312, 1], atol=1e-4)


def test_a_sigma_of_zero_is_refused():
    with pytest.raises(ConfigError, match="sigma=0"):
        unet_weight_map(np.zeros((4, 4), int), sigma=0)


def test_of_two_touching_objects_the_larger_number_gives_way_by_one_pixel():
    label = np.array([[0, 1, 1, 2, 2], [3, 3, 1, 0, 2]])
    expected = [[0, 1, 1, 0, 1], [1, 0, 1, 0, 1]]
    np.testing.assert_array_equal(separate(label), expected)
    assert separate(label).dtype == "int32"


def test_objects_that_meet_at_a_corner_only_stay_whole():
    np.testing.assert_array_equal(separate(np.array([[1, 0], [0, 2]])), [[1, 0], [0, 1]])


@settings(max_examples=100, deadline=None)
@given(LABELS)
def test_no_component_holds_two_objects(label):
    parted = separate(label)
    components, count = ndimage.label(parted)
    for component in range(1, count + 1):
        assert len(np.unique(label[components == component])) == 1
    assert not parted[label == 0].any()


@settings(max_examples=50, deadline=None)
@given(LABELS)
def test_voxels_go_only_where_two_objects_touch(label):
    cross = ndimage.generate_binary_structure(label.ndim, 1)
    largest = ndimage.maximum_filter(label, footprint=cross)
    smallest = ndimage.minimum_filter(np.where(label > 0, label, 99), footprint=cross)
    alone = (label > 0) & (largest == label) & (smallest == label)
    assert separate(label)[alone].all()


@settings(max_examples=50, deadline=None)
@given(LABELS)
def test_parting_does_not_depend_on_the_side_one_looks_from(label):
    np.testing.assert_array_equal(separate(np.flip(label)), np.flip(separate(label)))
