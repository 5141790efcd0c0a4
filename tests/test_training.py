import json
import math

import keras
import numpy as np
import pytest

from medseg_tf import losses, training
from medseg_tf.data import Case, Grid, Patches, Scan
from medseg_tf.errors import ConfigError, ModelError, RunFolderError
from medseg_tf.training import fitting, precision, run_folder, steps

LOSS = "sparse_categorical_crossentropy"


def net(seed=0, dropout=0.0, classes=2, shape=(None, None, 1)):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input(shape)
    x = keras.layers.Conv2D(3, 3, padding="same")(inputs)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Dropout(dropout)(keras.layers.Activation("relu")(x))
    x = keras.layers.Conv2D(classes, 1, activation="softmax")(x)
    return keras.Model(inputs, x, name="net")


def patches(length=3, seed=0, **arguments):
    rng = np.random.default_rng(5)
    grid = Grid((12, 12), units="pixel")
    label = np.zeros((12, 12), "uint8")
    label[3:8, 4:9] = 1
    image = label[..., None] + rng.normal(scale=0.5, size=(12, 12, 1))
    cases = [Case("a", Scan(image, grid), Scan(label, grid))]
    return Patches(cases, **{"size": 8, "batch": 2, "seed": seed, "steps": length} | arguments)


def weights(model):
    return np.concatenate([w.ravel() for w in model.get_weights()])


# Precision


@pytest.fixture
def device(monkeypatch):
    def pretend(gpu=None, flags=()):
        monkeypatch.setattr(precision, "gpu_capability", lambda: gpu)
        monkeypatch.setattr(precision, "cpu_flags", lambda: set(flags))

    return pretend


@pytest.mark.parametrize(
    "found, chosen, why",
    [
        ({"flags": ["avx2"]}, "float32", "no bfloat16 instructions"),
        ({"flags": ["avx512_bf16", "sse"]}, "mixed_bfloat16", "avx512_bf16"),
        ({"flags": ["amx_bf16"]}, "mixed_bfloat16", "amx_bf16"),
        ({"gpu": (7, 5)}, "mixed_float16", "7.5"),
        ({"gpu": (8, 0)}, "mixed_bfloat16", "8.0"),
        ({"gpu": (6, 1)}, "float32", "6.1"),
        ({"gpu": (0, 0), "flags": ["amx_bf16"]}, "float32", "0.0"),
    ],
)
def test_auto_precision_is_what_the_device_is_made_for_and_says_why(
    device, capsys, found, chosen, why
):
    device(**found)
    assert training.set_precision("auto") == chosen == keras.config.dtype_policy().name
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1 and chosen in printed and why in printed


def test_a_precision_may_be_asked_for_by_name(device):
    device(flags=["amx_bf16"])
    assert training.set_precision("float32") == "float32"
    device()
    assert training.set_precision("mixed_bfloat16") == "mixed_bfloat16"


@pytest.mark.parametrize("name", ["mixed_float16", "float8", None])
def test_float16_without_a_gpu_and_unknown_names_are_refused(device, name):
    device(flags=["amx_bf16"])
    with pytest.raises(ConfigError, match="auto"):
        training.set_precision(name)


# What fit does


def test_fit_learns_and_returns_a_loss_for_each_epoch():
    history = training.fit(net(), patches(), LOSS, epochs=8)
    assert len(history["loss"]) == 8 and history["loss"][-1] < history["loss"][0]
    json.dumps(history)


def test_the_same_seeds_give_the_same_weights_and_other_seeds_do_not():
    def trained(model_seed, patch_seed):
        model = net(model_seed, dropout=0.5)
        training.fit(model, patches(seed=patch_seed), LOSS, epochs=2)
        return weights(model)

    first = trained(1, 1)
    np.testing.assert_array_equal(first, trained(1, 1))
    assert not np.array_equal(first, trained(1, 2))


class Diary(Patches):
    """Patches that write down which (epoch, index) Keras asks for."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.asked = []

    def __getitem__(self, index):
        self.asked.append((self.epoch, index))
        return super().__getitem__(index)


def test_keras_prefetching_asks_for_each_batch_in_its_own_epoch(monkeypatch):
    monkeypatch.setitem(patches.__globals__, "Patches", Diary)
    train, held_back = patches(3), patches(2)
    training.fit(net(), train, LOSS, validation=held_back, epochs=3)
    # Two batches in front, from which Keras learns shapes.
    assert train.asked[-9:] == [(epoch, index) for epoch in range(3) for index in range(3)]
    assert set(train.asked[:-9]) <= {(0, 0), (0, 1)}
    assert set(held_back.asked) == {(0, 0), (0, 1)}


def test_with_validation_the_weights_of_the_best_epoch_stay():
    scores, kept = [0.5, 0.2, 0.4], []

    class Score(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["val_loss"] = scores[epoch]
            kept.append(weights(self.model))

    model = net()
    history = training.fit(
        model, patches(), LOSS, validation=patches(1), epochs=3, callbacks=[Score()]
    )
    assert history["val_loss"] == scores
    np.testing.assert_array_equal(weights(model), kept[1])
    assert not np.array_equal(kept[1], kept[2])


@pytest.mark.parametrize("asked, first", [(None, 1e-3), (3e-3, 3e-3)])
def test_the_rate_falls_from_the_first_to_zero_over_the_steps_of_the_run(asked, first):
    model = net()
    training.fit(model, patches(4), LOSS, epochs=2, learning_rate=asked)
    rate = model.optimizer._learning_rate  # the schedule itself; learning_rate is its value now
    assert float(rate(0)) == pytest.approx(first)
    assert float(rate(4)) == pytest.approx(first * 0.5**0.9)
    assert float(rate(8)) == 0


def test_an_optimizer_may_be_a_function_of_the_number_of_steps():
    seen = []

    def make(total):
        seen.append(total)
        return keras.optimizers.SGD(0.0)

    model = net()
    before = model.get_layer(index=1).get_weights()
    training.fit(model, patches(4), LOSS, optimizer=make, epochs=2)
    assert seen[-1] == 8
    np.testing.assert_array_equal(before[0], model.get_layer(index=1).get_weights()[0])


def test_weight_maps_weigh_the_loss():
    def none(label):
        return np.zeros(label.shape, "float32")

    weighted = patches(weights=none)
    history = training.fit(net(), weighted, losses.WeightedCrossEntropy(), epochs=1)
    assert history["loss"] == [0.0]


def test_a_loss_that_is_no_number_stops_the_training_and_names_the_step():
    class Poison(Patches):
        def __getitem__(self, index):
            x, y = super().__getitem__(index)
            return (x * np.nan if (self.epoch, index) == (1, 1) else x), y

    poisoned = patches()
    poisoned.__class__ = Poison
    with pytest.raises(ModelError, match=r"loss is nan at step 5 \(epoch 2\)"):
        training.fit(net(), poisoned, LOSS, epochs=3)


@pytest.mark.parametrize("first, changed", [(1, []), (2, ["a", "b"]), (3, ["b"]), (5, [])])
def test_in_bfloat16_layers_compute_in_float32_where_the_map_is_smaller_than_the_kernel(
    first, changed, monkeypatch
):
    monkeypatch.setattr(precision, "gpu_capability", lambda: None)
    image = x = keras.Input((first, 6, 6, 2))
    for name, kernel in {"a": 3, "b": 5, "c": 1}.items():
        x = keras.layers.Conv3D(
            3, kernel, padding="same", name=name, dtype="mixed_bfloat16", activation="relu"
        )(x)
    model = keras.Model(image, x)
    assert precision.steady(model, (first, 6, 6)) == changed
    assert [one.name for one in model.layers[1:] if one.compute_dtype == "float32"] == changed
    assert model(np.zeros((1, first, 6, 6, 2))).shape == (1, first, 6, 6, 3)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="asks TensorFlow's own kernel")
def test_the_gradient_on_a_small_map_is_then_that_of_float32():
    import tensorflow as tf

    def gradient(policy):
        keras.utils.set_random_seed(0)
        layer = keras.layers.Conv3D(16, 3, padding="same", dtype=policy)
        image = keras.Input((2, 6, 6, 16))
        model = keras.Model(image, layer(image))
        precision.steady(model, (2, 6, 6))
        x = np.random.default_rng(0).normal(size=(2, 2, 6, 6, 16)).astype("float32")
        with tf.GradientTape() as tape:
            value = tf.reduce_mean(tf.square(tf.cast(model(x, training=True), "float32")))
        return tape.gradient(value, layer.kernel).numpy()

    found, expected = gradient("mixed_bfloat16"), gradient("float32")
    assert np.abs(found - expected).max() < 0.01 * np.abs(expected).max()


def test_memory_is_announced_before_training_where_it_is_much(monkeypatch, capsys):
    training.fit(net(), patches(), LOSS, epochs=1)
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(fitting, "MUCH", 0)
    monkeypatch.setattr(fitting.models, "training_memory", lambda *_: 2.5e9)
    training.fit(net(), patches(), LOSS, epochs=1)
    assert capsys.readouterr().out == "net: batches of 2 x 8 x 8 x 1 take about 2.5 GB of memory\n"


# Minutes


@pytest.mark.parametrize(
    "arguments, expected",
    [
        # seconds, longest epoch, a step, a validation -> epochs, steps
        ((100, 10, 1, 0), (10, 10)),
        ((104, 10, 1, 0), (11, 9)),  # not 10 full ones: time would be left over
        ((100, 10, 1, 10), (5, 10)),
        ((5, 10, 1, 0), (1, 5)),  # the epoch is longer than the time
        ((0.1, 10, 1, 0), (1, 1)),
        ((-3, 10, 1, 20), (1, 1)),
    ],
)
def test_time_is_divided_into_equal_epochs_that_fill_it(arguments, expected):
    assert fitting.divide(*arguments) == expected


def test_the_stopwatch_leaves_out_the_tracing_and_the_first_third():
    watch = steps.Stopwatch(1)
    watch.train = [0, 5, 5.1, 6.1, 7.1]
    assert watch.first() == 5 and watch.step() == pytest.approx(1)
    watch.test = [10, 10.5, 11]
    assert watch.scoring() == pytest.approx(0.5)


def test_minutes_become_steps_that_are_printed_and_the_warm_up_leaves_no_trace(
    monkeypatch, capsys, tmp_path
):
    monkeypatch.setattr(fitting, "divide", lambda *_: (2, 3))
    timed, plain = net(dropout=0.5), net(dropout=0.5)
    history = training.fit(timed, patches(5), LOSS, minutes=0.01, folder=tmp_path)
    assert "2 epochs of 3 steps = 6 steps" in capsys.readouterr().out
    plan = json.loads((tmp_path / "run.json").read_text())["plan"]
    assert (plan["epochs"], plan["steps"]) == (2, 3) and plan["seconds_a_step"] > 0
    expected = training.fit(plain, patches(3), LOSS, epochs=2)
    assert history == expected
    np.testing.assert_array_equal(weights(timed), weights(plain))


# Run folders


def test_a_finished_run_returns_at_once_with_its_weights_and_history(tmp_path):
    model = net()
    history = training.fit(model, patches(), LOSS, epochs=2, folder=tmp_path)
    other = net(seed=9)

    class Never(Patches):
        def __getitem__(self, index):
            raise RuntimeError("trained again")

    untouched = patches()
    untouched.__class__ = Never
    assert training.fit(other, untouched, LOSS, epochs=2, folder=tmp_path) == history
    np.testing.assert_array_equal(weights(other), weights(model))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["history.json", "model.weights.h5", "run.json"]


@pytest.mark.parametrize(
    "change, named",
    [
        ({"patches": patches(4)}, "patches.steps was 3, is now 4"),
        ({"patches": patches(seed=3)}, "patches.seed was 0, is now 3"),
        ({"loss": losses.SoftDice()}, "loss"),
        ({"optimizer": keras.optimizers.SGD(0.5)}, "optimizer.learning_rate was None, is now 0.5"),
        ({"epochs": 2}, "epochs was 1, is now 2"),
        ({"learning_rate": 1e-2}, "learning_rate was None, is now 0.01"),
        ({"validation": patches()}, "validation"),
    ],
)
def test_a_folder_of_another_run_is_refused_and_the_difference_named(tmp_path, change, named):
    arguments = {"model": net(), "patches": patches(), "loss": LOSS, "epochs": 1}
    arguments["folder"] = tmp_path
    described = run_folder.describe(arguments["model"], arguments["patches"], LOSS, None, None)
    run_folder.start(
        tmp_path, described | {"epochs": 1, "minutes": None, "learning_rate": None}, {}
    )
    with pytest.raises(RunFolderError, match=named):
        training.fit(**arguments | change)


@pytest.mark.parametrize("content", ['{"asked"', "3"])
def test_a_damaged_run_folder_gives_a_named_error(tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(RunFolderError, match=r"run\.json cannot be read"):
        training.fit(net(), patches(), LOSS, epochs=1, folder=tmp_path)


def test_a_damaged_checkpoint_gives_a_named_error(tmp_path):
    model = net()
    fitting.prepare(model, keras.optimizers.SGD(), LOSS)
    path = tmp_path / "checkpoint.npz"
    run_folder.save_checkpoint(model, {}, path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(RunFolderError, match=r"checkpoint\.npz is damaged"):
        run_folder.load_checkpoint(model, path)


# Arguments


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({}, "exactly one"),
        ({"epochs": 1, "minutes": 1}, "exactly one"),
        ({"epochs": 0}, "above 0"),
        ({"minutes": -1}, "above 0"),
        ({"minutes": math.nan}, "above 0"),
        ({"epochs": 1, "optimizer": keras.optimizers.Adam}, "give an object"),
        ({"epochs": 1, "optimizer": "adam"}, "give an object"),
        ({"epochs": 1, "learning_rate": 0}, "above 0"),
        ({"epochs": 1, "learning_rate": 1, "optimizer": keras.optimizers.SGD()}, "has its own"),
        ({"epochs": 1, "validation": []}, "validation is a list; make patches"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        training.fit(net(), patches(), LOSS, **arguments)


@pytest.mark.parametrize(
    "model, train, message",
    [
        (net(shape=(16, 16, 1)), patches(), r"takes images of shape \(16, 16, 1\).*\(8, 8, 1\)"),
        (net(shape=(None, None, 3)), patches(), "takes images of shape"),
        (net(classes=4), patches(), r"makes \(8, 8, 4\)"),
        (net(), patches(output=6), r"Pass output=\(8, 8\)"),
    ],
)
def test_a_model_that_does_not_fit_its_patches_is_refused_with_both_shapes(model, train, message):
    with pytest.raises(ModelError, match=message):
        training.fit(model, train, LOSS, epochs=1)
