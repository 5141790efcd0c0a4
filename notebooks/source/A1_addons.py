# %% [markdown]
# # A1 From tensorflow-addons to Keras 3: old names, today's numbers
#
# - **You will see** what became of the names that segmentation code took from tensorflow-addons (TFA),
#   and where a new function under the old name quietly computes something else.
# - **You will measure** each difference against arrays that the real TFA 0.23.0 left behind: ten claims
#   that "renaming is enough", each beside the call that gives TFA's numbers.
# - **It takes** some seconds; nothing is trained.
# - **It builds on** lesson 00 (labels are not images). For newcomers to TFA it is a lesson on how much
#   a default decides.
# - **You need** no TFA: it ended with TensorFlow 2.15 and Python 3.11.

# %% tags=["setup"]
import json
from pathlib import Path

import keras
import numpy as np
from scipy import ndimage

from medseg_tf import addons, data, lesson, plots
from medseg_tf.lesson.exercises import lA1
from medseg_tf.table import Table

# %% [markdown]
# ## The claim
#
# In the review's years TFA was where TensorFlow users found instance normalisation, the focal loss,
# AdamW, elastic warps and connected components; repositories that implement the methods of this
# course import it. Its maintainers announced the end in 2023; the last release does
# not import beside Keras 3. The advice one finds: *most of it moved into Keras or is in SciPy; change
# the import.*
#
# | claim | twin |
# |---|---|
# | (a) Keras' GroupNormalization gives TFA's numbers | the layer in `medseg_tf.addons` |
# | (b) Keras' F1Score gives TFA's numbers | the metric there |
# | (c) Keras' AdamW gives TFA's numbers | the optimizer there |
# | (d) Keras' focal loss gives TFA's numbers | the loss there |
# | (e) a flow is added to the grid | subtracted |
# | (f) "reflect" is REFLECT | "mirror" |
# | (g) a Gaussian of sigma 1 is a Gaussian of sigma 1 | cut to 3 x 3 |
# | (h) a rotation by Keras' default suits a label | TFA's default |
# | (i) components of `label > 0` are the components | one class at a time |
# | (j) TFA's own numbers were right: Matthews' correlation of a column | the same as one-hot |
#
# `medseg_tf.addons` holds the old names over today's code: with `from medseg_tf import addons as tfa`
# an old program goes on. All other names say what to use instead.
#
# ## The data
#
# `tfa.npz` travels with this package: inputs, and what TFA 0.23.0 made of them in the last environment
# in which it runs. `make tfa` makes it anew, where Python 3.11 is at hand, and compares.

# %%
with np.load(Path(addons.__file__).with_name("tfa.npz")) as file:
    tfa = {name: file[name] for name in file.files}
facts = json.loads(str(tfa["facts"]))
picture, label = tfa["x_picture"][0], tfa["x_label"]
grid = data.Grid(label.shape, units="pixel")
case = data.Case("lesion", data.Scan(picture, grid), data.Scan(label, grid), classes=5)
lesson.banner([case], "TFA's answers to it are stored, so it cannot change")
print("answers by", ", ".join(f"{name} {number}" for name, number in facts["versions"].items()))
plots.show(
    plots.show_image(case.image, case.label),
    alt="A bright, banded oval on a darker ground, outlined as class 2, and around its centre a core "
    "outlined as class 4.",
)

# %% [markdown]
# How much of TFA was there, and how much does segmentation need of it?

# %%
rows = Table()
for part, names in facts["names"].items():
    if part:
        here = getattr(getattr(addons, part), "__all__", [])
        rows.append({"module": part, "public names": len(names), "here": ", ".join(here)})
rows

# %% [markdown]
# A name that is not here is no dead end:

# %%
try:
    addons.layers.WeightNormalization
except addons.GoneError as error:
    print(error)


# %%
def apart(answer, stored):
    """Largest difference between an answer and what TFA stored."""
    answer = keras.ops.convert_to_numpy(answer).astype("float64")
    return float(np.abs(answer - tfa[stored]).max())


def renaming(text, renamed, ours, tolerance=1e-4, why="", source="TFA 0.23.0"):
    """The claim that the new call gives the old numbers, beside medseg_tf.addons'."""
    lesson.claim(
        text,
        what="difference to TFA: tempting call, medseg_tf.addons",
        measured=renamed,
        against=ours,
        holds=renamed <= tolerance,
        why=why if renamed > tolerance else "",
        source=source,
    )


# %% [markdown]
# ## What can simply be renamed
#
# First the good news. Group normalisation and the F scores came to Keras with TFA's numbers. Instance
# normalisation has no layer of its own; it is group normalisation with as many groups as channels,
# which Keras writes `groups=-1`.

# %%
planes = tfa["x_planes"]
renaming(
    "(a) Keras' GroupNormalization gives TFA's numbers",
    apart(keras.layers.GroupNormalization()(planes), "group_normalization"),
    apart(addons.layers.GroupNormalization()(planes), "group_normalization"),
)
found = apart(keras.layers.GroupNormalization(groups=-1)(planes), "instance_normalization")
print(f"groups=-1 against TFA's InstanceNormalization: {found:.0e}")

scores = {}
for name, metric in {"Keras": keras.metrics.F1Score(), "ours": addons.metrics.F1Score(3)}.items():
    metric.update_state(tfa["x_classes"], tfa["x_scores"])
    scores[name] = apart(metric.result(), "f1")
renaming("(b) Keras' F1Score gives TFA's numbers", scores["Keras"], scores["ours"])

# %% [markdown]
# ## The idea by hand: what a weight decay is
#
# An optimizer with *decoupled* weight decay takes a share of each weight away in each step, and then
# makes its step. So far all agree. But which share? In TFA it is the decay that you pass. Keras
# multiplies it by the learning rate first. By hand, for weights that get no gradient at all:


# %%
def decayed(weights, rates, decay, rule):
    """The weights after each step, moved by decay alone."""
    after = []
    for rate in rates:
        weights = weights - (decay if rule == "TFA" else decay * rate) * weights
        after.append(weights)
    return np.stack(after)


# %% [markdown]
# **Predict**: a decay of 0.01, a rate of 0.1, ten steps. How much is left of a weight of 1 under each
# rule?

# %%
my_tfa, my_keras = 0.9, 0.9  # change me

# %%
first, constant = tfa["x_weights"], [0.1] * 10


def still(optimizer):
    """Weights after each of ten steps of an optimizer whose gradients are all 0."""
    weights, after = keras.Variable(first), []
    for _ in range(10):
        optimizer.apply_gradients([(keras.ops.zeros(first.shape), weights)])
        after.append(keras.ops.convert_to_numpy(weights))
    return np.stack(after)


keras_way = still(keras.optimizers.AdamW(0.1, weight_decay=0.01))
print(f"you said {my_tfa} and {my_keras}")
for rule, steps in {"TFA": tfa["adamw_still"], "Keras": keras_way}.items():
    by_hand = decayed(first, constant, 0.01, rule)
    left = (steps[-1] / first).mean()
    print(f"{rule}: {left:.3f} left; by hand the same to {np.abs(by_hand - steps).max():.0e}")

# %%
renaming(
    "(c) Keras' AdamW gives TFA's numbers",
    apart(keras_way, "adamw_still"),
    apart(still(addons.optimizers.AdamW(0.01, 0.1)), "adamw_still"),
    why="Keras' decay is multiplied by the learning rate",
)
divided = apart(still(keras.optimizers.AdamW(0.1, weight_decay=0.01 / 0.1)), "adamw_still")
print(f"Keras with the decay divided by the rate: {divided:.0e}")

# %% [markdown]
# So divide by the rate, and all is well? As long as the rate stays. Here it falls to a tenth after
# five steps, as it does in most trainings. TFA's decay goes on (unless it is given a schedule of its
# own); Keras' falls, too. (In the paper a schedule's *factor* multiplies both, the first rate
# neither: each of the two keeps half of that.)

# %%
falling = keras.optimizers.schedules.PiecewiseConstantDecay([4], [0.1, 0.01])
kinds = {
    "TFA": tfa["adamw_still_falling"],
    "Keras, renamed": still(keras.optimizers.AdamW(falling, weight_decay=0.01)),
    "Keras, divided": still(keras.optimizers.AdamW(falling, weight_decay=0.1)),
}
shares = {name: list((steps / first).mean(axis=(1, 2))) for name, steps in kinds.items()}
ours = apart(still(addons.optimizers.AdamW(0.01, falling)), "adamw_still_falling")
print(f"medseg_tf.addons.optimizers.AdamW: TFA's numbers to {ours:.0e}")
plots.show(
    plots.show_curves(shares, "step", "share of the weight left"),
    alt="TFA's weight falls steadily to 0.90 in ten steps; Keras with the same decay stays at 0.99; "
    "with the decay divided by the rate it follows TFA for five steps and then hardly falls.",
)

# %% [markdown]
# ## The focal loss
#
# It multiplies cross-entropy by $(1 - p)^\gamma$, so that pixels that are right anyway hardly count, and
# by a weight $\alpha$ for the foreground, $1 - \alpha$ for the background. TFA's defaults: $\alpha$ =
# 0.25, $\gamma$ = 2; no mean is taken. Keras has the same numbers in its signature. **Predict**: what
# differs?

# %%
truth, chances = tfa["x_truth"], tfa["x_chances"]
kinds = {
    "Keras' defaults": {},
    "with alpha": {"apply_class_balancing": True},
    "with alpha, no mean over images": {"apply_class_balancing": True, "reduction": "none"},
}
rows = Table()
for name, options in kinds.items():
    loss = keras.ops.convert_to_numpy(
        keras.losses.BinaryFocalCrossentropy(**options)(truth, chances)
    )
    ratio = float((tfa["focal"] / loss).mean())
    rows.append({"call": name, "shape": loss.shape, "TFA's is larger by": ratio})
rows.append({"call": "TFA", "shape": tfa["focal"].shape, "TFA's is larger by": 1.0})
rows

# %% [markdown]
# Three differences. `alpha` is in Keras' signature, and is *not used* unless `apply_class_balancing`
# says so. Keras takes the mean over the last axis where TFA took the sum (here three classes). And
# it takes the mean over all pixels and images, where TFA returned a map.

# %%
by_default = keras.losses.BinaryFocalCrossentropy(reduction="none")(truth, chances)
renaming(
    "(d) Keras' focal loss gives TFA's numbers",
    apart(by_default, "focal"),
    apart(addons.losses.SigmoidFocalCrossEntropy()(truth, chances), "focal"),
    why="no alpha by default, and the mean over classes instead of the sum",
    source="TFA 0.23.0; Lin 2017",
)

# %% [markdown]
# The map is no detail. Training that minimises a map follows the *sum* of its pixels. One step of rate
# 1 from weights of 0, on eight samples, as TFA did it, beside Keras' mean:

# %%
samples, answers = tfa["x_samples"], truth[0, :2, :4, :1].reshape(8, 1)
layer = keras.layers.Dense(1, "sigmoid", kernel_initializer="zeros")
model = keras.Sequential([keras.Input((3,)), layer])
loss = keras.losses.BinaryFocalCrossentropy(apply_class_balancing=True)
model.compile(keras.optimizers.SGD(1.0), loss)
model.fit(samples, answers, batch_size=8, verbose=0)
step = keras.ops.convert_to_numpy(layer.kernel)
ratios = (tfa["focal_in_training"] / step).ravel()
print("TFA's step divided by that with the mean:", ratios.round(3))

# %% [markdown]
# Eight samples, eight times the step. With eight images of 256 x 256 pixels it is half a million times.
# Old code has a learning rate that allows for it (or Adam, which forgives a constant factor): old
# rates do not work with the mean, nor new ones with the map.
#
# And a kind word on $\alpha$: it weighs the *foreground*. 0.25 makes rare lesions count less than
# background; for segmentation it is often meant the other way round.
#
# ## Which way does a flow point?
#
# `dense_image_warp` moves each pixel by a flow. Either the flow says where the pixel *went*: then the
# new image at $y$ is the old one at $y$ minus the flow. Or it says where to *fetch*: plus. **Predict**
# TFA's choice, and which of the two pictures below is TFA's.

# %%
y, x = np.mgrid[:40, :48].astype("float32")
swirl = np.exp(-((y - 18) ** 2 + (x - 22) ** 2) / 200)[..., None] * np.stack([22 - x, y - 18], -1)


def fetched(image, flow, sign):
    """Each pixel read at its place plus or minus the flow, with SciPy."""
    places = np.stack([y, x]) + sign * np.moveaxis(flow, -1, 0)
    return ndimage.map_coordinates(image, places, order=1, mode="nearest")


maps = {"picture": picture[..., 0]}
maps |= {f"grid {s} flow": fetched(maps["picture"], swirl, int(f"{s}1")) for s in "-+"}
plots.show(
    plots.show_maps(maps),
    alt="The banded oval, and the oval swirled once counter-clockwise and once clockwise; both look "
    "equally plausible.",
)

# %%
flow = tfa["x_flow"][0]
plus, minus = (apart(fetched(picture[..., 0], flow, s)[..., None], "warped") for s in (1, -1))
print(f"SciPy, minus: {minus:.0e}")
renaming(
    "(e) a flow is added to the grid",
    plus,
    apart(addons.image.dense_image_warp(tfa["x_picture"], tfa["x_flow"]), "warped"),
    why="TFA subtracts it",
)

# %% [markdown]
# For random augmentation the sign does not matter: minus a random field is a random field. For a flow
# that a registration network learned it is everything.
#
# ## Borders: two words for one thing, one word for two
#
# A filter needs pixels beyond the border. The row 1 2 3 4 can be continued by mirroring about its
# last pixel's centre or about its edge:

# %%
row, beyond = np.arange(1, 5), [np.arange(-2, 6)]
for mode in ("REFLECT", "SYMMETRIC"):
    print(f"NumPy, TensorFlow, TFA: {mode:10}", np.pad(row, 2, mode.lower()))
for mode in ("mirror", "reflect"):
    continued = ndimage.map_coordinates(row, beyond, order=0, mode=mode)
    print(f"SciPy:                  {mode:10}", continued)

# %% [markdown]
# SciPy's "reflect" is what all others call symmetric, and their REFLECT is SciPy's "mirror". On the
# picture, with TFA's median filter (3 x 3, REFLECT):

# %%
medians = {
    mode: apart(ndimage.median_filter(picture[..., 0], 3, mode=mode)[..., None], "old_median")
    for mode in ("reflect", "mirror")
}
lesson.claim(
    '(f) "reflect" is REFLECT',
    what='largest difference to TFA\'s median filter, "reflect" and "mirror"',
    measured=medians["reflect"],
    against=medians["mirror"],
    holds=medians["reflect"] <= 1e-4,
    why="one word for two things",
    source="TFA 0.23.0, SciPy",
)

# %% [markdown]
# ### A Gaussian is cut somewhere
#
# `gaussian_filter2d` has two arguments for its width: `sigma`, and `filter_shape`, 3 x 3 unless you say
# otherwise. SciPy cuts at four sigma. **Predict**: what does TFA's filter of sigma 10 look like?

# %%
mean = np.abs(tfa["old_smoothed_sigma_10"] - tfa["old_mean"]).max()
print(f"sigma 10 differs from the plain mean of 3 x 3 by {mean:.4f}")
inside = (slice(None), slice(1, -1), slice(1, -1))
blurred = keras.ops.convert_to_numpy(keras.ops.image.gaussian_blur(tfa["x_picture"]))
off = np.abs(blurred - tfa["smoothed"])
print(f"Keras' gaussian_blur: inside {off[inside].max():.0e}, at the border {off.max():.2f}")
renaming(
    "(g) a Gaussian of sigma 1 is a Gaussian of sigma 1",
    apart(ndimage.gaussian_filter(picture[..., 0], 1, mode="mirror")[..., None], "smoothed"),
    apart(addons.image.gaussian_filter2d(picture), "smoothed"),
    why="TFA cuts it to 3 x 3 pixels, whatever sigma is",
)

# %% [markdown]
# Keras' `gaussian_blur` has TFA's kernel, and black beyond the border: it darkens a frame of one
# pixel.
#
# ## Rotating a label
#
# TFA's `rotate` takes the nearest pixel unless told otherwise, Keras' `affine_transform` mixes four.
# For images the latter is nicer. Our label knows 0, 2 and 4, and no 1 or 3.

# %%
turn, rows_columns = 0.4, np.array(label.shape)
(cosine, sine), (v, u) = (np.cos(turn), np.sin(turn)), (rows_columns - 1) / 2
numbers = [cosine, -sine, u - cosine * u + sine * v, sine, cosine, v - sine * u - cosine * v, 0, 0]
turned = keras.ops.image.affine_transform(
    label[..., None].astype("float32"), np.array(numbers, "float32"), data_format="channels_last"
)
turned = keras.ops.convert_to_numpy(turned)[..., 0]
invented = np.rint(turned) % 2 == 1  # classes 1 and 3
maps = {"TFA's default": tfa["rotated_label"], "Keras' default": turned}
plots.show(
    plots.show_maps(maps | {"classes that no label had": invented}),
    alt="The turned label with two sharp steps; the same with soft borders; and the pixels along these "
    "borders, which became classes 1 and 3.",
)
renaming(
    "(h) a rotation by Keras' default suits a label",
    float(np.abs(np.rint(turned) - tfa["rotated_label"]).max()),
    apart(addons.image.rotate(label, turn), "rotated_label"),
    why=f"{invented.mean():.1%} of all pixels became classes that no label had",
)

# %% [markdown]
# The eight numbers are the same in both, and are read in the same sense: where an *output* pixel is
# fetched. `medseg_tf.addons.image.rotate` makes them as the cell above does.
#
# ## Components of a map with many classes
#
# Lesson 03 counts cells as connected components. TFA's `connected_components` takes a map with many
# values, and joins equal ones only; SciPy's `label` takes a mask. **Predict**: how many components
# does `ndimage.label(map > 0)` find below, and how many did TFA?

# %%
touching = tfa["x_touching"][0]
maps = {"three classes": touching, "label > 0": ndimage.label(touching > 0)[0]}
maps["TFA"] = tfa["components"][0]
plots.show(
    plots.show_maps(maps),
    alt="Three classes that touch, and a part apart; as a mask they are two components, TFA has four.",
)
print({name: int(maps[name].max()) for name in ("label > 0", "TFA")}, "components")
renaming(
    "(i) components of `label > 0` are the components",
    float(np.abs(maps["label > 0"] - maps["TFA"]).max()),
    apart(addons.image.connected_components(tfa["x_touching"]), "components"),
    why="touching classes are joined",
)

# %% [markdown]
# ### The distance to nothing
#
# `euclidean_dist_transform` gives each pixel's distance to the nearest background. What is it where
# there is no background? Three answers, none of them an error:

# %%
everywhere = np.ones((4, 5), "uint8")
print("TFA  ", tfa["old_distances_without_background"][0])
print("SciPy", ndimage.distance_transform_edt(everywhere)[0].round(2))
print("ours ", addons.image.euclidean_dist_transform(everywhere)[0])

# %% [markdown]
# TFA's is the root of the largest float32, SciPy's a distance to a place that is not in the image.
# Infinity at least cannot be mistaken for a distance.
#
# ## Where TFA itself was wrong
#
# Matthews' correlation coefficient (MCC) of a prediction is 1 if all is right, 0 for guessing. TFA
# expects one column a class. With a single column of 0 and 1, the natural form of a yes or no, it
# looks for the largest entry of each row, which is always the first. By hand:

# %%
yes, said = tfa["old_mcc_pair"]
hit, right = np.sum(yes * said), np.sum((1 - yes) * (1 - said))
invented, missed = np.sum((1 - yes) * said), np.sum(yes * (1 - said))
below = (hit + invented) * (hit + missed) * (right + invented) * (right + missed)
by_hand = (hit * right - invented * missed) / np.sqrt(below)
column, one_hot = tfa["old_mcc_of_a_column"].item(), tfa["old_mcc_one_hot"].item()
print(f"truth {yes.astype(int)}, prediction {said.astype(int)}: MCC {by_hand:.4f}")
lesson.claim(
    "(j) TFA's own numbers were right: Matthews' correlation",
    what="MCC by TFA, as a column and one-hot",
    measured=column,
    against=one_hot,
    holds=abs(column - by_hand) < 1e-4,
    why="argmax of a single column is 0, whatever stands in it",
    source="TFA 0.23.0; Matthews 1975",
)

# %% [markdown]
# So a difference to TFA is not always today's mistake. `sklearn.metrics.matthews_corrcoef` takes the
# two rows as they are. The F scores have the same trap: one column and no threshold.
#
# ## What is it called today?
#
# Names with one answer share a row; what `medseg_tf.addons` provides has a star. `addons.TODAY` has the
# sequence models, too.


# %%
def today(part):
    """The table of one of TFA's modules."""
    rows, here = {}, getattr(getattr(addons, part), "__all__", [])
    for name, text in addons.TODAY[part].items():
        rows.setdefault(text, []).append(name + " *" * (name in here))
    return Table({f"tfa.{part}": ", ".join(names), "today": text} for text, names in rows.items())


today("image")

# %%
today("layers")

# %%
today("losses")

# %%
today("metrics")

# %%
today("optimizers")

# %%
today("callbacks")

# %%
today("activations")

# %% [markdown]
# ## Your turn
#
# ### 1 What decay leaves
#
# Write `left(rates, decay, rule)`: the share of a weight that is left after as many steps as there are
# `rates`, moved by decay alone. `rule` is "tfa" or "keras".


# %%
def left(rates, decay, rule):
    ### BEGIN SOLUTION
    share = 1.0
    for rate in rates:
        share *= 1 - (decay if rule == "tfa" else decay * rate)
    return share
    ### END SOLUTION


lesson.exercise(lA1.check_left, left)

# %% [markdown]
# ### 2 Components, class by class
#
# Write `components(label)`: the number of each pixel's component in a label map (rows, columns) of many
# classes, 0 on the background; equal values only, four neighbours, each number once.
# `ndimage.label(mask)` returns the components of a mask and their count.


# %%
def components(label):
    ### BEGIN SOLUTION
    numbers, count = np.zeros(label.shape, int), 0
    for value in np.unique(label[label > 0]):
        parts, found = ndimage.label(label == value)
        numbers[parts > 0] = parts[parts > 0] + count
        count += found
    return numbers
    ### END SOLUTION


lesson.exercise(lA1.check_components, components)

# %% [markdown]
# ## What we learned
#
# - The same name, even the same signature, is no promise of the same numbers: a decay may or may not
#   know the rate, an `alpha` may stand there unused, a mean may be a sum.
# - Keep a few arrays that the old program computed. A test that compares with them finds in seconds
#   what no message ever says.
# - Old numbers may be wrong, too. Then write down which, and change them on purpose.
#
# **What it cannot do.** `medseg_tf.addons` provides what segmentation used, in numbers, not in weights:
# networks saved by Keras 2 do not open in Keras 3, and TFA's layers named their variables otherwise.
# Splines have no gradient in their points any more. Sequence models, metric learning and most of the
# optimizers have a line that names a replacement, and no code.

# %% tags=["claims"]
lesson.claims_table()

# %% [markdown]
# **References.** TensorFlow Addons 0.23.0, github.com/tensorflow/addons, 2023. I. Loshchilov, F. Hutter,
# *Decoupled Weight Decay Regularization*, ICLR 2019. T.-Y. Lin et al., *Focal Loss for Dense Object
# Detection*, ICCV 2017. Y. Wu, K. He, *Group Normalization*, ECCV 2018. D. Ulyanov, A. Vedaldi, V.
# Lempitsky, *Instance Normalization*, arXiv:1607.08022. B. W. Matthews, *Comparison of the predicted and
# observed secondary structure of T4 phage lysozyme*, Biochimica et Biophysica Acta 1975. V.
# Badrinarayanan, A. Kendall, R. Cipolla, *SegNet*, IEEE TPAMI 2017.
