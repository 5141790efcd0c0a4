"""auto-context: who trained on whom, the order of maps, what the second network gets."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medseg_tf import data, inference
from medseg_tf.errors import ConfigError, GeometryError
from medseg_tf.methods import add_maps, cross_fit, mean_maps


def scans(subjects):
    """One case for each entry, whose grey values are its number."""
    grid = data.Grid((2, 3))
    label = data.Scan(np.zeros((2, 3), "uint8"), grid)
    return [
        data.Case(subject, data.Scan(np.full((2, 3, 1), number), grid), label)
        for number, subject in enumerate(subjects)
    ]


def remember(cases):
    """A "model" that knows by heart what it was trained on."""
    return [case.subject for case in cases]


def number_of(case):
    return int(case.image.array[0, 0, 0])


@given(st.lists(st.sampled_from("abcdef"), min_size=4), st.integers(2, 3), st.integers(0, 9))
def test_no_map_comes_from_a_network_that_saw_the_subject(subjects, folds, seed):
    if len(set(subjects)) < folds:
        return
    cases = scans(subjects)
    models, maps = cross_fit(
        cases, remember, folds, lambda model, case: (model, number_of(case)), seed
    )
    assert len(models) == folds
    for case, (model, number) in zip(cases, maps, strict=True):
        assert number == number_of(case)  # the order of the output is that of the input
        assert case.subject not in model
        others = set(subjects) - {case.subject}
        assert set(model) <= others
    # Each subject is left out by one network, with all its scans.
    for subject in set(subjects):
        counts = [model.count(subject) for model in models]
        assert sorted(counts) == [0] + [subjects.count(subject)] * (folds - 1)


def test_cases_reach_fit_in_their_order():
    cases = scans("abcabcab")
    seen = []
    cross_fit(cases, lambda some: seen.append([number_of(case) for case in some]), 3, lambda *_: 0)
    assert len(seen) == 3 and all(some == sorted(some) for some in seen)


def test_the_same_seed_deals_the_same_folds_and_another_one_others():
    cases = scans("abcdefgh")
    first, again, other = (
        cross_fit(cases, remember, 2, lambda model, case: model, seed)[0] for seed in (0, 0, 1)
    )
    assert first == again != other


def test_as_many_folds_as_subjects_leave_one_out():
    models, _ = cross_fit(scans("abca"), remember, 3, lambda *_: 0)
    assert sorted(map(len, models)) == [2, 3, 3]  # a was scanned twice


@pytest.mark.parametrize(
    "folds, message", [(1, "folds=1"), (0, "folds=0"), (5, "5 parts need at least 5 subjects")]
)
def test_impossible_folds_are_refused(folds, message):
    with pytest.raises(ConfigError, match=message):
        cross_fit(scans("abcd"), remember, folds, lambda *_: 0)


def constant(share):
    """A network that says the same everywhere."""
    inputs = keras.Input((None, None, 1))
    outputs = keras.layers.Conv2D(2, 1, kernel_initializer="zeros", activation="softmax")(inputs)
    model = keras.Model(inputs, outputs)
    model.set_weights([model.get_weights()[0], np.log([1 - share, share])])
    return model


def test_maps_are_inference_probabilities_where_nothing_else_is_asked_for():
    case = scans("a")[0]
    found = mean_maps([constant(0.2), constant(0.6)], case)
    assert found.dtype == "float32" and found.shape == (2, 3, 2)
    np.testing.assert_allclose(found[..., 1], 0.4, rtol=1e-5)
    _, maps = cross_fit(scans("ab"), lambda cases: constant(0.25))
    np.testing.assert_allclose([one[..., 1] for one in maps], 0.25, rtol=1e-5)


def test_maps_become_the_images_last_channels():
    case = scans("ab")[1]
    maps = np.random.default_rng(0).random((2, 3, 4))
    both = add_maps(case, maps)
    assert both.image.array.dtype == "float32" and both.image.grid is case.image.grid
    np.testing.assert_array_equal(both.image.array[..., :1], case.image.array)
    np.testing.assert_array_equal(both.image.array[..., 1:], maps.astype("float32"))
    assert both.label is case.label and both.subject == "b" and case.image.array.shape == (2, 3, 1)


def test_maps_of_another_case_are_refused():
    with pytest.raises(GeometryError, match=r"maps of shape \(3, 2, 4\)"):
        add_maps(scans("a")[0], np.zeros((3, 2, 4)))


def test_the_second_network_is_used_as_any_other():
    case = scans("a")[0]
    inputs = keras.Input((None, None, 3))
    second = keras.Model(inputs, keras.layers.Conv2D(2, 1, activation="softmax")(inputs))
    labels = inference.segment(second, add_maps(case, mean_maps([constant(0.2)], case)))
    assert labels.array.shape == (2, 3)
