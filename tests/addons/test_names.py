"""Every public name of tensorflow-addons is here with its defaults, or names its replacement."""

import importlib
import inspect
import re

import pytest
from test_answers import FACTS

import medseg_tf
from medseg_tf import addons
from medseg_tf.addons import TODAY, GoneError
from medseg_tf.errors import MedsegError

HERE = [
    (part, name) for part in TODAY if part for name in getattr(getattr(addons, part), "__all__", [])
]
GONE = [(part, name) for part in TODAY for name in TODAY[part] if (part, name) not in HERE]
NAMES_OF_NODES = {"name"}  # of functions; objects keep theirs
NOT_TAKEN = {("transform", "output_shape")}


def module(part):
    return getattr(addons, part) if part else addons


@pytest.mark.parametrize("part", FACTS["names"], ids=lambda part: part or "package")
def test_every_public_name_has_its_line_and_no_other_name_has_one(part):
    assert set(TODAY[part]) == set(FACTS["names"][part]) - set(TODAY)


@pytest.mark.parametrize("part, name", GONE)
def test_a_name_that_is_gone_names_its_replacement(part, name):
    with pytest.raises(GoneError, match=re.escape(TODAY[part][name])):
        getattr(module(part), name)


def test_an_import_of_a_name_that_is_gone_says_so_and_can_be_guarded():
    with pytest.raises(ImportError, match="WeightNormalization.*Today: .*gain"):
        from medseg_tf.addons.layers import WeightNormalization  # noqa: F401
    assert issubclass(GoneError, MedsegError)


def test_a_name_that_never_was_is_an_ordinary_missing_attribute():
    assert not hasattr(addons, "no_such_name") and not hasattr(addons.layers, "no_such_name")


@pytest.mark.parametrize("part, name", HERE)
def test_defaults_are_those_of_tensorflow_addons(part, name):
    thing = getattr(module(part), name)
    arguments = inspect.signature(thing).parameters
    for argument, default in FACTS["defaults"][part][name].items():
        if argument in NAMES_OF_NODES and inspect.isfunction(thing):
            continue
        if (name, argument) not in NOT_TAKEN:
            ours = arguments[argument].default
            assert (list(ours) if isinstance(ours, tuple) else ours) == default, argument


@pytest.mark.parametrize("part, name", HERE)
def test_a_docstring_says_what_it_was_what_it_is_and_what_bites(part, name):
    text = inspect.getdoc(getattr(module(part), name))
    assert all(words in text for words in ("TFA: ", "Today: ", "What bites: "))


def test_the_replacements_exist():
    text = " ".join(line for part in TODAY.values() for line in part.values())
    found = set(re.findall(r"\b(?:keras|medseg_tf|scipy|skimage|sklearn)(?:\.\w+)+", text))
    assert len(found) > 50
    for path in found:
        thing, *rest = path.split(".")
        thing = importlib.import_module(thing)
        for name in rest:
            if not hasattr(thing, name):
                importlib.import_module(f"{thing.__name__}.{name}")
            thing = getattr(thing, name)


def test_the_package_reaches_it_by_its_name():
    assert medseg_tf.addons is addons
