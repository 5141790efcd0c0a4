"""Each exercise: blank, right and typical wrong answers."""

import importlib
import pkgutil

import pytest

from medseg_tf.lesson import exercises

ALL = [
    pytest.param(exercise, id=f"{module.name}-{exercise.check.__name__}")
    for module in pkgutil.iter_modules(exercises.__path__)
    for exercise in importlib.import_module(f"{exercises.__name__}.{module.name}").EXERCISES
]


@pytest.mark.parametrize("exercise", ALL)
def test_a_blank_is_still_to_do(exercise):
    assert exercise.check(lambda *_: None).startswith("Still to do")


@pytest.mark.parametrize("exercise", ALL)
def test_the_solution_is_accepted(exercise):
    assert exercise.check(exercise.solution).startswith("Yes")


@pytest.mark.parametrize("exercise", ALL)
def test_each_typical_mistake_gets_the_hint_that_fits_it(exercise):
    lines = [exercise.check(answer) for answer, _ in exercise.wrong]
    hints = [hint for _, hint in exercise.wrong]
    assert all(line.startswith("Not yet") for line in lines)
    assert all(hint in line for line, hint in zip(lines, hints, strict=True))
    assert len(set(hints)) >= 2  # different mistakes, different hints
