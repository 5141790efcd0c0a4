"""What real tensorflow-addons answers: make_arrays.py write FILE | compare FILE FILE.

`write` needs the environment of requirements-tfa.txt; `compare` needs NumPy alone. `make tfa` does
both. FILE holds the inputs and the answers of calls.py, some answers to what is not provided any
more, for lesson A1, and as JSON the versions, TFA's public names and the defaults of its arguments.
"""

import inspect
import json
import os
import sys
import types
import warnings

import numpy as np
from calls import CALLS, inputs

PARTS = "activations callbacks image layers losses metrics optimizers rnn seq2seq text".split()
LARGEST = 1e-5  # between two machines' own TFA


def write(file):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.simplefilter("ignore")
    import tensorflow as tf
    import tensorflow_addons as tfa

    here = types.SimpleNamespace(
        addons=tfa,
        keras=tf.keras,
        variable=lambda array, name: tf.Variable(array, name=name),
        tensor=tf.constant,
        numpy=lambda tensor: tensor.numpy(),
    )
    x = inputs() | pooled(tf)
    facts = {
        "versions": {module.__name__: module.__version__ for module in (tfa, tf, np)},
        "names": {part: names(getattr(tfa, part)) for part in PARTS} | {"": names(tfa)},
        "defaults": {part: defaults(getattr(tfa, part)) for part in PARTS},
    }
    answers = {name: np.asarray(function(here, x)) for name, (function, _) in CALLS.items()}
    np.savez_compressed(
        file,
        facts=json.dumps(facts, indent=1, sort_keys=True),
        **{f"x_{name}": array for name, array in x.items()},
        **answers,
        **{f"old_{name}": np.asarray(array) for name, array in old(tfa, x).items()},
    )
    print(f"{len(answers)} answers of {facts['versions']}: {os.path.getsize(file)} bytes")


def pooled(tf):
    """Maxima and their places, as TensorFlow's own pooling gives them."""
    maps, x = inputs()["planes"][..., :3].repeat(2, axis=1)[:, :6, :4], {}
    maps = maps + np.arange(maps.size).reshape(maps.shape).astype("float32") % 7  # no equal pairs
    for end, size, padding in [("", 2, "SAME"), ("_valid", (3, 2), "VALID")]:
        maxima, places = tf.nn.max_pool_with_argmax(maps, size, size, padding)
        x |= {f"maxima{end}": maxima.numpy(), f"places{end}": places.numpy().astype("int32")}
    return x


def names(module):
    """Public names of a module; of TFA itself the modules, too."""
    top = module.__name__ == "tensorflow_addons"
    return [
        name
        for name in dir(module)
        if not name.startswith("_")
        and (top or not isinstance(getattr(module, name), types.ModuleType))
    ]


def defaults(module):
    """Name -> argument -> default, as JSON can hold them."""
    found = {}
    for name in names(module):
        arguments = inspect.signature(getattr(module, name)).parameters.values()
        given = {a.name: a.default for a in arguments if a.default is not a.empty}
        found[name] = {key: getattr(value, "name", value) for key, value in given.items()}
    return json.loads(json.dumps(found, default=str))


def old(tfa, x):
    """What lesson A1 shows of names that are gone, and of input that TFA took silently."""
    truth, guess = np.array([[1, 1, 1, 0, 0, 0, 1, 0], [1, 0, 1, 0, 0, 0, 1, 0]], "float32")
    column = tfa.metrics.MatthewsCorrelationCoefficient(num_classes=1)
    column.update_state(truth[:, None], guess[:, None])
    one_hot = tfa.metrics.MatthewsCorrelationCoefficient(num_classes=2)
    one_hot.update_state(np.stack([1 - truth, truth], 1), np.stack([1 - guess, guess], 1))
    everywhere = np.ones((4, 5), "uint8")
    return {
        "mcc_pair": np.stack([truth, guess]),
        "mcc_of_a_column": column.result(),
        "mcc_one_hot": one_hot.result(),
        "median": tfa.image.median_filter2d(x["picture"]),
        "mean": tfa.image.mean_filter2d(x["picture"]),
        "smoothed_sigma_10": tfa.image.gaussian_filter2d(x["picture"], sigma=10.0),
        "distances_without_background": tfa.image.euclidean_dist_transform(everywhere),
    }


def compare(file, other):
    with np.load(file) as one, np.load(other) as two:
        if sorted(one.files) != sorted(two.files):
            sys.exit(f"the files differ in: {sorted(set(one.files) ^ set(two.files))}")
        if str(one["facts"]) != str(two["facts"]):
            sys.exit("versions, names or defaults differ")
        differences = {
            name: float(np.max(np.abs(one[name].astype("float64") - two[name])))
            for name in one.files
            if name != "facts"
        }
    worst = max(differences, key=differences.get)
    print(f"{len(differences)} arrays, largest difference {differences[worst]:.1e} ({worst})")
    if not differences[worst] <= LARGEST:
        sys.exit(f"more than {LARGEST}: the arrays are not what tensorflow-addons gives here")


if __name__ == "__main__":
    {"write": write, "compare": compare}[sys.argv[1]](*sys.argv[2:])
