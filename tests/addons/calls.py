"""Calls that tensorflow-addons and medseg_tf.addons answer alike.

`make_arrays.py` makes them with the former and keeps the answers, `test_answers.py` makes them with
the latter and compares: a call is written once, and knows only `here`: `here.addons` and
`here.keras`, the tf.keras of TensorFlow 2.15 or Keras 3. x holds the arrays of `inputs()`.
"""

import numpy as np

CALLS = {}  # name -> (function of here and x, largest difference)


def call(tolerance=0.0):
    """Keep a call; 0 where the answer must be the same to the last bit."""
    return lambda function: CALLS.setdefault(function.__name__, (function, tolerance))[0]


def inputs():
    rng = np.random.default_rng(0)
    x = {
        "planes": rng.normal(1, 2, (2, 4, 5, 32)),
        "volumes": rng.normal(1, 2, (2, 3, 4, 5, 4)),
        "chances": rng.uniform(0.01, 0.99, (2, 4, 5, 3)),
        "truth": rng.random((2, 4, 5, 3)) < 0.3,
        "scores": rng.random((40, 3)),
        "classes": np.eye(3)[rng.integers(0, 3, 40)],
        "picture": picture(40, 48),
        "flow": rng.normal(0, 4, (1, 40, 48, 2)),
        "before": [[[5, 5], [6, 17.5], [15, 10], [12.5, 20]]],
        "after": [[[6.5, 4], [6, 19.5], [13, 11], [13.5, 18]]],
        "weights": rng.normal(size=(3, 4)),
        "gradients": rng.normal(size=(10, 3, 4)),
        "samples": rng.normal(size=(8, 3)),
    }
    x = {name: np.asarray(array, "float32") for name, array in x.items()}
    return x | {"label": label(40, 48), "touching": touching()}


def picture(rows, columns):
    """A bright, banded lesion on a darker, shaded ground: (1, rows, columns, 1), 0 to 1."""
    y, x = np.mgrid[:rows, :columns]
    away = np.hypot((y - 18) / 11, (x - 22) / 14)
    bands = 0.15 * np.sin(y / 2) * np.cos(x / 3)
    return (0.2 + 0.004 * x + np.where(away < 1, 0.45 + bands, bands / 3))[None, ..., None]


def label(rows, columns):
    """The lesion as class 2 around a core of class 4, background 0; (rows, columns), uint8."""
    y, x = np.mgrid[:rows, :columns]
    away = np.hypot((y - 18) / 11, (x - 22) / 14)
    return (2 * (away < 1) + 2 * (away < 0.5)).astype("uint8")


def touching():
    """Two label maps with classes that touch, corners that touch, and a part of its own."""
    first, second = np.zeros((2, 12, 16), "int32")
    first[2:8, 2:7] = 1
    first[2:8, 7:11] = 2
    first[4:6, 4:9] = 3
    first[8:10, 11:14] = 2
    second[1:4, 1:4] = second[4:7, 4:7] = second[9, 10:15] = 5
    return np.stack([first, second])


@call(1e-5)
def group_normalization(here, x):
    return here.addons.layers.GroupNormalization()(x["planes"])


@call(1e-5)
def group_normalization_of_volumes(here, x):
    return here.addons.layers.GroupNormalization(groups=2, beta_initializer="ones")(x["volumes"])


@call(1e-5)
def instance_normalization(here, x):
    return here.addons.layers.InstanceNormalization()(x["planes"])


@call(1e-5)
def instance_normalization_of_volumes(here, x):
    return here.addons.layers.InstanceNormalization(epsilon=1e-5)(x["volumes"])


@call()
def max_unpooling(here, x):
    return here.addons.layers.MaxUnpooling2D()(x["maxima"], x["places"])


@call()
def max_unpooling_valid(here, x):
    layer = here.addons.layers.MaxUnpooling2D((3, 2), (3, 2), padding="VALID")
    return layer(x["maxima_valid"], x["places_valid"])


@call(2e-5)
def focal(here, x):
    return here.addons.losses.SigmoidFocalCrossEntropy()(x["truth"], x["chances"])


@call(1e-5)
def focal_of_logits(here, x):
    loss = here.addons.losses.SigmoidFocalCrossEntropy(True, alpha=0.7, gamma=1.5)
    return loss(x["truth"], 8 * x["chances"] - 4)


@call(2e-5)
def focal_without_alpha_or_gamma(here, x):
    return here.addons.losses.sigmoid_focal_crossentropy(x["truth"], x["chances"], 0.0, 0.0)


@call(1e-5)
def focal_in_training(here, x):
    """Weights after one step of rate 1 from zeros: what `reduction` "none" means to `fit`."""
    layer = here.keras.layers.Dense(1, "sigmoid", kernel_initializer="zeros")
    model = here.keras.Sequential([here.keras.Input((3,)), layer])
    loss = here.addons.losses.SigmoidFocalCrossEntropy()
    model.compile(here.keras.optimizers.SGD(1.0), loss)
    model.fit(x["samples"], x["truth"][0, :2, :4, :1].reshape(8, 1), batch_size=8, verbose=0)
    return layer.kernel


def score(metric, x):
    metric.update_state(x["classes"][:15], x["scores"][:15])
    metric.update_state(x["classes"][15:], x["scores"][15:])
    return metric.result()


@call(1e-6)
def f1(here, x):
    return score(here.addons.metrics.F1Score(3), x)


@call(1e-6)
def f1_micro_above_half(here, x):
    return score(here.addons.metrics.F1Score(3, "micro", threshold=0.5), x)


@call(1e-6)
def f2_weighted(here, x):
    return score(here.addons.metrics.FBetaScore(3, "weighted", beta=2.0), x)


@call(1e-6)
def f_half_macro(here, x):
    return score(here.addons.metrics.FBetaScore(3, "macro", beta=0.5), x)


@call()
def rotated(here, x):
    return here.addons.image.rotate(x["picture"], 0.4)


@call()
def rotated_label(here, x):
    return here.addons.image.rotate(x["label"], 0.4)


@call(5e-6)
def rotated_batch(here, x):
    both = np.concatenate([x["picture"], 1 - x["picture"]])[:, ::2, ::2]
    return here.addons.image.rotate(both, [0.5, -1.0], "bilinear", fill_value=0.5)


@call(5e-6)
def rotated_mirrored(here, x):
    return here.addons.image.rotate(x["picture"][0], 0.8, "bilinear", "reflect")


@call()
def translated(here, x):
    return here.addons.image.translate(x["picture"], [5, -3], fill_mode="nearest")


@call(5e-6)
def translated_wrapped(here, x):
    return here.addons.image.translate(x["picture"], [5.25, -3.5], "bilinear", "wrap")


@call(5e-6)
def transformed(here, x):
    shear = [1.0, 0.3, -5.0, 0.1, 0.9, 2.0, 0.0, 0.0]
    return here.addons.image.transform(x["picture"], shear, "bilinear")


@call(5e-6)
def transformed_projectively(here, x):
    tilt = [1.0, 0.1, -2.0, 0.0, 1.1, 1.0, 0.003, 0.005]
    return here.addons.image.transform(x["picture"], tilt, "bilinear")


@call(1e-6)
def warped(here, x):
    return here.addons.image.dense_image_warp(x["picture"], x["flow"])


def sparse(here, x, *options, flow=False):
    small = x["picture"][:, ::2, ::2]
    return here.addons.image.sparse_image_warp(small, x["before"], x["after"], *options)[flow]


@call(2e-5)
def sparsely_warped(here, x):
    return sparse(here, x)


@call(1e-4)
def flow_of_thin_plate(here, x):
    return sparse(here, x, flow=True)


@call(1e-4)
def flow_linear_smoothed(here, x):
    return sparse(here, x, 1, 0.1, flow=True)


@call(3e-4)
def flow_cubic_held(here, x):
    return sparse(here, x, 3, 0.0, 2, flow=True)


@call(1e-4)
def flow_smoothed_held(here, x):
    return sparse(here, x, 2, 0.5, 1, flow=True)


@call(1e-6)
def smoothed(here, x):
    return here.addons.image.gaussian_filter2d(x["picture"])


@call(1e-6)
def smoothed_wide(here, x):
    return here.addons.image.gaussian_filter2d(x["picture"], 7, (1.0, 2.5), "SYMMETRIC")


@call(1e-6)
def smoothed_evenly(here, x):
    return here.addons.image.gaussian_filter2d(x["picture"][0], (4, 3), 2.0, "CONSTANT", 1)


@call(1)  # rounded towards 0: the last bit of a sum may decide
def smoothed_integers(here, x):
    return here.addons.image.gaussian_filter2d(60 * x["label"], 5, 1.5)


@call()
def components(here, x):
    return here.addons.image.connected_components(x["touching"])


@call()
def components_of_a_mask(here, x):
    return here.addons.image.connected_components(x["touching"][1] > 0)


@call(1e-5)
def distances(here, x):
    return here.addons.image.euclidean_dist_transform((x["label"] > 0).astype("uint8"))


@call(1e-5)
def distances_by_channel(here, x):
    masks = np.stack([x["label"] > 0, x["label"] > 2], -1)[None].astype("uint8")
    return here.addons.image.euclidean_dist_transform(masks)


def steps(here, x, optimizer, still=False, name="kernel"):
    """The weights after each of ten steps; `still`: all gradients are 0, so only decay moves."""
    weights = here.variable(x["weights"], name)
    after = []
    for gradient in x["gradients"] * (not still):
        optimizer.apply_gradients([(here.tensor(gradient), weights)])
        after.append(np.array(here.numpy(weights)))
    return np.stack(after)


def falling(here):
    """A rate of .1 that is .01 from the sixth step on."""
    return here.keras.optimizers.schedules.PiecewiseConstantDecay([4], [0.1, 0.01])


@call(2e-5)
def adamw(here, x):
    return steps(here, x, here.addons.optimizers.AdamW(0.01, 0.1))


@call(1e-6)
def adamw_still(here, x):
    return steps(here, x, here.addons.optimizers.AdamW(0.01, 0.1), still=True)


@call(1e-6)
def adamw_still_falling(here, x):
    return steps(here, x, here.addons.optimizers.AdamW(0.01, falling(here)), still=True)


@call(1e-6)
def adamw_both_falling(here, x):
    decay = here.keras.optimizers.schedules.PiecewiseConstantDecay([4], [0.01, 0.001])
    return steps(here, x, here.addons.optimizers.AdamW(decay, falling(here)), still=True)


@call(1e-6)
def adamw_excluded(here, x):
    options = {"exclude_from_weight_decay": ["bias", "norm"]}
    optimizer = here.addons.optimizers.AdamW(0.01, 0.1, **options)
    return steps(here, x, optimizer, still=True, name="norm_gamma")


@call(1e-5)
def adamw_amsgrad(here, x):
    return steps(here, x, here.addons.optimizers.AdamW(0.05, amsgrad=True))


@call(1e-6)
def sgdw(here, x):
    return steps(here, x, here.addons.optimizers.SGDW(0.01))


@call(1e-5)
def sgdw_nesterov(here, x):
    optimizer = here.addons.optimizers.SGDW(0.01, 0.1, momentum=0.9, nesterov=True)
    return steps(here, x, optimizer)
