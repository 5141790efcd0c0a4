"""dense_twin: equal to the windows one by one, for every chain that may have a twin."""

import keras
import numpy as np
import pytest
from keras import layers

from medseg_tf import models
from medseg_tf.errors import ModelError
from medseg_tf.layers import LocalResponseNormalization
from medseg_tf.models import dense_twin, macs, receptive_field, sliding_window

HEAD = [layers.Flatten, lambda: layers.Dense(5, activation="relu"), lambda: layers.Dense(2)]
PATCH = dict(name="patch")


def chain(sides, *stack, channels=1):
    """A patch classifier whose every weight is drawn at random, biases and statistics too."""
    keras.utils.set_random_seed(0)
    made = [make() for make in stack]
    model = keras.Sequential([keras.Input((*sides, channels)), *made], **PATCH)
    rng = np.random.default_rng(0)
    model.set_weights([w + rng.uniform(-0.1, 0.1, w.shape) for w in model.get_weights()])
    return model


def conv(*args, **kwargs):
    return lambda: layers.Conv2D(*args, activation="relu", **kwargs)


def pool(*args, **kwargs):
    return lambda: layers.MaxPooling2D(*args, **kwargs)


def window_by_window(model, image):
    """The model's answers for all windows of an image (*spatial, channels)."""
    sides = model.input_shape[1:]
    windows = np.lib.stride_tricks.sliding_window_view(image, sides).squeeze(image.ndim - 1)
    space = windows.shape[: image.ndim - 1]
    return model.predict(windows.reshape(-1, *sides), verbose=0).reshape(*space, -1)


def image_for(model, more=9):
    *sides, channels = model.input_shape[1:]
    space = [side + more - axis for axis, side in enumerate(sides)]
    return np.random.default_rng(1).normal(size=(*space, channels)).astype("float32")


CHAINS = {
    "conv and pooling": ((31, 31), conv(4, 4), pool(2), conv(4, 3), pool(2), *HEAD),
    "pooling of 3, two apart": ((33, 33), conv(3, 3), pool(3, 2), conv(3, 3), pool(3, 2), *HEAD),
    "strided convolution": ((35, 35), conv(3, 5, strides=2), pool(2), conv(3, 3), *HEAD),
    "dilated convolution": ((23, 23), conv(3, 3, strides=2), conv(3, 3, dilation_rate=2), *HEAD),
    "other strides an axis": ((21, 30), conv(3, (2, 3), strides=(1, 2)), pool((2, 1)), *HEAD),
    "rows left out": ((24, 22), conv(3, 3), pool(2), conv(3, 3), pool(2), pool(2), *HEAD),
    "average pooling": ((15, 15), conv(3, 4), lambda: layers.AveragePooling2D(3, 2), *HEAD),
    "global average": ((15, 15), conv(3, 4), pool(2), layers.GlobalAveragePooling2D, HEAD[2]),
    "global maximum": ((12, 12), conv(3, 3, strides=3), layers.GlobalMaxPooling2D, HEAD[1]),
    "groups": ((11, 11), conv(4, 4), pool(2), conv(4, 3, groups=2), *HEAD),
    "normalisation": ((14, 14), conv(4, 3), layers.BatchNormalization, layers.ReLU, pool(2),
                      LocalResponseNormalization, *HEAD[:2], layers.BatchNormalization, HEAD[2]),
    "dropout": ((9, 9), conv(2, 2), lambda: layers.Dropout(0.9), pool(2), layers.Flatten,
                lambda: layers.Dropout(0.9), lambda: layers.Activation("tanh"), HEAD[2]),
    "a dense layer on maps": ((9, 9), conv(2, 2), pool(2), lambda: layers.Dense(3), *HEAD),
    "no padding by 'same'": ((16, 16), conv(2, 1, padding="same"), pool(2, padding="same"), *HEAD),
    "a volume": ((14, 10, 12), lambda: layers.Conv3D(3, 3), lambda: layers.MaxPooling3D(2),
                 lambda: layers.Conv3D(3, 2), lambda: layers.AveragePooling3D((2, 1, 2)), *HEAD),
}  # fmt: skip


@pytest.mark.parametrize("name", CHAINS)
def test_the_twin_gives_what_the_windows_give(name):
    sides, *stack = CHAINS[name]
    model = chain(sides, *stack, channels=2)
    image = image_for(model)
    found = np.asarray(dense_twin(model)(image[None]))[0]
    windows = window_by_window(model, image)
    assert np.ptp(windows) > 0.1
    np.testing.assert_allclose(found, windows, atol=1e-5)


@pytest.mark.parametrize("sides", [(31, 31), (13, 11, 14)])
def test_the_twin_of_a_sliding_window_and_its_receptive_field(sides):
    model = sliding_window((*sides, 1), 3, maps=(3, 4), kernels=(4, 3), dense=(6, 5))
    twin, image = dense_twin(model), image_for(model)
    np.testing.assert_allclose(twin(image[None])[0], window_by_window(model, image), atol=1e-5)
    assert receptive_field(twin) == receptive_field(model)
    assert twin.count_params() == model.count_params()
    assert twin.output_shape == (None,) * (1 + len(sides)) + (3,)


def test_for_a_single_window_both_do_the_same_work():
    model = sliding_window((13, 13, 1), 2, maps=(3,), kernels=(4,), dense=(5,))
    more = macs(dense_twin(model), (13, 13)) - macs(model)
    assert more == 0


def test_rows_that_the_window_does_not_use_are_cut_off_so_that_every_window_fits():
    model = chain((24, 22), *CHAINS["rows left out"][1:])
    assert receptive_field(model) == (22, 22)
    assert dense_twin(model).compute_output_shape((1, 24, 22, 1)) == (1, 1, 1, 2)


def test_a_network_inside_a_network_is_part_of_the_chain():
    inner = chain((13, 13), conv(3, 4), pool(2))
    inputs = keras.Input((13, 13, 1))
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(inner(inputs))), **PATCH)
    image = image_for(model)
    found = dense_twin(model)(image[None])[0]
    np.testing.assert_allclose(found, window_by_window(model, image), atol=1e-5)


def test_the_twin_is_a_copy():
    model = chain((9, 9), conv(2, 2), pool(2), *HEAD)
    twin, image = dense_twin(model), image_for(model)
    before = np.asarray(twin(image[None]))
    model.set_weights([2 * w for w in model.get_weights()])
    np.testing.assert_array_equal(twin(image[None]), before)
    assert np.abs(dense_twin(model)(image[None]) - before).max() > 0.1


PADDED = {
    "a convolution that pads": [conv(2, 3, padding="same"), *HEAD],
    "a pooling that pads an odd map": [pool(2, padding="same"), *HEAD],
    "zeros put around": [lambda: layers.ZeroPadding2D(1), conv(2, 3), *HEAD],
}


@pytest.mark.parametrize("name", PADDED)
def test_a_network_that_pads_is_refused_with_the_reason(name):
    model = chain((9, 9), conv(1, 3), *PADDED[name])
    with pytest.raises(ModelError, match=r"pads its map of \(7, 7\) at the window's end"):
        dense_twin(model)


def test_padding_is_refused_because_no_single_pass_gives_the_same():
    padded, plain = (
        chain((9, 9), conv(3, 3, padding=padding), conv(3, 3), conv(3, (4, 4)), HEAD[0], HEAD[2])
        for padding in ("same", "valid")
    )
    weights = padded.get_weights()
    weights[-2] = weights[-2][: plain.get_weights()[-2].shape[0]]
    plain.set_weights(weights)
    assert models.macs(padded) > models.macs(plain)
    image = image_for(padded)
    pass_ = dense_twin(plain)(image[None])[0]
    assert np.abs(pass_ - window_by_window(padded, image)).max() > 0.01


def branches():
    inputs = keras.Input((9, 9, 1))
    x = layers.Conv2D(2, 3, name="conv")(inputs)
    joined = layers.Add()([x, layers.Activation("relu")(x)])
    return keras.Model(inputs, layers.Dense(2)(layers.Flatten()(joined)))


def slopes():
    return chain((9, 9), conv(2, 2), layers.PReLU, *HEAD)


def normalised_after_flattening():
    return chain((9, 9), conv(2, 2), layers.Flatten, layers.BatchNormalization, HEAD[2])


@pytest.mark.parametrize(
    "make, reason",
    [
        (branches, "joins several maps"),
        (slopes, "PReLU.* is none of those"),
        (normalised_after_flattening, "BatchNormalization.* is none of those"),
        (lambda: models.unet((44, 44, 1), 2, width=2, depth=2), "one answer"),
        (lambda: chain((None, None), conv(2, 3), layers.GlobalMaxPooling2D), "fixed sides"),
        (lambda: chain((9, 9), conv(2, 3), layers.Flatten), "no dense layer"),
    ],
)
def test_what_is_no_chain_for_a_window_is_refused(make, reason):
    with pytest.raises(ModelError, match=reason):
        dense_twin(make())
