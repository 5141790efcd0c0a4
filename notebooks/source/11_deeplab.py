# %% [markdown]
# # 11 Atrous: seeing far without losing resolution
#
# - **You will see** a convolution with holes (*atrous*, also *dilated*): it looks as far as one on a
#   halved map, with the same weights, and leaves the map as fine as it is.
# - **You will measure** what far sight, a fine map and several rates at once (*ASPP*) are worth, each
#   against a twin of equal weights; what a *dense CRF* does to borders, to objects and to thin lines;
#   and two ways to let the learning rate fall.
# - **It takes** about two minutes on two cores (*desktop* scale), seconds at *smoke* scale.
# - **It builds on** lesson 02 (strides and learned upsampling) and lesson 05 (ResNet).
# - **You need** nothing to download: the pictures are simulated.

# %% tags=["setup"]
import keras
import matplotlib.pyplot as plt
import numpy as np
from scipy import ndimage

from medseg_tf import data, lesson, losses, methods, metrics, models, plots, training
from medseg_tf.lesson.exercises import l11
from medseg_tf.models.deeplab import VARIANTS, atrous, enlarge, head
from medseg_tf.models.resnet import conv
from medseg_tf.table import Table

# Our narrow layers gain nothing from 16 bits.
precision = training.set_precision(lesson.scale(smoke="float32", desktop="float32", paper="auto"))

# %% [markdown]
# ## The claim
#
# The review remarks that poolings leave the output much coarser than the input. DeepLab (L.-C. Chen,
# Papandreou, Kokkinos, Murphy, Yuille, 2016) is an answer to that, and yet the review never
# explains it: it names the paper only as the reference for "the PASCAL VOC data set", where it tells
# of a network trained on PASCAL VOC, then fine-tuned on ultrasound to find the left ventricle.
#
# A small slip, and easily mended: reference [26] is not the data set's paper. VOC has its own
# (Everingham et al., 2010); DeepLab is the *network* that was trained on it, so as the source of
# the pre-trained model it stands in the right place. That it deserves a lesson of its own we owe to
# this slip.
#
# | claim | twin |
# |---|---|
# | (a) a halving left out and a rate doubled give the same numbers, densely | the rate left alone |
# | (b) a rate of 4 sees what lies far away | rate 1, equal weights |
# | (c) and keeps the map fine | halvings that see as far, equal weights |
# | (d) several rates see objects of several sizes | one rate several times, equal weights |
# | (e) a dense CRF sharpens borders | smoothing that does not look at the image |
# | (f) it also mends objects of the wrong class (often hoped) | before it |
# | (g) thin faint lines survive it | before it |
# | (h) a rate that falls as a polynomial beats steps | steps, equally many of them |
# | (i), (j) atrous and CRF on real skin | measured results |

# %% [markdown]
# ## The data
#
# We need pictures in which far sight decides, and we know by how much. Each shows two discs of the
# same size and the same grey, in noise. One (class 1) lies in a thin ring, 15 pixels from its
# middle, the other (class 2) has none. On the disc itself nothing tells them apart.

# %%
SEED = 0
size = lesson.scale(smoke=81, desktop=81, paper=161)
count = lesson.scale(smoke=8, desktop=128, paper=600)
cases = data.phantoms.ringed_discs(count, seed=SEED, size=size)
rest, test = data.split_by_subject(cases, (0.75, 0.25), seed=SEED)
lesson.banner(cases, "how far one has to see is known exactly")
print(len(rest), "pictures to learn from,", len(test), "held back")

# %%
plots.show(
    plots.show_cases(test, n=3),
    alt="Three noisy pictures, each with two bright discs outlined in two colours; a thin bright ring "
    "surrounds one of the two.",
)

# %% [markdown]
# ### A baseline that learns nothing
#
# Smooth a little, take Otsu's threshold, remove what is thin: that finds discs. It cannot know
# which is which, so it calls them all class 1. We score three things: Dice of either class, wrong
# pixels within 2 pixels of a disc's border, and wrong *objects*, discs of which most pixels have not
# their class.


# %%
def discs(case):
    smooth = ndimage.gaussian_filter(case.image.array[..., 0].astype(float), 1)
    return ndimage.binary_opening(methods.otsu(smooth[..., None]), iterations=2).astype(int)


def scores(cases, labels):
    """Means over pictures; wrong objects in per cent of all."""
    pairs = [(case.label.array.astype(int), one) for case, one in zip(cases, labels, strict=True)]
    dice = np.nanmean([metrics.dice(*pair, 3)[1:] for pair in pairs], axis=0)
    border = np.mean([metrics.boundary_error(t > 0, one > 0) for t, one in pairs])
    most = [np.bincount(one[t == k], minlength=3).argmax() != k for t, one in pairs for k in (1, 2)]
    row = {"Dice": dice.mean(), "in a ring": dice[0], "without": dice[1]}
    row |= {"wrong at borders": border, "wrong objects %": 100 * np.mean(most)}
    return {name: float(value) for name, value in row.items()}


arms = {"Otsu, all in a ring": scores(test, [discs(case) for case in test])}
Table({"arm": arm} | row for arm, row in arms.items())

# %% [markdown]
# ## The idea by hand
#
# A convolution of three taps along a line, its taps `rate` positions apart, zeros outside. **Predict**
# the result for 1, 2, ... 8 with taps 1, 0, -1 and rate 2: left neighbour minus right one, two steps
# away each.


# %%
def along(line, taps, rate):
    padded = np.pad(line, rate)
    return sum(tap * padded[k * rate : k * rate + len(line)] for k, tap in enumerate(taps))


line = np.arange(1, 9)
for rate in (1, 2):
    print(f"rate {rate}:", along(line, (1, 0, -1), rate))
image = keras.Input((3, 8, 1))
layer = keras.Model(image, atrous(image, 1, rate=2, activation=None))
kernel = np.zeros((3, 3, 1, 1))
kernel[1, :, 0, 0] = 1, 0, -1
layer.set_weights([kernel, np.zeros(1)])
rows = np.pad(line[None], ((1, 1), (0, 0)))[None, ..., None].astype("float32")
print("package:", np.asarray(layer(rows))[0, 1, :, 0].astype(int))

# %% [markdown]
# Three weights, three multiplications a position, whatever the rate; but it spans $2r + 1$ positions.
#
# ### Leave the halving out
#
# A classifier convolves (A), keeps every second position, convolves again (B). The map is half as
# fine. Now leave the halving out: B sees twice as many positions, so let its taps lie twice as far
# apart. **Predict**: at every second position, does the finer network say exactly what the coarse
# one said? And if the rate is left alone?


# %%
def two(strides, rate):
    x = image = keras.Input((17, 17, 1))
    x = keras.layers.Conv2D(4, 3, strides, name="a")(keras.layers.ZeroPadding2D(1)(x))
    return keras.Model(image, atrous(x, 1, rate, activation=None, name="b"))


rng = np.random.default_rng(SEED)
picture = rng.normal(size=(1, 17, 17, 1)).astype("float32")
coarse, fine, plain = two(2, 1), two(1, 2), two(1, 1)
maps = [np.asarray(coarse(picture))]
for network in (fine, plain):
    network.set_weights(coarse.get_weights())
    maps.append(np.asarray(network(picture))[:, ::2, ::2])
same, other = (float(abs(one - maps[0]).max()) for one in maps[1:])
lesson.claim(
    "(a) a halving left out and a rate doubled give the same numbers, densely",
    what="largest difference at the positions that both have",
    measured=same,
    against=other,
    holds=same < 1e-5 < other,
    source="Chen 2016, section 3.1",
)

# %% [markdown]
# So a trained classifier becomes dense without a new weight: DeepLab leaves out the last two
# halvings of VGG-16 or ResNet-101, and the layers behind them get rates 2 and 4.
#
# ### Holes that stay holes
#
# Rate 2 three times reaches far, but which positions does it touch? **Predict** the picture before
# you look: all of rate 2, and rates 1, 2, 3, which reach as far.

# %%
reached = {}
for rates in [(2, 2, 2), (1, 2, 3), (1, 1, 1)]:
    touched = np.zeros((17, 17))
    touched[8, 8] = 1
    for rate in rates:
        taps = np.zeros((2 * rate + 1,) * 2)
        taps[::rate, ::rate] = 1
        touched = ndimage.convolve(touched, taps, mode="constant")
    reached["rates " + " ".join(map(str, rates))] = touched > 0
plots.show(
    plots.show_maps(reached),
    alt="What a position sees: with rates 2 2 2 a grid of single pixels with gaps between them, with "
    "1 2 3 a full square of the same size, with 1 1 1 a full square of half the side.",
)

# %% [markdown]
# Equal rates leave a grid of gaps (*gridding*). DeepLab's one large rate comes after layers whose own
# field covers its gaps.
#
# ### The published networks
#
# Behind the trunk, at stride 8, stands one branch of rate 12 (*LargeFOV*), or four whose scores are
# **added** (*ASPP*, atrous spatial pyramid pooling). Each branch: 3 x 3 at its rate, two 1 x 1. What
# does a branch see, and what do four cost? (The paper's own column "field of view" says 224 for
# LargeFOV; it counts otherwise. Ours is the largest true support.)

# %%
width = lesson.scale(smoke=2, desktop=64)
table = Table()
for variant, rates in VARIANTS.items():
    paper = models.deeplab((321, 321, 3), 21, variant, width=width)
    last = "fc6" if len(rates) == 1 else f"fc6_{len(rates)}"
    seen = keras.Model(paper.input, paper.get_layer(last).output)
    row = {"variant": variant, "rates": rates, "weights": f"{paper.count_params():,}"}
    row |= {
        "map": paper.get_layer(last).output.shape[1],
        "widest field": models.receptive_field(seen)[0],
    }
    table.append(row)
table

# %% [markdown]
# ASPP-S and ASPP-L weigh the same: rates cost nothing. And LargeFOV has 20.5 million weights where
# the classifier that FCN made dense (lesson 02) has 134 million, because its kernel of 7 x 7 became
# one of 3 x 3 with holes.

# %%
lesson.source(models.deeplab)

# %% [markdown]
# ## Predict, then run: how far, how fine?
#
# Our network for a desktop has three convolutions, two of which halve, and DeepLab's head: its map
# has stride 4. Three ways to use the same weights:
#
# | | sees | map |
# |---|---|---|
# | rate 4 | far | stride 4 |
# | rate 1 | not far | stride 4 |
# | rate 1 behind two more halvings | as far as rate 4 | stride 16 |


# %%
def network(rates, stride=4, width=12):
    """A DeepLab in small: (batch, rows, columns, 1) -> probabilities of three classes."""
    keras.utils.set_random_seed(SEED)
    image = keras.Input((None, None, 1))
    x = conv(image, width, 3, name="conv1")
    for name, channels in (("conv2", width), ("conv3", 2 * width)):
        x = conv(x, channels, 3, 2, name=name)
    if stride > 4:  # a pooling of one position only leaves out
        x = keras.layers.MaxPooling2D(1, stride // 4)(x)
    x = enlarge(head(x, 3, rates, 2 * width, dropout=0), stride)
    x = keras.layers.Activation("softmax", dtype="float32")(x)
    return keras.Model(image, x, name="_".join(["rates", *map(str, rates)]))


ways = {"rate 4": ((4,), 4), "rate 1": ((1,), 4), "stride 16": ((1,), 16)}
for name, how in ways.items():
    model = network(*how)
    seen = keras.Model(model.input, model.get_layer("fc6").output)
    field = models.receptive_field(seen)[0]
    print(f"{name}: {model.count_params():,} weights, its head sees {field} x {field} pixels")

# %% [markdown]
# A ring's diameter is 30, so from a disc's middle a field of 31 is enough. **Before you run on**:
# order the three by Dice, best first.

# %%
my_order = ["rate 1", "rate 4", "stride 16"]  # change me

# %%
steps, epochs = lesson.scale(smoke=(2, 1), desktop=(20, 15), paper=(100, 30))


def poly(total):
    return keras.optimizers.schedules.PolynomialDecay(3e-3, total, 0.0, power=0.9)


def train(rates, stride=4, cases=rest, schedule=poly):
    """Train a network; all see the same patches in the same order."""
    model, side = network(rates, stride), cases[0].label.array.shape
    patches = data.Patches(cases, side, 8, augment=data.flip(), seed=SEED, steps=steps)
    loss = losses.WeightedCrossEntropy((1, 5, 5))  # discs are few pixels
    adam = lambda total: keras.optimizers.Adam(schedule(total))  # noqa: E731
    history = training.fit(model, patches, loss, adam, epochs=epochs)
    return model, history["loss"]


def maps_of(model, cases):
    """Probabilities of each case: (rows, columns, classes)."""
    images = np.stack([data.z_score(case.image.array) for case in cases])
    parts = np.array_split(images, -(-len(images) // 8))
    return np.concatenate([np.asarray(model(part, training=False)) for part in parts])


# %%
nets, found, curves = {}, {}, {}
for name, how in ways.items():
    nets[name], curves[name] = train(*how)
    found[name] = maps_of(nets[name], test)
    arms[name] = scores(test, found[name].argmax(-1))

# %%
order = sorted(ways, key=lambda name: -arms[name]["Dice"])
print("you said", my_order, "- it is", order)
plots.show(
    plots.show_curves(curves, f"epoch of {steps} steps", "loss on training pictures"),
    alt="Training loss of three networks: that of rate 4 falls lowest, that of stride 16 stays "
    "highest.",
)
Table({"arm": arm} | row for arm, row in arms.items())

# %% [markdown]
# The held-back picture on which rate 1 does worst; what the networks say is dashed.

# %%
each = [
    np.mean(metrics.dice(case.label.array, one.argmax(-1), 3)[1:])
    for case, one in zip(test, found["rate 1"], strict=True)
]
place = int(np.argmin(each))
figure, axes = plt.subplots(1, 3, figsize=(7, 2.7), layout="constrained")
for panel, (name, values) in zip(axes, found.items(), strict=True):
    label = values[place].argmax(-1)
    plots.show_image(test[place].image, test[place].label.array, label, title=name, axes=panel)
plots.show(
    figure,
    alt="Dashed outlines of the three on one picture. Rate 4 follows both discs in their colours; "
    "rate 1 mixes colours on a disc; stride 16 draws lumps that miss the discs' shape.",
)

# %%
SPREAD = 0.03  # Dice: so much do gains differ from start to start; one within it is undecided


def judge(text, arm, twin, source, why=""):
    measured, against = arms[arm]["Dice"], arms[twin]["Dice"]
    better = measured > against
    lesson.claim(
        text,
        what="mean Dice of both classes",
        measured=measured,
        against=against,
        spread=SPREAD,
        holds=better,
        why="" if measured > against + SPREAD else why,
        source=source,
    )


judge("(b) a rate of 4 sees what lies far away", "rate 4", "rate 1", "Chen 2016")
judge("(c) and keeps the map fine", "rate 4", "stride 16", "Chen 2016, section 3.1")

# %% [markdown]
# Rate 1 finds discs well, but sees a ring from a disc's edge at best; in the middle it has to guess.
# Stride 16 sees the ring and cannot draw the disc, which is smaller than the distance of its
# positions. With the same weights, rate 4 does both.
#
# ## Objects of several sizes
#
# Now discs and their rings come in three sizes; rings lie 9, 15 or 22 pixels from the middle. A
# single rate $r$ looks at its own position and at one about $4 r$ pixels away, and not in between.
# ASPP takes several at once. The fair twin has as many branches, all of one rate: equal weights.
# **Predict**: does rate 4 alone, which looks at the middle ring, lose much?

# %%
scales = (0.6, 1, 1.5)
many = data.phantoms.ringed_discs(
    count, seed=SEED + 1, size=lesson.scale(smoke=113, desktop=113), scales=scales
)
many_rest, many_test = data.split_by_subject(many, (0.75, 0.25), seed=SEED)
pyramid, twins = (2, 4, 6), {"three of rate 4": (4,) * 3, "three of rate 6": (6,) * 3}
several = {}
for name, rates in {"rates 2, 4, 6": pyramid, **twins}.items():
    several[name], _ = train(rates, cases=many_rest)
    arms[name] = scores(many_test, maps_of(several[name], many_test).argmax(-1))
Table({"arm": arm} | row for arm, row in arms.items() if arm in several)

# %%
best_twin = max(twins, key=lambda name: arms[name]["Dice"])
judge(
    "(d) several rates see objects of several sizes",
    *("rates 2, 4, 6", best_twin),
    "Chen 2016",
    why="one rate already reaches what decides",
)

# %% [markdown]
# The twin in the table of claims is the better of the two. Where all objects have one size, as
# before, ASPP has nothing to gain; the paper's pictures hold cars near and far.
#
# What does each branch say? Class 1 minus class 2, on a picture with discs of different sizes:

# %%
radii = [[np.sum(case.label.array == k) for k in (1, 2)] for case in many_test]
place = int(np.argmax([max(pair) / min(pair) for pair in radii]))
model, case = several["rates 2, 4, 6"], many_test[place]
layers = [model.get_layer(f"score_{branch}").output for branch in (1, 2, 3)]
says = keras.Model(model.input, layers)(data.z_score(case.image.array)[None])
shown = {"picture": case.image.array[..., 0]}
for rate, values in zip(pyramid, says, strict=True):
    shown[f"rate {rate}"] = np.asarray(values)[0, ..., 1] - np.asarray(values)[0, ..., 2]
plots.show(
    plots.show_maps(shown),
    alt="A picture with a large and a small disc, and for each of three branches a coarse map of its "
    "scores for class 1 minus those for class 2.",
)

# %% [markdown]
# ## A dense CRF, by hand
#
# The map has stride 4, so borders are drawn with a broad brush. DeepLab lets the *image* correct them
# afterwards. In a conditional random field each pixel $i$ has evidence $P_i$, and each **pair** of
# pixels, however far apart, prefers to agree, the more so the nearer they lie and the more alike
# their greys are:
#
# $$k_{ij} = w_1 e^{-|p_i-p_j|^2/2\alpha^2 - |I_i-I_j|^2/2\beta^2} + w_2 e^{-|p_i-p_j|^2/2\gamma^2}$$
#
# A label costs $-\log P_i$ at each pixel, plus $k_{ij}$ for each pair that disagrees. Twelve pixels,
# the left half grey 50, the right half 150; two of them are judged wrongly.

# %%
grey = np.repeat([[50, 50, 150, 150]], 3, axis=0)[..., None]
foreground = np.array([[0.2, 0.3, 0.8, 0.9], [0.1, 0.6, 0.45, 0.8], [0.2, 0.3, 0.7, 0.9]])
P = np.stack([1 - foreground, foreground], axis=-1)
how = {"w1": 1, "alpha": 2, "beta": 20, "w2": 0.5, "gamma": 1}
pairs = methods.pair_weights(grey, **how)
one, left, right = 5, 4, 6  # pixel (1, 1), its neighbours of equal and of other grey
print(f"pair of equal grey {pairs[one, left]:.3f}, across the edge {pairs[one, right]:.3f}")

# %% [markdown]
# **Mean field**: every pixel listens to all others, $\sum_j k_{ij} Q_j$, and multiplies its evidence
# by the exponential of what it hears. Pixel (1, 1) says 0.6 foreground, wrongly. **Predict** what it
# says after it has listened once.

# %%
heard = pairs[one] @ P.reshape(12, 2)
votes = P[1, 1] * np.exp(heard)
by_package = methods.dense_crf(grey, P, **how, iterations=1, normalize=None)[1, 1, 1]
print(f"it hears {heard[0]:.2f} for background and {heard[1]:.2f} for foreground")
print(f"by hand {votes[1] / votes.sum():.4f}, package {by_package:.4f}")

# %%
q = methods.dense_crf(grey, P, **how, normalize=None)
first, last = (values.argmax(-1) for values in (P, q))
labels = (np.indices((2,) * 12).reshape(12, -1).T).reshape(-1, 3, 4)
cheapest = min(methods.energy(label, P, pairs) for label in labels)
print(
    f"energy before {methods.energy(first, P, pairs):.2f}, after {methods.energy(last, P, pairs):.2f}"
)
print(f"the cheapest of all {len(labels)} labels costs {cheapest:.2f}")
maps = {"foreground, P": foreground, "after ten updates": q[..., 1]}
maps["P taken for -log P"] = methods.dense_crf(
    grey, np.exp(-P) / np.exp(-P).sum(-1, keepdims=True), **how, normalize=None
)[..., 1]
plots.show(
    plots.show_maps(maps),
    alt="Twelve pixels. The network's foreground is bright at the right with two errors; after ten "
    "updates left is dark and right bright; with the logarithm forgotten it is the other way round.",
)

# %% [markdown]
# The third map is the commonest mistake with CRF libraries: they want $-\log P$, and given $P$ they
# turn the picture round. Ours takes probabilities.
#
# One more trap. The authors' code does not compute this formula: a pixel listens to itself, too, and
# each kernel is divided by its sum. The published $w_1 = 4$, $w_2 = 3$ belong to that code. In the
# formula they overwhelm all evidence; so never compare weights across the two.

# %%
for name, weights in {"mild": {}, "published": {"w1": 4, "w2": 3}}.items():
    for convention in (None, "rows"):
        row = methods.dense_crf(grey, P, **how | weights, normalize=convention)[1, :, 1]
        kind = "as released" if convention else "the formula"
        print(f"{name:9} weights, {kind}: middle row", row.round(4))

# %% [markdown]
# ## Against the twin: does it sharpen?
#
# On the maps of rate 4. Its weights are chosen on pictures that the network learned from, never on
# those it is scored on. The twin may smooth the maps as it likes, but does not look at the image
# ($w_1 = 0$); it is chosen in the same way.

# %%
own = rest[: lesson.scale(smoke=1, desktop=6, paper=50)]
own_maps = maps_of(nets["rate 4"], own)


def refined(cases, maps, how):
    """Labels after a dense CRF."""
    pairs = zip(cases, maps, strict=True)
    return [methods.dense_crf(case.image.array, one, **how).argmax(-1) for case, one in pairs]


def chosen(choices):
    return max(choices, key=lambda how: scores(own, refined(own, own_maps, how))["Dice"])


near = {"alpha": 6, "beta": 24, "gamma": 1}
seeing = chosen([near | {"w1": w1, "w2": w2} for w1, w2 in ((2, 1), (5, 1), (5, 5))])
blind = chosen([near | {"w1": 0, "w2": w2, "gamma": g} for w2, g in ((2, 1), (2, 3), (5, 3))])
arms["rate 4, CRF"] = scores(test, refined(test, found["rate 4"], seeing))
arms["rate 4, smoothed"] = scores(test, refined(test, found["rate 4"], blind))
print("chosen:", seeing)
Table({"arm": arm} | arms[arm] for arm in ("rate 4", "rate 4, smoothed", "rate 4, CRF"))

# %%
measured, against = (arms[f"rate 4, {arm}"]["wrong at borders"] for arm in ("CRF", "smoothed"))
lesson.claim(
    "(e) a dense CRF sharpens borders",
    what="share of wrong pixels within 2 of a border",
    measured=measured,
    against=against,
    holds=measured < against,
    source="Chen 2016",
)

# %%
each = [
    metrics.boundary_error(case.label.array, one.argmax(-1))
    for case, one in zip(test, found["rate 4"], strict=True)
]
worst = int(np.argmax(each))
case, values = test[worst], found["rate 4"][worst]
after = {"rate 4": values.argmax(-1), "CRF": refined([case], [values], seeing)[0]}
figure, axes = plt.subplots(1, 2, figsize=(6.2, 3.6), layout="constrained")
for panel, (name, label) in zip(axes, after.items(), strict=True):
    plots.show_error(case.image, case.label.array > 0, label > 0, title=name, axes=panel)
plots.show(
    figure,
    alt="The picture with the worst borders, twice: rims of error around the discs, and much thinner "
    "ones after the CRF.",
)

# %% [markdown]
# That is a great deal, and more than one should expect elsewhere: here grey values part disc and
# surroundings perfectly, and only the class needed a network. What of the class? Rate 1 is often in
# doubt about it, so let the same CRF refine its maps. **Predict**: how many of its wrong objects
# become right?

# %%
arms["rate 1, CRF"] = scores(test, refined(test, found["rate 1"], seeing))
measured, against = (arms[arm]["wrong objects %"] for arm in ("rate 1, CRF", "rate 1"))
lesson.claim(
    "(f) it also mends objects of the wrong class",
    what="wrong objects of rate 1, per cent",
    measured=measured,
    against=against,
    spread=101 / (2 * len(test)),  # one disc, and a hair
    holds=measured < against,
    why="nothing in its energy knows of rings",
    source="our measurement",
)
Table({"arm": arm} | arms[arm] for arm in ("rate 1", "rate 1, CRF"))

# %% [markdown]
# A disc that was of two minds becomes of one, and Dice rises for that. Which one, the majority
# decides, or whatever lies near; no term of the energy looks for a ring. A single disc that changes
# sides is luck, so we call that undecided: from three starts none, one and one of 64 were mended.
#
# ### What it does to thin things
#
# Probe until it breaks. Bright lines, 1 to 8 pixels wide, half as bright as the discs, the same
# noise. The "network" judges each pixel by its grey alone, as well as that can be done. Then the
# same CRF, with the same weights. **Predict**: how much of each line is left?

# %%
widths, starts = (1, 2, 3, 5, 8), (6, 16, 27, 39, 54)
lines = np.zeros((69, 69), int)
for width, start in zip(widths, starts, strict=True):
    lines[8:61, start : start + width] = 1
image = (80 + 40 * lines + rng.normal(0, 20, lines.shape))[..., None]
sure = 1 / (1 + np.exp(-(image[..., 0] - 100) / 10))  # of two equally frequent greys
after = methods.dense_crf(image, np.stack([1 - sure, sure], axis=-1), **seeing)[..., 1]
kept = Table()
for width, start in zip(widths, starts, strict=True):
    part = (slice(8, 61), slice(start, start + width))
    row = {"pixels wide": width, "found before": float((sure[part] > 0.5).mean())}
    kept.append(row | {"found after": float((after[part] > 0.5).mean())})
outside = [float((values > 0.5)[lines == 0].mean()) for values in (sure, after)]
print(f"invented beside the lines: before {outside[0]:.1%}, after {outside[1]:.1%}")
kept

# %%
plots.show(
    plots.show_maps({"judged by grey": sure, "after the CRF": after}),
    alt="Five vertical lines in noise; judged by grey they are all there among specks; after the CRF "
    "few specks are left, the widest line stands, and thin ones are gone or in pieces.",
)
lesson.claim(
    "(g) thin faint lines survive it",
    what="share of a line of one pixel that is found",
    measured=kept[0]["found after"],
    against=kept[0]["found before"],
    holds=kept[0]["found after"] >= kept[0]["found before"],
    why=""
    if kept[0]["found after"] >= kept[0]["found before"]
    else "outvoted by what surrounds it",
    source="our measurement",
)

# %% [markdown]
# The same agreement that removes specks removes thin things: a pixel of a thin line hears more
# strangers than relatives. For vessels, membranes and small lesions, look before you refine.
#
# ## How the rate falls
#
# DeepLab's authors gained 1.2 points of IoU by another schedule alone: rate $\cdot (1 -
# \mathrm{step}/\mathrm{steps})^{0.9}$ in place of a tenth every so often. Keras has it, as
# `PolynomialDecay` (all trainings above used it). The twin divides the same first rate by 10 at a
# half and at three quarters.


# %%
def by_steps(total):
    bounds = [max(1, total // 2), max(2, 3 * total // 4)]
    return keras.optimizers.schedules.PiecewiseConstantDecay(bounds, [3e-3, 3e-4, 3e-5])


stepped, curves["steps"] = train((4,), schedule=by_steps)
arms["steps"] = scores(test, maps_of(stepped, test).argmax(-1))
total = steps * epochs
falling = {
    name: [float(f(total)(k)) for k in range(total)]
    for name, f in {"poly": poly, "steps": by_steps}.items()
}
plots.show(
    plots.show_curves(falling, "step", "learning rate"),
    alt="Two learning rates over the training: poly falls almost straight to 0, steps stays high, "
    "then falls to a tenth twice.",
)
judge(
    "(h) a rate that falls as a polynomial beats steps",
    *("rate 4", "steps", "Chen 2016"),
    why="in so few steps both reach the same; the paper took thousands",
)

# %% [markdown]
# ## On real skin
#
# `PH2`, the folds of lesson 05: LargeFOV, ASPP-S, ASPP-L on a narrow VGG-16 from random weights,
# rates halved as the map has half the paper's positions; "no atrous" is LargeFOV with a classifier's
# strides, equal weights. Each as it is, after a CRF that was chosen on images held aside, and after
# smoothing that does not look. `make results LESSON=11` measures it again. On VOC 2012 the paper
# reports, before and after its CRF: LargeFOV 65.8 and 69.8, ASPP-S 67.0 and 69.7, ASPP-L 69.0 and
# 71.6 per cent of mean IoU. (After the CRF ASPP-S is *not* better than LargeFOV.)

# %%
real = lesson.results("11_deeplab")
real and lesson.over_seeds(real, ["jaccard", "dice", "boundary_error"])


# %%
def on_skin(text, arm, twin, score, what):
    """An arm against its twin on real skin, over the seeds; a smaller error is better."""
    of = {name: [r[score] for r in real["rows"] if r["arm"] == name] for name in (arm, twin)}
    gains = np.subtract(of[arm], of[twin]) * (-1 if "error" in score else 1)
    lesson.claim(
        text,
        what=f"{what} on PH2, {arm} and {twin}",
        measured=np.mean(of[arm]),
        against=np.mean(of[twin]),
        spread=np.std(gains, ddof=1) if len(gains) > 1 else None,
        holds=gains.mean() > 0,
        source="Chen 2016",
    )


if real:
    on_skin("(i) atrous helps on real skin", "LargeFOV", "no atrous", "jaccard", "Jaccard")
    crf = ("LargeFOV, CRF", "LargeFOV, smoothed", "boundary_error", "wrong pixels near borders")
    on_skin("(j) and a CRF its borders", *crf)

# %% [markdown]
# ## Your turn
#
# ### 1 An atrous convolution
#
# Write `atrous_by_slices(picture, kernel, rate)`: picture (rows, columns), kernel (3, 3), no flip,
# zeros outside, a result of the picture's size. `np.pad` and slices will do.


# %%
def atrous_by_slices(picture, kernel, rate):
    ### BEGIN SOLUTION
    rows, columns = picture.shape
    padded = np.pad(picture, rate)
    result = np.zeros(picture.shape)
    for i in range(3):
        for j in range(3):
            down, right = i * rate, j * rate
            result += kernel[i, j] * padded[down : down + rows, right : right + columns]
    return result
    ### END SOLUTION


lesson.exercise(l11.check_atrous, atrous_by_slices)

# %% [markdown]
# ### 2 Mean field
#
# Write `mean_field(found, pairs, iterations)`: `found` holds probabilities (pixels, classes), `pairs`
# the weights $k_{ij}$ (pixels, pixels) with zeros for a pixel and itself. All pixels are updated at
# once, starting from what was found.


# %%
def mean_field(found, pairs, iterations):
    ### BEGIN SOLUTION
    q = found
    for _ in range(iterations):
        q = found * np.exp(pairs @ q)
        q = q / q.sum(axis=-1, keepdims=True)
    return q
    ### END SOLUTION


lesson.exercise(l11.check_mean_field, mean_field)

# %% [markdown]
# ### 3 The poly schedule
#
# Write `poly_rate(step, steps, base)`, of power 0.9, for any step: behind the last one the rate is 0.


# %%
def poly_rate(step, steps, base):
    ### BEGIN SOLUTION
    return base * max(0.0, 1 - step / steps) ** 0.9
    ### END SOLUTION


lesson.exercise(l11.check_poly, poly_rate)

# %% [markdown]
# ## What we learned
#
# - Leave a halving out and double the rates behind it: the same weights see as far, on a finer map.
# - Rates choose at which distance one looks; several at once serve objects of several sizes, and
#   weigh the same as one rate several times.
# - A dense CRF moves borders to the image's edges. It decides no classes, and thin faint things pay
#   for it.
#
# **What it cannot do.** Stride 8 stays stride 8: what is smaller has to come back from the image, by
# a CRF, or from finer maps, by skips (lesson 03). Rates larger than the map leave only the middle
# tap, so they have to be scaled with it. And the published network had seen ImageNet and COCO: what
# such a start is worth is the subject of lesson 12.

# %% tags=["claims"]
lesson.claims_table()

# %% [markdown]
# **References.** L.-C. Chen, G. Papandreou, I. Kokkinos, K. Murphy, A. L. Yuille, *DeepLab: Semantic
# Image Segmentation with Deep Convolutional Nets, Atrous Convolution, and Fully Connected CRFs*, IEEE
# TPAMI 2018 (arXiv 2016). P. Krähenbühl, V. Koltun, *Efficient Inference in Fully Connected CRFs with
# Gaussian Edge Potentials*, NIPS 2011. A. Adams, J. Baek, M. A. Davis, *Fast High-Dimensional
# Filtering Using the Permutohedral Lattice*, Computer Graphics Forum 2010. M. Everingham et al., *The
# PASCAL Visual Object Classes Challenge*, IJCV 2010. T. Mendonca et al., *PH2: a dermoscopic image
# database for research and benchmarking*, EMBC 2013.
