"""A run's folder, from which a run that was killed goes on.

It holds
    run.json          what was asked for, and how many steps that became
    history.json      losses by epoch
    checkpoint.npz    all that the next epoch depends on, until the run is finished
    model.weights.h5  the best weights so far; in the end the model's (with recipe.json a model
                      folder, which medseg_tf.load_model opens)
Each file is written under another name and put in place in one step, so a run killed at any
moment goes on from its last whole epoch and ends with the weights of the unbroken run (on PyTorch
only without dropout, which is drawn there from a generator that no variable holds).
"""

import json
import math

import keras
import numpy as np

from medseg_tf import recipe
from medseg_tf.errors import RunFolderError

RUN, HISTORY, CHECKPOINT = "run.json", "history.json", "checkpoint.npz"


class Keep(keras.callbacks.Callback):
    """Keeps history and best weights, and in a folder what the run can go on from."""

    def __init__(self, model, folder):
        super().__init__()
        self.folder, self.history, self.best = folder, {}, None
        if folder and (folder / CHECKPOINT).exists():
            self.history = load_checkpoint(model, folder / CHECKPOINT)
        elif folder:
            save_checkpoint(model, self.history, folder / CHECKPOINT)

    def on_epoch_end(self, epoch, logs=None):
        for name, value in logs.items():
            self.history.setdefault(name, []).append(float(value))
        scores = self.history.get("val_loss")
        if scores and scores[-1] < np.nanmin([math.inf, *scores[:-1]]):
            if self.folder:
                recipe.write_weights(self.model, self.folder / recipe.WEIGHTS)
            else:
                self.best = self.model.get_weights()
        if self.folder:
            recipe.write_json(self.history, self.folder / HISTORY)
            # Last: an epoch without its checkpoint is run again and writes the same as before.
            save_checkpoint(self.model, self.history, self.folder / CHECKPOINT)

    def restore_best(self):
        """Give the model the weights of the epoch with the lowest validation loss."""
        if self.best is not None:
            self.model.set_weights(self.best)
        elif self.folder and np.isfinite(self.history.get("val_loss", ())).any():
            recipe.read_weights(self.model, self.folder / recipe.WEIGHTS)


def describe(model, patches, loss, optimizer, validation):
    """What a run depends on, as plain JSON values: a folder belongs to one such description."""
    if optimizer is not None and not isinstance(optimizer, keras.optimizers.Optimizer):
        optimizer = optimizer(1000)  # of what a function makes, its settings for some length
    described = {
        "model": getattr(model, "recipe", {"name": model.name, "weights": model.count_params()}),
        "loss": settings(loss),
        "optimizer": settings(optimizer),
        "patches": patches.config,
        "validation": validation and validation.config,
        "precision": keras.config.dtype_policy().name,
    }
    if len(model.outputs) > 1:  # shares its recipe with the network that has only the first
        described["outputs"] = len(model.outputs)
    return json.loads(json.dumps(described, default=str))


def settings(thing):
    """The settings of a Keras object, the name of a function, and anything else as it is."""
    if hasattr(thing, "get_config"):
        return {"class": type(thing).__name__, **thing.get_config()}
    return getattr(thing, "__qualname__", thing)


def start(folder, asked, plan):
    """Make the folder of a new run."""
    folder.mkdir(parents=True, exist_ok=True)
    run = {"asked": asked, "plan": plan, "finished": False, "versions": recipe.versions()}
    recipe.write_json(run, folder / RUN)
    return run


def read(folder, asked):
    """Read run.json, {} for a new run; RunFolderError if something else was asked for then."""
    if not (folder / RUN).exists():
        return {}
    run = read_json(folder / RUN)
    there, here = flat(run.get("asked", {})), flat(asked)
    names = [name for name in {**there, **here} if there.get(name) != here.get(name)]
    if names:
        found = "; ".join(f"{n} was {there.get(n)}, is now {here.get(n)}" for n in names)
        raise RunFolderError(
            f"{folder} holds another run: {found}. Choose another folder, or remove this one."
        )
    return run


def flat(nested, start=""):
    """{"a": {"b": 1}} as {"a.b": 1}."""
    result = {}
    for name, value in nested.items():
        inner = isinstance(value, dict)
        result |= flat(value, f"{start}{name}.") if inner else {start + name: value}
    return result


def read_json(path):
    """Read one of the folder's JSON files, an object."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, TypeError, ValueError) as error:
        raise RunFolderError(
            f"{path} cannot be read ({error}). Remove the folder to start afresh."
        ) from error


def finish(model, folder, run):
    """Leave a finished run: weights, the recipe where the model has one, no checkpoint."""
    if hasattr(model, "recipe"):
        recipe.save(model, folder)
    else:
        recipe.write_weights(model, folder / recipe.WEIGHTS)
    recipe.write_json({**run, "finished": True}, folder / RUN)
    (folder / CHECKPOINT).unlink()


def load_finished(model, folder):
    """Give the model the weights of a finished run; return its history."""
    recipe.read_weights(model, folder / recipe.WEIGHTS)
    return read_json(folder / HISTORY)


def state(model):
    """All that the next step depends on: weights, dropout's seeds, the optimizer's variables.

    Keras' own backup leaves the seeds out, and writes weights and epoch one after the other.
    """
    variables = [*model.variables, *model.optimizer.variables]
    return [keras.ops.convert_to_numpy(variable).copy() for variable in variables]


def set_state(model, arrays):
    """Put back what `state` returned."""
    variables = [*model.variables, *model.optimizer.variables]
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def save_checkpoint(model, history, path):
    """Write state and history in one step."""
    with recipe.replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, *state(model), history=json.dumps(history))


def load_checkpoint(model, path):
    """Set the model's state and return the history up to it."""
    try:
        with open(path, "rb") as file, np.load(file) as stored:
            arrays = [stored[f"arr_{k}"] for k in range(len(stored.files) - 1)]
            history = json.loads(str(stored["history"]))
        set_state(model, arrays)
    except Exception as error:  # zipfile, zlib and NumPy each have errors of their own
        raise RunFolderError(
            f"{path} is damaged or of another network ({error}). Remove the folder to start afresh."
        ) from error
    return history
