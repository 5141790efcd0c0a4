import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from medseg_tf import metrics
from medseg_tf.errors import ConfigError, GeometryError, LabelError

SCORES = [metrics.hausdorff, metrics.hausdorff95, metrics.assd]
EMPTY, LEFT, RIGHT = np.zeros((1, 5), int), np.array([[1, 0, 0, 0, 0]]), np.array([[0, 0, 0, 1, 1]])


@st.composite
def pairs(draw):
    """Two masks of one shape and the spacing of their axes; every part of the grid may be full."""
    shape = draw(arrays.array_shapes(min_dims=2, max_dims=3, max_side=6))
    masks = st.one_of(arrays.arrays(bool, shape), arrays.arrays(bool, shape, fill=st.just(True)))
    spacing = st.tuples(*[st.floats(0.1, 10)] * len(shape))
    return draw(masks), draw(masks), draw(spacing)


def slow_surface(mask):
    """Positions of the foreground with a face neighbour outside, voxel by voxel."""
    voxels = {tuple(index) for index in np.argwhere(mask).tolist()}
    steps = [step for one in np.eye(mask.ndim, dtype=int) for step in (one, -one)]
    return [v for v in sorted(voxels) if any(tuple(v + step) not in voxels for step in steps)]


def slow_lists(truth, prediction, spacing):
    """Each surface voxel's distance to the nearest of all voxels of the other surface."""

    def nearest(start, goal):
        squares = [[sum((np.subtract(a, b) * spacing) ** 2) for b in goal] for a in start]
        return [min(row, default=np.inf) ** 0.5 for row in squares]

    one, other = slow_surface(truth), slow_surface(prediction)
    return nearest(one, other), nearest(other, one)


@given(pairs())
def test_lists_and_scores_equal_comparing_every_voxel_with_every_other(pair):
    truth, prediction, spacing = pair
    slow = slow_lists(*pair)
    for fast, right in zip(metrics.surface_distances(*pair), slow, strict=True):
        assert fast == pytest.approx(right)
    if truth.any() and prediction.any():
        both = slow[0] + slow[1]
        right = [max(both), max(np.percentile(one, 95) for one in slow), np.mean(both)]
        found = [score(truth, prediction, spacing=spacing)[1] for score in SCORES]
        assert found == pytest.approx(right)


@given(pairs())
def test_truth_and_prediction_may_be_swapped(pair):
    truth, prediction, spacing = pair
    for score in SCORES:
        swapped = score(prediction, truth, spacing=spacing)
        assert swapped == pytest.approx(score(truth, prediction, spacing=spacing), nan_ok=True)


@given(pairs(), st.floats(0.1, 10))
def test_scaling_every_spacing_scales_every_distance(pair, factor):
    truth, prediction, spacing = pair
    for score in SCORES:
        large = score(truth, prediction, spacing=np.array(spacing) * factor)
        once = score(truth, prediction, spacing=spacing)
        assert large == pytest.approx(factor * once, nan_ok=True)


@given(pairs(), st.integers(1, 3))
def test_background_around_both_masks_changes_nothing(pair, width):
    truth, prediction, spacing = pair
    for score in SCORES:
        wide = score(np.pad(truth, width), np.pad(prediction, width), spacing=spacing)[1]
        assert wide == pytest.approx(score(*pair[:2], spacing=spacing)[1], nan_ok=True)


@pytest.mark.parametrize("score", SCORES)
def test_both_empty_scores_nan_and_exactly_one_empty_infinity(score):
    assert np.isnan(score(EMPTY, EMPTY)[1])
    assert score(EMPTY, RIGHT)[1] == np.inf
    assert score(RIGHT, EMPTY)[1] == np.inf


def test_lists_of_empty_masks_are_empty_or_infinite():
    assert [one.tolist() for one in metrics.surface_distances(EMPTY, EMPTY)] == [[], []]
    there, back = metrics.surface_distances(EMPTY, RIGHT)
    assert there.tolist() == [] and back.tolist() == [np.inf, np.inf]


@pytest.mark.parametrize("score", SCORES)
def test_scores_are_over_all_classes_with_the_background_first(score):
    truth, prediction = np.array([[0, 1, 2, 0]]), np.array([[0, 1, 0, 2]])
    found = score(truth, prediction, classes=4)
    assert found.dtype == float
    assert found[1:3].tolist() == [0, 1] and 0 < found[0] <= 1 and np.isnan(found[3])


def test_lists_go_from_the_truth_to_the_prediction_and_back():
    there, back = metrics.surface_distances(LEFT, RIGHT)
    assert there.tolist() == [3] and back.tolist() == [3, 4]


def test_spacing_belongs_to_the_axes_of_the_array_in_their_order():
    assert metrics.hausdorff(LEFT, RIGHT, spacing=(9, 0.5))[1] == 2
    assert metrics.hausdorff(LEFT.T, RIGHT.T, spacing=(9, 0.5))[1] == 36
    assert metrics.hausdorff(LEFT, RIGHT, spacing=0.5)[1] == 2


def test_the_truth_given_may_be_transposed_or_read_only():
    truth = np.broadcast_to(np.array([0, 1, 1, 0]), (3, 4))
    assert metrics.assd(truth.T, truth.T)[1] == 0
    assert (truth == [0, 1, 1, 0]).all()


@pytest.mark.parametrize("spacing", [(1, 1, 1), (1,), [[1, 1]], 0, (1, -1), (1, np.nan), np.inf])
def test_a_spacing_that_cannot_be_is_refused(spacing):
    for score in [*SCORES, metrics.surface_distances]:
        with pytest.raises(ConfigError, match="labels of 2 axes.*grid.spacing"):
            score(LEFT, RIGHT, spacing=spacing)


def test_labels_are_checked_as_by_every_metric():
    with pytest.raises(GeometryError, match=r"\(1, 5\).*\(5, 1\)"):
        metrics.hausdorff(LEFT, RIGHT.T)
    with pytest.raises(GeometryError, match=r"\(1, 5\).*\(5, 1\)"):
        metrics.surface_distances(LEFT, RIGHT.T)
    with pytest.raises(LabelError, match="argmax"):
        metrics.surface_distances(LEFT, RIGHT / 2)
    with pytest.raises(LabelError, match="truth holds class 2"):
        metrics.assd(2 * LEFT, RIGHT)
    with pytest.raises(ConfigError, match="background"):
        metrics.hausdorff95(LEFT, RIGHT, classes=1)
