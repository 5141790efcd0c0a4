"""A trained model as a folder: recipe.json says how to build it, model.weights.h5 holds numbers.

A model is rebuilt by the name of its builder and never unpickled, so that a folder opens under
any supported Keras and nothing in it is executed.
"""

import contextlib
import hashlib
import importlib
import json
import os
import warnings
from pathlib import Path

import keras

import medseg_tf
from medseg_tf.errors import ConfigError, ModelError

RECIPE, WEIGHTS = "recipe.json", "model.weights.h5"


def save(model, folder, **extra):
    """Write a model's recipe and weights to a folder.

    Args:
        model: a model of one of the builders of medseg_tf.models.
        folder: where; made if it is not there.
        extra: what else the recipe should hold (spacing, class names ...), ready for JSON.

    Returns:
        Path of the folder.

    Raises:
        ModelError: the model comes from no builder.
        ConfigError: `extra` uses a name of the recipe's own, or cannot be written as JSON.
    """
    folder = Path(folder)
    if "builder" not in getattr(model, "recipe", {}):
        raise ModelError(
            f"model {model.name!r} has no recipe: only models made by a builder of "
            "medseg_tf.models can be rebuilt. Keep others with model.save_weights."
        )
    fixed = {
        "builder": model.recipe["builder"],
        "arguments": model.recipe["arguments"],
        "channels": model.inputs[0].shape[-1],
        "classes": model.outputs[0].shape[-1],
        "precision": keras.config.dtype_policy().name,
        "versions": versions(),
    }
    if taken := extra.keys() & {*fixed, "weights_sha256"}:
        raise ConfigError(f"recipe.save: {sorted(taken)} are set by recipe.save; rename yours.")
    as_json(extra, folder / RECIPE)  # refused before anything is written
    folder.mkdir(parents=True, exist_ok=True)
    write_weights(model, folder / WEIGHTS)
    fixed["weights_sha256"] = _sha256(folder / WEIGHTS)
    # model.recipe first: a loaded model keeps its extras when it is saved again.
    write_json({**model.recipe, **extra, **fixed}, folder / RECIPE)
    return folder


def load_model(folder):
    """Rebuild a model from the folder that `save` wrote; it is not compiled.

    Layers take the precision set at the time of loading (float32 unless training.set_precision
    was called), not the one of the training: a model trained in bfloat16 opens anywhere.

    Args:
        folder: holds recipe.json and model.weights.h5.

    Returns:
        keras.Model whose `recipe` is the content of recipe.json.

    Raises:
        ModelError: files are missing, damaged or do not belong together, or the recipe names a
            network that this version does not know.
    """
    folder = Path(folder)
    recipe = _read(folder)
    arguments = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in recipe["arguments"].items()
    }
    try:
        model = _builder(recipe.get("builder"), folder)(**arguments)
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"{folder / RECIPE}: {recipe['builder']} cannot be built from its arguments "
            f"{recipe['arguments']}: {error}. It was made by {_made_by(recipe)}."
        ) from error
    read_weights(model, folder / WEIGHTS, recipe.get("weights_sha256"))
    model.recipe = recipe
    return model


def versions():
    """Versions that matter when a run is looked at later."""
    backend = keras.backend.backend()
    version = importlib.import_module(backend).__version__
    return {"medseg_tf": medseg_tf.__version__, "keras": keras.__version__, backend: version}


@contextlib.contextmanager
def replacing(path):
    """Give a temporary path; after the block it takes the place of `path` in one step."""
    path = Path(path)
    temporary = path.with_name(f".new.{path.name}")
    yield temporary
    os.replace(temporary, path)


def write_json(content, path):
    """Write JSON in one step."""
    text = as_json(content, path) + "\n"
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def as_json(content, path):
    """Return JSON text for a file; NumPy numbers and arrays become plain ones."""

    def plain(value):
        if hasattr(value, "tolist"):
            return value.tolist()
        raise ConfigError(f"{path}: {value!r} cannot be written as JSON; give plain values.")

    return json.dumps(content, indent=1, default=plain)


def write_weights(model, path):
    """Write a model's weights in one step, without the state of its optimizer."""
    with replacing(path) as temporary:
        _bare(model).save_weights(temporary)


def read_weights(model, path, sha256=None):
    """Read a model's weights; ModelError unless the file is whole and fits the model."""
    if not path.is_file():
        raise ModelError(f"{path} is missing; a model folder holds {RECIPE} and {WEIGHTS}.")
    if sha256 and _sha256(path) != sha256:
        raise ModelError(
            f"{path} is not the file that {RECIPE} was written with: it was cut short, changed or "
            "replaced. Copy the whole folder again."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # Keras only warns of layers it left out
            _bare(model).load_weights(path)
    except (OSError, KeyError, ValueError, UserWarning) as error:
        raise ModelError(
            f"{path} does not hold the weights of this {model.name}: it is damaged, or belongs to "
            f"another network ({error})."
        ) from error


def _bare(model):
    """The same layers without compilation: saved weights then hold no optimizer."""
    return keras.Model(model.inputs, model.outputs, name=model.name)


def _read(folder):
    """Read recipe.json and check what can be checked before anything is built."""
    path = folder / RECIPE
    if not path.is_file():
        raise ModelError(f"{folder} is no model folder: it has no {RECIPE}.")
    try:
        recipe = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{path} is not valid JSON ({error}). Copy the folder again.") from error
    parts = [recipe.get(k) for k in ("arguments", "versions")] if isinstance(recipe, dict) else [0]
    if not all(isinstance(part, dict) for part in parts):
        raise ModelError(f"{path} is no recipe: it must hold builder, arguments and versions.")
    theirs = str(recipe["versions"].get("medseg_tf", "0")).split(".")[0]
    ours = medseg_tf.__version__.split(".")[0]
    if theirs.isdigit() and int(theirs) > int(ours):
        raise ModelError(
            f"{path} was made by {_made_by(recipe)}, this is {medseg_tf.__version__}. "
            "Upgrade medseg_tf."
        )
    return recipe


def _builder(name, folder):
    from medseg_tf import models

    names = [n for n in models.__all__ if hasattr(getattr(models, n), "__wrapped__")]
    if name not in names:  # blocks.builder leaves __wrapped__; receptive_field and others have none
        raise ModelError(
            f"{folder / RECIPE}: network {name!r} is unknown; this version of medseg_tf knows "
            f"{', '.join(names)}."
        )
    return getattr(models, name)


def _made_by(recipe):
    return f"medseg_tf {recipe['versions'].get('medseg_tf', 'of unknown version')}"


def _sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
