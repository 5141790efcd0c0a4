"""medseg_tf.addons answers as tensorflow-addons 0.23.0 did (medseg_tf/addons/tfa.npz)."""

import json
import types
from pathlib import Path

import keras
import numpy as np
import pytest
from calls import CALLS, inputs

from medseg_tf import addons

FILE = Path(addons.__file__).with_name("tfa.npz")
with np.load(FILE) as file:
    TFA = {name: file[name] for name in file.files}
FACTS = json.loads(str(TFA["facts"]))
HERE = types.SimpleNamespace(
    addons=addons,
    keras=keras,
    variable=lambda array, name: keras.Variable(array, name=name),
    tensor=keras.ops.convert_to_tensor,
    numpy=keras.ops.convert_to_numpy,
)
BACKEND = keras.backend.backend()
NO_MAP = "training takes one loss a batch, no map"
AFFINE = "Keras reads c0 and c1 with TensorFlow only"
WRAP = "between the last pixel and the first, TensorFlow's own kernel has its own rule"
ELSEWHERE = {  # where the other backends do something else
    "focal_in_training": {"jax": NO_MAP, "torch": NO_MAP},
    "transformed_projectively": {"jax": AFFINE, "torch": AFFINE},
    "translated_wrapped": {"jax": WRAP, "torch": WRAP},
    "smoothed_wide": {"torch": "Keras' symmetric padding repeats the border pixel"},
}
X = {key.removeprefix("x_"): TFA[key] for key in TFA if key.startswith("x_")}


@pytest.mark.parametrize("name", CALLS)
def test_the_answer_is_that_of_tensorflow_addons(name, request):
    if BACKEND in ELSEWHERE.get(name, {}):  # strict: one that agrees after all fails
        request.applymarker(pytest.mark.xfail(reason=ELSEWHERE[name][BACKEND]))
    function, tolerance = CALLS[name]
    answer = keras.ops.convert_to_numpy(function(HERE, X))
    assert answer.shape == TFA[name].shape
    assert np.max(np.abs(answer.astype("float64") - TFA[name])) <= tolerance


def test_the_file_holds_an_answer_to_each_call_and_the_inputs_it_was_made_from():
    assert set(CALLS) <= set(TFA)
    assert all(np.allclose(array, X[name]) for name, array in inputs().items())
    assert FACTS["versions"]["tensorflow_addons"] == "0.23.0"


def test_the_file_is_small_enough_to_travel_with_the_package():
    assert FILE.stat().st_size < 200_000
