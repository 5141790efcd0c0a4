"""Label an image window by window: one run of the network for each pixel."""

import math

import numpy as np

from medseg_tf.data import Case
from medseg_tf.data.patches import cut
from medseg_tf.data.resample import back_to
from medseg_tf.errors import ConfigError, ModelError
from medseg_tf.inference.predict import check_image, prepare
from medseg_tf.progress import progress


def by_windows(model, case, batch=256, normalize=None):
    """Return what a network for windows gives for each voxel and class, one window a voxel.

    It is the honest slow thing, as well as it can be done: a window is cut when its batch needs
    it, and all batches have one shape. `inference.probabilities(models.dense_twin(model), case)`
    gives the same numbers in one pass.

    The image is normalised as a whole and mirrored at its borders. A voxel is the middle of its
    window; of the two in the middle of an even side, the first.

    Args:
        model: keras.Model, (batch, *window, channels) -> (batch, classes) or (batch, 1, 1,
            classes), such as models.sliding_window.
        case: Case, or Scan of an image.
        batch: windows a run.
        normalize: as in `probabilities`.

    Returns:
        (*spatial, classes) float32 array.

    Raises:
        ModelError: image and network differ in rank or channels, or the network leaves the
            window's size open or does not give one answer a window.
        ConfigError: a batch below 1.

    Source: Ciresan, Giusti, Gambardella, Schmidhuber, NIPS 2012, section 2.
    """
    scan = case.image if isinstance(case, Case) else case
    check_image(model, scan)
    sides, answer = model.input_shape[1:-1], model.output_shape[1:]
    if None in sides or set(answer[:-1]) - {1}:
        raise ModelError(
            f"{model.name} makes {model.output_shape} of {model.input_shape}; by_windows needs a "
            "window of fixed sides and one answer for it. For networks that give a map use "
            "inference.probabilities."
        )
    if batch < 1:
        raise ConfigError(f"by_windows: batch is {batch}; give 1 or more windows a run.")
    prepared, image = prepare(model, scan, normalize)
    values = run(model, image, sides, batch)
    return values if prepared is scan else back_to(scan.grid, values)


def run(model, image, sides, batch):
    """Send each window of an image (*spatial, channels) through the network.

    Memory holds the image, the result and one batch.
    """
    space, channels = image.shape[:-1], image.shape[-1]
    around = cut(image, [-((side - 1) // 2) for side in sides], np.add(space, sides) - 1)
    windows = np.lib.stride_tricks.sliding_window_view(around, (*sides, channels))
    windows = windows.squeeze(len(space))  # (*space, *sides, channels), still the image's memory
    count = math.prod(space)
    batch = min(batch, count)
    result = np.zeros((count, model.output_shape[-1]), "float32")
    x = np.zeros((batch, *sides, channels), "float32")
    with progress(total=math.ceil(count / batch), desc="windows") as bar:
        for start in range(0, count, batch):
            some = np.arange(start, min(start + batch, count))
            # The last batch keeps what was there before, computed again and dropped.
            x[: len(some)] = windows[np.unravel_index(some, space)]
            values = model.predict_on_batch(x)
            result[some] = values.reshape(batch, -1)[: len(some)]
            bar.update()
    return result.reshape(*space, -1)
