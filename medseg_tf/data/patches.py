"""Patches: training crops drawn from whole cases, in 2-D and 3-D.

Images are (*spatial, channels), labels (*spatial); batches add a leading axis.
"""

import logging
import math
import warnings
import zlib
from functools import partial

import keras
import numpy as np

from medseg_tf.data.normalize import z_score
from medseg_tf.data.weights import separate
from medseg_tf.errors import ConfigError, LabelError

VOXELS_KEPT = 10_000  # remembered places a case and class: plenty to draw from, little memory


class Patches(keras.utils.PyDataset):
    """Batches of patches: x, y and, where `weights` is given, w.

    x is float32 (batch, *size, channels), y int32 (batch, *output) and w float32 (batch, *output).
    Every batch is full and depends on (seed, epoch, index) alone. The label window stays inside
    the image where it fits; what lies outside is mirrored (numpy's "reflect").

    Args:
        cases: list of Case, all with a label, of equal rank, channels and classes.
        size: side of the image crop, in voxels: one number, or one an axis.
        batch: patches a batch.
        output: side of the label crop, centred in `size` (valid networks); `size` if left out.
        augment: transform(image, label, rng) -> (image, label), or None.
        weights: function of a label (object numbers for cell sets) to a float map, or None.
        seed: int.
        normalize: function of a whole image array, applied once.
        steps: batches an epoch; if left out, enough to cover all voxels once.
        balance: chance that a patch is centred on a voxel of a foreground class, all classes
            equally likely; otherwise its centre is any voxel of any case.

    Raises:
        ConfigError: no cases, cases that do not fit together, sizes that do not fit them.
        LabelError: a case without a label.
    """

    def __init__(
        self,
        cases,
        size,
        batch,
        output=None,
        augment=None,
        weights=None,
        seed=0,
        normalize=z_score,
        steps=None,
        balance=0.5,
    ):
        super().__init__()
        self.rank, self.channels, self.classes = _common(cases)
        self.size = _side(size, self.rank, "size")
        self.output = self.size if output is None else _side(output, self.rank, "output")
        _check_sides(self.size, self.output)
        if batch < 1 or (steps is not None and steps < 1) or not 0 <= balance <= 1:
            raise ConfigError(
                f"Patches: batch={batch}, steps={steps}, balance={balance}; batch and steps must "
                "be at least 1 and balance a chance between 0 and 1."
            )
        self.batch, self.seed, self.epoch, self.balance = batch, seed, 0, balance
        self.augment, self.weights, self.normalize = augment, weights, normalize
        self.instances = [case.instances for case in cases]
        self.images = [np.asarray(normalize(case.image.array), "float32") for case in cases]
        self.labels = [np.asarray(case.label.array) for case in cases]
        voxels = sum(label.size for label in self.labels)
        self.steps = steps or math.ceil(voxels / (batch * math.prod(self.output)))
        self.places = self._foreground()
        small = sum((np.array(label.shape) < self.output).any() for label in self.labels)
        if small:
            logging.getLogger(__name__).info(
                "%d of %d images are smaller than the patch %s; their borders are mirrored.",
                *(small, len(cases), self.output),
            )

    def _foreground(self):
        """Return, for each foreground class found, [(case number, flat voxel indices), ...]."""
        rng, places = np.random.default_rng(self.seed), []
        for label_class in range(1, self.classes):
            found = []
            for number, (label, instances) in enumerate(
                zip(self.labels, self.instances, strict=True)
            ):
                voxels = np.flatnonzero(label > 0 if instances else label == label_class)
                if len(voxels) > VOXELS_KEPT:
                    voxels = rng.choice(voxels, VOXELS_KEPT, replace=False)
                if len(voxels):
                    found.append((number, voxels))
            if found:
                places.append(found)
            else:
                warnings.warn(
                    f"Patches: class {label_class} is in none of the {len(self.labels)} labels; "
                    "the network cannot learn it. Check the label files or `classes`.",
                    stacklevel=3,
                )
        return places

    def __len__(self):
        return self.steps

    def __getitem__(self, index):
        rng = np.random.default_rng([self.seed, self.epoch, index])
        x = np.empty((self.batch, *self.size, self.channels), "float32")
        y = np.empty((self.batch, *self.output), "int32")
        w = None if self.weights is None else np.empty(y.shape, "float32")
        inner = tuple(
            slice((size - output) // 2, (size + output) // 2)
            for size, output in zip(self.size, self.output, strict=True)
        )
        for k in range(self.batch):
            number, start = self._draw(rng)
            x[k] = cut(self.images[number], start, self.size)
            label = cut(self.labels[number], start, self.size).astype("int32")
            if self.augment is not None:
                x[k], label = self.augment(x[k], label, rng)
            # The map and the gaps between objects look at neighbours: whole patch first, then crop.
            if w is not None:
                w[k] = self.weights(label)[inner]
            y[k] = (separate(label) if self.instances[number] else label)[inner]
        return (x, y) if w is None else (x, y, w)

    def _draw(self, rng):
        """Draw a case and the first voxel of its window: (number, (rank,) array)."""
        if self.places and rng.random() < self.balance:
            found = self.places[rng.integers(len(self.places))]
            number, voxels = found[rng.integers(len(found))]
            shape = self.labels[number].shape
            centre = np.array(np.unravel_index(voxels[rng.integers(len(voxels))], shape))
        else:
            number = rng.integers(len(self.labels))
            shape = self.labels[number].shape
            centre = rng.integers(shape)
        output, room = np.array(self.output), np.array(shape) - self.output
        lowest = np.minimum(0, room // 2)  # an image smaller than the patch lies in its middle
        start = np.clip(centre - output // 2, lowest, np.maximum(room, lowest))
        return number, start - (np.array(self.size) - output) // 2

    def on_epoch_end(self):
        self.epoch += 1

    @property
    def config(self):
        """What the batches depend on, ready for JSON: a resumed run compares it."""
        labels = 0
        for label in self.labels:
            labels = zlib.crc32(np.ascontiguousarray(label), labels)
        return {
            "cases": len(self.labels),
            "labels": f"checksum {labels:08x}",
            "size": list(self.size),
            "output": list(self.output),
            "batch": self.batch,
            "steps": self.steps,
            "seed": self.seed,
            "balance": self.balance,
            "normalize": named(self.normalize),
            "augment": named(self.augment),
            "weights": named(self.weights),
        }


def named(function):
    """The name of a function, with the arguments that functools.partial gave it; no addresses."""
    if isinstance(function, partial):
        words = [f"{name}={value!r}" for name, value in sorted(function.keywords.items())]
        return f"{named(function.func)}({', '.join([*map(repr, function.args), *words])})"
    return getattr(function, "__qualname__", str(function))


def cut(array, start, size):
    """Return a window of an array, mirrored ("reflect") where it leaves it; else it is a view.

    Args:
        array: (*spatial, ...).
        start: first voxel along each spatial axis; may be negative.
        size: voxels along each spatial axis.
    """
    stop = np.add(start, size)
    if (np.array(start) >= 0).all() and (stop <= array.shape[: len(size)]).all():
        return array[tuple(map(slice, start, stop))]
    for axis, (low, high) in enumerate(zip(start, stop, strict=True)):
        array = array.take(_mirrored(low, high, array.shape[axis]), axis)
    return array


def _mirrored(start, stop, length):
    """Indices start..stop - 1 folded back into 0..length - 1 without repeating the border."""
    period = max(2 * (length - 1), 1)
    index = np.arange(start, stop) % period
    return np.minimum(index, period - index) if length > 1 else index


def _common(cases):
    """Return rank, channels and classes that all cases share."""
    if not cases:
        raise ConfigError("Patches: no cases. Check the split, or that the data set was found.")
    kinds = {}
    for case in cases:
        where = f"case {case.name or case.subject}"
        if case.label is None:
            raise LabelError(f"Patches: {where} has no label; train on labelled cases only.")
        kind = (case.image.grid.rank, case.image.array.shape[-1], case.classes)
        kinds.setdefault(kind, where)
    if len(kinds) > 1:
        found = "; ".join(
            f"{where}: rank {rank}, {channels} channels, {classes} classes"
            for (rank, channels, classes), where in kinds.items()
        )
        raise ConfigError(f"Patches: cases differ ({found}). Train on one kind at a time.")
    return next(iter(kinds))


def _side(side, rank, name):
    sides = tuple(int(s) for s in np.atleast_1d(side))
    sides = sides * rank if len(sides) == 1 else sides
    if len(sides) != rank or min(sides) < 1:
        raise ConfigError(
            f"Patches: {name}={side}, but the cases have {rank} spatial axes; give one positive "
            f"number, or {rank} of them."
        )
    return sides


def _check_sides(size, output):
    for outer, inner in zip(size, output, strict=True):
        if inner > outer:
            raise ConfigError(
                f"Patches: output {output} is larger than size {size}; the label crop lies inside "
                "the image crop. Were they swapped?"
            )
        if (outer - inner) % 2:
            raise ConfigError(
                f"Patches: output {inner} cannot be centred in size {outer}: they differ by an odd "
                f"number. Use {inner + 1} or {inner - 1}; for a U-Net see models.unet_sizes."
            )
