"""What fit() does around single steps: name their epoch, time them, show them, watch the loss."""

import math
import time

import keras
import numpy as np

from medseg_tf import losses
from medseg_tf.errors import ModelError


class Batches(keras.utils.PyDataset):
    """The first `steps` batches of the epoch that `epoch` names.

    Keras' own count of epochs is no help: it ends one before the first, and one a validation.

    For a network of several `outputs` each gets the labels, and with them the weight of its loss:
    1 for the first, losses.auxiliary_weight for the others, which falls over `total` steps; 0
    without `total`, in validation. So the weight depends on epoch and index alone.
    """

    def __init__(self, patches, steps, outputs=1, total=None):
        super().__init__()
        self.patches, self.steps, self.epoch = patches, steps, 0
        self.outputs, self.total = outputs, total

    def __len__(self):
        return self.steps

    def __getitem__(self, index):
        self.patches.epoch = self.epoch
        batch = self.patches[index]
        return batch if self.outputs == 1 else self.share(*batch, self.epoch * self.steps + index)

    def share(self, x, y, step):
        other = losses.auxiliary_weight(step, self.total) if self.total else 0.0
        weights = [1.0] + [other] * (self.outputs - 1)
        return x, (y,) * self.outputs, tuple(np.full(len(x), w, "float32") for w in weights)


class Pace(keras.callbacks.Callback):
    """Names the epoch to the batches, moves the bar, and stops when the loss is no number."""

    def __init__(self, batches, bar):
        super().__init__()
        self.batches, self.bar = batches, bar

    def on_epoch_begin(self, epoch, logs=None):
        self.batches.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        loss, epoch = float(logs["loss"]), self.batches.epoch
        if not math.isfinite(loss):
            raise ModelError(
                f"the loss is {loss} at step {epoch * len(self.batches) + batch + 1} (epoch "
                f"{epoch + 1}). Lower the learning rate; look for NaN in images and weight maps."
            )
        self.bar.set_postfix_str(f"loss {loss:.4f}", refresh=False)
        self.bar.update()


class Stopwatch(keras.callbacks.Callback):
    """Times a few steps and stops after about `seconds`, the first step (it traces) not counted."""

    def __init__(self, seconds):
        super().__init__()
        self.seconds, self.train, self.test = seconds, [], []

    def on_train_begin(self, logs=None):
        self.train.append(time.monotonic())

    def on_train_batch_end(self, batch, logs=None):
        self.train.append(time.monotonic())
        if len(self.train) > 4 and self.train[-1] - self.train[1] > self.seconds:
            self.model.stop_training = True

    def on_test_batch_end(self, batch, logs=None):
        self.test.append(time.monotonic())

    def first(self):
        return self.train[1] - self.train[0]

    def step(self):
        """Seconds a step; the first third find batches that were made while the first traced."""
        times = np.diff(self.train[1:])
        return float(times[len(times) // 3 :].mean())

    def scoring(self):
        """Seconds to score one batch; where only one was scored, those of a step."""
        return float(np.diff(self.test).mean()) if len(self.test) > 1 else self.step()
