"""Runs killed by SIGKILL. As a script, this file is the run: FOLDER WHERE_TO_DIE."""

import json
import os
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest

from medseg_tf import data, recipe, training


def net(seed):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(3, 3, padding="same")(inputs)
    x = keras.layers.Activation("relu")(keras.layers.BatchNormalization()(x))
    x = keras.layers.Dropout(0.5)(x)
    return keras.Model(inputs, keras.layers.Conv2D(2, 1, activation="softmax")(x), name="net")


def fit(model, folder, callbacks=()):
    rng = np.random.default_rng(5)
    grid = data.Grid((12, 12), units="pixel")
    label = np.zeros((12, 12), "uint8")
    label[3:8, 4:9] = 1
    image = label[..., None] + rng.normal(scale=0.5, size=(12, 12, 1))
    cases = [data.Case("a", data.Scan(image, grid), data.Scan(label, grid))]
    augment = data.compose(data.flip(), data.rotate(), data.intensity())
    return training.fit(
        model,
        data.Patches(cases, 8, 2, augment=augment, steps=4),
        "sparse_categorical_crossentropy",
        validation=data.Patches(cases, 8, 2, seed=1, steps=2),
        epochs=4,
        folder=folder,
        callbacks=callbacks,
    )


def die():
    os.kill(os.getpid(), signal.SIGKILL)


class DieInEpochTwo(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == (1, 2):
            die()


def die_writing(name, count):
    """Die when the `count`th file of this name is about to be put in place."""
    replace, seen = os.replace, []

    def replace_or_die(source, target):
        seen.extend([1] if target.name == name else [])
        if target.name == name and len(seen) == count:
            die()
        replace(source, target)

    os.replace = replace_or_die


def killed(folder, where):
    """Run this file until it dies."""
    done = subprocess.run([sys.executable, __file__, folder, where], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_run_killed_three_times_ends_with_the_weights_and_history_of_the_unbroken_one(tmp_path):
    unbroken, resumed = net(seed=1), net(seed=2)  # what matters of it comes from the checkpoint
    history = fit(unbroken, tmp_path / "unbroken")
    folder = tmp_path / "broken"
    killed(folder, "in epoch two")
    killed(folder, "at the end of epoch two")
    killed(folder, "when finished")
    assert not json.loads((folder / "run.json").read_text())["finished"]
    assert fit(resumed, folder) == history
    assert json.loads((folder / "history.json").read_text()) == history
    for one, other in zip(unbroken.weights, resumed.weights, strict=True):
        np.testing.assert_array_equal(one, other)
    loaded = net(seed=3)
    recipe.read_weights(loaded, folder / recipe.WEIGHTS)
    np.testing.assert_array_equal(loaded.weights[0], unbroken.weights[0])


if __name__ == "__main__":
    folder, where = sys.argv[1:]
    if where == "at the end of epoch two":
        # Resumed after epoch one, so the first checkpoint it writes is that of epoch two.
        die_writing("checkpoint.npz", count=1)
    elif where == "when finished":
        die_writing("run.json", count=1)
    fit(net(seed=1), folder, [DieInEpochTwo()] if where == "in epoch two" else [])
