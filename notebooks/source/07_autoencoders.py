# %% [markdown]
# # 07 Autoencoders: features that nobody labelled
#
# - **You will see** networks that learn without labels, by restoring what they are shown from a
#   short code; and the code used to find optic nerves and an infant's hippocampus.
# - **You will measure** what depth, convolution, noise and training layer by layer are worth, and
#   whether a learned code beats PCA, grey values and plain patches.
# - **It takes** about two minutes on two cores (*desktop* scale), seconds at *smoke* scale.
# - **It builds on** the scores of lesson 00 and the poolings of lesson 02.
# - **You need** nothing to download: pathways and infants are simulated.

# %% tags=["setup"]
import keras
import matplotlib.pyplot as plt
import numpy as np

from medseg_tf import data, lesson, methods, metrics, models, plots, training
from medseg_tf.lesson.exercises import l07
from medseg_tf.table import Table

# Layers this narrow gain nothing from 16 bits.
precision = training.set_precision("float32")

# %% [markdown]
# ## The claim
#
# The review says: expert labels are dear, so let layers learn spatial features without them. The
# *autoencoder* is the classic way: an encoder turns the input into a vector much shorter than it, a
# decoder restores the input from that vector. Stacked in many layers it is a *stacked autoencoder*
# (SAE). Two uses are told. Mansoor et al. (2016) find the visual pathway, thin and hard to tell from
# its surroundings, by SAE features and a *partitioned* model of left nerve, right nerve and chiasm:
# Dice 0.779, in healthy and diseased tissue alike, and most useful where contrast is low. Guo et al.
# (2014) find the hippocampus of infants, where adults' methods fail, by features of T1 *and* T2.
#
# Kind corrections before we start.
#
# - The paper cited for the autoencoder is Inception-v3, which has none. The roots are Rumelhart,
#   Hinton, Williams 1986; Hinton, Salakhutdinov 2006; Bengio et al. 2007; Vincent et al. 2010.
# - Mansoor et al. *use* the SAE, they did not invent it. Their abstract says as robust as *manual*
#   segmentation, not as conventional methods. 0.779 is the whole pathway with the optic tracts;
#   the nerve alone has 0.791.
# - The review tells of convolution and pooling. As far as we know both papers feed patches as plain
#   vectors to dense layers; so do we.
#
# | claim | twin |
# |---|---|
# | (a) a linear autoencoder finds the plane of PCA | PCA |
# | (b) depth, and convolution, restore better | PCA, a code of equal length |
# | (c) the code alone restores the image, even beside switches | another image's switches |
# | (d) a code learned under noise is more robust | the same network, no noise |
# | (e) training layer by layer helps | as many epochs, all at once |
# | (f) learned features beat grey values, most where contrast is low | 3 x 3 grey values |
# | (g) learned features beat PCA | PCA, equally long |
# | (h) three contrasts beat one | T1 alone |
# | (i) a shape model for each part beats one of all | one model |
# | (j) one method serves healthy and swollen | the healthy |
# | (k) infants: learned T1 and T2 features | majority vote, T1 alone, plain patches |
# | (l) on real scans | measured results |

# %% [markdown]
# ## The data
#
# Optic nerves run from the eyes to the *chiasm*, where they cross. Class 1 is the left nerve, 2 the
# right one, 3 the chiasm. The nerves are 3 mm thin, they fade towards the chiasm, and muscles and
# vessels beside them look as they do in T1. Half of the cases have a tumour-like swelling. The real
# images are not public, so these are simulated, in T1, T2 and FLAIR.

# %%
SEED = 0
count = lesson.scale(smoke=4, desktop=18, paper=60)
groups = {"healthy": data.phantoms.visual_pathway(count, seed=SEED)}
groups["swollen"] = data.phantoms.visual_pathway(count, seed=SEED + 1, swollen=True)
rest, test = [], {}
for name, cases in groups.items():
    learn, test[name] = data.split_by_subject(cases, (4 / 9, 5 / 9), seed=SEED)
    rest += learn
lesson.banner(groups["healthy"] + groups["swollen"], "thin nerves, exact truth, two groups")
print(f"{len(rest)} to learn from, held back:", {name: len(some) for name, some in test.items()})


def plane(array):
    """An array (x, y) with the front up."""
    return np.asarray(array).T[::-1]


# %%
well, ill = test["healthy"][0], test["swollen"][0]
figure, axes = plt.subplots(1, 5, figsize=(9.6, 1.9), layout="constrained")
for channel, name in enumerate(["T1", "T2", "FLAIR"]):
    plots.show_image(plane(well.image.array[..., channel]), title=name, axes=axes[channel])
for panel, case, name in zip(axes[3:], (well, ill), test, strict=True):
    picture, label = plane(case.image.array[..., 0]), plane(case.label.array)
    plots.show_image(picture, label, title=f"{name}, truth on T1", axes=panel)
plots.show(
    figure,
    alt="One head from below in T1, T2 and FLAIR: two round eyes, faint lines behind them. Then "
    "the truth: two thin nerves that meet in a short chiasm; in the swollen case with a ball.",
)

# %% [markdown]
# ### Landmarks, and a baseline that looks at no image
#
# We describe a part by landmarks on its middle line, evenly spaced from end to end, so that they
# correspond from case to case. Painted back as tubes they give a label: the union of all parts, whose
# ends are not tied together. The baseline: all parts at their mean place. The last row is the
# *ceiling*: the true landmarks, painted. What no tube of this thickness can hold, no feature will
# find.

# %%
ALONG = [(0, -1), (0, -1), (1, 0)]  # nerves run backwards, the chiasm from left to right
RADII, POINTS, MM = (2.0, 2.0, 2.6), lesson.scale(smoke=6, desktop=14), 0.8


def landmarks(case):
    """The middle lines of the three parts: three (points, 2), voxels."""
    label = case.label.array
    return [methods.centre_line(label == p, POINTS, a) for p, a in enumerate(ALONG, start=1)]


def scores(find, cases):
    """Means over cases: Dice of the pathway, of nerves, of the chiasm; mm between landmarks."""
    rows = []
    for case in cases:
        lines, truth = find(case), case.label.array.astype(int)
        found = methods.draw_parts(lines, RADII, truth.shape).astype(int)
        parts = metrics.dice(truth, found, 4)
        whole = metrics.dice((truth > 0) + 0, (found > 0) + 0)[1]
        gaps = np.subtract(lines, landmarks(case))
        off = MM * np.linalg.norm(gaps, axis=-1).mean()
        rows.append([whole, np.mean(parts[1:3]), parts[3], off])
    return dict(zip(("pathway", "nerves", "chiasm", "mm off"), np.mean(rows, 0), strict=True))


# %%
images = [data.z_score(case.image.array) for case in rest]
lines = [landmarks(case) for case in rest]
arms = {}


def enter(arm, find):
    """Score an arm on both groups."""
    for group, cases in test.items():
        arms[arm, group] = {name: float(x) for name, x in scores(find, cases).items()}


def table(*names):
    return Table({"arm": arm, "group": group} | arms[arm, group] for arm in names for group in test)


mean_lines = np.mean(lines, axis=0)
enter("mean place", lambda case: mean_lines)
enter("true landmarks", landmarks)
table("mean place", "true landmarks")

# %% [markdown]
# ## The idea by hand
#
# ### A code of one number
#
# Four points on paper, (2, 1), (-2, -1), (1, 2), (-1, -2). You may send one number a point. The best
# linear code is the position along the direction of largest variance; what is lost is the variance
# across it. **Predict** the direction from the points before you run.

# %%
points = np.array([(2, 1), (-2, -1), (1, 2), (-1, -2)], "float32")
values, vectors = np.linalg.eigh(points.T @ points / 4)
print("variances", values, "direction", abs(vectors[:, 1]).round(3))
code = points @ vectors[:, 1:]  # the encoder
restored = code @ vectors[:, 1:].T  # the decoder
print("restored:", restored.round(2).tolist())
print("mean squared error of a coordinate:", np.mean((restored - points) ** 2).round(4))

# %% [markdown]
# ### A network that does the same
#
# An autoencoder of one layer: $h = s(xW + b)$ is the code, $x' = hV + c$ the restored input, and
# training lowers the mean of $(x' - x)^2$. Nobody labels anything. In numpy, beside the package:

# %%
small = models.autoencoder((2,), (1,))
(w, b), (v, c) = (small.get_layer(name).get_weights() for name in ("encode1", "decode1"))
by_hand = 1 / (1 + np.exp(-(points @ w + b))) @ v + c
difference = abs(by_hand - np.asarray(small(points))).max()
print(f"largest difference to the package: {difference:.0e}")
for shape, widths in [((784,), (32,)), ((363,), (128, 64, 32)), ((16, 16, 1), (8, 16, 16, 8))]:
    network = models.autoencoder(shape, widths, up="nearest")
    code = network.get_layer("code").output.shape[1:]
    print(f"{shape} by {widths} to a code of {code}: {network.count_params():,} weights")

# %% [markdown]
# ### Without the sigmoid
#
# Leave out $s$ and the biases: a *linear* autoencoder. Baldi and Hornik (1989): its best solution is
# PCA. We train one by gradient descent on patches of T1, nine by nine, to a code of three numbers,
# and compare. **Predict**: the same error? The same three pictures in the decoder?

# %%
from scipy.linalg import subspace_angles
from sklearn.decomposition import PCA


def cut(scans, side, per_scan, seed):
    """Patches from random places of each scan: (patches, side, side, channels)."""
    drawn = [
        methods.draw_patches(one, per_scan, side, seed=np.random.default_rng((seed, number)))
        for number, one in enumerate(scans)
    ]
    return np.concatenate(drawn)


def error(restored, x):
    return float(np.mean((np.asarray(restored) - x) ** 2))


x = cut([one[..., :1] for one in images], 9, lesson.scale(smoke=20, desktop=250), SEED)
x = x.reshape(len(x), -1)
x -= x.mean(axis=0)
pca = PCA(3).fit(x)
keras.utils.set_random_seed(SEED)
linear = models.autoencoder((81,), (3,), hidden=None, bias=False)
for rate in lesson.scale(smoke=(1e-2,), desktop=(1e-2, 1e-3)):  # steps that get smaller
    methods.greedy(linear, x, 0, lesson.scale(smoke=1, desktop=40), batch=250, learning_rate=rate)

# %%
decoder = linear.get_layer("decode1").get_weights()[0]
angles = np.rad2deg(subspace_angles(decoder.T, pca.components_.T))
print("degrees between the two planes:", angles.round(2))
print("lengths and products of the decoder's pictures:\n", (decoder @ decoder.T).round(2))
pca_error = error(pca.inverse_transform(pca.transform(x)), x)
lesson.claim(
    "(a) a linear autoencoder finds the plane of PCA",
    what="mean squared error, code of 3",
    measured=error(linear(x), x),
    against=pca_error,
    holds=error(linear(x), x) < 1.001 * pca_error,
    source="Baldi, Hornik 1989",
)
figure, axes = plt.subplots(1, 6, figsize=(9, 1.9), layout="constrained")
for panel, picture, name in zip(axes, [*pca.components_, *decoder], "123123", strict=True):
    kind = "PCA" if panel in axes[:3] else "decoder"
    panel.imshow(
        plane(picture.reshape(9, 9)), cmap="RdBu_r", norm=plt.matplotlib.colors.CenteredNorm()
    )
    panel.set(title=f"{kind} {name}", xticks=[], yticks=[])
plots.show(
    figure,
    alt="Nine by nine pixels each: PCA's components are a blob, then two slopes at right angles. The "
    "decoder's pictures are mixtures of these three, tilted and of other strength.",
)

# %% [markdown]
# The same error, the same plane, other pictures: the network fixes the *subspace* only. Components
# in order, each at a right angle to the others, are PCA's own. So whoever draws a linear
# autoencoder has drawn PCA, and PCA is the twin to beat from here on.
#
# ## Predict, then run: depth and convolution
#
# What is PCA bad at? Thin things that move. A bright line one pixel further left is, pixel by pixel,
# as different as any other line. We take the bare shapes of nerves, 16 x 16 pixels of 0 and 1, and
# allow a code of eight numbers. **Before you run on**: by which factor does a deep autoencoder lower
# PCA's error? And does a single layer with a bent activation?

# %%
my_factor = 1.0  # change me


def shapes(count, seed):
    """Bare shapes of unlike pathways, (patches, 16, 16, 1), those that hold some."""
    cases = data.phantoms.visual_pathway(count, seed=seed)
    scans = [(case.label.array > 0).astype("float32")[..., None] for case in cases]
    patches = cut(scans, 16, 15, seed)
    return patches[patches.mean(axis=(1, 2, 3)) > 0.05]


curves, unseen = (
    shapes(lesson.scale(smoke=6, desktop=160), 100),
    shapes(lesson.scale(smoke=3, desktop=40), 101),
)
print(len(curves), "shapes to learn from,", len(unseen), "of other cases to restore")


# %%
CODE = 8
plots.show(
    plots.show_network(models.autoencoder((16, 16, 1), (8, 16, 16, CODE), up="nearest")),
    alt="The convolutional autoencoder: four convolutions with a pooling each lead from 16 x 16 "
    "pixels down to a code of 1 x 1 x 8, four enlargements with a convolution each back up.",
)

# %%
epochs = lesson.scale(smoke=1, desktop=40, paper=400)
flat, flat_unseen = (some.reshape(len(some), -1) for some in (curves, unseen))


def learned(x, widths, epochs=epochs, **how):
    """An autoencoder, ELU within, trained all at once."""
    keras.utils.set_random_seed(SEED)
    how = {"hidden": "elu", "up": "nearest"} | how
    model = models.autoencoder(x.shape[1:], widths, **how)
    methods.greedy(model, x, 0, epochs, learning_rate=2e-3, seed=SEED)
    return model


pca = PCA(CODE if len(flat) > CODE else 2).fit(flat)
restored = {"PCA": pca.inverse_transform(pca.transform(flat_unseen))}
weights = {"PCA": pca.components_.size + pca.mean_.size}
for name, widths in {"one layer": (CODE,), "three layers": (128, 64, CODE)}.items():
    model = learned(flat, widths)
    restored[name], weights[name] = np.asarray(model(flat_unseen)), model.count_params()
model = learned(curves, (8, 16, 16, CODE), epochs=epochs * 3 // 4)
restored["convolution"] = np.asarray(model(unseen)).reshape(flat_unseen.shape)
weights["convolution"] = model.count_params()

# %%
errors = {name: error(one, flat_unseen) for name, one in restored.items()}
print(f"you said {my_factor}, it is {errors['PCA'] / errors['three layers']:.2f}")
print(f"variance: {flat_unseen.var():.4f}")
NOISE = 0.002  # what another seed changes, on three seeds of the deep one
for arm, what in {"three layers": "depth", "convolution": "convolution"}.items():
    lesson.claim(
        f"(b) {what} restores better than PCA: bare curves",
        what="mean squared error, code of 8",
        measured=errors[arm],
        against=errors["PCA"],
        spread=NOISE,
        holds=errors[arm] < errors["PCA"],
        source="Hinton, Salakhutdinov 2006, figure 2",
    )
Table({"arm": arm, "weights": weights[arm], "error": one} for arm, one in errors.items())

# %%
shown = {"unseen": flat_unseen} | restored
figure, axes = plt.subplots(len(shown), 8, figsize=(7.4, 4.6), layout="constrained")
for row, (name, some) in zip(axes, shown.items(), strict=True):
    row[0].set_ylabel(name, rotation=0, ha="right", va="center")
    for panel, picture in zip(row, some[:8], strict=False):
        panel.imshow(plane(picture.reshape(16, 16)), cmap="cividis", vmin=0, vmax=1)
    for panel in row:
        panel.set(xticks=[], yticks=[])
plots.show(
    figure,
    alt="Eight unseen shapes and what each arm restores of them from eight numbers: PCA and a single "
    "layer give smears, three layers and the convolutional network curves with clear borders.",
)

# %% [markdown]
# It takes layers on both sides of the code: one layer cannot bend the plane, whatever its
# activation. The convolutional network does it with a ninth of the weights or so.
#
# ### Pooling, and the switches that pass by the code
#
# A convolutional encoder pools; the decoder has to enlarge again. *Unpooling* puts each maximum back
# where it lay, and for that remembers the place, the *switch*. By hand:

# %%
from medseg_tf.layers import MaxPoolingWithIndices, MaxUnpooling

block = np.array([[1, 2, 5, 3], [4, 0, 1, 6], [7, 8, 2, 2], [3, 1, 0, 9]], "float32")
maxima, switches = MaxPoolingWithIndices()(block[None, ..., None])
back = MaxUnpooling()(maxima, switches, block[None, ..., None])
repeated = keras.layers.UpSampling2D()(maxima)
print("maxima", np.ravel(maxima).tolist(), "at", np.ravel(switches).tolist())
print(np.asarray(back)[0, ..., 0].astype(int))
print(
    "error unpooled", error(back[0, ..., 0], block), "repeated", error(repeated[0, ..., 0], block)
)

# %% [markdown]
# Four places are exactly right. But the switches do not go through the code, they go round it. How
# much of the image do they carry? We restore each shape from its own code and the switches of
# *another* shape. **Predict** the error.

# %%
unpool = learned(curves, (8, 4), epochs=epochs // 4, up="unpool")
names = ("encode1", "pool1", "encode2", "pool2")
tensors = [unpool.get_layer(name).output for name in names]
wide, (_, where1), narrow, (code, where2) = keras.Model(unpool.input, tensors)(unseen)


def decode(code, where2, where1):
    layer = unpool.get_layer
    x = layer("decode2")(layer("up2")(code, where2, narrow))
    return error(layer("decode1")(layer("up1")(x, where1, wide)), unseen)


def another(some):
    return keras.ops.roll(some, 1, axis=0)


# %%
print("another's code, own switches:", round(decode(another(code), where2, where1), 4))
repeats = learned(curves, (8, 4), epochs=epochs // 4)
print(f"repeating instead, equal weights: {error(repeats(unseen), unseen):.4f}")
own, swapped = decode(code, where2, where1), decode(code, another(where2), another(where1))
lesson.claim(
    "(c) the code alone restores the image, even beside switches",
    what="mean squared error with another's switches, and with its own",
    measured=swapped,
    against=own,
    holds=swapped < 2 * own,
    why="" if swapped < 2 * own else "the switches say where; the code does not know it",
    source="the review, of the code in the middle",
)

# %% [markdown]
# At equal weights unpooling restores better than repeating, because places pass by the code. But the
# code alone then no longer tells the shape: what was one vector has become two things. Whoever
# wants *features* lets nothing pass by the code; whoever wants sharp pictures may.
#
# ### Noise as a teacher
#
# A *denoising* autoencoder gets a corrupted input and has to restore the clean one (Vincent et al.
# 2010). The same network twice, once with noise of deviation 0.3 in training. **Predict** who
# restores the clean shapes better, and who the noisy ones.

# %%
rng = np.random.default_rng(SEED)
noisy = flat_unseen + rng.normal(0, 0.3, flat_unseen.shape)
rows = []
for name, noise in {"plain": 0.0, "denoising": 0.3}.items():
    model = learned(flat, (128, 64, CODE), noise=noise)
    clean, robust = (error(model(some), flat_unseen) for some in (flat_unseen, noisy))
    rows.append({"arm": name, "from clean": clean, "from noisy": robust})
lesson.claim(
    "(d) a code learned under noise is more robust",
    what="mean squared error from noisy input",
    measured=rows[1]["from noisy"],
    against=rows[0]["from noisy"],
    spread=NOISE,
    holds=rows[1]["from noisy"] < rows[0]["from noisy"],
    source="Vincent 2010",
)
Table(rows)

# %% [markdown]
# ## Against the twin: layer by layer, or at once?
#
# Around 2006 deep stacks of sigmoids did not learn. The way out was *greedy*: train the first layer
# as an autoencoder of its own, then the second one on the first one's codes, and so on; put all
# together and train on. The claim belongs to its time, so we ask it twice: with sigmoids, and with
# ELU, which does not saturate. Each twin gets as many epochs in all. Now on what we need it for:
# grey patches round the landmarks, 11 x 11 in three contrasts, 363 numbers to 32.

# %%
lesson.source(methods.greedy)

# %%
SIDE, widths = 11, lesson.scale(smoke=(16, 8), desktop=(128, 64, 32))
rounds = lesson.scale(smoke=1, desktop=8, paper=40)


def around(scans, lines, times=10):
    """Patches at places up to 8 voxels from the landmarks: (patches, values)."""
    drawn, rng = [], np.random.default_rng(SEED)
    for scan, own in zip(scans, lines, strict=True):
        places = np.repeat(np.concatenate(own), times, axis=0)
        places = places + rng.uniform(-8, 8, places.shape)
        drawn.append(methods.patches_at(scan, places, SIDE))
    return np.concatenate(drawn)


patches = around(images, lines)
well_scans = [data.z_score(case.image.array) for case in test["healthy"]]
new_patches = around(well_scans, [landmarks(case) for case in test["healthy"]])
pca = PCA(widths[-1]).fit(patches)
restoring = {"PCA": error(pca.inverse_transform(pca.transform(new_patches)), new_patches)}


# %%
def stacked(x, hidden="elu", layerwise=True, rounds=rounds, widths=widths):
    """A stacked autoencoder, trained layer by layer and together, or as long at once."""
    keras.utils.set_random_seed(SEED)
    model = models.autoencoder((x.shape[1],), widths, hidden=hidden)
    stages = (rounds, rounds) if layerwise else (0, rounds * (len(widths) + 1))
    return model, methods.greedy(model, x, *stages, seed=SEED)


nets, together = {}, {}
for hidden in ("sigmoid", "elu"):
    for how in ("layer by layer", "at once"):
        arm = f"{hidden}, {how}"
        nets[arm], history = stacked(patches, hidden, how == "layer by layer")
        together[arm] = [np.nan] * (rounds * len(history["layers"])) + history["together"]
        restoring[arm] = error(nets[arm](new_patches), new_patches)
plots.show(
    plots.show_curves(together, "epoch", "mean squared error"),
    alt="Training loss of four networks: the sigmoids at once fall slowly and end highest; those "
    "trained layer by layer begin where the layers ended; the two of ELU end lowest, alike.",
)
Table({"arm": arm, "error, unseen": one} for arm, one in restoring.items())

# %%
for hidden in ("sigmoid", "elu"):
    measured, against = (restoring[f"{hidden}, {how}"] for how in ("layer by layer", "at once"))
    better = measured < against - 0.01
    lesson.claim(
        f"(e) training layer by layer helps: {hidden}",
        what="mean squared error, unseen",
        measured=measured,
        against=against,
        spread=0.003,
        holds=measured < against,
        why="" if better else "units that do not saturate learn at once",
        source="Bengio 2007",
    )
best = min(one for arm, one in restoring.items() if arm != "PCA")
lesson.claim(
    "(b) depth restores better than PCA: grey patches",
    what="mean squared error, code of 32",
    measured=best,
    against=restoring["PCA"],
    spread=0.003,
    holds=best < restoring["PCA"],
    why="" if best < restoring["PCA"] else "what differs is mostly noise, and no code holds that",
    source="our measurement",
)

# %% [markdown]
# Here PCA restores best. The difference to the bare curves is noise: it fills all directions alike,
# and no code of 32 numbers, bent or not, can keep it. Does that make the learned *features* worse?
# Restoring is not what we want them for.
#
# ## Features that find thin and faint things
#
# Now the labels come in, for the last step alone. For each part a logistic regression learns, from
# the features of a place, whether it lies on the middle line; a *shape model* (Cootes et al. 1995)
# learns how the landmarks vary together. The search starts at the mean place; each landmark moves
# across the line to where the classifier likes it best, then the shape is made plausible again.
# Mansoor et al. give each part a shape model of its own. What parts are worth can be seen before
# any image is: how well can a shape model hold the *true* landmarks of unseen cases?


# %%
def held(case, parted):
    """True landmarks as the shape model holds them."""
    parts = list(zip(*lines, strict=True))
    if parted:
        pairs = zip(parts, landmarks(case), strict=True)
        return [methods.plausible(methods.shape_model(own), true) for own, true in pairs]
    whole = methods.shape_model([np.concatenate(own) for own in lines])
    return np.split(methods.plausible(whole, np.concatenate(landmarks(case))), len(parts))


enter("ceiling, parts", lambda case: held(case, True))
enter("ceiling, one shape", lambda case: held(case, False))
table("true landmarks", "ceiling, parts", "ceiling, one shape")

# %% [markdown]
# Now the search, with four kinds of features in the same search: nine grey values of each contrast;
# PCA; the SAE; the SAE of T1 alone. None of them has seen a label. **Before you run on**: which
# Dice will the SAE reach on healthy pathways, and how far ahead of the grey values?

# %%
my_sae, my_gain = 0.8, 0.1  # change me


# %%
def describe(encode, side=SIDE, channels=3):
    """What the search asks: features of places in an image."""

    def features(image, places):
        return np.asarray(encode(methods.patches_at(image[..., :channels], places, side)))

    return features


def search(arm, features, parted=True):
    model = methods.learn_parts(images, lines, features, parted=parted)
    steps = lesson.scale(smoke=2, desktop=12)

    def find(case):
        return methods.find_parts(model, data.z_score(case.image.array), features, steps=steps)

    enter(arm, find)
    return find


# %%
t1 = patches.reshape(len(patches), -1, 3)[..., 0]
sae, sae_t1 = (models.encoder_of(one) for one in (nets["elu, layer by layer"], stacked(t1)[0]))
search("grey 3 x 3", describe(lambda rows: rows, side=3))
search("PCA", describe(pca.transform))
find = search("SAE", describe(sae))
search("SAE, T1 alone", describe(sae_t1, channels=1))
search("SAE, one shape", describe(sae), parted=False)
gain = arms["SAE", "healthy"]["pathway"] - arms["grey 3 x 3", "healthy"]["pathway"]
print(f"you said {my_sae} and {my_gain}; it is {arms['SAE', 'healthy']['pathway']:.3f}, {gain:.3f}")
table(
    *("mean place", "grey 3 x 3", "PCA", "SAE", "SAE, T1 alone", "SAE, one shape"),
    *("ceiling, parts", "ceiling, one shape"),
)

# %%
SPREAD = 0.02  # Dice: about what another seed changes; a gain within it is undecided


def both(arm, part="pathway"):
    """Mean over the two groups, which are equally large."""
    return float(np.mean([arms[arm, group][part] for group in test]))


for text, arm, twin, why in [
    ("(f) learned features beat grey values", "SAE", "grey 3 x 3", ""),
    ("(g) learned features beat PCA", "SAE", "PCA", "restoring well is what PCA does, too"),
    ("(h) three contrasts beat one", "SAE", "SAE, T1 alone", ""),
    ("(i) a shape model for each part beats one of all", "SAE", "SAE, one shape", ""),
]:
    measured, against = both(arm), both(twin)
    lesson.claim(
        text,
        what="Dice of the pathway",
        measured=measured,
        against=against,
        spread=SPREAD,
        holds=measured > against,
        why="" if measured > against + SPREAD else why,
        source="Mansoor 2016",
    )

# %% [markdown]
# Two further claims. Contrast is lowest in the chiasm, where the nerves have faded: is the gain over
# grey values larger there than for the nerves? And does one method serve both groups, healthy and
# swollen? It learned from as many of one as of the other.

# A tube is no ball: the ceiling of the shape model is lower for the swollen, too. So we ask for the
# share of the ceiling as well; it holds where at most SPREAD is missing.

# %%
gains = {part: both("SAE", part) - both("grey 3 x 3", part) for part in ("nerves", "chiasm")}
lesson.claim(
    "(f) and most where contrast is low",
    what="gain of Dice, chiasm against nerves",
    measured=gains["chiasm"],
    against=gains["nerves"],
    spread=SPREAD,
    holds=gains["chiasm"] > gains["nerves"],
    source="Mansoor 2016",
)


# %%
healthy, swollen = (arms["SAE", group]["pathway"] for group in test)
lesson.claim(
    "(j) one method serves healthy and swollen",
    what="Dice of the pathway, swollen against healthy",
    measured=swollen,
    against=healthy,
    spread=SPREAD,
    holds=swollen > healthy,
    why="" if swollen > healthy else "a tube is no ball: see the ceilings",
    source="the review; Mansoor 2016",
)
shares = [
    arms["SAE", group]["pathway"] / arms["ceiling, parts", group]["pathway"] for group in test
]
lesson.claim(
    "(j) and gets as near to what tubes can hold",
    what="share of the ceiling, swollen against healthy",
    measured=shares[1],
    against=shares[0],
    holds=shares[1] > shares[0] - SPREAD,
    source="our measurement",
)

# %% [markdown]
# ## Look
#
# The healthy and the swollen case with the lowest Dice: the found landmarks, and truth (solid)
# beside prediction (dashed).


# %%
def dice_of(case):
    truth = (case.label.array > 0).astype(int)
    return metrics.dice(truth, (methods.draw_parts(find(case), RADII, truth.shape) > 0) + 0)[1]


figure, axes = plt.subplots(1, 4, figsize=(9.4, 2.5), layout="constrained")
for pair, (group, cases) in zip(axes.reshape(2, 2), test.items(), strict=True):
    each = [dice_of(case) for case in cases]
    worst = cases[int(np.argmin(each))]
    picture, found = plane(worst.image.array[..., 0]), find(worst)
    plots.show_image(picture, title=f"{group}, Dice {min(each):.2f}", axes=pair[0])
    for number, line in enumerate(found):
        place = line[:, 0], len(picture) - 1 - line[:, 1]
        pair[0].plot(*place, ".-", color=plots.CLASS_COLOURS[number], markersize=3, linewidth=1)
    painted = methods.draw_parts(found, RADII, worst.label.array.shape)
    label = plane(worst.label.array)
    plots.show_image(picture, label, plane(painted), title="truth and found", axes=pair[1])
plots.show(
    figure,
    alt="The worst healthy and the worst swollen case: landmarks along the nerves, and outlines. The "
    "dashed tubes follow the nerves with gaps; of the swelling they hold a tube through its middle.",
)

# %% [markdown]
# ## Atlases and infants
#
# In the first year grey and white matter change places in brightness; near five months they look
# alike. Guo et al. label an infant's hippocampus by *patch matching*: a voxel asks which voxels of
# labelled scans, the *atlases*, have features like its own, and takes their labels, weighed by a
# sparse code, $c = \arg\min_{c \geq 0} \frac12 |f - Fc|^2 + \lambda \sum c$, where the columns of $F$
# are the nearest candidates. The twin weighs the same candidates by their *distance* alone
# (non-local means).
# Sagittal slices of simulated infants, two weeks to nine months old. The baseline: the majority of
# the atlases' labels, which looks at no image.

# %%
count = lesson.scale(smoke=4, desktop=22, paper=60)
volumes = data.phantoms.infant_hippocampus(count, seed=SEED, size=(7, 44, 32))
months = [float(case.name.split()[-2]) for case in volumes]
infants = [data.slices(case, axis=0)[1] for case in volumes]  # 2 mm lateral of the middle
atlases, asked = infants[: count // 2 - 1], infants[count // 2 - 1 :]
atlas_labels = [case.label.array.astype(int) for case in atlases]
asked_labels = [case.label.array.astype(int) for case in asked]
votes = np.mean(atlas_labels, axis=0)
chosen = np.argsort(abs(np.array(months) - 5))[:1].tolist() + [np.argmin(months), np.argmax(months)]
figure, axes = plt.subplots(1, 6, figsize=(9.6, 1.6), layout="constrained")
for place, number in enumerate(chosen):
    for channel, panel in enumerate(axes[2 * place : 2 * place + 2]):
        picture, label = (
            plane(a)
            for a in (infants[number].image.array[..., channel], infants[number].label.array)
        )
        title = f"{['T1', 'T2'][channel]}, {months[number]:g} months"
        plots.show_image(picture, label, title=title, axes=panel)
plots.show(
    figure,
    alt="Three infants in T1 and T2 with the hippocampus outlined: near five months its border is "
    "hard to see, in the youngest and the oldest white matter is dark in one contrast, bright in "
    "the other.",
)

# %%
from scipy import ndimage

side, units = lesson.scale(smoke=5, desktop=9), lesson.scale(smoke=(8, 4), desktop=(100, 50, 25))
near = ndimage.binary_dilation(votes > 0, iterations=3)  # where labels are asked for


def vectors_of(case, channels=2):
    return methods.patch_vectors(data.z_score(case.image.array)[..., :channels], side)


def coded(encode, channels=2):
    """A function from a case to the codes of its patches."""

    def features(case):
        rows = vectors_of(case, channels)
        codes = np.asarray(encode(rows.reshape(-1, rows.shape[-1])))
        return codes.reshape(*rows.shape[:-1], -1)

    return features


# %%
known = {n: np.concatenate([vectors_of(case, n)[near] for case in atlases]) for n in (1, 2)}
saes = {n: stacked(x, widths=units)[0] for n, x in known.items()}
features = {"plain patches, T1 and T2": vectors_of}
features["PCA, T1 and T2"] = coded(PCA(units[-1]).fit(known[2]).transform)
features["SAE, T1 and T2"] = coded(models.encoder_of(saes[2]))
features["SAE, T1 alone"] = coded(models.encoder_of(saes[1]), channels=1)

# %% [markdown]
# The autoencoders saw the atlases' patches and no label. **Predict** the order of the four, and how
# far above the vote they end.

# %%
hard = [3 < age < 7 for age in months[-len(asked) :]]
matched = {}


def dice_over(found):
    pairs = zip(asked_labels, found, strict=True)
    return np.array([metrics.dice(*pair)[1] for pair in pairs])


def match(make, sparsity):
    known = [make(case) for case in atlases]
    how = {"region": near, "sparsity": sparsity, "search": lesson.scale(smoke=3, desktop=9)}
    return [
        methods.match_patches(make(case), known, atlas_labels, **how).argmax(-1) for case in asked
    ]


# %%
dices = {("majority vote", "-"): dice_over([(votes >= 0.5) + 0] * len(asked))}
for arm, make in features.items():
    for weigh, sparsity in {"sparse": 0.05, "distance": None}.items():
        matched[arm, weigh] = match(make, sparsity)
        dices[arm, weigh] = dice_over(matched[arm, weigh])
Table(
    {"features": arm, "weights": weigh, "Dice": one.mean(), "3 to 7 months": one[hard].mean()}
    for (arm, weigh), one in dices.items()
)

# %%
learned_dice = dices["SAE, T1 and T2", "sparse"].mean()
for text, twin, why in [
    ("(k) matching by learned features beats the vote", ("majority vote", "-"), ""),
    ("(k) T1 and T2 beat T1 alone", ("SAE, T1 alone", "sparse"), ""),
    (
        "(k) learned features beat plain patches",
        ("plain patches, T1 and T2", "sparse"),
        "few infants; the code drops details that a plain patch keeps",
    ),
]:
    against = dices[twin].mean()
    lesson.claim(
        text,
        what="Dice of the hippocampus, sparse weights",
        measured=learned_dice,
        against=against,
        spread=SPREAD,
        holds=learned_dice > against,
        why="" if learned_dice > against + SPREAD else why,
        source="Guo 2014",
    )

# %%
worst = int(np.argmin(dices["SAE, T1 and T2", "sparse"]))
picture, label = plane(asked[worst].image.array[..., 0]), plane(asked_labels[worst])
shown = {"majority vote": (votes >= 0.5) + 0}
shown |= {arm: matched[arm, "sparse"][worst] for arm in list(features)[:3]}
figure, axes = plt.subplots(1, 4, figsize=(9.4, 2.4), layout="constrained")
for panel, (name, found) in zip(axes, shown.items(), strict=True):
    plots.show_image(picture, label, plane(found), title=name, axes=panel)
plots.show(
    figure,
    alt="The infant with the lowest Dice in T1, truth solid, prediction dashed: the vote gives a mean "
    "shape; matched patches follow the border in part.",
)

# %% [markdown]
# What the code is good for here is mostly its length: 25 numbers are compared in place of 162. (The
# column of three to seven months, where contrast is lowest, holds few infants; read it with care.)
#
# ## On real scans
#
# Patch matching on `Task04_Hippocampus` (adults, T1 alone, so contrasts are more than in infants),
# in three dimensions, people held back, beside the vote of the same atlases. The set's owners cut the
# volumes round the hippocampus, and these are laid centre on centre: where it lies is half given
# away, to all arms alike. Below it this lesson's pathways and infants, still simulated. `make results LESSON=07` measures it again.

# %%
real = lesson.results("07_autoencoders")
real and lesson.over_seeds(real, ["dice", "dice_1", "dice_2"], set="Task04_Hippocampus")

# %%
simulated = ["dice", "dice_healthy", "dice_nerves", "dice_chiasm", "dice_swollen"]
sets = ["visual pathway, simulated", "infant hippocampus, simulated"]
real and lesson.over_seeds(real, simulated, set=sets)


# %%
def judge(text, arm, twin, where="Task04_Hippocampus"):
    """An arm against its twin over the seeds of the measured results."""
    rows = [row for row in real["rows"] if row["set"] == where]
    ours, theirs = ([r["dice"] for r in rows if r["arm"] == name] for name in (arm, twin))
    gains = np.subtract(ours, theirs)
    lesson.claim(
        text,
        what=f"Dice on {where}",
        measured=np.mean(ours),
        against=np.mean(theirs),
        spread=np.std(gains, ddof=1) if len(gains) > 1 else None,
        holds=gains.mean() > 0,
        source="Guo 2014",
    )


if real:
    judge("(l) real scans: learned features beat the vote", "SAE", "majority vote")
    judge("(l) real scans: learned features beat plain patches", "SAE", "plain patches")
    judge("(l) real scans: learned features beat PCA", "SAE", "PCA")

# %% [markdown]
# ## Your turn
#
# ### 1 Unpooling
#
# Write `max_unpool(values, switches, shape)` in numpy: `values` and `switches` are (rows, columns)
# of the pooled map, a switch counts places row by row through the *unpooled* map of `shape`. Zeros
# elsewhere.


# %%
def max_unpool(values, switches, shape):
    ### BEGIN SOLUTION
    flat = np.zeros(shape[0] * shape[1])
    flat[np.ravel(switches)] = np.ravel(values)
    return flat.reshape(shape)
    ### END SOLUTION


lesson.exercise(l07.check_max_unpool, max_unpool)

# %% [markdown]
# ### 2 Layer by layer
#
# Write `greedy_stack(x, widths, fit)`. `fit(rows, units)` trains an autoencoder of one layer and
# returns two functions, `encode` and `decode`. Train one a width, each on the codes of the layer
# below, and return the two functions of the whole stack: from `x` to the last code, and back.


# %%
def greedy_stack(x, widths, fit):
    ### BEGIN SOLUTION
    layers = []
    for units in widths:
        layers.append(fit(x, units))
        x = layers[-1][0](x)

    def encode(rows):
        for forth, _ in layers:
            rows = forth(rows)
        return rows

    def decode(codes):
        for _, back in reversed(layers):
            codes = back(codes)
        return codes

    return encode, decode
    ### END SOLUTION


lesson.exercise(l07.check_greedy_stack, greedy_stack)

# %% [markdown]
# ### 3 Sparse matching
#
# Write `sparse_match(f, atoms, labels, sparsity)`: find $c \geq 0$ that makes
# $\frac12 |f - \sum_j c_j a_j|^2 + \lambda \sum_j c_j$ smallest, and return the share of label 1,
# $\sum_j c_j l_j / \sum_j c_j$. `atoms` is (atoms, values), `labels` 0 or 1 each. If all $c_j$ are 0,
# the label of the nearest atom counts. Gradient descent that cuts off what is negative will do:
# the step 1 / (largest eigenvalue of the atoms' products) never overshoots.


# %%
def sparse_match(f, atoms, labels, sparsity):
    ### BEGIN SOLUTION
    c = np.zeros(len(atoms))
    rate = 1 / np.linalg.eigvalsh(atoms @ atoms.T)[-1]
    for _ in range(2000):
        c = np.maximum(c - rate * (atoms @ (atoms.T @ c - f) + sparsity), 0)
    if not c.any():
        return float(labels[np.argmin(((atoms - f) ** 2).sum(axis=1))])
    return c @ labels / c.sum()
    ### END SOLUTION


lesson.exercise(l07.check_sparse_match, sparse_match)

# %% [markdown]
# ## What we learned
#
# - Without bent activations an autoencoder is PCA. Depth pays where the data lie on a bent sheet,
#   as bare curves do; under noise PCA is hard to beat, in restoring and as features.
# - Layer by layer was the cure of a disease of sigmoids. Today one trains at once.
# - Around a feature stand things that weigh more than its kind: several contrasts, a shape model for
#   each part, the labels of like patches.
#
# **What it cannot do.** Restoring well is another aim than telling tissues apart: a code keeps what
# varies most, which may be a shadow or noise, and a faint border may be dropped. A swelling that
# no shape had before lies outside the shape model. Lesson 08 asks features to *cluster*, still
# without a label; lesson 10 takes pretrained layers and trains them on with labels.

# %% tags=["claims"]
lesson.claims_table()

# %% [markdown]
# **References.** D. Rumelhart, G. Hinton, R. Williams, *Learning representations by back-propagating
# errors*, Nature 1986. P. Baldi, K. Hornik, *Neural networks and principal component analysis*,
# Neural Networks 1989. G. Hinton, R. Salakhutdinov, *Reducing the dimensionality of data with neural
# networks*, Science 2006. Y. Bengio et al., *Greedy layer-wise training of deep networks*, NIPS 2006
# (printed 2007). P. Vincent et al., *Stacked denoising autoencoders*, JMLR 2010. M. Zeiler, R.
# Fergus, *Visualizing and understanding convolutional networks*, ECCV 2014. A. Mansoor et al., *Deep
# learning guided partitioned shape model for anterior visual pathway segmentation*, IEEE TMI 2016.
# Y. Guo et al., *Segmenting hippocampus from infant brains by sparse patch matching with deep-learned
# features*, MICCAI 2014. T. Cootes et al., *Active shape models*, CVIU 1995.
