# %% [markdown]
# # 05 Residual learning: layers that only learn what to add
#
# - **You will see** that a deeper network can be worse even on the pictures *it learned from*, and
#   that one addition a block, which costs nothing, mends it.
# - **You will measure** what depth, additions and skips are worth, each against a twin that differs
#   in one thing.
# - **It takes** about two minutes on two cores (*desktop* scale), seconds at *smoke* scale.
# - **It builds on** lesson 02 (scores at three strides, added up) and lesson 04 (a first residual
#   stage).
# - **You need** nothing to download: skin lesions are simulated unless you have the real ones.

# %% tags=["setup"]
import keras
import matplotlib.pyplot as plt
import numpy as np

from medseg_tf import data, lesson, losses, methods, metrics, models, plots, training
from medseg_tf.lesson.exercises import l05
from medseg_tf.models.resnet import basic, conv
from medseg_tf.table import Table

# Our narrow layers gain nothing from 16 bits.
precision = training.set_precision(lesson.scale(smoke="float32", desktop="float32", paper="auto"))

# %% [markdown]
# ## The claim
#
# The review says of residual networks (ResNet; He, Zhang, Ren, Sun, CVPR 2016): they let the raw
# input pass directly to later layers, so that what is left to learn is output minus input, the
# *residual*; that protects the input's information and eases learning. Of FCRN (L. Yu et al., IEEE
# TMI 2017), which puts an FCN's head on a residual network: second in the ISBI 2016 challenge on
# skin lesions; its versions of 38, 50 and 101 layers beat VGG-16 and GoogLeNet in every score, and
# 50 layers are best.
#
# Four kind corrections before we start.
#
# - **The raw input is the block's own**, not the picture: $y = F(x) + x$ inside each block of two or
#   three layers.
# - The paper's evidence is about *learning*, not about lost information: a plain network of 56
#   layers has a higher **training** error than one of 20. That is not overfitting.
# - "The skip connections used in U-Net are a kind of residual structure": no. U-Net lays maps side
#   by side, a residual block adds. You will see what that changes.
# - FCRN's rivals differ from it in depth, normalisation and what they had learned before. Whether
#   the *addition* wins takes a plain twin, which we build.
#
# | claim | twin |
# |---|---|
# | (a) a deeper plain network learns worse | the same, of 8 layers |
# | (b) additions undo that | the same 56 layers with additions |
# | (c) vanishing gradients are to blame (often said) | the same, with additions |
# | (d) a block that has learned nothing hands its input on | the block without addition |
# | (e) U-Net's skip is such a residual structure (the review) | the addition |
# | (f) first weights of variance 2 / inputs keep a signal alive | variance 1 / inputs |
# | (g) FCRN beats VGG-16 at equal cost | VGG-16 with the same head |
# | (h) three strides of scores beat one | scores at stride 32 alone |
# | (i) and its additions help | FCRN without them, equal weights |
# | (j), (k) on real skin; the middle depth is best | measured results |

# %% [markdown]
# ## The data
#
# Pigmented lesions of the skin, as in lesson 02: the real set `PH2` if it lies in one of your data
# folders, reduced to 128 columns, else simulated pictures.

# %%
SEED = 0
size = lesson.scale(smoke=(32, 64), desktop=(96, 128), paper=(288, 384))
count = lesson.scale(smoke=6, desktop=60, paper=200)
cases = lesson.real("PH2", limit=count) or data.phantoms.skin_lesions(count, seed=SEED, size=size)
for number, case in enumerate(cases):  # all as wide as `size` says
    grid = case.image.grid
    cases[number] = data.resample_case(case, grid.spacing[1] * grid.shape[1] / size[1])
rest, test = data.split_by_subject(cases, (0.7, 0.3), seed=SEED)
truth = [case.label.array.astype(int) for case in test]
lesson.banner(cases, "one lesion an image, its border ragged, needs no download")
print(len(rest), "images to learn from,", len(test), "held back")

# %%
plots.show(
    plots.show_cases(test, n=8),
    alt="Dermoscopic images, each with one brown lesion outlined; hairs cross some of them, others "
    "have dark corners or a border that fades into the skin.",
)

# %% [markdown]
# ### Five scores, and two baselines that learn nothing
#
# The challenge counts pixels: hits (TP), invented (FP), missed (FN) and rightly left out (TN).
#
# | | | |
# |---|---|---|
# | JA | Jaccard, overlap over union | TP / (TP + FP + FN) |
# | DI | Dice | 2 TP / (2 TP + FP + FN) |
# | SE | sensitivity: how much of the lesion is found | TP / (TP + FN) |
# | SP | specificity: how much of the skin is left alone | TN / (TN + FP) |
# | AC | accuracy: how many pixels are right | (TP + TN) / all |
#
# Each image is scored for itself, then comes the mean. JA decides the ranking. **Predict**: which
# score looks good for a "network" that calls everything skin?


# %%
def isic(found):
    """The five scores, means over the held-back images."""
    pairs = list(zip(truth, found, strict=True))
    of_lesion = {"JA": metrics.iou, "DI": metrics.dice}
    of_lesion |= {"SE": metrics.sensitivity, "SP": metrics.specificity}
    row = {name: np.mean([score(*pair)[1] for pair in pairs]) for name, score in of_lesion.items()}
    row["AC"] = np.mean([metrics.pixel_accuracy(*pair) for pair in pairs])
    return {name: float(value) for name, value in row.items()}


arms = {"all skin": isic([0 * one for one in truth])}
arms["Otsu"] = isic([1 - methods.otsu(case.image.array).astype(int) for case in test])
Table([{"arm": arm, **row} for arm, row in arms.items()])

# %% [markdown]
# Accuracy is kind to those who find nothing. We look at it last.
#
# ## The idea by hand
#
# A residual block has two 3 x 3 convolutions. What they make of the block's input $x$ is called
# $F(x)$; then $x$ is **added**, and only then comes the last ReLU. In a few lines, on one channel;
# beside it the package's block. (Its batch normalisation, fresh, divides by one.)

# %%
from scipy.ndimage import correlate


def relu(x):
    return np.maximum(x, 0)


def block(x, kernels, residual=True):
    first = relu(correlate(x, kernels[0], mode="constant"))
    return relu(correlate(first, kernels[1], mode="constant") + (x if residual else 0))


rng = np.random.default_rng(SEED)
picture = data.z_score(test[0].image.array.mean(axis=-1))
kernels = rng.normal(0, 0.3, (2, 3, 3))
inputs = keras.Input((None, None, 1))
package = keras.Model(inputs, basic(inputs, channels=1, shortcuts="A"))
for number in (1, 2):
    package.get_layer(f"block_conv{number}").set_weights([kernels[number - 1][..., None, None]])
answer = np.asarray(package(picture[None, ..., None].astype("float32")))[0, ..., 0]
print("largest difference to the package:", f"{abs(block(picture, kernels) - answer).max():.0e}")

# %% [markdown]
# **Predict**: all kernels are 0, as if the block had learned nothing. What comes out, with and
# without the addition?

# %%
empty = 0 * kernels
maps = {"input, after ReLU": relu(picture), "with addition": block(picture, empty)}
maps["without"] = block(picture, empty, residual=False)
plots.show(
    plots.show_maps(maps),
    alt="With kernels of zero the block with addition shows its input, the block without shows an "
    "empty map.",
)
lost, lost_without = (abs(maps[name] - relu(picture)).max() for name in list(maps)[1:])
lesson.claim(
    "(d) a block that has learned nothing hands its input on",
    what="largest change of a pixel by a block with kernels of 0",
    measured=lost,
    against=lost_without,
    holds=lost == 0,
    source="He 2016, section 3.1",
)

# %% [markdown]
# So a deep network can always fall back on a shallower one: what it does not need, it leaves at 0. A
# plain network would have to *learn* the identity, layer by layer.
#
# ### Adding is not laying side by side
#
# U-Net's skip **concatenates**: the next convolution has a kernel for each of the two maps, $W_a *
# a + W_b * b$. If these two kernels happen to be equal, that is a convolution of the sum. So can we
# call it a residual structure? Set the kernels to 0 and look what still arrives.

# %%
a, b = rng.normal(size=(2, 1, 8, 8, 4)).astype("float32")
kernel = rng.normal(size=(3, 3, 4, 4))
one, both = (keras.layers.Conv2D(4, 3, padding="same", use_bias=False) for _ in range(2))
side_by_side = np.concatenate([a, b], axis=-1)
one.build(a.shape), both.build(side_by_side.shape)
one.set_weights([kernel])
both.set_weights([np.concatenate([kernel, kernel], axis=2)])
difference = np.abs(both(side_by_side) - one(a + b)).max()
print("equal kernels, largest difference:", f"{difference:.0e}")

one.set_weights([0 * kernel])
both.set_weights([np.zeros((3, 3, 8, 4))])
whole = np.linalg.norm(a)
lesson.claim(
    "(e) U-Net's skip is such a residual structure",
    what="share of the skipped map that arrives, kernels 0",
    measured=float(np.linalg.norm(both(side_by_side)) / whole),
    against=float(np.linalg.norm(a + np.asarray(one(b))) / whole),
    holds=bool(np.any(both(side_by_side))),
    why="the next kernel multiplies what a concatenation carries; an addition asks no kernel",
    source="the review; Ronneberger 2015 concatenates",
)

# %% [markdown]
# The gradient feels the same difference. In a chain of ten layers of one weight, 0.1, it is
# multiplied by 0.1 ten times; with an addition in each layer, by $1 + 0.1$:

# %%
print(f"plain {0.1**10:.0e}   residual {1.1**10:.3f}")

# %% [markdown]
# ### First weights
#
# Before any shortcut comes the question whether a signal survives many layers at all. A ReLU throws
# half of it away, so He et al. draw weights of variance 2 / inputs, where 1 / inputs was usual.
# **Predict**: 20 dense layers of 256 units, a signal of strength 1. What is left at the end?

# %%
strengths = {}
for gain in (2, 1):
    x, strengths[gain] = rng.normal(size=(256, 256)), []
    for _ in range(20):
        x = relu(x @ rng.normal(0, np.sqrt(gain / 256), (256, 256)))
        strengths[gain].append(np.mean(x**2))
    print(f"variance {gain} / inputs:", *(f"{strengths[gain][k - 1]:.2g}" for k in (1, 10, 20)))
lesson.claim(
    "(f) first weights of variance 2 / inputs keep a signal alive",
    what="mean square after 20 layers, 1 at the start",
    measured=strengths[2][-1],
    against=strengths[1][-1],
    holds=1 / 3 < strengths[2][-1] < 3,
    source="He 2015, equation 10",
)

# %% [markdown]
# ### Whole networks
#
# Where a stage halves the map and doubles the channels, $x$ no longer fits $F(x)$. Option **A**
# leaves out every second row and column and appends zeros, without a weight; **B** projects there
# by a 1 x 1 convolution; **C** projects in every block. With A the plain twin has *equal* weights.
# The paper's family for small images, 20 layers:

# %%
rows, depth = [], lesson.scale(smoke=8, desktop=20)
for option in (None, "A", "B", "C"):
    network = models.cifar_resnet(depth=depth, shortcuts=option)
    trained = sum(np.prod(weight.shape) for weight in network.trainable_weights)
    rows.append({"shortcuts": option or "plain", "trained numbers": int(trained)})
    rows[-1]["million multiply-adds"] = models.macs(network) / 1e6
Table(rows)

# %%
lesson.source(basic)

# %% [markdown]
# ## Predict, then run: how deep?
#
# For the question of depth we take the plainest of all networks: no pooling, no stride, eight
# channels throughout. A first convolution, then blocks of two, then the classes. Its pictures are
# small and grey, so that 56 layers learn in seconds.

# %%
depths = lesson.scale(smoke=(4, 8), desktop=(8, 56))
steps, epochs = lesson.scale(smoke=(2, 1), desktop=(20, 5), paper=(100, 20))
loss = losses.WeightedCrossEntropy()


def small_and_grey(case):
    """The case at a quarter of its resolution, its three colours averaged."""
    case = data.resample_case(case, 4 * case.image.grid.spacing[1])
    grey = case.image.array.mean(axis=-1, keepdims=True)
    return data.Case(case.subject, data.Scan(grey, case.image.grid), case.label, classes=2)


small, small_test = ([small_and_grey(case) for case in part] for part in (rest, test))
crop = (size[0] // 4, size[1] // 4)
patches = data.Patches(small, crop, 8, augment=data.flip(), seed=SEED, steps=steps)


# %%
def stack(depth, shortcuts):
    """A network of `depth` layers that keeps the size of the map."""
    keras.utils.set_random_seed(SEED)
    inputs = keras.Input((None, None, 1))
    x = conv(inputs, 8, 3, name="first")
    for number in range(1, depth // 2):
        x = basic(x, 8, shortcuts=shortcuts, name=f"block{number}")
    x = keras.layers.Conv2D(2, 1, name="logits")(x)
    x = keras.layers.Activation("softmax", dtype="float32")(x)
    return keras.Model(inputs, x, name=f"{'residual' if shortcuts else 'plain'}_{depth}")


# %% [markdown]
# First the untrained networks: what does a picture look like after many layers of random weights?

# %%
shallow, deep = depths
last = f"block{deep // 2 - 1}_out"
maps = {"picture": data.z_score(small_test[0].image.array)[..., 0]}
for kind, option in {"plain": None, "residual": "A"}.items():
    network = stack(deep, option)
    ends = [network.get_layer(name).output for name in ("block1_out", last)]
    seen = keras.Model(network.input, ends)(maps["picture"][None, ..., None], training=True)
    for name, values in zip(("3 layers", f"{deep - 1} layers"), seen, strict=True):
        maps[f"{kind}, {name}"] = np.asarray(values)[0].mean(axis=-1)
plots.show(
    plots.show_maps(maps),
    alt="A small grey lesion; after three layers both networks still show it; after 55 the plain one "
    "shows a pattern without it, the residual one a blurred lesion.",
)

# %% [markdown]
# **Before you run on**: after 100 steps, which plain network has the lower loss *on the pictures it
# learns from*, that of 8 or that of 56 layers? The deeper one can do all the other can.

# %%
my_better = deep  # change me

# %%
kinds = {f"plain {shallow}": (shallow, None), f"plain {deep}": (deep, None)}
kinds[f"residual {deep}"] = deep, "A"
nets, curves = {}, {}
for name, how in kinds.items():
    nets[name] = stack(*how)
    sgd = keras.optimizers.SGD(0.05, momentum=0.9)
    curves[name] = training.fit(nets[name], patches, loss, sgd, epochs=epochs)["loss"]
print("you said", my_better)
plots.show(
    plots.show_curves(curves, f"epoch of {steps} steps", "loss on training pictures"),
    alt="Training loss: the plain network of 56 layers stays above the other two.",
)


# %%
def label(network, cases, step=1):
    """Label cases, each image mirrored to a common size, a multiple of `step`."""
    shapes = [case.label.array.shape for case in cases]
    room = -(-np.max(shapes, axis=0) // step) * step
    images = [data.patches.cut(data.z_score(c.image.array), (0, 0), room) for c in cases]
    parts = np.array_split(np.stack(images), -(-len(cases) // 4))
    found = np.concatenate([np.asarray(network(part, training=False)) for part in parts])
    return [
        one[:rows, :columns] for one, (rows, columns) in zip(found.argmax(-1), shapes, strict=True)
    ]


small_truth = [case.label.array.astype(int) for case in small_test]
for name, network in nets.items():
    pairs = zip(small_truth, label(network, small_test), strict=True)
    dice = np.mean([metrics.dice(*pair)[1] for pair in pairs])
    last = curves[name][-1]
    print(f"{name}: {network.count_params():,} weights, loss {last:.3f}, held-back Dice {dice:.3f}")

# %%
plain, shallower, residual = (
    curves[name][-1] for name in (f"plain {deep}", f"plain {shallow}", f"residual {deep}")
)
lesson.claim(
    "(a) a deeper plain network learns worse",
    what=f"training loss, last {steps} steps",
    measured=plain,
    against=shallower,
    holds=plain > shallower,
    why="" if plain > shallower else "not at this depth and number of steps: see the curves",
    source="He 2016, figures 1 and 6",
)
lesson.claim(
    "(b) additions undo that",
    what=f"training loss of {deep} layers, last {steps} steps",
    measured=residual,
    against=plain,
    holds=residual < plain,
    why="" if residual < plain else "the plain network had no trouble to begin with: see (a)",
    source="He 2016, figures 4 and 6",
)

# %% [markdown]
# A higher *training* loss is no overfitting: the deeper network cannot even learn by heart what the
# shallower one can. It is a problem of finding the weights. Longer training narrows the gap.
#
# ### Do gradients vanish?
#
# That is the explanation one hears. The paper does not give it: with batch normalisation, it says,
# gradients are healthy. One step of plain gradient descent with rate 1 moves each kernel by exactly
# its gradient, so we can look. **Predict**: is the first layer's gradient smaller in the plain or
# in the residual network?


# %%
def gradients(network):
    """Norm of each kernel's gradient at the first step, from the first layer to the last."""
    layers = [layer for layer in network.layers if hasattr(layer, "kernel")]
    before = [layer.get_weights()[0] for layer in layers]
    network.compile(keras.optimizers.SGD(1.0), loss, run_eagerly=True)
    network.train_on_batch(*patches[0])
    pairs = zip(layers, before, strict=True)
    return [float(np.linalg.norm(layer.get_weights()[0] - old)) for layer, old in pairs]


norms = {name: gradients(stack(depth, option)) for name, (depth, option) in kinds.items()}
plots.show(
    plots.show_curves(
        {name: np.log10(values) for name, values in norms.items()}, "layer", "log10 of gradient"
    ),
    alt="Gradient norm by layer on a logarithmic scale: in the plain network of 56 layers it grows "
    "by orders of magnitude towards the first layer, in the residual one it stays level.",
)

# %%
first, against = norms[f"plain {deep}"][0], norms[f"residual {deep}"][0]
lesson.claim(
    "(c) vanishing gradients are to blame",
    what="norm of the first layer's gradient, first step",
    measured=first,
    against=against,
    holds=first < against,
    why="" if first < against else "with batch normalisation they grow towards the first layer",
    source="often said; He 2016, section 4.1, says no",
)

# %% [markdown]
# The plain network's gradient grows by about a fifth from each layer to the one before it, and fifty
# times a fifth makes it thousands of times as large. The first layers are thrown about while the
# last ones hardly move. The additions keep all layers on one scale.
#
# ## FCRN: the same blocks, a label for each pixel
#
# FCRN takes a ResNet of *bottlenecks* (1 x 1 to fewer channels, 3 x 3, 1 x 1 back to four times as
# many), leaves out the classifier, and scores the classes where the last three stages end: strides
# 8, 16 and 32. The coarser scores are enlarged by a deconvolution and **added** to the finer ones.
# The published one, for 480 x 480 pixels:

# %%
depth, width = lesson.scale(smoke=(14, 2), desktop=(50, 64))
paper = models.fcrn((480, 480, 3), 2, depth, width=width)
trained = sum(np.prod(weight.shape) for weight in paper.trainable_weights)
print(f"{trained:,} trained numbers (by the released file: 23,515,782 and a bias of 64)")
head = [layer for layer in paper.layers if layer.name.startswith(("score", "up"))]
Table(
    {"layer": layer.name, "gives": layer.output.shape[1:], "weights": layer.count_params()}
    for layer in head
)

# %% [markdown]
# The head has 7,750 weights. VGG-16 with the same head has 134 million, 5.7 times FCRN's: size is
# not why it lost. Our desktop FCRN has 26 layers; the rivals' widths are chosen for about as many
# multiply-adds.

# %%
lesson.source(models.fcrn)

# %%
ours = {"depth": lesson.scale(smoke=14, desktop=26, paper=50)}
ours |= {"width": lesson.scale(smoke=2, desktop=16, paper=64), "shortcuts": "A"}
vgg = {"width": lesson.scale(smoke=6, desktop=5, paper=28), "padding": "same"}
vgg |= {"upsampling": "grouped", "backbone": lesson.scale(smoke="alexnet", desktop="vgg16")}
steps, batch = lesson.scale(smoke=(1, 2), desktop=(25, 8), paper=(500, 8))  # of an epoch
epochs = lesson.scale(smoke=1, desktop=6, paper=60)
networks = {
    "VGG-16": models.fcn((*size, 3), 2, **vgg),
    "FCRN": models.fcrn((*size, 3), 2, **ours),
}
for name, network in networks.items():
    cost = models.macs(network) / 1e6
    print(f"{name}: {network.count_params():,} weights, {cost:.1f} million multiply-adds")
plots.show(
    plots.show_network(networks["FCRN"]),
    alt="FCRN descends in five halvings through its bottlenecks; scores of two channels climb from "
    "the last map, joined by those of two finer maps, to the size of the image.",
)

# %% [markdown]
# **Before you run on**: which Jaccard will FCRN reach, and which VGG-16? Otsu's is above.

# %%
my_fcrn, my_vgg = 0.6, 0.6  # change me


# %%
def train(builder, **how):
    """Train a network and score it; all see the same patches in the same order."""
    keras.utils.set_random_seed(SEED)
    model = builder((None, None, 3), 2, **how)
    patches = data.Patches(rest, size, batch, augment=data.flip(), seed=SEED, steps=steps)
    history = training.fit(model, patches, loss, keras.optimizers.Adam(2e-3), epochs=epochs)
    return model, history["loss"], label(model, test, step=32)


fcrn, fcrn_loss, fcrn_labels = train(models.fcrn, **ours)
rival, rival_loss, rival_labels = train(models.fcn, **vgg)
arms |= {"FCRN": isic(fcrn_labels), "VGG-16": isic(rival_labels)}
print(f"you said {my_fcrn} and {my_vgg}")
Table([{"arm": arm, **row} for arm, row in arms.items()])

# %% [markdown]
# ### Against the twins
#
# One thing changed each: scores at stride 32 alone; and all additions left out of the trunk, with
# equal weights (that is why we took option A). **Predict** which costs more.

# %%
_, coarse_loss, coarse_labels = train(models.fcrn, **ours | {"stride": 32})
_, plain_loss, plain_labels = train(models.fcrn, **ours | {"shortcuts": None})
arms |= {"stride 32 alone": isic(coarse_labels), "no additions": isic(plain_labels)}
losses_of = {"FCRN": fcrn_loss, "VGG-16": rival_loss, "stride 32": coarse_loss}
plots.show(
    plots.show_curves(losses_of | {"no additions": plain_loss}, f"epoch of {steps} steps"),
    alt="Training loss of four networks over the epochs: scores at stride 32 alone stay highest.",
)
Table([{"arm": arm, **row} for arm, row in arms.items()])


# %% [markdown]
# How much of a lead is luck? From three starts on the simulated pictures, FCRN's lead over VGG-16
# spread by 0.02, that over the plain twin by 0.01. Smaller leads we call undecided.


# %%
def compare(text, against, source, spread=0.02, why=""):
    gain = arms["FCRN"]["JA"] - arms[against]["JA"]
    lesson.claim(
        text,
        what="Jaccard",
        measured=arms["FCRN"]["JA"],
        against=arms[against]["JA"],
        holds=gain > 0,
        spread=spread,
        why=why if gain <= spread else "",
        source=source,
    )


compare("(g) FCRN beats VGG-16 at equal cost", "VGG-16", "Yu 2017", why="see (j) for real skin")
compare("(h) three strides of scores beat one", "stride 32 alone", "Yu 2017; Long 2015")
compare("(i) and its additions help", "no additions", "the review", spread=0.01)

# %% [markdown]
# ## Look
#
# The held-back image on which FCRN does worst, beside what its twins make of it. Orange is
# invented, blue is missed.

# %%
each = [metrics.iou(*pair)[1] for pair in zip(truth, fcrn_labels, strict=True)]
worst = int(np.argmin(each))
shown = {"FCRN": fcrn_labels, "stride 32 alone": coarse_labels, "VGG-16": rival_labels}
figure, axes = plt.subplots(1, 3, figsize=(8.6, 2.9), layout="constrained")
for panel, (name, labels) in zip(axes, shown.items(), strict=True):
    plots.show_error(test[worst].image, truth[worst], labels[worst], title=name, axes=panel)
plots.show(
    figure,
    alt="The hardest image three times: orange beside the lesion where a network invents some, blue "
    "inside where it misses some.",
)

# %% [markdown]
# What each stride contributes, lesion minus skin, on another image. The coarsest map knows where,
# the finer ones know the border.

# %%
names = {"scored at 32": "score_32", "... at 16": "score_16", "... at 8": "score_8"}
names["sum of all, enlarged"] = "up_8_to_1"
picture = data.z_score(test[0].image.array)
room = [side // 32 * 32 for side in picture.shape[:2]]
tensors = [fcrn.get_layer(name).output for name in names.values()]
found = keras.Model(fcrn.input, tensors).predict_on_batch(picture[None, : room[0], : room[1]])
maps = {
    name: values[0, ..., 1] - values[0, ..., 0]
    for name, values in zip(names, map(np.asarray, found), strict=True)
}
plots.show(
    plots.show_maps(maps),
    alt="Lesion minus skin: a few large squares at stride 32, a rougher shape at 16, detail at 8, and "
    "the sum of the three at full size, which is the lesion.",
)

# %% [markdown]
# ## On real skin
#
# All five networks with one head and about equal cost, equally many steps from random weights, on
# `PH2`; `make results LESSON=05` measures it again. The review's table, reported for ISIC 2016 and
# networks that had seen ImageNet: JA 0.707 for VGG-16, 0.776 for GoogLeNet, 0.785, **0.829** and
# 0.803 for FCRN-38, -50 and -101.

# %%
real = lesson.results("05_residual")
wanted = ["jaccard", "dice", "sensitivity", "specificity", "accuracy"]
real and lesson.over_seeds(real, wanted)


# %%
def judge(text, arm, others):
    """An arm's Jaccard on real skin against that of the best of others, over the seeds."""
    jaccard = {}
    for row in real["rows"]:
        jaccard.setdefault(row["arm"], []).append(row["jaccard"])
    best = max(others, key=lambda name: np.mean(jaccard[name]))
    gains = np.subtract(jaccard[arm], jaccard[best])
    lesson.claim(
        text,
        what=f"Jaccard on PH2, {arm} and {best}",
        measured=np.mean(jaccard[arm]),
        against=np.mean(jaccard[best]),
        spread=np.std(gains, ddof=1) if len(gains) > 1 else 0.02,  # one seed: as above
        holds=gains.mean() > 0,
        source="the review; Yu 2017",
    )


if real:
    judge("(j) on real skin FCRN beats its rivals", "FCRN-50", ["VGG-16", "GoogLeNet"])
    judge("(k) the middle depth is best", "FCRN-50", ["FCRN-38", "FCRN-101"])

# %% [markdown]
# ## Your turn
#
# ### 1 Three shortcuts
#
# Write `shortcut(x, channels, strides, option)` on a Keras tensor (batch, rows, columns, channels):
# what is added to a block's $F(x)$. "A": every second row and column where strides are 2, then
# channels of zeros; "B": a 1 x 1 convolution without bias and a batch normalisation where the shape
# changes; "C": that always. `keras.ops.pad` takes pairs (before, after), one an axis.


# %%
def shortcut(x, channels, strides, option):
    ### BEGIN SOLUTION
    changes = strides > 1 or x.shape[-1] != channels
    if option == "C" or (option == "B" and changes):
        x = keras.layers.Conv2D(channels, 1, strides, use_bias=False)(x)
        return keras.layers.BatchNormalization()(x)
    if not changes:
        return x
    missing = channels - x.shape[-1]
    return keras.ops.pad(x[:, ::strides, ::strides], [(0, 0), (0, 0), (0, 0), (0, missing)])
    ### END SOLUTION


lesson.exercise(l05.check_shortcut, shortcut)

# %% [markdown]
# ### 2 Scores on the way up
#
# Write `fuse(eight, sixteen, thirty_two, enlarge)`: from the scores at three strides, arrays (rows,
# columns, classes), those on the image's own pixels. `enlarge(scores, factor)` is given.


# %%
def fuse(eight, sixteen, thirty_two, enlarge):
    ### BEGIN SOLUTION
    at_sixteen = enlarge(thirty_two, 2) + sixteen
    at_eight = enlarge(at_sixteen, 2) + eight
    return enlarge(at_eight, 8)
    ### END SOLUTION


lesson.exercise(l05.check_fuse, fuse)

# %% [markdown]
# ### 3 The challenge's table
#
# Write `isic_means(truths, predictions)` for lists of masks of 0 and 1: the means over images of AC,
# SE, SP, DI and JA, in this order. A score that is 0 / 0 is left out of its mean.


# %%
def isic_means(truths, predictions):
    ### BEGIN SOLUTION
    rows = []
    for truth, found in zip(truths, predictions, strict=True):
        hit, right = np.sum((truth == 1) & (found == 1)), np.sum((truth == 0) & (found == 0))
        invented, missed = np.sum(found == 1) - hit, np.sum(truth == 1) - hit
        above = np.array([hit + right, hit, right, 2 * hit, hit])
        either = hit + invented + missed
        rows.append(above / [truth.size, hit + missed, right + invented, hit + either, either])
    return np.nanmean(rows, axis=0)
    ### END SOLUTION


lesson.exercise(l05.check_isic, isic_means)

# %% [markdown]
# ## What we learned
#
# - Deeper is not better by itself: a plain network of 56 layers learns worse than one of 8, on its
#   own training pictures. One addition a block mends it, without a weight.
# - The addition makes "do nothing" the easy answer and keeps the gradient on one scale. A
#   concatenation does neither; it is another tool.
# - For a label at each pixel, scores at several strides count for more than the trunk under them.
#
# **What it cannot do.** FCRN's finest scores lie 8 pixels apart, and its trunk throws three quarters
# of the positions away at each halving. From few pictures and random weights its depth is hard to
# fill: the published networks had seen ImageNet. Lesson 06 takes the block to volumes and several
# contrasts; lesson 11 keeps resolution by dilation.

# %% tags=["claims"]
lesson.claims_table()

# %% [markdown]
# **References.** K. He, X. Zhang, S. Ren, J. Sun, *Deep Residual Learning for Image Recognition*, CVPR
# 2016; the same, *Delving Deep into Rectifiers*, ICCV 2015. L. Yu, H. Chen, Q. Dou, J. Qin, P.-A.
# Heng, *Automated Melanoma Recognition in Dermoscopy Images via Very Deep Residual Networks*, IEEE
# TMI 2017. D. Gutman et al., *Skin Lesion Analysis toward Melanoma Detection* (ISBI 2016),
# arXiv:1605.01397. T. Mendonca et al., *PH2: a dermoscopic image database for research and
# benchmarking*, EMBC 2013.
