# %% [markdown]
# # A2 Training on Colab or your own GPU: what runs where
#
# - **You will see** which precision, memory and batch your machine has to offer, and what becomes of a
#   training whose machine disappears.
# - **You will measure** on *this* machine what 16 bits and larger batches are worth, and kill a
#   training in the middle. What only a GPU can tell is marked "not measured here" until you run this
#   on one.
# - **It takes** about a minute on two cores (*desktop* scale), seconds at *smoke* scale.
# - **It builds on** any lesson that trains; the network is lesson 03's.
# - **On Colab** choose *Runtime, Change runtime type, GPU* first; the same cells run there, on your own
#   GPU, and on a processor. (TPU runtimes have no TensorFlow.)

# %% tags=["setup"]
import keras
import numpy as np

from medseg_tf import (
    data,
    inference,
    lesson,
    losses,
    methods,
    metrics,
    models,
    plots,
    recipe,
    training,
)
from medseg_tf.lesson.exercises import lA2
from medseg_tf.table import Table

auto = training.set_precision("auto")

# %% [markdown]
# ## The claim
#
# The review names hardware first among the problems that are left: it can hardly carry the
# computation. What it does not say is what a reader with a borrowed GPU, or none, can do about it.
# The usual advice, which we put to the test:
#
# | claim | twin |
# |---|---|
# | (a) 16 bits are faster here | 32 bits, same network, same batch |
# | (b) 16 bits cost accuracy (often feared) | 32 bits, same steps |
# | (c) a larger batch makes more of the machine | batch 1 |
# | (d) what was learned in 16 bits opens in 32 | another training |
# | (e) a killed run ends with the weights of the unbroken one | one that goes on from its weights alone |
#
# Answers hold for the machine that this notebook ran on; its banner names it.
#
# ## Where results lie
#
# A Colab machine is gone after some hours, and its disk with it. What must survive goes to your Drive,
# which the next machine finds again; elsewhere to a folder (here a temporary one, in earnest one of
# yours). `MEDSEG_DATA` says where data sets lie: put them into the same place.

# %%
import os
import sys
import tempfile
from pathlib import Path

if "google.colab" in sys.modules:
    from google.colab import drive

    drive.mount("/content/drive")
    place = Path("/content/drive/MyDrive/medseg")
    os.environ["MEDSEG_DATA"] = str(place / "data")
else:
    temporary = tempfile.TemporaryDirectory()
    place = Path(temporary.name)
place.mkdir(exist_ok=True)

# %% [markdown]
# ## The data
#
# Simulated masses of lesson 14, small. The package reads all scans once and keeps them in memory, so
# that training does not wait for Drive.

# %%
from dataclasses import replace

SEED = 0
size = lesson.scale(smoke=16, desktop=64, paper=256)
count = lesson.scale(smoke=4, desktop=60, paper=400)
cases = data.phantoms.breast_masses(count, seed=SEED, size=size)
for number, case in enumerate(cases):  # benign or malignant is not asked here
    mass = data.Scan((case.label.array > 0).astype("uint8"), case.image.grid)
    cases[number] = replace(replace(case, label=mass), classes=2)
rest, test = data.split_by_subject(cases, (0.7, 0.3), seed=SEED)
lesson.banner(cases, "what is measured is the machine")


def dice(label):
    """Mean Dice over the held-back images of a function from a case to its label."""
    return float(np.mean([metrics.dice(case.label.array, label(case))[1] for case in test]))


otsu = dice(lambda case: methods.otsu(case.image.array).astype(int))
print(f"Otsu, nothing learned: Dice {otsu:.3f}")
plots.show(
    plots.show_cases(test, n=4),
    alt="Four noisy grey images, each with one bright mass outlined, round or ragged.",
)

# %% [markdown]
# ## The idea by hand: numbers of 16 bits
#
# A float32 has 8 bits for the exponent and 23 for the digits. Two formats have 16 bits: float16 keeps
# more digits (10) and gives up range (5 bits: what is below 0.00000006 is 0), bfloat16 keeps the range
# and has 7 bits for digits. **Predict**: which of the two loses a small gradient, and which loses a
# small step of a weight?

# %%
rows = Table()
for kind in ("float32", "float16", "bfloat16"):
    gradient = keras.ops.cast(1e-8, kind)
    stepped = keras.ops.cast(1.0, kind) + keras.ops.cast(0.001, kind)
    row = {"format": kind, "a gradient of 1e-8": float(keras.ops.cast(gradient, "float32"))}
    rows.append(row | {"1 + 0.001": float(keras.ops.cast(stepped, "float32"))})
rows

# %% [markdown]
# So "16 bits" means *mixed*: maps and convolutions in 16 bits, weights, their steps and the loss in
# 32; with float16 the loss is multiplied by a large number as well, so that gradients stay above 0
# (Keras does both). Which format a machine is made for differs. The package chooses:

# %%
from medseg_tf.training.precision import fitting, gpu_capability

lesson.source(fitting)

# %%
gpu = gpu_capability()
here, other = ("GPU", "processor") if gpu else ("processor", "GPU")
print(f"this machine: {here}, {os.cpu_count()} cores; chosen: {auto}")


def on_both(measured):
    """What was measured here, and a mark where the other kind of machine would stand."""
    return {here: measured, other: "not measured here"}


# %% [markdown]
# ## Predict, then run: precision
#
# The same U-Net learns the same images from the same first weights, once in 32 bits, once in 16.
# (float16 without a GPU is refused: it is about ten times *slower* there.) **Before you run on**: how
# many times as fast will 16 bits be on this machine?

# %%
my_times = 2.0  # change me

# %%
import time

width, depth = lesson.scale(smoke=(4, 1), desktop=(16, 3), paper=(64, 4))
steps, epochs = lesson.scale(smoke=(1, 1), desktop=(25, 6), paper=(100, 10))
half = "mixed_float16" if auto == "mixed_float16" else "mixed_bfloat16"


class Times(keras.callbacks.Callback):
    """Seconds of each step."""

    def on_train_begin(self, logs=None):
        self.seconds = []

    def on_train_batch_begin(self, batch, logs=None):
        self.start = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self.seconds.append(time.perf_counter() - self.start)


# %%
def learn(precision, batch=8, epochs=epochs):
    """Train in a precision: the model, its losses, the median seconds of a step."""
    training.set_precision(precision)
    keras.utils.set_random_seed(SEED)
    model = models.unet((None, None, 1), 2, width, depth, "same", dropout=0)
    patches = data.Patches(rest, size, batch, augment=data.flip(), seed=SEED, steps=steps)
    watch, loss = Times(), losses.DiceCrossEntropy()
    history = training.fit(
        model, patches, loss, epochs=epochs, learning_rate=2e-3, callbacks=[watch]
    )
    return model, history["loss"], float(np.median(watch.seconds))


# %%
nets, curves, seconds = {}, {}, {}
for name in ("float32", half):
    nets[name], curves[name], seconds[name] = learn(name)
print(f"you said {my_times} times; it is {seconds['float32'] / seconds[half]:.2f}")
rows = Table()
for name, model in nets.items():
    row = {"precision": name} | {f"s a step, {k}": v for k, v in on_both(seconds[name]).items()}
    row["Dice"] = dice(lambda case, model=model: inference.segment(model, case).array)
    rows.append(row)
plots.show(
    plots.show_curves(curves, f"epoch of {steps} steps"),
    alt="Training loss in 32 and in 16 bits: two lines that fall close together.",
)
rows

# %%
lesson.claim(
    "(a) 16 bits are faster here",
    what=f"seconds a step, {half} and float32",
    measured=seconds[half],
    against=seconds["float32"],
    spread=0.1 * seconds["float32"],
    holds=seconds[half] < seconds["float32"],
    why="" if seconds[half] < seconds["float32"] else "this machine has no instructions for it",
    source="Micikevicius 2018",
)
lesson.claim(
    "(b) 16 bits cost accuracy",
    what="Dice of held-back images, 16 and 32 bits",
    measured=rows[1]["Dice"],
    against=rows[0]["Dice"],
    spread=0.02,
    holds=rows[1]["Dice"] < rows[0]["Dice"],
    why="" if rows[1]["Dice"] < rows[0]["Dice"] else "weights and loss stay in 32 bits",
    source="often feared; Micikevicius 2018 says no",
)

# %% [markdown]
# ## Memory and batch
#
# ### What fits
#
# `models.training_memory` estimates from shapes what a step takes: maps and their gradients for every
# image, and 16 bytes a weight. `training.fit` prints it where it is much. The published U-Net on 572 x
# 572 pixels, and the published V-Net on 128 x 128 x 64 voxels, on cards of several sizes (16 GB is
# Colab's T4), in 32 bits:

# %%
tiny = {"width": 2} if lesson.scale(smoke=True, desktop=False) else {}
published = {"U-Net": models.unet((572, 572, 1), 2, **tiny)}
published["V-Net"] = models.vnet((128, 128, 64, 1), 2, **tiny)
fits = Table()
for name, model in published.items():
    one, two = (models.training_memory(model, batch) for batch in (1, 2))
    row = {"network": name, "weights": model.count_params(), "GB an image": (two - one) / 1e9}
    for memory in (16, 24, 40, 80):
        row[f"batch in {memory} GB"] = max(0, int((memory * 1e9 - (2 * one - two)) // (two - one)))
    fits.append(row)
del published
fits

# %% [markdown]
# An upper limit: the framework and its scratch memory come on top, 16 bits halve the maps. On a GPU
# the table below has the most memory that TensorFlow held, too.
#
# ### What it is worth
#
# A GPU has thousands of units that one small image cannot fill; a processor has few. **Predict** for
# this machine: how many images a second with batch 8, where batch 1 gives 10?

# %%
my_images = 20  # change me

# %%
batches = lesson.scale(smoke=(1, 2), desktop=(1, 4, 8), paper=(1, 4, 16, 64))
speed = Table()
for batch in batches:
    _, _, per_step = learn(auto, batch, epochs=1)
    row = {"batch": batch} | {f"images a s, {k}": v for k, v in on_both(batch / per_step).items()}
    row["GPU memory (GB)"] = "not measured here"
    if gpu:
        import tensorflow as tf

        row["GPU memory (GB)"] = tf.config.experimental.get_memory_info("GPU:0")["peak"] / 1e9
    speed.append(row)
first, last = (row[f"images a s, {here}"] for row in (speed[0], speed[-1]))
print(f"you said {my_images}; at the rate of 10 with batch 1 it is {10 * last / first:.0f}")
speed

# %%
lesson.claim(
    "(c) a larger batch makes more of the machine",
    what=f"images a second, batch {batches[-1]} and 1",
    measured=last,
    against=first,
    spread=0.1 * first,
    holds=last > first,
    why="" if last > first else "one image fills a processor's cores already",
    source="common practice",
)

# %% [markdown]
# Where a batch does not fit, take a smaller one and add up its gradients before each step: every Keras
# optimizer has `gradient_accumulation_steps`. With batch normalisation it is not quite the same, for
# means and variances are those of the small batch.
#
# ## What was learned on a GPU opens anywhere
#
# A model folder holds a recipe and the weights, in 32 bits whatever it was computed in. Here it is
# written to the place that survives, and opened as a machine without 16 bits would.

# %%
folder = recipe.save(nets[half], place / "lesions")
print({path.name: f"{path.stat().st_size / 1e6:.2f} MB" for path in sorted(folder.iterdir())})
training.set_precision("float32")
opened = recipe.load_model(folder)


def same(model, other):
    """Share of held-back pixels to which two models give the same class."""
    pairs = ([inference.segment(m, case).array for m in (model, other)] for case in test)
    return float(np.mean([np.mean(one == two) for one, two in pairs]))


alike, unlike = same(opened, nets[half]), same(nets["float32"], nets[half])
lesson.claim(
    "(d) what was learned in 16 bits opens in 32",
    what="share of pixels with the same class, opened again, and of another training",
    measured=alike,
    against=unlike,
    holds=alike > unlike,
    source="our measurement",
)

# %% [markdown]
# ## A disconnection
#
# Colab ends a session when the browser sleeps, or after some hours; clusters do the same. With
# `folder=` `training.fit` writes down after each epoch all that the next one depends on: weights,
# Adam's averages, the seeds of dropout, where it stands in the falling learning rate; and the order of
# the images comes from (seed, epoch). The same call goes on.
#
# We do not pretend. A second process trains, and when it has finished two epochs it is killed: no
# goodbye, nothing tidied up. This is its program:

# %%
PROGRAM = f"""
import sys, time, keras
from medseg_tf import data, losses, models, training

size, steps, epochs = {size}, {lesson.scale(smoke=1, desktop=10)}, {lesson.scale(smoke=4, desktop=6)}

def model():
    training.set_precision("float32")
    keras.utils.set_random_seed(0)
    return models.unet((None, None, 1), 3, width=8, depth=1, padding="same", norm="batch")

def fit(net, epochs=epochs, **options):
    cases = data.phantoms.breast_masses(4, seed=0, size=size)
    patches = data.Patches(cases, size, 2, augment=data.flip(), seed=0, steps=steps)
    return training.fit(net, patches, losses.DiceCrossEntropy(), epochs=epochs, **options)

if __name__ == "__main__":  # as if an epoch took longer
    pause = keras.callbacks.LambdaCallback(on_epoch_begin=lambda *_: time.sleep(0.5))
    fit(model(), folder=sys.argv[1], callbacks=[pause])
"""
(place / "program.py").write_text(PROGRAM)
run = place / "run"

# %%
import json
import subprocess

from medseg_tf.training.run_folder import HISTORY

with open(place / "log.txt", "w") as log:
    command = [sys.executable, place / "program.py", run]
    process = subprocess.Popen(command, stdout=log, stderr=log)
    done = 0
    while done < 2 and process.poll() is None:
        time.sleep(0.01)
        if (run / HISTORY).exists():
            done = len(json.loads((run / HISTORY).read_text())["loss"])
    process.kill()  # SIGKILL: the process cannot answer it
    process.wait()
if done < 2:
    raise RuntimeError((place / "log.txt").read_text())
print(f"the process ended with {process.returncode}, after {done} epochs")
print("left behind:", *sorted(path.name for path in run.iterdir()))

# %% [markdown]
# **Predict**: how far will the weights of the run that goes on lie from those of a run that nobody
# disturbed? And if one had saved the weights alone, as `model.save_weights` does, and trained the
# epochs that were left?

# %%
program = {"__name__": "program"}
exec(PROGRAM, program)
resumed, unbroken, from_weights = (program["model"]() for _ in range(3))
program["fit"](resumed, folder=run)  # the same call

kept = []
keep = keras.callbacks.LambdaCallback(
    on_epoch_end=lambda epoch, logs: kept.append(unbroken.get_weights())
)
program["fit"](unbroken, callbacks=[keep])
from_weights.set_weights(kept[done - 1])  # what a file of weights would hold
program["fit"](from_weights, epochs=program["epochs"] - done)


def apart(model):
    pairs = zip(model.get_weights(), unbroken.get_weights(), strict=True)
    return float(max(abs(one - two).max() for one, two in pairs))


# %%
lesson.claim(
    "(e) a killed run ends with the weights of the unbroken one",
    what="largest difference of a weight, going on from the folder and from weights alone",
    measured=apart(resumed),
    against=apart(from_weights),
    holds=apart(resumed) <= (1e-3 * apart(from_weights) if gpu else 0),
    source="our measurement",
)

# %% [markdown]
# On a processor the difference is exactly 0. A GPU adds sums in another order each time, so the last
# digits of *any* two runs differ; `tf.config.experimental.enable_op_determinism()` as a program's
# first line ends that, at some cost in time. What a disconnection costs is the epoch that was begun:
# so make epochs short (`steps=`), and put `folder=` on Drive.
#
# From the shell it is `medseg train mine --out /content/drive/MyDrive/medseg/model`, and after the
# disconnection the same with `--resume`.
#
# ## Your turn
#
# ### 1 An order that can be found again
#
# Write `order(seed, epoch, count)`: the numbers 0 to count - 1 in the order in which that epoch takes
# the images. It differs from epoch to epoch and from seed to seed, and a run that goes on in epoch 5
# finds the same one, without having been through epochs 0 to 4.


# %%
def order(seed, epoch, count):
    ### BEGIN SOLUTION
    return np.random.default_rng([seed, epoch]).permutation(count)
    ### END SOLUTION


lesson.exercise(lA2.check_order, order)

# %% [markdown]
# ### 2 The batch that fits
#
# Write `largest_batch(map_bytes, weights, memory)`: the largest batch that can be learned from in
# `memory` bytes, where an image's maps and their gradients take `map_bytes` and each weight four
# numbers of 4 bytes (itself, its gradient, Adam's two averages). 0 if none fits.


# %%
def largest_batch(map_bytes, weights, memory):
    ### BEGIN SOLUTION
    left = memory - 16 * weights
    return max(left // map_bytes, 0)
    ### END SOLUTION


lesson.exercise(lA2.check_batch, largest_batch)

# %% [markdown]
# ## What we learned
#
# - Which 16 bits a machine likes, and whether it likes any, depends on the machine;
#   `set_precision("auto")` asks it. Weights and loss stay in 32 bits, so nothing is lost.
# - Maps decide which batch fits, and the machine whether a larger one pays.
# - A run is more than its weights. Written down after each epoch, in a place that survives, it goes on
#   as if nothing had happened.
#
# **What this lesson cannot show.** A processor's numbers say nothing about a GPU: cells marked "not
# measured here" wait for one. Several GPUs at once are beyond this course.

# %% tags=["claims"]
lesson.claims_table()

# %% [markdown]
# **References.** P. Micikevicius et al., *Mixed Precision Training*, ICLR 2018. D. Kalamkar et al., *A
# Study of BFLOAT16 for Deep Learning Training*, arXiv:1905.12322. D. Kingma, J. Ba, *Adam*, ICLR 2015
# (the two averages).
