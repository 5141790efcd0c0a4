"""The dynamic CNN: one network per video, tuned on its first frame and on what it says of the next.

Source: Yu, Guo, Wang, Yu, Chen, IEEE TBME 64(8), 2017: a network trained on a population is tuned
"deeply" on the first frame of a new video, which a person outlines, and "shallowly" on each
following frame. Numbers of steps, rates, layers and augmentation are our choice; so is the first
frame in every shallow batch, which keeps the network from drifting away on its own answers.
"""

import keras
import numpy as np

from medseg_tf.data import z_score
from medseg_tf.data.augment import compose, flip, intensity, warp
from medseg_tf.errors import ConfigError, LabelError
from medseg_tf.losses import DiceCrossEntropy
from medseg_tf.methods.fine_tuning import every_layer, freeze, hold_statistics


def moved(image, label, rng):
    """The default augmentation: flips, small moves, a little other grey and noise."""
    greys = intensity(gain=0.1, shift=0.1, gamma=0, noise=0.1, blur=0, shading=0)
    moves = warp(degrees=10, low=0.9, high=1.1, sd=1.5)
    return compose(flip(), moves, greys)(image, label, rng)


def dynamic_cnn(
    model,
    videos,
    deep=40,
    shallow=4,
    still=("down", "bottom"),
    rates=(5e-4, 3e-4),
    batch=4,
    augment=moved,
    normalize=z_score,
    hold=True,
    seed=0,
):
    """Tune a network on each video in turn; yield the video's maps, frame by frame.

    While the caller holds a video's maps, `model` is the network tuned on it; then weights and
    optimizers are set back, and so they are in the end. Only the first frame's label is read.

    Args:
        model: keras.Model, (batch, *spatial, channels) -> (batch, *spatial, classes).
        videos: lists of Case, a video's frames in order; all frames of one shape that fits.
        deep: steps of all layers on the first frame and its label.
        shallow: steps on each later frame, labelled by the network itself, of the layers that are
            not `still`. A frame whose foreground has more than doubled or halved since the frame
            before, or is gone, is labelled but not learned from.
        still: beginnings of the names of layers that shallow steps leave alone.
        rates: Adam's learning rates, deep and shallow.
        batch: images a step: augmented copies of the first frame in a deep step; in a shallow one
            of the current frame, and one of the first.
        augment: transform(image, label, rng), or None.
        normalize: function of a whole image array.
        hold: keep batch normalisation in inference mode, where the model has it. False lets it
            normalise by a few copies of one frame, and its averages follow them.
        seed: int; the same draws for every video.

    Yields:
        (frames, *spatial, classes) float32. The first frame is the one that was given: never
        score it.

    Raises:
        ConfigError: negative steps, or a batch below 2. LabelError: a first frame without a label.
    """
    if deep < 0 or shallow < 0 or batch < 2:
        raise ConfigError(
            f"dynamic_cnn(deep={deep}, shallow={shallow}, batch={batch}): steps count from 0, a "
            "batch holds at least 2."
        )
    for video in videos:
        if video[0].label is None:
            raise LabelError(
                f"dynamic_cnn: {video[0].name or video[0].subject} is the first frame of its "
                "video and has no label; the method needs its outline."
            )
    layers = every_layer(model)
    start, learning = model.get_weights(), [layer.trainable for layer in layers]
    deeply, shallowly = Stage(model, rates[0], (), hold), Stage(model, rates[1], still, hold)
    try:
        for video in videos:
            model.set_weights(start)
            deeply.forget(), shallowly.forget()
            images = [np.asarray(normalize(case.image.array), "float32") for case in video]
            first = images[0], np.asarray(video[0].label.array)
            rng = np.random.default_rng(seed)
            for _ in range(deep):
                deeply.step(*draw([first] * batch, augment, rng))
            maps = [predict(model, images[0])]
            area = np.count_nonzero(first[1])
            for image in images[1:]:
                found = predict(model, image)
                answer = found.argmax(-1)
                if shallow and 0 < area / 2 <= np.count_nonzero(answer) <= 2 * area:
                    pairs = [(image, answer)] * (batch - 1) + [first]
                    for _ in range(shallow):
                        shallowly.step(*draw(pairs, augment, rng))
                    found = predict(model, image)
                area = np.count_nonzero(found.argmax(-1))
                maps.append(found)
            yield np.stack(maps)
    finally:
        model.set_weights(start)
        for layer, trainable in zip(layers, learning, strict=True):
            layer.trainable = trainable


class Stage:
    """A way to take steps: the layers that learn, and an optimizer of their own."""

    def __init__(self, model, rate, still, hold):
        kind = keras.layers.BatchNormalization
        self.model, self.still = model, still
        self.hold = hold and any(isinstance(layer, kind) for layer in every_layer(model))
        self.twin = keras.Model(model.inputs[0], model.outputs[0])  # shares layers; compiled apart
        self.choose()
        self.twin.compile(keras.optimizers.Adam(rate), DiceCrossEntropy())
        self.twin.optimizer.build(self.twin.trainable_variables)
        variables = self.twin.optimizer.variables
        self.fresh = [keras.ops.convert_to_numpy(variable).copy() for variable in variables]

    def choose(self):
        """Say which layers learn."""
        freeze(self.model, self.still)
        if self.hold:
            hold_statistics(self.model)

    def forget(self):
        """Set the optimizer back to its first state."""
        for variable, value in zip(self.twin.optimizer.variables, self.fresh, strict=True):
            variable.assign(value)

    def step(self, x, y):
        self.choose()  # what counts is the choice while the first step is traced
        self.twin.train_on_batch(x, y)


def draw(pairs, augment, rng):
    """Augment pairs of image and label: x (batch, *spatial, channels), y (batch, *spatial)."""
    if augment:
        pairs = [augment(*pair, rng) for pair in pairs]
    images, labels = zip(*pairs, strict=True)
    return np.stack(images).astype("float32"), np.stack(labels).astype("int32")


def predict(model, image):
    """Return the maps of one image, (*spatial, classes) float32."""
    return model.predict_on_batch(image[None])[0].astype("float32")


def match_block(before, after, point, half=5, search=4):
    """Find where the block around a point has moved from one frame to the next.

    Yu et al. follow the two ends of the mitral valve so, to close the ventricle by a line.

    Args:
        before, after: (rows, columns) frames.
        point: (row, column) of the block's centre in `before`, whole numbers.
        half: the block has 2 * half + 1 pixels a side.
        search: furthest displacement along each axis.

    Returns:
        (row, column) in `after`, and the smallest sum of squared differences.

    Raises:
        ConfigError: the block, or where it is searched, leaves the frame.
    """
    reach = half + search
    room = np.minimum(point, np.array(before.shape) - 1 - np.array(point))
    if room.min() < reach or np.shape(before) != np.shape(after):
        raise ConfigError(
            f"match_block: a block {half} around {tuple(point)}, searched for {search} pixels "
            f"further, in frames of {np.shape(before)} and {np.shape(after)}; it must lie inside."
        )

    def block(frame, centre):
        return frame[tuple(slice(c - half, c + half + 1) for c in centre)]

    wanted = block(np.asarray(before, float), point)
    steps = range(-search, search + 1)
    places = [(point[0] + i, point[1] + j) for i in steps for j in steps]
    apart = [np.square(block(after, place) - wanted).sum() for place in places]
    best = int(np.argmin(apart))
    return places[best], float(apart[best])
