import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medseg_tf.errors import ConfigError, GeometryError
from medseg_tf.methods import plausible, search_shape, shape_model

AXIS = np.linspace(0, 30, 8)


def lines(count, seed=0, axes=2):
    """Lines along the first axis that are shifted and bent across it."""
    rng = np.random.default_rng(seed)
    shapes = np.zeros((count, len(AXIS), axes))
    shapes[..., 0] = AXIS + rng.normal(0, 0.01, (count, 1))
    bend = np.sin(AXIS / 30 * np.pi)
    for axis in range(1, axes):
        shapes[..., axis] = rng.normal(20, 2, (count, 1)) + rng.normal(0, 2, (count, 1)) * bend
    return shapes


def test_two_ways_to_vary_become_two_modes_and_the_known_shapes_are_restored():
    shapes = lines(12)
    model = shape_model(shapes, keep=0.999)
    assert model.modes.shape == (16, 2) and model.deviations.shape == (2,)
    np.testing.assert_allclose(model.modes.T @ model.modes, np.eye(2), atol=1e-12)
    np.testing.assert_allclose(model.mean, shapes.mean(0))
    restored = plausible(model, shapes[3], limit=np.inf)
    assert np.abs(restored - shapes[3]).max() < 0.05


def test_deviations_are_those_of_the_shapes_along_the_modes():
    shapes = lines(12)
    model = shape_model(shapes, keep=1)
    along = (shapes - model.mean).reshape(12, -1) @ model.modes
    np.testing.assert_allclose(along.std(0, ddof=1), model.deviations, atol=1e-9)


@given(seed=st.integers(0, 99), limit=st.floats(0, 4))
def test_a_plausible_shape_stays_as_it_is_and_lies_within_the_limit(seed, limit):
    model = shape_model(lines(10))
    far = model.mean + np.random.default_rng(seed).normal(0, 20, model.mean.shape)
    found = plausible(model, far, limit)
    np.testing.assert_allclose(plausible(model, found, limit), found, atol=1e-9)
    along = (found - model.mean).ravel() @ model.modes
    assert (np.abs(along) <= limit * model.deviations + 1e-9).all()


@pytest.mark.parametrize("axes", [2, 3])
@pytest.mark.parametrize("astray, bound", [(False, 0.5), (True, 2)])
def test_the_search_finds_an_unseen_line_and_one_bad_landmark_cannot_run_away(axes, astray, bound):
    shapes = lines(30, axes=axes)
    model, truth = shape_model(shapes[:-1], keep=0.999), shapes[-1]

    def score(places):
        near = -(np.linalg.norm(places - truth[:, None], axis=-1) ** 2)
        if astray:  # alone it would be 50 away
            near[2] = places[2, :, 1]
        return near

    assert np.abs(model.mean - truth).max() > 1.9
    assert np.abs(search_shape(model, score) - truth).max() < bound


def test_lines_that_follow_one_another_are_each_searched_across_themselves():
    shapes = lines(9)
    both = np.concatenate([shapes, shapes[:, ::-1] + [0, 50]], axis=1)  # there and back again
    steps = []

    def score(places):
        steps.append(places[:, -1] - places[:, 0])
        return np.zeros(places.shape[:2])

    model = shape_model(both)
    search_shape(model, score, reach=1, steps=1, lines=2)
    alone = [abs(np.gradient(line, axis=0)) for line in np.split(model.mean, 2)]
    for line, step in zip(alone, np.split(steps[0], 2), strict=True):
        across = abs(step[:, ::-1]) / 2 * np.linalg.norm(line, axis=1, keepdims=True)
        np.testing.assert_allclose(across, line, atol=1e-9)


def test_where_all_places_score_alike_nothing_moves():
    model = shape_model(lines(9))
    found = search_shape(model, lambda places: np.zeros(places.shape[:2]))
    np.testing.assert_allclose(found, model.mean, atol=1e-9)


def test_shapes_that_are_all_alike_have_no_mode():
    model = shape_model(np.repeat(lines(1), 3, axis=0))
    assert model.modes.shape == (16, 0)
    np.testing.assert_array_equal(plausible(model, model.mean + 5), model.mean)


def test_what_makes_no_model_is_refused():
    with pytest.raises(ConfigError, match="two cases or more"):
        shape_model(lines(1))
    with pytest.raises(GeometryError, match=r"\(7, 2\) for a model of \(8, 2\)"):
        plausible(shape_model(lines(3)), np.zeros((7, 2)))
