"""fit(): thin over keras.Model.fit."""

import math
import time
from pathlib import Path

import keras

from medseg_tf import losses, models
from medseg_tf.errors import ConfigError, ModelError
from medseg_tf.progress import progress
from medseg_tf.training import run_folder
from medseg_tf.training.precision import steady
from medseg_tf.training.steps import Batches, Pace, Stopwatch

RATE = 1e-3
MUCH = 1e9  # bytes
EPOCH_END = 0.1  # seconds that Keras takes between two epochs, of 4 steps or of 4000


def fit(
    model,
    patches,
    loss,
    optimizer=None,
    validation=None,
    epochs=None,
    minutes=None,
    folder=None,
    callbacks=(),
    learning_rate=None,
):
    """Train a model in place; with `validation` it ends with the weights of its best epoch.

    Layers draw their first weights and the seeds of their dropout when they are built: for a
    repeatable run call keras.utils.set_random_seed before building the model. Data order and
    augmentation come from the seed of `patches`. Where training takes more than a gigabyte of
    memory, the estimate of models.training_memory is printed first.

    Args:
        model: keras.Model; compiled here. Of several outputs (models.deeply_supervised) the first
            is the one that counts: the others learn the same labels, the sum of their losses times
            losses.auxiliary_weight is added to the first one's, and validation leaves them out.
        patches: data.Patches to learn from.
        loss: a keras.losses.Loss, a function or a name; weight maps of `patches` weigh it (of
            networks with one output).
        optimizer: keras Optimizer, or a function of the number of steps that returns one. None is
            AdamW with rate learning_rate * (1 - step / steps) ** .9.
        validation: data.Patches to score each epoch by (the same patches every time), or None.
        epochs: passes of len(patches) steps each.
        minutes: instead of `epochs`, time for the whole call. A few steps are timed and undone,
            and what is left becomes a fixed number of steps in equal epochs: of at most
            len(patches), or of more where validation would take over a sixth of the time.
            A resumed run keeps the number.
        folder: where the run keeps itself; the same call goes on with a run that was broken off,
            and returns at once when it is finished. `callbacks` start afresh then.
        callbacks: further keras callbacks.
        learning_rate: the first rate where `optimizer` is None; None is .001. Networks with batch
            normalisation bear .003, and learn more in few steps.

    Returns:
        {"loss": [one number an epoch], "val_loss": [...]} over the whole run, resumed or not.

    Raises:
        ConfigError: not exactly one of `epochs` and `minutes`, or other arguments out of range.
        ModelError: model and patches do not fit together, or the loss is no longer a number.
        RunFolderError: the folder holds another run, or is damaged.
    """
    started = time.monotonic()
    check(model, patches, optimizer, validation, epochs, minutes, learning_rate)
    announce(model, patches, steady(model, patches.size))
    folder = folder and Path(folder)
    run = {}
    if folder:
        asked = run_folder.describe(model, patches, loss, optimizer, validation)
        asked |= {"epochs": epochs, "minutes": minutes, "learning_rate": learning_rate}
        run = run_folder.read(folder, asked)
    if run.get("finished"):
        return run_folder.load_finished(model, folder)

    # A variable, for with `minutes` the training is traced before the number of steps is known.
    horizon = keras.Variable(1.0, trainable=False, name="steps")
    optimizer = adamw(horizon, learning_rate or RATE) if optimizer is None else optimizer
    makes = not isinstance(optimizer, keras.optimizers.Optimizer)
    again = makes or keras.backend.backend() == "jax"  # JAX keeps the value it traced with
    plan = run.get("plan")
    if plan is None and minutes is None:
        plan = {"epochs": epochs, "steps": len(patches)}
    traced = plan is None
    if traced:
        prepare(model, optimizer(1000) if makes else optimizer, loss)
        plan = plan_steps(model, patches, validation, 60 * minutes, started, again)
    total, outputs = plan["epochs"] * plan["steps"], len(model.outputs)
    horizon.assign(total)
    if again or not traced:
        prepare(model, optimizer(total) if makes else optimizer, loss)
    if folder and not run:
        run = run_folder.start(folder, asked, plan)

    keep = run_folder.Keep(model, folder)
    batches = Batches(patches, plan["steps"], outputs, total)
    done = len(keep.history.get("loss", ()))
    with progress(total=total, initial=done * plan["steps"], desc=model.name) as bar:
        model.fit(
            batches,
            validation_data=validation and Batches(validation, len(validation), outputs),
            epochs=plan["epochs"],
            initial_epoch=done,
            shuffle=False,
            verbose=0,
            callbacks=[Pace(batches, bar), *callbacks, keep],
        )
    keep.restore_best()
    if folder:
        run_folder.finish(model, folder, run)
    return keep.history


def announce(model, patches, in_float32):
    """Print what memory training takes where it is much, and which layers compute in float32."""
    need = models.training_memory(model, patches.batch, patches.size)
    if need > MUCH:
        shape = " x ".join(map(str, (patches.batch, *patches.size, patches.channels)))
        print(f"{model.name}: batches of {shape} take about {need / 1e9:.3g} GB of memory")
    if in_float32:
        names = ", ".join(in_float32)
        print(f"{model.name}: {names} in float32, their maps being smaller than kernels")


def adamw(horizon, first):
    """The default optimizer for a run of `horizon` steps."""
    rate = keras.optimizers.schedules.PolynomialDecay(first, horizon, 0.0, power=0.9)
    return keras.optimizers.AdamW(rate)


def prepare(model, optimizer, loss):
    """Compile, and make the optimizer's variables now: the first tracing is much shorter then."""
    several = len(model.outputs) > 1
    if loss == "sparse_categorical_crossentropy":
        loss = losses.cross_entropy  # which all backends can train maps by
    model.compile(optimizer=optimizer, loss=losses.OutputLoss(loss) if several else loss)
    if several:  # makes the variables of each output's mean loss: else the step is traced twice
        blank = [keras.ops.zeros([1] * (len(o.shape) - 1) + [o.shape[-1]]) for o in model.outputs]
        weights = [keras.ops.zeros(1)] * len(blank)
        model.compute_loss(y=[one[..., 0] for one in blank], y_pred=blank, sample_weight=weights)
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)


def plan_steps(model, patches, validation, seconds, started, traced_again):
    """Time a few steps, undo them, and divide the time that is left into epochs and steps."""
    before, watch = run_folder.state(model), Stopwatch(min(max(0.03 * seconds, 0.5), 5))
    outputs, many = len(model.outputs), 10**6
    model.fit(
        Batches(patches, many, outputs, many),
        validation_data=validation and Batches(validation, min(len(validation), 4), outputs),
        shuffle=False,
        verbose=0,
        callbacks=[watch],
    )
    run_folder.set_state(model, before)
    step, scoring = watch.step(), watch.scoring() * (len(validation) if validation else 0)
    spent = time.monotonic() - started
    left = seconds - spent - (watch.first() if traced_again else 0)
    ending = scoring + EPOCH_END
    longest = max(len(patches), math.ceil(5 * ending / step))
    epochs, steps = divide(left, longest, step, ending)
    print(
        f"{seconds / 60:g} min: {step:.3g} s a step, {spent:.0f} s spent on the warm-up: "
        f"{epochs} epochs of {steps} steps = {epochs * steps} steps"
    )
    return {"epochs": epochs, "steps": steps, "seconds_a_step": round(step, 5)}


def divide(seconds, longest, step, ending):
    """Divide a time into equal epochs: (epochs, steps an epoch), at least one step.

    Args:
        seconds: the time to fill.
        longest: most steps an epoch may have.
        step, ending: seconds that one step and the end of one epoch, validation included, take.
    """
    epochs = max(1, math.ceil(seconds / (longest * step + ending)))
    return epochs, min(max(1, int((seconds / epochs - ending) / step)), longest)


def check(model, patches, optimizer, validation, epochs, minutes, learning_rate):
    """Raise unless fit's arguments fit together."""
    amount = minutes if epochs is None else epochs
    if (epochs is None) == (minutes is None) or not amount > 0:
        raise ConfigError(
            f"fit: epochs={epochs}, minutes={minutes}; give exactly one of them, above 0."
        )
    if isinstance(optimizer, (type, str)):
        raise ConfigError(
            f"fit: optimizer={optimizer!r}; give an object, as keras.optimizers.AdamW(1e-3), or a "
            "function of the number of steps that returns one."
        )
    if learning_rate is not None and (optimizer is not None or not learning_rate > 0):
        raise ConfigError(
            f"fit: learning_rate={learning_rate}; it is a number above 0, for the default "
            "optimizer. An optimizer that you pass has its own."
        )
    if validation is not None and not isinstance(validation, keras.utils.PyDataset):
        raise ConfigError(
            f"fit: validation is a {type(validation).__name__}; make patches of the held-back "
            "cases: data.Patches(cases, size, batch)."
        )
    check_shapes(model, patches)
    if validation is not None:
        check_shapes(model, validation)


def check_shapes(model, patches):
    """Raise ModelError unless the model turns the patches' x into the shape of their y."""
    image = (patches.batch, *patches.size, patches.channels)
    fits = len(image) == len(model.input_shape) and all(
        wanted in (None, size) for wanted, size in zip(model.input_shape, image, strict=True)
    )
    if not fits:
        raise ModelError(
            f"model {model.name!r} takes images of shape {model.input_shape[1:]}, the patches are "
            f"{image[1:]}. Change the model's input_shape, or the size of the patches."
        )
    made, wanted = model.compute_output_shape(image), (*patches.output, patches.classes)
    for _, *shape in made if len(model.outputs) > 1 else [made]:
        if tuple(shape) != wanted:
            raise ModelError(
                f"model {model.name!r} makes {tuple(shape)} of a patch of size {patches.size}; the "
                f"labels need {wanted} (*output, classes). Pass output={tuple(shape[:-1])} to "
                "Patches, or change classes."
            )
    if len(model.outputs) > 1 and patches.weights is not None:
        raise ConfigError(
            f"fit: {model.name!r} has {len(model.outputs)} outputs, whose losses take no weight "
            "map. Leave weights out of the patches, or train the network with its first output."
        )
