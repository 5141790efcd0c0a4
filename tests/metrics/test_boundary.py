import numpy as np
import pytest

from medseg_tf import metrics
from medseg_tf.errors import ConfigError

# One row: the border lies between the fourth and the fifth pixel.
TRUTH = np.array([[0, 0, 0, 0, 1, 1, 1, 1]])


@pytest.mark.parametrize("distance, error", [(1, 1 / 2), (2, 1 / 4), (3, 1 / 6)])
def test_a_border_one_pixel_off_is_wrong_in_one_pixel_of_a_band_twice_the_distance(distance, error):
    moved = np.array([[0, 0, 0, 0, 0, 1, 1, 1]])
    assert metrics.boundary_error(TRUTH, moved, distance) == pytest.approx(error)


def test_mistakes_far_from_every_border_do_not_count():
    far = TRUTH.copy()
    far[0, 0] = 1
    assert metrics.boundary_error(TRUTH, far, distance=2) == 0


def test_borders_between_two_classes_count_as_well_as_those_with_the_background():
    truth = np.repeat([[0, 1, 2]], 4, axis=1)
    assert metrics.boundary_error(truth, np.where(truth == 2, 1, truth), distance=1) == 1 / 4


def test_a_truth_without_a_border_scores_nan():
    assert np.isnan(metrics.boundary_error(np.ones((3, 3, 3), int), np.zeros((3, 3, 3), int)))


def test_a_distance_below_one_pixel_is_refused():
    with pytest.raises(ConfigError, match="1 or more"):
        metrics.boundary_error(TRUTH, TRUTH, distance=0.5)
