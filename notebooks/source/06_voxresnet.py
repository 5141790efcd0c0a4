# %% [markdown]
# # 06 VoxResNet: several contrasts, four scales, and a second look
#
# - **You will see** a residual network for volumes that answers at four scales and adds the answers,
#   and a second network that reads what the first one said (*auto-context*).
# - **You will measure** what further contrasts, four scales, deep supervision and the second look are
#   worth, each against a twin; and how a network that maps its own training scans flatters itself.
# - **It takes** about three minutes on two cores (*desktop* scale), seconds at *smoke* scale.
# - **It builds on** V-Net (lesson 04) and residual learning (lesson 05).
# - **You need** nothing to download: the brains are simulated.

# %% tags=["setup"]
import keras
import matplotlib.pyplot as plt
import numpy as np

from medseg_tf import data, lesson, losses, methods, metrics, models, plots, training
from medseg_tf.lesson.exercises import l06
from medseg_tf.table import Table

precision = training.set_precision("auto")

# %% [markdown]
# ## The claim
#
# The review tells of Chen, Dou, Yu and Heng (2016), who took residual networks to three-dimensional
# MR of the brain: a first network, "VexResNet", labels the T1-weighted image; a second one,
# "auto-context VexResNet", reads the other contrasts and the segmented T1 image. Each uses branches
# of different convolutions, "commonly used by residual networks".
#
# Four kind corrections before we start.
#
# - The name is **VoxResNet**, for *voxelwise residual network*.
# - The second network does not read a finished segmentation but the first one's **probabilities**,
#   as further channels beside the images. As far as we know both stages see all contrasts; here
#   they do.
# - The branches have nothing to do with residual learning. Four classifiers sit at four depths of
#   the network, each map is enlarged, and the four are added, as FCN adds two or three (lesson 02).
# - How much is the second look worth? The gains reported for MRBrainS 2013 are 0.0003 to 0.0029 of
#   Dice, by tissue, and the sum of the ranks did not change. So expect little.
#
# | claim | twin |
# |---|---|
# | (a) several contrasts beat T1 alone | the same network, one channel |
# | (b) four scales beat the coarsest alone | the same trunk, one branch |
# | (c) supervised branches help | the same network, its branches left alone |
# | (d) a network's maps of its own training scans are too good | maps of held-back scans |
# | (d) and maps by networks that never saw the scan are honest | the same |
# | (e) auto-context improves on the first look | the first network |
# | (e) and on a single network of equal cost | one network, trained three times as long |

# %% [markdown]
# ## The data
#
# Three tissues: cerebrospinal **fluid** (class 1), **grey** matter (2), **white** matter (3). Of the
# real sets within reach one has expert labels but a single contrast (`IBSR18`), the other several
# contrasts but tissue labels that a program made (`BRATS2013_2D`); both come at the end. To learn
# from, we simulate: folded sheets of grey matter round white, seen in T1, in T1 after an inversion
# pulse (T1-IR) and in FLAIR, with slices 3 mm thick, as in MRBrainS, twice as thick as the cortex.

# %%
SEED = 0
size = lesson.scale(smoke=(16, 16, 8), desktop=(32, 40, 16), paper=(128, 160, 64))
count = lesson.scale(smoke=4, desktop=16, paper=40)
cases = data.phantoms.brain(count, seed=SEED, size=size, spacing=(1.5, 1.5, 3.0))
rest, test = data.split_by_subject(cases, (0.5, 0.5), seed=SEED)
truth = [case.label.array for case in test]
names = ["fluid", "grey", "white"]
contrasts = ["T1", "T1-IR", "FLAIR"]
lesson.banner(cases, "three contrasts with exact labels need no download")
print(f"{len(rest)} volumes to learn from, {len(test)} held back, {size} voxels each")

# %%


def plane(array):
    """The middle axial slice, front up, the patient's right at the left."""
    return np.asarray(array)[:, :, size[2] // 2].T[::-1, ::-1]


figure, axes = plt.subplots(1, 4, figsize=(9.4, 3), layout="constrained")
for channel, (panel, name) in enumerate(zip(axes, contrasts, strict=False)):
    plots.show_image(plane(test[0].image.array[..., channel]), title=name, axes=panel)
t1 = plane(test[0].image.array[..., 0])
plots.show_image(t1, plane(truth[0]), title="truth on T1", axes=axes[3])
plots.show(
    figure,
    alt="One slice in three contrasts. T1: fluid black, grey grey, white bright. T1-IR and FLAIR "
    "show the same folds in other greys. Last, the outlines of the three tissues.",
)

# %% [markdown]
# ### A baseline that learns nothing
#
# The brain is cut out (all else is 0), so each voxel inside it belongs to one of three tissues.
# k-means parts their T1 values into three clusters: dark, middle, bright.

# %%


def clusters(case):
    grey = case.image.array[..., :1]
    labels, brain = np.zeros(grey.shape[:-1], int), grey[..., 0] > 0
    labels[brain] = 1 + methods.k_means(grey[brain], 3)
    return labels


def scores(labels):
    """Mean Dice of each tissue over the held-back cases, and of all three."""
    each = [metrics.dice(t, found, 4)[1:] for t, found in zip(truth, labels, strict=True)]
    tissues = np.nanmean(each, axis=0).tolist()
    return dict(zip(names, tissues, strict=True)) | {"mean": float(np.mean(tissues))}


arms = {"k-means, T1": scores([clusters(case) for case in test])}
Table({"arm": arm} | row for arm, row in arms.items())

# %% [markdown]
# ## The idea by hand
#
# ### A module with nothing after the addition
#
# A VoxRes module normalises, cuts off the negative (ReLU) and convolves; does it again; and adds
# its input. Nothing follows the addition. The first kernel is *flat*, 3 x 3 x 1: it stays within
# its slice, because the next slice is far away. By hand, on two channels:

# %%
from scipy.ndimage import correlate


def convolve(x, kernel):  # x: (x, y, z, channels in), kernel: (3, 3, 1 or 3, in, out)
    given, made = range(kernel.shape[-2]), range(kernel.shape[-1])
    filtered = [
        sum(correlate(x[..., i], kernel[..., i, o], mode="constant") for i in given) for o in made
    ]
    return np.stack(filtered, axis=-1)


def ready(x):  # a fresh batch normalisation divides by the root of 1 + 0.001
    return np.maximum(x / np.sqrt(1.001), 0)


def module(x, flat, full):
    return x + convolve(ready(convolve(ready(x), flat)), full)


rng = np.random.default_rng(SEED)
flat, full = (rng.normal(0, 0.3, (3, 3, depth, 2, 2)) for depth in (1, 3))
x = rng.normal(size=(8, 8, 8, 2))
print(
    "kernels of 0: largest difference to the input:", abs(module(x, 0 * flat, 0 * full) - x).max()
)

# %% [markdown]
# Exactly 0, for negative values too. (V-Net's stages of lesson 04 end with an activation, so theirs
# would come out changed.) Now the package's module, with the same kernels; and how far an impulse
# reaches through it. **Predict** both: along x and y, and along z, across the slices.

# %%
small = models.voxresnet((8, 8, 16, 1), 4, width=1)
for label, kernel in (("res2a", flat), ("res2b", full)):
    small.get_layer(label).set_weights([kernel, np.zeros(2)])
ends = [small.get_layer(label).output for label in ("conv1c", "res2_add")]
picture = rng.normal(size=(1, 8, 8, 16, 1)).astype("float32")
before, after = (np.asarray(one)[0] for one in keras.Model(small.inputs[0], ends)(picture))
print(
    "largest difference to models.voxresnet:",
    f"{abs(module(before, flat, full) - after).max():.0e}",
)

impulse = np.zeros((9, 9, 9, 2))
impulse[4, 4, 4] = 1
reached = np.argwhere(module(impulse, abs(flat), abs(full)).any(axis=-1))
print("an impulse reaches", (np.ptp(reached, axis=0) + 1).tolist(), "voxels along x, y, z")

# %% [markdown]
# ### What each scale sees
#
# Two convolutions, then three times: halve, two modules. At each of the four depths a classifier
# taps the network. How many voxels does it see along x and y, how many slices, and how many mm, if
# voxels are 0.958 x 0.958 x 3 mm as in MRBrainS? **Predict**: the kernels are flat. Is the field
# flat, too, in mm?

# %%
within, across, step, table = 5, 3, 1, Table()
for scale in (1, 2, 3, 4):
    if scale > 1:
        within, across = within + 2 * step, across + 2 * step  # halving: a kernel of 3
        step *= 2
        within, across = within + 8 * step, across + 4 * step  # 4 kernels, 2 of them flat
    row = {"scale": scale, "voxels along x, y": within, "slices": across}
    table.append(row | {"mm along x, y": round(within * 0.958, 1), "mm across": 3.0 * across})
table

# %% [markdown]
# Half of the kernels are flat, but slices are three times as far apart as pixels: in mm the coarsest
# scale sees *further* across the slices than within them. Compute it, never assume it.
#
# ### The whole network
#
# The paper's network by our reading of its figure. (The authors released no code, and ports by
# others differ; so its count is one of a reading. "25 convolutional layers and 4 deconvolutional",
# as the text has it, come out only if the four count among the 25.)

# %%
paper = models.voxresnet((80, 80, 80, 3), 4)
learned = sum(int(np.prod(weight.shape)) for weight in paper.trainable_weights)
print(f"weights that learn: {learned:,}; V-Net has 65 million")
print("receptive field:", models.receptive_field(paper), "voxels")
print(f"multiply-adds for 80 x 80 x 80 voxels: {models.macs(paper) / 1e9:.0f} billion")
print(f"memory to train it on one such crop: about {models.training_memory(paper, 1) / 1e9:.1f} GB")

# %%
lesson.source(models.voxresnet)

# %% [markdown]
# ### Deep supervision
#
# The four branches' scores are added before the softmax. During training each branch is also asked
# by itself, with a loss of its own:
#
# $$L = L_{fused} + w \sum_{a=1}^{4} L_a, \qquad w = \max(0.001,\ 1 - s / (0.8\,S))$$
#
# at step $s$ of $S$. The paper lets $w$ fall from 1 to 0.001; the straight line is our choice. What
# does the whole loss cost a network of four classes that knows nothing, at the first and at the
# last step?

# %%
for step in (0, 40, 80, 99):
    weight = losses.auxiliary_weight(step, 100)
    print(
        f"step {step:2}: w = {weight:.3f}, the loss of knowing nothing {(1 + 4 * weight) * np.log(4):.3f}"
    )

# %% [markdown]
# `models.deeply_supervised(model)` is the same network with five outputs instead of one; `fit`
# does the rest, and what was learned is in `model`.
#
# ## Predict, then run
#
# The desktop network has a quarter of the paper's channels. Every arm below sees the same volumes in
# the same order and takes equally many steps. The learning rate falls as a polynomial to 0, which is
# Keras' own `PolynomialDecay`; grey values are scaled inside the brain, contrast by contrast.
# A hundred steps are few: it has to learn from nothing what k-means reads off one volume's histogram.
# **Before you run on**: which Dice will it reach, and which tissue will be worst? k-means is above.

# %%
my_dice, my_worst = 0.8, "white"  # change me

# %%
width = lesson.scale(smoke=2, desktop=8, paper=32)
scales = lesson.scale(smoke=(1,), desktop=(1, 2, 3, 4))
epochs = lesson.scale(smoke=1, desktop=10, paper=60)
steps = lesson.scale(smoke=2, desktop=10, paper=100)  # an epoch


def adam(total):
    rate = keras.optimizers.schedules.PolynomialDecay(1e-2, total, 0.0, power=0.9)
    return keras.optimizers.Adam(rate)


def train(cases, supervised=False, times=1, scales=scales):
    """Train a VoxResNet: the model, and the loss of its fused output after each epoch."""
    keras.utils.set_random_seed(SEED)  # of the first weights
    shape = (None, None, None, cases[0].image.array.shape[-1])
    model = models.voxresnet(shape, 4, width=width, scales=scales)
    options = {"seed": SEED, "steps": steps, "normalize": data.z_score_inside}
    patches = data.Patches(cases, size, 2, **options)
    asked = models.deeply_supervised(model) if supervised else model
    loss = losses.WeightedCrossEntropy()
    history = training.fit(asked, patches, loss, adam, epochs=times * epochs)
    return model, history["output_loss" if supervised else "loss"]


# %% [markdown]
# The volumes are small enough to be taken whole; `inference.probabilities` does it for large ones.


# %%
def maps(model, case):
    """Probabilities of the four classes, (x, y, z, 4)."""
    return np.asarray(model(data.z_score_inside(case.image.array)[None]))[0]


def labels(model, cases):
    return [maps(model, case).argmax(-1) for case in cases]


# %%
voxresnet, plain_loss = train(rest)
arms["VoxResNet"] = scores(labels(voxresnet, test))
worst_tissue = min(names, key=arms["VoxResNet"].get)
reached, without = (arms[arm]["mean"] for arm in ("VoxResNet", "k-means, T1"))
print(f"you said {my_dice}, worst {my_worst}; it is {reached:.3f}, {worst_tissue}")
print(f"k-means, which learned nothing: {without:.3f}")

# %% [markdown]
# ## Against the twins
#
# ### (a) Contrasts
#
# The same network, given T1 alone: a channel less costs 27 weights for each map of the first layer,
# nothing else changes. **Predict**: which tissue gains most from T1-IR and FLAIR?

# %%
from dataclasses import replace


def t1_alone(case):
    return replace(case, image=data.Scan(case.image.array[..., :1], case.image.grid))


one_contrast, _ = train([t1_alone(case) for case in rest])
arms["T1 alone"] = scores(labels(one_contrast, [t1_alone(case) for case in test]))
Table({"arm": arm} | row for arm, row in arms.items())

# %% [markdown]
# ### (b) Scales
#
# The same trunk with one branch, that of the coarsest scale. **Predict**: it sees farthest. Can it
# draw the folds, from a grid eight times as coarse?

# %%
coarsest, coarsest_loss = train(rest, scales=scales[-1:])
arms["coarsest scale alone"] = scores(labels(coarsest, test))

# %% [markdown]
# ### (c) Deep supervision
#
# Until now the loss asked the fused output alone. The twin asks each branch as well. What do the
# branches say by themselves, with and without? Their grey matter, on the slice from above:

# %%
supervised, supervised_loss = train(rest, supervised=True)
arms["deep supervision"] = scores(labels(supervised, test))
image = data.z_score_inside(test[0].image.array)[None]
titles = ["added", *(f"scale {scale}" for scale in scales)]
figure, axes = plt.subplots(2, len(titles), figsize=(9, 4.4), layout="constrained")
for row, name, model in zip(axes, ["not asked", "asked"], [voxresnet, supervised], strict=True):
    row[0].set_ylabel(name)
    says = models.deeply_supervised(model)(image)
    for panel, title, probabilities in zip(row, titles, says, strict=True):
        grey = plane(np.asarray(probabilities)[0, ..., 2])
        drawn = panel.imshow(grey, cmap="cividis", vmin=0, vmax=1)
        panel.set(title=title if row is axes[0] else "", xticks=[], yticks=[])
figure.colorbar(drawn, ax=axes, shrink=0.7, label="probability of grey matter")
plots.show(
    figure,
    alt="Probability of grey matter. Not asked, the single scales show patterns that only their sum "
    "turns into folds. Asked, each shows the brain by itself: sharp at scale 1, a blur at scale 4.",
)

# %%
curves = {"VoxResNet": plain_loss, "supervised": supervised_loss, "coarsest": coarsest_loss}
plots.show(
    plots.show_curves(curves, xlabel=f"epoch of {steps} steps", ylabel="loss of the output"),
    alt="Loss of the output that is used, over the epochs: it falls somewhat faster where the "
    "branches are not asked; from the coarsest scale alone it stays far above.",
)

# %%
Table({"arm": arm} | row for arm, row in arms.items())

# %%
NOISE = 0.015  # Dice: about what another seed changes; a gain within it is undecided
for text, arm, twin, why in [
    ("(a) several contrasts beat T1 alone", "VoxResNet", "T1 alone", ""),
    ("(b) four scales beat the coarsest alone", "VoxResNet", "coarsest scale alone", ""),
    (
        "(c) supervised branches help",
        *("deep supervision", "VoxResNet"),
        "so few layers, shortcuts in each: the gradient arrives without help",
    ),
]:
    measured, against = arms[arm]["mean"], arms[twin]["mean"]
    lesson.claim(
        text,
        what="mean Dice",
        measured=measured,
        against=against,
        spread=NOISE,
        holds=measured > against,
        why="" if measured > against + NOISE else why,
        source="Chen 2016",
    )

# %% [markdown]
# Deep supervision was made for deep networks without shortcuts, whose first layers hear little of
# the loss. A residual trunk carries the gradient down by itself, and what the branches are asked,
# to be right *alone*, is not what their sum needs. So from here on nobody asks them.
#
# ## A second look, without fooling ourselves
#
# Auto-context trains a second network on the images *and* the first one's maps. Which maps? The
# first network can map the scans it was trained on; but those it knows. Let us look at how good its
# maps are: of its own training scans, and of scans it never saw. **Predict** the difference.

# %%


def dice_of(maps, cases):
    pairs = [(case.label.array, one.argmax(-1)) for one, case in zip(maps, cases, strict=True)]
    return float(np.mean([np.nanmean(metrics.dice(*pair, 4)[1:]) for pair in pairs]))


own = [maps(voxresnet, case) for case in rest]  # the tempting ones
honesty = Table()
honesty.append({"maps of": "its own training scans", "Dice": dice_of(own, rest)})
new = dice_of([maps(voxresnet, case) for case in test], test)
honesty.append({"maps of": "held-back scans", "Dice": new})
honesty

# %% [markdown]
# A second network that learns from the first kind will meet the second kind: at test time all scans
# are new. *Cross-fitting* gives honest maps: deal the **subjects** to folds, train one network a
# fold *without* it, and let each scan be mapped by the network that never saw its subject. By hand,
# with a "network" that only remembers whom it saw:

# %%
_, seen = methods.cross_fit(
    rest,
    fit=lambda cases: {case.subject for case in cases},
    folds=2,
    predict=lambda subjects, case: case.subject in subjects,
    seed=SEED,
)
print("was the scan mapped by who had seen it?", seen)

# %% [markdown]
# None was. Now with networks. Each learns from half of the scans only, so its maps are somewhat
# worse than those of a network that had them all; the fair comparison is with what *the same*
# networks say of held-back scans.

# %%
firsts, crossed = methods.cross_fit(rest, lambda cases: train(cases)[0], 2, maps, SEED)
honesty.append({"maps of": "training scans, cross-fitted", "Dice": dice_of(crossed, rest)})
each = [dice_of([maps(model, case) for case in test], test) for model in firsts]
honesty.append({"maps of": "held-back scans, by the same two", "Dice": float(np.mean(each))})
context = [methods.mean_maps(firsts, case, maps) for case in test]
honesty.append({"maps of": "held-back scans, their mean", "Dice": dice_of(context, test)})
honesty

# %%
gaps = {
    "own": honesty[0]["Dice"] - honesty[1]["Dice"],
    "crossed": honesty[2]["Dice"] - honesty[3]["Dice"],
}
lesson.claim(
    "(d) a network's maps of its own training scans are too good",
    what="Dice of own maps less that of held-back ones",
    measured=gaps["own"],
    against=0.0,
    spread=NOISE,
    holds=gaps["own"] > 0,
    source="our measurement; see Tu 2008",
)
lesson.claim(
    "(d) and cross-fitted maps are honest",
    what="the same gap, cross-fitted",
    measured=abs(gaps["crossed"]),
    against=gaps["own"],
    holds=abs(gaps["crossed"]) < gaps["own"] / 2,
    source="our measurement",
)

# %% [markdown]
# ### (e) Is the second look worth it?
#
# Three rivals. The second network on cross-fitted maps, which costs three trainings; the leaking
# one on its own maps; and the plainest: **one** network, trained three times as long. **Predict**
# their order.

# %%


def with_maps(cases, maps):
    return [methods.add_maps(case, one) for case, one in zip(cases, maps, strict=True)]


second, _ = train(with_maps(rest, crossed))
arms["auto-context"] = scores(labels(second, with_maps(test, context)))
leaking, _ = train(with_maps(rest, own))
first_maps = [maps(voxresnet, case) for case in test]
arms["auto-context, leaking"] = scores(labels(leaking, with_maps(test, first_maps)))
longer, _ = train(rest, times=3)
arms["three times as long"] = scores(labels(longer, test))
chosen = ["VoxResNet", "auto-context", "auto-context, leaking", "three times as long"]
Table({"arm": arm} | arms[arm] for arm in chosen)

# %%
measured = arms["auto-context"]["mean"]
for text, twin in [
    ("(e) auto-context improves on the first look", "VoxResNet"),
    ("(e) and on a single network of equal cost", "three times as long"),
]:
    against = arms[twin]["mean"]
    better = measured > against
    lesson.claim(
        text,
        what="mean Dice",
        measured=measured,
        against=against,
        spread=NOISE,
        holds=better,
        why="" if better else "see below",
        source="Chen 2016",
    )

# %% [markdown]
# On eight volumes auto-context has a hard time. Each first network learned from four of them, so the
# second is told less than it could find out by itself; and the work of all three, put into one
# network, does more. The paper had five volumes and reports a gain near nothing, so ours is no
# surprise; with many volumes and little time to label new ones the balance may be another.
#
# And the leak? The leaking network labels new scans no worse than the honest one, even a bit better,
# for at test time it gets its maps from a network that had all eight volumes. What leaks is *trust*:
# every score computed on those training maps is too good, and whatever is chosen by it, when to stop
# or which network to keep, is chosen on flattery. Cross-fitting costs a few trainings.
#
# ## Look
#
# The case with the lowest Dice, and its errors: orange is invented, blue is missed, pink is the
# wrong tissue.

# %%
found = labels(voxresnet, test)
each = [np.nanmean(metrics.dice(t, one, 4)[1:]) for t, one in zip(truth, found, strict=True)]
place = int(np.argmin(each))
worst, answer = test[place], found[place]
print(f"{worst.name}: Dice {each[place]:.3f}")
plots.slide(
    data.Scan(worst.image.array[..., :1], worst.image.grid),
    worst.label,
    answer,
    alt="Five axial slices of the worst case in T1: outlines of three tissues, truth solid and "
    "prediction dashed.",
)

# %%
plots.show(
    plots.show_error(worst.image, worst.label, answer),
    alt="Errors on three planes: thin pink lines along the borders between the tissues, most of "
    "them one voxel wide.",
)

# %% [markdown]
# The errors are rims one voxel wide, where a voxel holds two tissues and the label knows only one.
# What does the second network make of the maps? Where it changed the first one's mind:

# %%
last = labels(second, with_maps(test[:1], context[:1]))[0]
changed = plane(last != found[0])
figure, axes = plt.subplots(1, 3, figsize=(8, 3), layout="constrained")
plots.show_image(t1, plane(truth[0]), plane(found[0]), title="first look", axes=axes[0])
plots.show_image(t1, plane(truth[0]), plane(last), title="second look", axes=axes[1])
plots.show_map(changed, title="labels that changed", axes=axes[2])
plots.show(
    figure,
    alt="The same slice with the labels of the first and of the second look, hardly different, and "
    "a map of the scattered voxels whose label changed, all of them on borders.",
)

# %% [markdown]
# ## On real scans
#
# `IBSR18`: T1 alone, slices of 1.5 mm, labels by experts, people held back. `BRATS2013_2D`: one slice
# of each of six patients in four contrasts, for the same builder in two dimensions, one patient held
# back in turn; its tissue labels are the answer of a program, so a score says how well one program
# agrees with another, and six cases make no spread. All beside k-means on T1. HD95 is in mm; AVD is
# the volume's error in per cent, blind to place. `make results LESSON=06` measures it again.

# %%
real = lesson.results("06_voxresnet")
real and lesson.over_seeds(real, ["dice", "dice_1", "dice_2", "dice_3", "hd95_2", "avd_2"])

# %% [markdown]
# ## Your turn
#
# ### 1 A VoxRes module
#
# Write `voxres(x)` for a Keras tensor (batch, x, y, z, channels): normalise, ReLU, convolve with a
# flat kernel (slices lie along z); normalise, ReLU, convolve with 3 x 3 x 3; add the input. "Same"
# padding, as many channels as enter.


# %%
def voxres(x):
    ### BEGIN SOLUTION
    y = x
    for kernel in [(3, 3, 1), (3, 3, 3)]:
        y = keras.layers.Activation("relu")(keras.layers.BatchNormalization()(y))
        y = keras.layers.Conv3D(x.shape[-1], kernel, padding="same")(y)
    return keras.layers.Add()([x, y])
    ### END SOLUTION


lesson.exercise(l06.check_voxres, voxres)

# %% [markdown]
# ### 2 A deeply supervised loss
#
# Write `supervised_loss(truth, fused, branches, step, steps)`. `truth` holds class numbers
# (voxels,), `fused` probabilities (voxels, classes), `branches` a list of such arrays. A
# cross-entropy is the mean over the voxels of minus the logarithm of the true class's probability;
# the formula is above.


# %%
def supervised_loss(truth, fused, branches, step, steps):
    ### BEGIN SOLUTION
    def cross_entropy(p):
        return -np.log(p[np.arange(len(truth)), truth]).mean()

    weight = max(0.001, 1 - step / (0.8 * steps))
    return cross_entropy(fused) + weight * sum(cross_entropy(p) for p in branches)
    ### END SOLUTION


lesson.exercise(l06.check_supervised_loss, supervised_loss)

# %% [markdown]
# ### 3 Maps by networks that never saw the scan
#
# Write `out_of_fold_maps(scans, subjects, folds, fit, predict)`. `subjects` names the person of each
# scan, some were scanned twice; `fit(list of scans)` trains a network, `predict(model, scan)` gives
# its map. Deal the people to folds (person number k in order of appearance to fold k % folds will
# do), train once a fold, and return one map a scan, in the order of the scans.


# %%
def out_of_fold_maps(scans, subjects, folds, fit, predict):
    ### BEGIN SOLUTION
    people = list(dict.fromkeys(subjects))
    fold = [people.index(person) % folds for person in subjects]
    models = [
        fit([scan for scan, own in zip(scans, fold, strict=True) if own != number])
        for number in range(folds)
    ]
    return [predict(models[own], scan) for scan, own in zip(scans, fold, strict=True)]
    ### END SOLUTION


lesson.exercise(l06.check_out_of_fold_maps, out_of_fold_maps)

# %% [markdown]
# ## What we learned
#
# - A module with nothing after its addition hands its input on as it is; flat kernels keep thick
#   slices apart, and the field in mm has to be computed.
# - Borders need the fine scales: the coarsest alone cannot draw a fold. Other contrasts help the
#   tissues that T1 confuses.
# - Maps of one's own training scans flatter. Split by subject, map by who never saw, and compare a
#   second network with *one* network of the same cost.
#
# **What it cannot do.** All labels must be there: no contrast may be missing at test time, and each
# tissue needs its outlines by hand. Features without any labels are the subject of lesson 07.

# %% tags=["claims"]
lesson.claims_table()

# %% [markdown]
# **References.** H. Chen, Q. Dou, L. Yu, P.-A. Heng, *VoxResNet: Deep Voxelwise Residual Networks for
# Volumetric Brain Segmentation*, arXiv:1608.05895, 2016. Z. Tu, *Auto-context and its Application to
# High-level Vision Tasks*, CVPR 2008. C.-Y. Lee et al., *Deeply-Supervised Nets*, AISTATS 2015. A.
# Mendrik et al., *MRBrainS Challenge*, Computational Intelligence and Neuroscience 2015. Scans of
# `IBSR18`: Center for Morphometric Analysis at Massachusetts General Hospital,
# http://www.cma.mgh.harvard.edu/ibsr/. B. Menze et al., *The Multimodal Brain Tumor Image
# Segmentation Benchmark (BRATS)*, IEEE Transactions on Medical Imaging 2015.
