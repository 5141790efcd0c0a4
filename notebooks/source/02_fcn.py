# %% [markdown]
# # 02 Fully convolutional: a classifier that never let go of the picture
#
# - **You will see** how a network that names one picture becomes one that names every pixel, without
#   a new weight, and why its first maps are so coarse.
# - **You will measure** what finer strides, learned upsampling, training in stages and whole images
#   are worth, each against a twin that differs in one thing.
# - **It takes** about three minutes on two cores (*desktop* scale), seconds at *smoke* scale.
# - **It builds on** the sliding window of lesson 01, which it replaces.
# - **You need** nothing to download: skin lesions are simulated unless you have the real ones.

# %% tags=["setup"]
import time

import keras
import matplotlib.pyplot as plt
import numpy as np

from medseg_tf import data, inference, lesson, losses, methods, metrics, models, plots, training
from medseg_tf.layers import BilinearUpsampling
from medseg_tf.lesson.exercises import l02
from medseg_tf.table import Table

precision = training.set_precision("auto")

# %% [markdown]
# ## The claim
#
# The review says of the fully convolutional network (FCN; Long, Shelhamer, Darrell, CVPR 2015): it
# drops the fully connected layers with their huge number of weights, uses convolutions only, takes
# images of any size, and labels all pixels at once. It adds that pooling makes the output far
# coarser than the input.
#
# Three kind corrections before we start.
#
# - **The weights stay.** FCN on VGG-16 *turns* the two large dense layers into convolutions and keeps
#   each of their weights. What disappears is the fixed size of the input, and the work that
#   neighbouring windows repeat. You will count both.
# - The review's reference 4 is this paper; the sliding window it is quoted for is Ciresan's (lesson
#   01). The second author's name is Shelhamer.
# - What the skips of an FCN carry are *scores* of classes, and they are **added**. U-Net (lesson 03)
#   copies features, and lays them side by side.
#
# | claim | twin |
# |---|---|
# | (a) no dense layer is needed | the classifier itself, on one crop |
# | (b) and that saves weights (the review) | VGG-16, counted |
# | (c) one pass is faster than windows | the window network of lesson 01 |
# | (d) and better, on the same images | the same, with as many multiply-adds to learn from |
# | (e) a finer stride places the boundary better | the same network, coarser stride, equal steps |
# | (f) stages of training beat training at once | equal steps in total |
# | (g) learned upsampling helps | the same network, upsampling fixed |
# | (h) whole images teach as fast as patches | as many pixels a step, in patches |
# | (i) score layers may start at zero | score layers that start at random |

# %% [markdown]
# ## The data
#
# Pigmented lesions of the skin, seen through a dermatoscope. Most are darker than the skin; but so
# are hairs and the dark rim of the tube, the light is uneven, and some borders fade. If the real set
# `PH2` lies in one of your data folders, the lesson runs on it, reduced to 128 columns.

# %%
SEED = 0
size = lesson.scale(smoke=(32, 64), desktop=(96, 128), paper=(288, 384))
count = lesson.scale(smoke=6, desktop=40, paper=200)
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
# ### A baseline that learns nothing
#
# Otsu's threshold on the grey value: what is dark is lesion. Two scores will follow us. **IoU**, the
# overlap over the union, asks for the area. The **border error** asks only about the pixels within
# 2 pixels of the true outline: which share of them is wrong?


# %%
def scores(labels):
    """IoU of the lesion and error near the true border, means over the held-back images."""
    pairs = list(zip(truth, labels, strict=True))
    return {
        "IoU": float(np.mean([metrics.iou(*pair)[1] for pair in pairs])),
        "border error": float(np.mean([metrics.boundary_error(*pair) for pair in pairs])),
    }


arms = {"Otsu": scores([1 - methods.otsu(case.image.array).astype(int) for case in test])}
print(arms["Otsu"])

# %% [markdown]
# ## The idea by hand
#
# ### A dense layer is a convolution that fits once
#
# A dense layer on a 3 x 3 map has nine weights for each of its units. Laid out as 3 x 3, they are the
# kernel of a convolution, which on a 3 x 3 map has only one place to stand. On a larger map it has
# more, and gives the dense layer's answer at each of them. Here: a 6 x 7 map, 4 x 5 answers.

# %%
rng = np.random.default_rng(SEED)
weights, bias, large = rng.normal(size=(9, 2)), rng.normal(size=2), rng.normal(size=(6, 7))

one_by_one = np.zeros((4, 5, 2))
for row in range(4):
    for column in range(5):
        window = large[row : row + 3, column : column + 3]
        one_by_one[row, column] = window.reshape(9) @ weights + bias  # the dense layer

kernel = weights.reshape(3, 3, 1, 2).astype("float32")
convolution = keras.layers.Conv2D(2, 3)
convolution.build((None, None, None, 1))
convolution.set_weights([kernel, bias])
in_one_pass = np.asarray(convolution(large[None, ..., None].astype("float32")))[0]
print(
    "answers:", in_one_pass.shape[:2], " largest difference:", abs(one_by_one - in_one_pass).max()
)

# %% [markdown]
# The package does the same with a whole network: `models.hand_on` copies what has the same name and
# shape, and lays a dense layer out where a convolution waits for it. We take a VGG-16 with few
# channels, its weights drawn at random, and hand it on to an FCN. Of the FCN's 7 x 7 answers for a
# 224 x 224 image, the middle one sees what the classifier sees.

# %%
classifier = models.vgg16((224, 224, 3), classes=10, width=2)
converted = models.fcn((None, None, 3), classes=10, stride=32, width=2, padding="same")
print("handed on:", ", ".join(models.hand_on(classifier, converted)))
image = rng.normal(size=(1, 224, 224, 3)).astype("float32")
dense, map_of = (
    np.asarray(keras.Model(model.input, model.get_layer("fc2").output)(image))
    for model in (classifier, converted)
)
difference = float(abs(dense[0] - map_of[0, 3, 3]).max())
print(f"{dense.shape[1:]} became {map_of.shape[1:]}, answers up to {dense.max():.2f}")
lesson.claim(
    "(a) no dense layer is needed",
    what="largest difference between dense layers and convolutions",
    measured=difference,
    against=0.0,
    holds=difference < 1e-4,
    source="Long 2015, section 3.1",
)

# %% [markdown]
# ### Where are the weights?
#
# A convolution of side $k$ from $a$ to $b$ channels has $k^2 a b$ weights and $b$ biases. **Predict**:
# the FCN of 21 classes on VGG-16 with 138 million weights has how many million?

# %%
my_millions = 20  # change me


# %%
def count_weights(layers):
    return sum(side**2 * inputs * outputs + outputs for side, inputs, outputs in layers)


channels = [3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
convolutions = [(3, a, b) for a, b in zip(channels, channels[1:], strict=False)]
fc6, fc7, fc8 = (7, 512, 4096), (1, 4096, 4096), (1, 4096, 1000)
score_layers = [(1, 4096, 21), (1, 512, 21), (1, 256, 21)]
vgg_weights = count_weights([*convolutions, fc6, fc7, fc8])
fcn_weights = count_weights([*convolutions, fc6, fc7, *score_layers])
print(f"you said {my_millions} million")
print(f"VGG-16 {vgg_weights:,}, of them dense {count_weights([fc6, fc7, fc8]) / vgg_weights:.1%}")
print(f"FCN-8s {fcn_weights:,}: {fcn_weights / vgg_weights:.1%}")
lesson.claim(
    "(b) leaving out the dense layers saves weights",
    what="weights of FCN-8s and VGG-16",
    measured=fcn_weights,
    against=vgg_weights,
    holds=fcn_weights < 0.9 * vgg_weights,
    why="dense layers become convolutions of as many weights; only the 1000 classes went",
    source="the review; Long 2015, table 1, has 134 million",
)

# %% [markdown]
# It is GoogLeNet that has few weights (6 million), and its FCN has as few.
#
# ### What a stride can say
#
# Five poolings halve the map five times: one score for 32 x 32 pixels. What is left of a label that
# is averaged over blocks and enlarged again? (A *round trip*, no upper bound: scores are not
# averages, and a trained network can do better.)

# %%
example = truth[0]


def round_trip(label, stride):
    rows, columns = label.shape[0] // stride, label.shape[1] // stride
    blocks = label[: rows * stride, : columns * stride].reshape(rows, stride, columns, stride)
    coarse = blocks.mean(axis=(1, 3)).astype("float32")
    enlarge = keras.layers.UpSampling2D(stride, interpolation="bilinear")
    return (np.asarray(enlarge(coarse[None, ..., None]))[0, ..., 0] > 0.5).astype(int)


fits = tuple(slice(0, side // 32 * 32) for side in example.shape)
trips = {f"stride {s}": round_trip(example[fits], s) for s in (32, 16, 8)}
plots.show(
    plots.show_maps({"true label": example[fits] > 0} | {n: t > 0 for n, t in trips.items()}),
    alt="A ragged label, and the same after a round trip: a smooth blob at stride 32, nearer to the "
    "true outline at 16 and 8.",
)
for name, trip in trips.items():
    print(f"{name}: IoU with the true label {metrics.iou(example[fits], trip)[1]:.3f}")

# %% [markdown]
# ### Growing a map
#
# A *transposed* convolution paints its kernel once for each position, as strongly as the position
# says, and adds up. With a tent as kernel that is linear interpolation; in two dimensions
# *bilinear*. Twice as large, by hand in one dimension, and beside it the package's layer:

# %%
row = np.array([0, 1, 2, 3], "float32")
tent = np.array([0.25, 0.75, 0.75, 0.25])
painted = np.zeros(2 * len(row) + 2)
for place, value in enumerate(row):
    painted[2 * place : 2 * place + 4] += value * tent
print("by hand:", painted)

plane = np.tile(row, (8, 1))[None, ..., None]
enlarged = BilinearUpsampling(2, padding="valid")(plane)
print("package:", np.asarray(enlarged)[0, 8, :, 0])

# %% [markdown]
# At the ends the numbers fade, since outside counts as 0. The layer has no weights as long as it is
# fixed; `learned=True` starts with the same kernel and trains it.
#
# ### Where a map lies
#
# Each layer shifts the map a little against the image. The released networks put 100 zeros around
# every image, which makes any size work, and then cut the enlarged map at exactly 19 pixels
# (FCN-32s). Not at the centre: that would shift each mask by several pixels, and no error would tell
# you. Where do the 19 come from? Follow *position i lies at pixel start + i * step*:

# %%
step, start, rows = 1, 0.0, []
blocks = [2, 2, 3, 3, 3]  # 3 x 3 convolutions, each block followed by a pooling
for block, convolutions_here in enumerate(blocks, start=1):
    for number in range(convolutions_here):
        padded = 100 if block == 1 and number == 0 else 1
        start += step * (1 - padded)  # the middle of a kernel of 3 is 1 from its end
    start, step = start + step / 2, 2 * step  # the middle of two
    rows.append({"map": f"pool{block}", "step": step, "start": start})
start += step * 3  # 7 x 7, no padding
rows.append({"map": "fc6", "step": step, "start": start})
step //= 32
start -= step * 63 / 2  # the kernel of 64 reaches 31.5 pixels to either side
rows.append({"map": "enlarged", "step": step, "start": start})
Table(rows)

# %% [markdown]
# The enlarged map starts 19 pixels outside of the image. `models.fcn` does this arithmetic for every
# backbone and padding. With "same" padding there are no 100 zeros, which saves two thirds of the work
# on our small images; the size then has to be a multiple of 32.

# %%
released = models.fcn((500, 500, 3), stride=8, width=1)
print({layer.name: layer.offset for layer in released.layers if hasattr(layer, "offset")})

backbone = lesson.scale(smoke="alexnet", desktop="vgg16")  # fewer layers where seconds count
width = lesson.scale(smoke=6, desktop=8, paper=64)
shape = {"backbone": backbone, "width": width, "padding": "same"}
network = models.fcn((*size, 3), classes=2, stride=8, **shape)
plots.show(
    plots.show_network(network),
    alt="VGG-16 descends to the left in five halvings to two wide maps at the bottom; scores of two "
    "channels climb up again, joined by those of two finer maps, and end at the image's size.",
)

# %%
lesson.source(models.fcn)

# %% [markdown]
# ## Predict, then run
#
# The desktop network is the published one, with 8 channels where it has 64, and it learns from
# nothing, where the authors' had seen ImageNet. Every arm gets the same images in the same order, the
# same number of steps and the same optimizer. **Before you run on**: which IoU will strides 32 and 8
# reach? Otsu's is above.

# %%
my_iou_32, my_iou_8 = 0.5, 0.6  # change me

# %%
steps, batch = lesson.scale(smoke=(1, 2), desktop=(15, 8), paper=(500, 8))  # of an epoch
epochs = lesson.scale(smoke=3, desktop=6, paper=60)
loss = losses.WeightedCrossEntropy()


def train(stride, start=None, crop=size, batch=batch, epochs=epochs, note=None, **changes):
    """Train an FCN; `start` hands its weights on, `note` gets the model after each epoch."""
    keras.utils.set_random_seed(SEED)
    model = models.fcn((None, None, 3), 2, stride, **shape, **changes)
    if start is not None:
        models.hand_on(start, model)
    patches = data.Patches(rest, crop, batch, augment=data.flip(), seed=SEED, steps=steps)
    watch = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: note and note(model))
    options = {"epochs": epochs, "callbacks": [watch]}
    training.fit(model, patches, loss, keras.optimizers.Adam(2e-3), **options)
    return model


# %%
room = np.max([-(-np.array(label.shape) // 32) * 32 for label in truth], axis=0)  # a size that fits
unseen = np.stack([data.patches.cut(data.z_score(c.image.array), (0, 0), room) for c in test])
unseen_truth = np.stack([data.patches.cut(label, (0, 0), room) for label in truth])


def answer(model):
    """Probabilities for all held-back images."""
    parts = np.array_split(unseen, max(1, len(unseen) // 4))
    return np.concatenate([np.asarray(model(part, training=False)) for part in parts])


def label_all(model):
    every = zip(answer(model).argmax(-1), truth, strict=True)
    return [labels[: label.shape[0], : label.shape[1]] for labels, label in every]


# %%
def diary():
    """A list, and a function that adds to it the clock and the loss on the held-back images."""
    entries = []

    def note(model):
        now = time.perf_counter()  # the clock stands still while held-back images are looked at
        clock = now - sum(entry["pause"] for entry in entries)
        unseen_loss = float(loss(unseen_truth, answer(model)))
        pause = time.perf_counter() - now
        entries.append({"clock": clock, "pause": pause, "loss": unseen_loss})

    return entries, note


# %%
whole, note = diary()
stages = []  # the weights of stride 32 after each epoch; (f) goes on from them
nets = {32: train(32, note=lambda model: stages.append(model.get_weights()))}
nets |= {16: train(16), 8: train(8, note=note)}
found = {stride: label_all(net) for stride, net in nets.items()}
arms |= {f"FCN-{stride}s": scores(labels) for stride, labels in found.items()}
print(f"you said {my_iou_32} and {my_iou_8}")
Table([{"arm": arm, **row} for arm, row in arms.items()])

# %%
figure, axes = plt.subplots(1, 3, figsize=(8.6, 2.6), layout="constrained")
for panel, stride in zip(axes, nets, strict=True):
    shown = test[1].image, truth[1], found[stride][1]
    plots.show_image(*shown, title=f"stride {stride}", axes=panel)
plots.show(
    figure,
    alt="The same lesion three times: the dashed outline of the network is a round blob at stride "
    "32 and follows the true outline more closely at 16 and at 8.",
)

# %%
lesson.claim(
    "(e) a finer stride places the boundary better",
    what="border error of strides 8 and 32",
    measured=arms["FCN-8s"]["border error"],
    against=arms["FCN-32s"]["border error"],
    holds=arms["FCN-8s"]["border error"] < arms["FCN-32s"]["border error"],
    source="Long 2015, table 2",
)

# %% [markdown]
# What did that take? Two score layers of a few hundred weights in a network of two million.

# %%
print({f"FCN-{stride}s": f"{net.count_params():,} weights" for stride, net in nets.items()})
places = {"scored at 32": "score_32", "... at 16": "score_16", "... at 8": "score_8"}
places |= {"sum of all, enlarged": "crop_up_8_to_1"}
tensors = [nets[8].get_layer(name).output for name in places.values()]
maps = keras.Model(nets[8].input, tensors).predict_on_batch(unseen[1:2])
maps = {
    n: np.asarray(m)[0, ..., 1] - np.asarray(m)[0, ..., 0]
    for n, m in zip(places, maps, strict=True)
}
plots.show(
    plots.show_maps(maps),
    alt="Lesion minus skin: a few large squares at stride 32, a rough shape at 16, the rim at 8, and "
    "the sum of the three at full size, which is the lesion.",
)

# %% [markdown]
# ## Against the window
#
# The rival is the network of lesson 01: a window of 31 x 31 pixels in, the class of the middle pixel
# out. It learns from windows of the same images, half of them centred on lesion, with as many
# multiply-adds as the FCN had. **Predict**: how many times longer will it take to label one image?

# %%
window = models.sliding_window((31, 31, 3), 2, *lesson.scale(
    smoke=((2, 2), (4, 3), (4,)), desktop=((16, 16), (4, 3), (32,))
))  # fmt: skip
budget = epochs * steps * batch * models.macs(nets[8], size)
windows = lesson.scale(smoke=8, desktop=256)  # a step
window_steps = max(1, round(budget / models.macs(window) / windows / epochs))
window_steps = min(window_steps, lesson.scale(smoke=2, desktop=10**6))
patches = data.Patches(
    rest, 31, windows, output=1, augment=data.flip(), seed=SEED, steps=window_steps
)
training.fit(window, patches, loss, keras.optimizers.Adam(2e-3), epochs=epochs)
twin = models.dense_twin(window)
window_labels = [inference.segment(twin, case).array.astype(int) for case in test]
arms["window"] = scores(window_labels)


# %%
def seconds(label_one):
    label_one()  # the first call compiles
    start = time.perf_counter()
    label_one()
    return time.perf_counter() - start


by_windows = seconds(lambda: inference.by_windows(window, test[0]))
in_one_pass = seconds(lambda: inference.probabilities(nets[8], test[0]))
print(f"window by window {by_windows:.2f} s, FCN-8s {in_one_pass:.3f} s an image")

# %%
lesson.claim(
    "(c) one pass is faster than windows",
    what="seconds an image",
    measured=in_one_pass,
    against=by_windows,
    holds=in_one_pass < by_windows,
    source="Long 2015, section 3.1",
)
lesson.claim(
    "(d) and better, on the same images",
    what="IoU",
    measured=arms["FCN-8s"]["IoU"],
    against=arms["window"]["IoU"],
    holds=arms["FCN-8s"]["IoU"] > arms["window"]["IoU"],
    why="" if arms["FCN-8s"]["IoU"] > arms["window"]["IoU"] else "too few steps for its weights",
    source="Long 2015, table 3 (against other methods)",
)

# %% [markdown]
# The *faster* is no merit of the training: the window network's dense twin (lesson 01) labels an
# image in one pass, too. The *better* is a question of time: the FCN sees the whole lesion where the
# window sees 31 pixels, but it has a hundred times as many weights to teach, and starts from nothing.
# Try a third more steps; the order can turn.

# %% [markdown]
# ## Three other ways to train
#
# **(f)** The paper trains stride 32 first, hands its weights on to 16, and these on to 8. Ours: a
# third of the steps each, the first third from the run of FCN-32s above. **(g)** All three kernels of
# the upsampling are learned. **(h)** Patches of 64 x 64 pixels in place of whole images, as many
# pixels a step. **Predict** which of them helps.

# %%
coarse = models.fcn((None, None, 3), 2, 32, **shape)
coarse.set_weights(stages[epochs // 3 - 1])
middle = train(16, start=coarse, epochs=epochs // 3)
arms["in stages"] = scores(label_all(train(8, start=middle, epochs=epochs // 3)))
arms["learned upsampling"] = scores(label_all(train(8, upsampling="learned")))

# %%
by_patch, note = diary()
crop = lesson.scale(smoke=(32, 32), desktop=(64, 64), paper=(192, 192))
more = batch * size[0] * size[1] // (crop[0] * crop[1])
arms["patches"] = scores(label_all(train(8, crop=crop, batch=more, note=note)))
Table([{"arm": arm, **row} for arm, row in arms.items()])

# %% [markdown]
# One seed moves an IoU by about 0.02 here, so we call smaller differences undecided.


# %%
def compare(text, measured, against, source, why="", spread=0.02):
    gain = arms[measured]["IoU"] - arms[against]["IoU"]
    lesson.claim(
        text,
        what="IoU",
        measured=arms[measured]["IoU"],
        against=arms[against]["IoU"],
        holds=gain > 0,
        spread=spread,
        why=why if gain < -spread else "",
        source=source,
    )


from_scratch = (
    "a remedy for a network that knows ImageNet; from scratch the last stage is too short"
)
compare("(f) stages beat training at once", "in stages", "FCN-8s", "Long 2015, 4.2", from_scratch)
compare("(g) learned upsampling helps", "learned upsampling", "FCN-8s", "Long 2015, section 3.3")

# %% [markdown]
# The authors say the same of (g): they saw no difference, and their released networks keep all
# upsampling fixed. About (f), their own network trained at once is 0.1 points behind.
#
# For (h) we look at the loss on the held-back images, and ask when each arm first reaches the lowest
# level that both reach. A step costs both arms the same multiply-adds; the seconds depend on what
# else your computer does.

# %%
curves = {"whole images": whole, "patches": by_patch}
lines = {name: [entry["loss"] for entry in entries] for name, entries in curves.items()}
plots.show(
    plots.show_curves(lines, ylabel="loss on held-back images"),
    alt="Loss on held-back images over six epochs for whole images and for patches; both fall.",
)
level = max(min(values) for values in lines.values())
needed = {}
for name, entries in curves.items():
    epoch = np.median(np.diff([entry["clock"] for entry in entries]))  # the first one is longer
    needed[name] = steps * next(n for n, e in enumerate(entries, 1) if e["loss"] <= level)
    print(f"{name}: {needed[name]} steps of {epoch / steps:.3f} s to a loss of {level:.3f}")
lesson.claim(
    "(h) whole images teach as fast as patches",
    what="steps, of equally many pixels, to equal loss",
    measured=needed["whole images"],
    against=needed["patches"],
    holds=needed["whole images"] <= needed["patches"],
    source="Long 2015, section 4.4",
)

# %% [markdown]
# ### (i) Starting at zero
#
# All score layers start at 0, so that a fresh network finds all classes equally likely: the loss
# starts at $\ln C$, here $\ln 2 = 0.693$, with the paper's 21 classes at $\ln 21 = 3.045$.

# %%
fresh = models.fcn((None, None, 3), 2, **shape)
at_zero = float(loss(unseen_truth, answer(fresh)))
for layer in fresh.layers:
    if layer.name.startswith("score"):
        kernel, bias = layer.get_weights()
        random = rng.normal(0, np.sqrt(2 / kernel.shape[-2]), kernel.shape)
        layer.set_weights([random, bias])
at_random = float(loss(unseen_truth, answer(fresh)))
lesson.claim(
    "(i) score layers may start at zero",
    what="first loss; ln 2 = 0.693",
    measured=at_zero,
    against=at_random,
    holds=abs(at_zero - np.log(2)) < 1e-4,
    source="the released networks",
)

# %% [markdown]
# ## Look
#
# The image on which FCN-8s does worst, beside what stride 32 and the window make of it. Orange is
# invented, blue is missed.

# %%
each = [metrics.iou(*pair)[1] for pair in zip(truth, found[8], strict=True)]
worst = int(np.argmin(each))
shown = {"FCN-32s": found[32][worst], "FCN-8s": found[8][worst]}
shown["window"] = window_labels[worst]
figure, axes = plt.subplots(1, 3, figsize=(8.6, 2.9), layout="constrained")
for panel, (name, labels) in zip(axes, shown.items(), strict=True):
    plots.show_error(test[worst].image, truth[worst], labels, title=name, axes=panel)
plots.show(
    figure,
    alt="Errors on the hardest image: wide bands of wrong pixels at stride 32, narrower ones at "
    "stride 8, scattered patches from the window network.",
)

# %% [markdown]
# ## On real skin
#
# What the networks reach on `PH2`, pictures with a dermatologist's outline, each arm with one budget
# of minutes on a desktop's two cores, at a quarter of the published width; `make results LESSON=02`
# measures the table again. Two arms are new: "side by side" does not add the scores but lets a
# convolution mix them (it starts as their sum), and a U-Net (lesson 03) is the rival to come.

# %%
real = lesson.results("02_fcn")
real and lesson.over_seeds(real, ["jaccard", "dice", "border_error"])

# %% [markdown]
# ## Your turn
#
# ### 1 Where does the crop start?
#
# Write `offset(layers)`: the pixels to cut at the start of the enlarged map. Each layer is (kind,
# kernel, stride, padding) with kind "conv", "pool" or "deconv". Begin with step 1 and start 0. A
# convolution or pooling adds `step * ((kernel - 1) / 2 - padding)` to the start, then multiplies the
# step; a "deconv" does the reverse, in the reverse order. For FCN-32s it is 19.


# %%
def offset(layers):
    ### BEGIN SOLUTION
    step, start = 1, 0
    for kind, kernel, stride, padding in layers:
        if kind == "deconv":
            step /= stride
            start -= step * (kernel - 1) / 2
        else:
            start += step * ((kernel - 1) / 2 - padding)
            step *= stride
    return -start
    ### END SOLUTION


lesson.exercise(l02.check_offset, offset)

# %% [markdown]
# ### 2 A kernel for several classes
#
# Write `kernel(side, classes)` of shape (side, side, classes, classes): bilinear from each class to
# itself, zero from one class to another. Along one axis it is `1 - |x - middle| / half` with `half =
# (side + 1) // 2`.


# %%
def kernel(side, classes):
    ### BEGIN SOLUTION
    half = (side + 1) // 2
    tent = 1 - abs(np.arange(side) - (side - 1) / 2) / half
    return np.outer(tent, tent)[..., None, None] * np.eye(classes)
    ### END SOLUTION


lesson.exercise(l02.check_kernel, kernel)

# %% [markdown]
# ### 3 Four scores from one table
#
# Write `scores_of(pixels)` for a table of pixels by true class (row) and found class (column): pixel
# accuracy, mean accuracy, mean IU, and IU weighted by the frequency of the true classes. A class that
# is nowhere is left out of the means.


# %%
def scores_of(pixels):
    ### BEGIN SOLUTION
    hit, true, named = np.diag(pixels), pixels.sum(axis=1), pixels.sum(axis=0)
    accuracy, iou = hit / true, hit / (true + named - hit)
    frequency_weighted = np.nansum(true * iou) / pixels.sum()
    return hit.sum() / pixels.sum(), np.nanmean(accuracy), np.nanmean(iou), frequency_weighted
    ### END SOLUTION


lesson.exercise(l02.check_scores, scores_of)

# %% [markdown]
# ## What we learned
#
# - A dense layer is a convolution that fits once. Let it slide, and a classifier labels an image of
#   any size in one pass, with the weights it had.
# - Pooling buys context with resolution. Adding the scores of earlier, finer maps buys some of it
#   back, at the price of a few hundred weights.
# - Of the tricks around it, few matter once you train from scratch: the stride does.
#
# **What it cannot do.** Stride 8 is still coarse, and three additions are a thin way to bring detail
# up: lesson 03 builds a whole path for it. Learning all of this from a few images is hard work;
# lessons 10 and 12 start from what was learned elsewhere.

# %% tags=["claims"]
lesson.claims_table()

# %% [markdown]
# **References.** J. Long, E. Shelhamer, T. Darrell, *Fully convolutional networks for semantic
# segmentation*, CVPR 2015; E. Shelhamer, J. Long, T. Darrell, the same, PAMI 2017. K. Simonyan, A.
# Zisserman, *Very deep convolutional networks for large-scale image recognition*, ICLR 2015. T.
# Mendonca et al., *PH2: a dermoscopic image database for research and benchmarking*, EMBC 2013.
