# %% [markdown]
# # 10 Pretraining: first weights that were learned without labels
#
# - **You will see** filters that two procedures learn from unlabelled scans: a convolutional
#   restricted Boltzmann machine (RBM) and a sparse autoencoder.
# - **You will measure** what such a start is worth against a good *random* one, as labels get fewer;
#   whether first layers may be locked; and a loss made for rare lesions.
# - **It takes** less than two minutes on two cores (*desktop* scale), seconds at *smoke* scale.
# - **It builds on** first weights (lesson 05) and autoencoders (lesson 07).
# - **You need** nothing to download: brains and breasts are simulated.

# %% tags=["setup"]
import keras
import matplotlib.pyplot as plt
import numpy as np

from medseg_tf import data, lesson, losses, methods, metrics, models, plots, training
from medseg_tf.lesson.exercises import l10
from medseg_tf.table import Table

precision = training.set_precision(lesson.scale(smoke="float32", desktop="float32", paper="auto"))

# %% [markdown]
# ## The claim
#
# The review: pretraining gives a network's parameters their first values before the real training,
# which then moves them little, or moves only the last layers while the first are locked. Early
# initialisation was statistical, "such as data standardisation", and random at heart; pretraining by
# autoencoders raises efficiency and accuracy. Two examples: Kallenberg et al. (2016) pretrain a
# convolutional sparse autoencoder for breast density; Brosch et al. (2016) pretrain a convolutional
# encoder network by RBMs and segment lesions of multiple sclerosis, with top results.
#
# Three kind corrections before we start.
#
# - Standardising data is **preprocessing**, no initialisation: it changes the images, not the
#   weights.
# - "Comparable to the top-ranked methods" is what Brosch's abstract claims.
# - The rival is no longer a small random start. In 2015 He et al. showed how to draw good random
#   weights (lesson 05), and most of what pretraining was praised for is older than that.
#
# | claim | twin |
# |---|---|
# | (a) pretraining beats a random start when labels are few | He's start, same images and steps |
# | (b) and when there are more | the same |
# | (c) locked first layers do no harm | the same start, all layers tuned |
# | (d) locked pretrained layers beat locked random ones | He's start, locked |
# | (e) a small random start is worse | He's start |
# | (f) the shortcut helps | the same network without it |
# | (g) the loss with a larger r finds more of the lesions | the plain squared error |
# | (h) and segments better | cross-entropy |
# | (i) the sparsity term makes codes sparser | the same autoencoder without it |
# | (j) sparse features tell tissues apart better than random ones | filters never trained |
# | (k) the whole network, tuned with few labels, gains from sparse first weights | He's start |
# | (l) patches of several scales beat one scale | the same network on the finest alone |

# %% [markdown]
# ## The data
#
# Slices of brains in FLAIR and T1 with white-matter lesions: few pixels, most lesions small, and a
# cortex that is as bright in FLAIR. Many scans come without labels; a handful has them.

# %%
SEED = 0
size = lesson.scale(smoke=(24, 24), desktop=(48, 48), paper=(96, 96))
counts = lesson.scale(smoke=(2, 4), desktop=(2, 6, 16), paper=(2, 6, 16, 64))  # with labels
many, held_back = lesson.scale(smoke=(8, 4), desktop=(200, 48), paper=(400, 100))


def upright(case):
    """The same slice with its front at the top: rows run from the front to the back."""
    grid = data.Grid(size, case.image.grid.affine)
    image, label = (scan.array.swapaxes(0, 1)[::-1] for scan in (case.image, case.label))
    return data.Case(case.subject, data.Scan(image, grid), data.Scan(label, grid), name=case.name)


cases = data.phantoms.ms_lesions(many + held_back, seed=SEED, size=size, spacing=144 / size[0])
cases = [upright(case) for case in cases]

# %%
rest, test = cases[:many], cases[many:]  # each is a subject of its own
lesson.banner(cases, "lesions with exact outlines and many scans without need no download")


def stacked(cases):
    """Images as the network sees them, and labels."""
    images = np.stack([data.z_score_inside(case.image.array) for case in cases])
    return images, np.stack([case.label.array for case in cases]).astype(int)


(images, labels), (test_images, truth) = stacked(rest), stacked(test)
share = labels.mean()
print(f"{many} scans to learn from, {held_back} held back, lesion: {share:.1%} of all pixels")

# %%
plots.show(
    plots.show_cases(test, n=4),
    alt="Four simulated brains in FLAIR: dark ventricles, a bright rim of cortex, and a few bright "
    "spots, outlined; other spots as bright are not lesions.",
)

# %% [markdown]
# ### A baseline that needs no learning
#
# Lesions are bright in FLAIR, so take a threshold. Which one? Here and below it is chosen on the
# *labelled* scans of the arm, never on those held back. All scores count the pixels of all held-back
# scans together. **Predict**: does the threshold's Dice grow with the number of labels?

# %%


def best_cut(values, label):
    """The threshold with the best Dice."""
    cuts = np.quantile(values, np.linspace(0.8, 0.999, 100))
    return max(cuts, key=lambda cut: metrics.dice(label, values > cut)[1])


def scores(found):
    """Dice, sensitivity (share of lesion that is found), precision (share of found that is lesion)."""
    pair = truth, found
    row = {"Dice": metrics.dice(*pair)[1], "sensitivity": metrics.sensitivity(*pair)[1]}
    return row | {"precision": metrics.sensitivity(*pair[::-1])[1]}


def table(chosen=None):
    chosen = [key for key in arms if chosen is None or key[1] in chosen]
    return Table({"labelled": n, "arm": arm} | arms[n, arm] for n, arm in sorted(chosen))


# %%
flair, test_flair = images[..., 0], test_images[..., 0]
arms = {}
for n in counts:
    cut = best_cut(flair[:n], labels[:n])
    arms[n, "threshold of FLAIR"] = scores(test_flair > cut)
table()

# %% [markdown]
# ## The idea by hand
#
# ### A loss for rare lesions
#
# If one pixel in a hundred is lesion, "no lesion anywhere" is a good answer to the squared error.
# Brosch et al. take two means, one over the lesion $S = 1$ and one over the rest, and weigh them:
#
# $$E = r\,\frac{\sum S\,(S - y)^2}{\sum S} + (1 - r)\,\frac{\sum (1 - S)\,(S - y)^2}{\sum (1 - S)}$$
#
# with $r$ near .02 to .05, as remembered. By hand for ten pixels; **predict** for which $r$ it is
# the plain squared error.

# %%
S = np.array([1, 1, 0, 0, 0, 0, 0, 0, 0, 0])
y = np.array([0.8, 0.4, 0.3, 0.1, 0, 0, 0, 0, 0, 0])
error = (S - y) ** 2
lesion, elsewhere = error[S == 1].mean(), error[S == 0].mean()
probabilities = np.stack([1 - y, y], axis=-1)[None]
rows = Table()
for r in (0.02, 0.05, 0.2, 0.5):
    ours = float(losses.SensitivitySpecificity(r)(S[None], probabilities))
    rows.append({"r": r, "by hand": r * lesion + (1 - r) * elsewhere, "package": ours})
print("plain squared error:", error.mean())
rows

# %% [markdown]
# At $r$ = the share of lesion, .2 here. So $r$ means little by itself: it counts against the share
# $f$. A lesion pixel weighs $r(1-f) / ((1-r)f)$ times another. And what should the network answer
# for a pixel that is lesion with chance one half? Not one half, but
# $\frac{r/f}{r/f + (1-r)/(1-f)}$:

# %%
rows = Table()
for r in (share, 0.05, 0.3):
    weight = r * (1 - share) / ((1 - r) * share)
    best = weight / (1 + weight)
    rows.append({"r": float(r), "a lesion pixel weighs": weight, "best answer to 50 : 50": best})
rows

# %% [markdown]
# With a large $r$ the network overstates on purpose, and .5 is no neutral threshold: another reason
# to choose it on labelled scans.
#
# ### A machine that gives images back
#
# A convolutional **RBM** has filters $W$ that lead from the image $v$ to maps $h$, and the same
# filters, transposed, lead back. It has an energy, low for images it knows, and learns by
# *contrastive divergence*: see an image, draw its maps, draw the image again from the maps, see
# that one, and move the filters so that the first look becomes likelier than the second:
#
# $$\Delta W \propto \mathrm{corr}(v_0, h_0) - \mathrm{corr}(v_1, h_1)$$
#
# The maps are rectified, drawn as max(0, input + noise). By hand on one small patch with one filter;
# then the package's pieces on the same numbers.

# %%
from scipy.signal import convolve2d, correlate2d

from medseg_tf.methods.rbm import RBM, correlation, hidden_input, visible_mean

rng = np.random.default_rng(SEED)
patch, W = images[0, 8:16, 8:16, 0], rng.normal(0, 0.3, (3, 3))
h = np.maximum(correlate2d(patch, W, "valid"), 0)  # there
back = convolve2d(h, W)  # and back again
corr = correlate2d(patch, h, "valid")

rbm = RBM(W[..., None, None].astype("float32"), np.zeros(1, "f"), np.zeros(1, "f"))
v = patch[None, ..., None].astype("float32")
mu = np.maximum(hidden_input(rbm, v), 0)
pairs = [(h, mu), (back, visible_mean(rbm, mu)), (corr, correlation(v, mu))]
for name, (ours, package) in zip(("there", "back", "correlation"), pairs, strict=True):
    print(f"{name}: {abs(ours - np.squeeze(package)).max():.0e} is the largest difference")

# %% [markdown]
# Two layers are trained one after the other: the second learns from the first one's maps, pooled
# and **standardised**, for the machine assumes variance 1. The standardisation is folded into the
# weights afterwards (your third exercise), so that the network needs none.
#
# ### The network
#
# Down two convolutions with an average pooling between them, up again by transposed convolutions.
# A shortcut adds a third one, straight from the first maps. The paper's network as remembered, and
# the small one for our slices:

# %%
paper = {"kernels": ((9, 9, 5), (9, 10, 5))} if lesson.scale(smoke=0, desktop=1) else {"width": 2}
published = models.encoder_network((164, 206, 52, 2), **paper)
print(f"as published, for {published.input_shape[1:]}: {published.count_params():,} weights")
how = {"width": lesson.scale(smoke=2, desktop=8, paper=32), "kernels": (7, 6)}
keras.utils.set_random_seed(SEED)
pretrained = models.encoder_network((*size, 2), **how)
print(f"ours: {pretrained.count_params():,}; it sees", models.receptive_field(pretrained), "pixels")
plots.show(
    plots.show_network(pretrained),
    alt="The network as blocks: two convolutions down with a pooling between them, two transposed "
    "convolutions up, and a shortcut from the first maps to the output.",
)

# %%
lesson.source(methods.pretrain_rbm)

# %% [markdown]
# ## Predict, then run
#
# First the pretraining, on all scans but those held back, without a label. How much of an image
# will come back through the eight maps of the first layer? (An error of 1 is an empty image.)

# %%
pre_steps = lesson.scale(smoke=3, desktop=200, paper=2000)
errors = methods.pretrain_rbm(pretrained, images, steps=pre_steps, seed=SEED)
windows = {f"layer {k}": np.array(errors[f"encode{k}"]) for k in (1, 2)}
plots.show(
    plots.show_curves(windows, xlabel="step", ylabel="squared error of what comes back"),
    alt="The error of reconstruction of both RBMs falls steeply in the first steps, then slowly.",
)

# %%
filters = pretrained.get_layer("encode1").get_weights()[0]
start = models.encoder_network((*size, 2), **how).get_layer("encode1").get_weights()[0]
figure, axes = plt.subplots(2, how["width"], figsize=(8.6, 2.6), layout="constrained")
for row, name, kernels in zip(axes, ("He", "RBM"), (start, filters), strict=True):
    row[0].set_ylabel(name)
    for number, panel in enumerate(row):
        kernel = kernels[..., 0, number]  # of FLAIR
        most = abs(kernel).max()
        panel.imshow(kernel, cmap="RdBu_r", vmin=-most, vmax=most)
        panel.set(xticks=[], yticks=[])
plots.show(
    figure,
    alt="The filters of the first layer for FLAIR. He's are noise; those of the RBM are smoother: "
    "blobs, slopes and rims.",
)

# %% [markdown]
# Noise above, blobs, slopes and rims below. What do they let through? A filter of noise answers to
# fine waves as strongly as to coarse ones. **Predict** the RBM's curve: what restores an image with
# few maps?

# %%
waves = np.round(np.hypot(*np.meshgrid(*[np.fft.fftfreq(32, 1 / 32)] * 2)))


def passes(kernels):
    """Mean power of the filters' answers to waves of 1 to 16 periods in 32 pixels; their mean is 1."""
    power = np.square(np.abs(np.fft.fft2(kernels, (32, 32), axes=(0, 1)))).mean(axis=(2, 3))
    means = np.array([power[waves == number].mean() for number in range(1, 17)])
    return means / means.mean()


spectra = {"He": passes(start), "RBM": passes(filters)}
plots.show(
    plots.show_curves(spectra, "periods in 32 pixels: coarse to fine", "power of the answer"),
    alt="Power of the answers to coarse and fine waves: about level for He's filters, high for "
    "coarse waves and low for fine ones for the RBM's.",
)
for name, power in spectra.items():
    print(f"{name}: {power[8:].sum() / power.sum():.0%} of the power in the finer half")

# %% [markdown]
# Coarse structure is what most of an image's variance is made of, and it is what gives an image
# back. Small lesions are fine structure. Keep this in mind for what follows. Now the supervised part, the same for every arm: the
# loss above with r = .05, the same scans in the same order, equally many steps. **Before you run
# on**: with how many labelled scans does the pretrained start lead, and by how much?

# %%
my_lead = {2: 0.1, 6: 0.05, 16: 0.0}  # change me

# %%
steps, epochs = lesson.scale(smoke=(2, 1), desktop=(30, 10), paper=(200, 20))
R = 0.05


def train(n, loss=None, start=None, locked=False, **more):
    """Train on n labelled scans from He's random start, or from the weights of another network."""
    keras.utils.set_random_seed(SEED)
    model = models.encoder_network((*size, 2), **how | more)
    if start is not None:
        models.hand_on(start, model)
    for name in ("encode1", "encode2"):
        model.get_layer(name).trainable = not locked
    patches = data.Patches(rest[:n], size, 8, seed=SEED, steps=steps, normalize=data.z_score_inside)
    adam = keras.optimizers.Adam(2e-3)
    loss = loss or losses.SensitivitySpecificity(R)
    curve = training.fit(model, patches, loss, adam, epochs=epochs)["loss"]
    own, new = (np.asarray(model(x))[..., 1] for x in (images[:n], test_images))
    return curve, new, best_cut(own, labels[:n])


# %%
curves, maps = {}, {}
for n in counts:
    for name, start in {"He": None, "RBM": pretrained}.items():
        curve, values, cut = train(n, start=start)
        arms[n, name] = scores(values > cut)
        curves[f"{name}, {n}"], maps[n, name] = curve, (values, cut)
print("you said", my_lead)
table(["threshold of FLAIR", "He", "RBM"])

# %%
few, most = counts[0], counts[-1]
chosen = {name: values for name, values in curves.items() if name.endswith(f" {most}")}
plots.show(
    plots.show_curves(chosen, f"epoch of {steps} steps", "loss"),
    alt=f"Loss on {most} labelled scans, from He's start and from the RBM's, over the epochs.",
)

# %% [markdown]
# How much is luck? In a trial we turned the same scans by a quarter and trained again: the Dice of
# one arm moved by up to .08 with six or sixteen labelled scans. With two, other starts moved it by
# .15 and more. A lead within that is undecided.

# %%
SPREAD = {n: 0.15 if n < 4 else 0.08 for n in counts}


def judge(text, arm, twin, n, source, what="Dice", why=""):
    measured, against = arms[n, arm][what], arms[n, twin][what]
    worse = measured <= against + SPREAD[n]
    lesson.claim(
        text,
        what=f"{what}, {n} labelled",
        measured=measured,
        against=against,
        spread=SPREAD[n],
        holds=measured > against,
        why=why if worse else "",
        source=source,
    )


reason = "likely: coarse waves restore images, fine ones tell small lesions"
claim = "(a) pretraining beats a random start when labels are few"
judge(claim, "RBM", "He", few, "the review; Brosch 2016", why=reason)
judge("(b) and when there are more", "RBM", "He", most, "the review", why=reason)

# %% [markdown]
# ## Against the twins
#
# ### Directions or size?
#
# A start has two sides: *which* patterns the filters look for, and *how large* their maps come out.
# The RBM asks its maps to be quiet, .1 on average; He's keep the image's strength. A quiet map gives
# a quiet gradient. The twin keeps the RBM's patterns and multiplies each layer so that its maps are
# as strong as He's. **Predict**: which of the two starts does it resemble?

# %%


def strength(model, name):
    """Root mean square of a layer's maps on the unlabelled scans."""
    part = keras.Model(model.inputs[0], model.get_layer(name).output)
    return float(np.sqrt(np.mean(np.square(part(images[:32])))))


keras.utils.set_random_seed(SEED)
he = models.encoder_network((*size, 2), **how)
louder = models.encoder_network((*size, 2), **how)
models.hand_on(pretrained, louder)
for name in ("encode1", "encode2"):
    factor = strength(he, name) / strength(louder, name)
    layer = louder.get_layer(name)
    layer.set_weights([factor * weight for weight in layer.get_weights()])
    print(f"{name}: the RBM's maps are multiplied by {factor:.2f}")
_, values, cut = train(most, start=louder)
arms[most, "RBM, as strong as He"] = scores(values > cut)
for name in ("He", "RBM", "RBM, as strong as He"):
    print(f"{name}, {most} labelled: Dice {arms[most, name]['Dice']:.3f}")

# %% [markdown]
# ### Locked layers, a small start, no shortcut
#
# Locked layers need a twin of their own: *random* locked layers. A small random start was usual
# before He. And the network without its shortcut must draw small lesions through the pooling.

# %%
middle = counts[1]
twins = {
    (middle, "He, locked"): {"locked": True},
    (middle, "RBM, locked"): {"locked": True, "start": pretrained},
    (most, "small random"): {"deviation": 0.01},
    (most, "He, no shortcut"): {"shortcut": False},
}
for (n, name), options in twins.items():
    _, values, cut = train(n, **options)
    arms[n, name] = scores(values > cut)
table()

# %%
locked, tuned = (arms[middle, name]["Dice"] for name in ("RBM, locked", "RBM"))
lesson.claim(
    "(c) locked first layers do no harm",
    what=f"Dice, {middle} labelled (harm: a loss of more than {SPREAD[middle]})",
    measured=locked,
    against=tuned,
    holds=locked >= tuned - SPREAD[middle],
    why="" if locked >= tuned - SPREAD[middle] else "the last layers alone have less to move",
    source="the review",
)
# %%
text = "(d) locked pretrained layers beat locked random ones"
judge(
    text,
    "RBM, locked",
    "He, locked",
    middle,
    "the review",
    why="random filters let fine waves pass",
)
text = "(e) a small random start is worse"
lesson.claim(
    text,
    what=f"Dice, {most} labelled",
    measured=arms[most, "small random"]["Dice"],
    against=arms[most, "He"]["Dice"],
    spread=SPREAD[most],
    holds=arms[most, "small random"]["Dice"] < arms[most, "He"]["Dice"],
    source="He 2015",
)
judge("(f) the shortcut helps", "He", "He, no shortcut", most, "Brosch 2016")

# %% [markdown]
# ### The loss
#
# The same network and start, three other losses: the plain squared error (r = the lesion's share),
# a large r, and cross-entropy, which weighs nothing. Now the threshold matters, so look at both: at
# one half, and chosen on the labelled scans. **Predict** how sensitivity and precision at .5 move.

# %%
other = {"plain squared error": losses.SensitivitySpecificity(share)}
other |= {"r = .3": losses.SensitivitySpecificity(0.3)}
other |= {"cross-entropy": losses.WeightedCrossEntropy()}
at_half = {f"r = {R:.2g}": maps[most, "He"]}
for name, loss in other.items():
    _, values, cut = train(most, loss)
    arms[most, name], at_half[name] = scores(values > cut), (values, cut)
rows = Table()
for name, (values, cut) in at_half.items():
    row = {f"{score} at .5": value for score, value in scores(values > 0.5).items()}
    rows.append(
        {"loss": name} | row | {"threshold": cut, "Dice there": scores(values > cut)["Dice"]}
    )
rows

# %%
found = {name: scores(values > 0.5)["sensitivity"] for name, (values, _) in at_half.items()}
lesson.claim(
    "(g) the loss with a larger r finds more of the lesions",
    what=f"sensitivity at .5, {most} labelled, r = .3",
    measured=found["r = .3"],
    against=found["plain squared error"],
    spread=SPREAD[most],
    holds=found["r = .3"] > found["plain squared error"],
    source="Brosch 2016",
)
text = "(h) and segments better, threshold chosen on labelled scans"
reason = "once the threshold is chosen, the weights matter little"
judge(text, "He", "cross-entropy", most, "Brosch 2016", why=reason)

# %% [markdown]
# ## Sparse features of mammograms
#
# Kallenberg's question is another one: how much of a breast is dense? Each pixel is background, fat
# or dense tissue. Dense tissue is brighter, but the breast is thinner at its rim and exposed
# unevenly.

# %%
shape, breasts = lesson.scale(smoke=(80, 60), desktop=(160, 120)), lesson.scale(smoke=4, desktop=16)
mammograms = data.phantoms.mammogram(breasts, seed=SEED, size=shape)
figure, axes = plt.subplots(1, 4, figsize=(9, 3.2), layout="constrained")
for panel, case in zip(axes, mammograms, strict=False):
    label = case.label.array
    density = 100 * np.mean(label[label > 0] == 2)
    plots.show_image(case.image, label.astype(int), title=f"dense: {density:.0f} %", axes=panel)
plots.show(
    figure,
    alt="Four simulated mammograms with fat and dense tissue outlined; dense tissue is a little "
    "brighter and runs in streaks.",
)

# %% [markdown]
# The network for patches, a convolution of 7, a pooling, 5, 5, uses a patch of 24 pixels up:
# 24, 18, 9, 5, 1. Patches may hold several scales, one behind the other as channels
# (`methods.pyramid_patches`): at scale 4 the same 24 samples cover 96 pixels.

# %%
inside = np.argwhere(mammograms[0].label.array == 2)
centre = inside[[len(inside) // 2]]
scales = methods.pyramid_patches(mammograms[0].image.array, centre, 24, (1, 2, 4))[0]
plots.show(
    plots.show_maps({f"scale {s}": scales[..., k] for k, s in enumerate((1, 2, 4))}),
    alt="One place at three scales: a piece of tissue, the region round it, and most of the breast.",
)
print(f"{models.csae((24, 24, 3)).count_params():,} weights for three scales")

# %% [markdown]
# ### Two ways to be sparse
#
# A unit that fires for everything says nothing (*lifetime*), and a sample for which all units fire
# is not taken apart (*population*). The term asks both means to stay below a target of .05:
#
# $$\frac1K\sum_j \max(0, \bar a_j - \rho)^2 + \frac1N\sum_i \max(0, \bar a_i - \rho)^2$$
#
# Three samples, four units. **Predict** which part is larger.

# %%
a = np.array([[0.9, 0.1, 0, 0], [0.1, 0.8, 0, 0.1], [0, 0.9, 0.1, 0]])
parts = [np.mean(np.maximum(a.mean(axis) - 0.05, 0) ** 2) for axis in (0, 1)]
print("mean of each unit", a.mean(0).round(3).tolist(), "-> lifetime part", parts[0].round(4))
print("mean of each sample", a.mean(1).round(3).tolist(), "-> population part", parts[1].round(4))
print(f"sum {sum(parts):.5f}, losses.sparsity {float(losses.sparsity(a.astype('float32'))):.5f}")

# %% [markdown]
# ### Does it help?
#
# A first layer learns to restore noisy patches, with the term weighed by 0, 1 and 10. Then a
# *linear* classifier, trained on few labelled places, must tell dense from fat by what the maps say
# there: their mean, their maximum, their value in the middle. Two twins: the same number of
# **random** filters, and the same three numbers of the grey values themselves.

# %%
learn, unseen = mammograms[: breasts * 3 // 4], mammograms[breasts * 3 // 4 :]


def places(cases, each, seed, scales=(1,)):
    """Patches of 24 pixels within breasts, standardised by image, and whether their middle is dense."""
    rng, patches, dense = np.random.default_rng(seed), [], []
    for case in cases:
        label = case.label.array
        at = rng.permutation(np.argwhere(label > 0))[:each]
        patches.append(methods.pyramid_patches(data.z_score(case.image.array), at, 24, scales))
        dense.append(label[tuple(at.T)] == 2)
    order = rng.permutation(sum(map(len, dense)))
    return np.concatenate(patches)[order], np.concatenate(dense)[order]


each = lesson.scale(smoke=20, desktop=150)
patches, dense = places(learn, each, SEED)
new, new_dense = places(unseen, each, SEED + 1)
probes = [n for n in (20, 100, 400) if n < len(patches)]

# %%
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def summed_up(maps):
    """Mean, maximum and middle of each map: (samples, 3 * maps)."""
    middle = maps.shape[1] // 2
    return np.concatenate([maps.mean((1, 2)), maps.max((1, 2)), maps[:, middle, middle]], axis=-1)


def probe(extract):
    """Accuracy of a linear classifier on breasts never seen, by number of labelled places."""
    x, new_x, row = summed_up(extract(patches)), summed_up(extract(new)), {}
    for n in probes:
        linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        row[f"{n} labels"] = linear.fit(x[:n], dense[:n]).score(new_x, new_dense)
    return row


# %%
rows, kept = Table(), {}
for name, beta in {"no sparsity": 0, "beta 1": 1, "beta 10": 10, "random filters": None}.items():
    keras.utils.set_random_seed(SEED)
    net = models.encoder_network((24, 24, 1), width=16, kernels=(7,))
    error = None
    if beta is not None:
        run = lesson.scale(smoke=2, desktop=400)
        history = methods.pretrain_sparse(net, patches, beta=beta, steps=run, seed=SEED)
        error = float(np.mean(history["encode1"][-20:]))
    maps_of = keras.Model(net.inputs[0], net.get_layer("encode1").output)
    code = np.asarray(maps_of(new))
    pixels = code.reshape(-1, code.shape[-1])
    row = {"filters": name, "error": error, "active": float((pixels > 0).mean())}
    row["dead units"] = int((pixels.max(0) == 0).sum())
    row["population"] = float(np.nanmean(metrics.sparseness(pixels, axis=1)))
    row["lifetime"] = float(np.nanmean(metrics.sparseness(pixels, axis=0)))
    rows.append(row | probe(lambda x, net=maps_of: np.asarray(net(x))))
    kept[name] = net.get_layer("encode1").get_weights()[0]
rows.append(dict.fromkeys(rows[0]) | {"filters": "grey values"} | probe(lambda x: x))
rows

# %%
figure, axes = plt.subplots(3, 16, figsize=(9, 1.9), layout="constrained")
for row, name in zip(axes, ("random filters", "no sparsity", "beta 10"), strict=True):
    row[0].set_ylabel(name, rotation=0, ha="right", va="center")
    for number, panel in enumerate(row):
        kernel = kept[name][..., 0, number]
        largest = abs(kernel).max()
        panel.imshow(kernel, cmap="RdBu_r", vmin=-largest, vmax=largest)
        panel.set(xticks=[], yticks=[])
plots.show(
    figure,
    alt="Sixteen filters a row: random ones are noise, and those of the autoencoders keep much of "
    "the noise that they started from.",
)

# %%
arm = {row["filters"]: row for row in rows}
lesson.claim(
    "(i) the sparsity term makes codes sparser",
    what="population sparseness, beta 10",
    measured=arm["beta 10"]["population"],
    against=arm["no sparsity"]["population"],
    holds=arm["beta 10"]["population"] > arm["no sparsity"]["population"],
    source="Kallenberg 2016",
)
last = f"{probes[-1]} labels"
gain = arm["beta 1"][last] - arm["random filters"][last]
lesson.claim(
    "(j) sparse features tell tissues apart better than random ones",
    what=f"accuracy of a linear probe, {last}",
    measured=arm["beta 1"][last],
    against=arm["random filters"][last],
    spread=0.04,  # in a trial, what other numbers of steps changed
    holds=gain > 0,
    why="" if gain > 0.04 else "random filters measure texture, too: see below",
    source="Kallenberg 2016",
)

# %% [markdown]
# Random filters are no straw man: many of them, rectified and averaged, measure how much of each
# frequency is there, which is what texture is. Nor are the grey values: with few labels three
# numbers that mean something can beat 48 that the classifier has to sort out. Whoever reports learned
# features should report both beside them.
#
# ### The whole network
#
# Kallenberg's network is pretrained layer by layer on patches of several scales and then tuned with
# labels as a whole. Here it gets 100 labelled places: from sparse first weights or from He's, with
# three scales or with the finest alone, three times each with other labelled places and another
# order. **Predict**: what is worth more, the first weights or the scales?

# %%
my_answer = "scales"  # or "first weights"

# %%
channels = lesson.scale(smoke=(2, 2, 2), desktop=(16, 16, 32), paper=(50, 50, 100))
labelled_places, tuning_steps = lesson.scale(smoke=(20, 1), desktop=(100, 80), paper=(400, 500))
repeats = lesson.scale(smoke=1, desktop=3)


def tune(start, x, y, seed):
    """Train the network with few labels, from the weights of `start` or from He's."""
    keras.utils.set_random_seed(seed)
    net = models.csae(x.shape[1:], 2, channels)
    if start is not None:
        models.hand_on(start, net)
    patches = np.random.default_rng(seed).permutation(len(x))[:labelled_places]
    net.compile(keras.optimizers.Adam(1e-3), losses.WeightedCrossEntropy())
    for step in range(tuning_steps):
        batch = patches[np.arange(20 * step, 20 * step + 20) % len(patches)]
        net.train_on_batch(x[batch], y[batch, None, None])
    return net


# %%
tuned = {}
for scales in ((1,), (1, 2, 4)):
    x, y = places(learn, each, SEED, scales)
    new_x, new_y = places(unseen, each, SEED + 1, scales)
    keras.utils.set_random_seed(SEED)
    pretrained = models.csae(x.shape[1:], 2, channels)
    methods.pretrain_sparse(pretrained, x, steps=run // 2, seed=SEED)
    for first, start in {"He's start": None, "sparse start": pretrained}.items():
        nets = [tune(start, x, y.astype(int), seed) for seed in range(repeats)]
        right = [np.asarray(net(new_x)).argmax(-1).ravel() == new_y for net in nets]
        tuned[first, len(scales)] = np.mean(right, axis=1)
print(f"you said {my_answer}")
Table(
    {"first weights": first, "scales": count, "accuracy": right.mean(), "worst": right.min()}
    for (first, count), right in tuned.items()
)


# %%
def of_network(text, arm, twin):
    gains = tuned[arm] - tuned[twin]
    lesson.claim(
        text,
        what=f"accuracy on breasts never seen, {labelled_places} labels",
        measured=tuned[arm].mean(),
        against=tuned[twin].mean(),
        spread=np.std(gains, ddof=1) if repeats > 1 else None,
        holds=gains.mean() > 0,
        source="Kallenberg 2016",
    )


text = "(k) the whole network, tuned with few labels, gains from sparse first weights"
of_network(text, ("sparse start", 3), ("He's start", 3))
text = "(l) patches of several scales beat one scale"
of_network(text, ("sparse start", 3), ("sparse start", 1))

# %% [markdown]
# ## Look
#
# The held-back scan with the most lesion, by He's start and by the RBM's, at the largest number of
# labels. Orange is invented, blue is missed.

# %%
worst = int(truth.sum((1, 2)).argmax())
figure, axes = plt.subplots(1, 3, figsize=(9, 3.9), layout="constrained")
flair_only = data.Scan(test[worst].image.array[..., :1], test[worst].image.grid)
plots.show_image(flair_only, truth[worst], title="truth on FLAIR", axes=axes[0])
for panel, name in zip(axes[1:], ("He", "RBM"), strict=True):
    values, cut = maps[most, name]
    found = (values[worst] > cut).astype(int)
    plots.show_error(flair_only, truth[worst], found, title=name, axes=panel)
plots.show(
    figure,
    alt="One brain three times: true lesions outlined; then, for either start, some small lesions "
    "missed in blue and rims or other bright spots invented in orange.",
)

# %% [markdown]
# Which lesions are missed? Small ones. The share of each lesion that is found, by its size:

# %%
from scipy import ndimage

numbered, total = ndimage.label(
    truth, np.stack([0 * np.ones((3, 3)), np.ones((3, 3)), 0 * np.ones((3, 3))])
)
pixels = ndimage.sum_labels(truth, numbered, range(1, total + 1))
groups = {
    "1 to 4 pixels": pixels <= 4,
    "5 to 12": (pixels > 4) & (pixels <= 12),
    "more": pixels > 12,
}
rows = Table()
for name in ("He", "RBM"):
    values, cut = maps[most, name]
    recalled = ndimage.mean(values > cut, numbered, range(1, total + 1))
    row = {
        group: float(recalled[inside].mean()) for group, inside in groups.items() if inside.any()
    }
    rows.append({"start": name} | row)
print({group: int(inside.sum()) for group, inside in groups.items()}, "lesions")
rows

# %% [markdown]
# ## On real scans
#
# `open_ms_data`: two people with multiple sclerosis, one with many lesions, one with few. The
# network learns from slices of one and labels the other, beside a threshold of FLAIR chosen on the
# same slices. Two people say nothing about a third, so there is no verdict on them; the half
# resolution has cost the smallest lesions, and of the person with few there is next to nothing to
# learn from. `PH2`: moles, of which eight are labelled and all others only seen. Each seed holds back
# another fifth. `make results LESSON=10` measures both again.

# %%
real = lesson.results("10_pretraining")
real and lesson.over_seeds(real, ["dice", "sensitivity", "precision"])


# %%
def on_real(text, arm, twin, source):
    """An arm against its twin on PH2, over the seeds."""
    ours, theirs = (
        [row["dice"] for row in real["rows"] if (row["set"], row["arm"]) == ("PH2", one)]
        for one in (arm, twin)
    )
    gains = np.subtract(ours, theirs)
    lesson.claim(
        f"(m) on real pictures, {text}",
        what="Dice on PH2, 8 pictures labelled",
        measured=np.mean(ours),
        against=np.mean(theirs),
        spread=np.std(gains, ddof=1) if len(gains) > 1 else None,
        holds=gains.mean() > 0,
        source=source,
    )


if real:
    on_real("RBMs beat a good random start", "RBM", "He", "Brosch 2016")
    on_real("so does a sparse autoencoder", "sparse autoencoder", "He", "Kallenberg 2016")
    on_real("locked, pretrained beat random layers", "RBM, locked", "He, locked", "the review")

# %% [markdown]
# ## Your turn
#
# ### 1 The loss
#
# Write `loss(truth, says, r)` with NumPy: arrays of one shape, truth of 0 and 1. A part without any
# pixel costs 0.


# %%
def loss(truth, says, r):
    ### BEGIN SOLUTION
    error = (truth - says) ** 2
    lesion = (truth * error).sum() / max(truth.sum(), 1)
    rest = ((1 - truth) * error).sum() / max((1 - truth).sum(), 1)
    return r * lesion + (1 - r) * rest
    ### END SOLUTION


lesson.exercise(l10.check_loss, loss)

# %% [markdown]
# ### 2 Lifetime and population
#
# Write `means(activations)` for maps (samples, rows, columns, units): the lifetime means, one a
# unit, and the population means, one a sample, of what is left when each map is averaged over
# space.


# %%
def means(activations):
    ### BEGIN SOLUTION
    code = activations.mean(axis=(1, 2))
    return code.mean(axis=0), code.mean(axis=1)
    ### END SOLUTION


lesson.exercise(l10.check_means, means)

# %% [markdown]
# ### 3 Fold a standardisation away
#
# A layer has filters (rows, columns, channels, maps) and a bias (maps,), made for inputs less `mean`
# over `sd`, one number a channel each. Write `fold(filters, bias, mean, sd)`: the filters and the
# bias that do the same to inputs as they are.


# %%
def fold(filters, bias, mean, sd):
    ### BEGIN SOLUTION
    folded = filters / sd[:, None]
    return folded, bias - (folded * mean[:, None]).sum(axis=(0, 1, 2))
    ### END SOLUTION


lesson.exercise(l10.check_fold, fold)

# %% [markdown]
# ## What we learned
#
# - Unlabelled scans do teach filters that give images back. Whether these find lesions better than
#   good random ones is another question, and the table answers it: look at it, not at the filters.
# - A weight between lesion and rest trades precision for sensitivity at .5. What it is worth shows
#   only where each loss has its own threshold, chosen on labelled scans.
# - Random filters, and random locked layers, are the twin without which a pretrained feature cannot
#   be judged.
#
# **What it cannot do.** Features learned to restore spend themselves on what is large and frequent,
# and lesions are neither. Whitening the images first, so that fine waves count as much as coarse
# ones, is the usual remedy (Coates 2011); we did not try it. Lesson 12 starts from weights that were learned *with* labels, of another
# task; lesson 13 lets unlabelled scans speak while the network learns.

# %% tags=["claims"]
lesson.claims_table()

# %% [markdown]
# **References.** M. Kallenberg et al., *Unsupervised Deep Learning Applied to Breast Density
# Segmentation and Mammographic Risk Scoring*, IEEE Transactions on Medical Imaging 2016. T. Brosch,
# L. Tang, Y. Yoo, D. Li, A. Traboulsee, R. Tam, *Deep 3D Convolutional Encoder Networks With Shortcuts
# for Multiscale Feature Integration Applied to Multiple Sclerosis Lesion Segmentation*, IEEE
# Transactions on Medical Imaging 2016. G. Hinton, *Training Products of Experts by Minimizing
# Contrastive Divergence*, Neural Computation 2002. V. Nair, G. Hinton, *Rectified Linear Units Improve
# Restricted Boltzmann Machines*, ICML 2010. H. Lee et al., *Convolutional Deep Belief Networks*, ICML
# 2009. A. Coates, H. Lee, A. Ng, *An Analysis of Single-Layer Networks in Unsupervised Feature
# Learning*, AISTATS 2011. K. He, X. Zhang, S. Ren, J. Sun, *Delving Deep into Rectifiers*, ICCV 2015. Z. Lesjak et al.,
# *A Novel Public MR Image Dataset of Multiple Sclerosis Patients With Lesion Segmentations Based on
# Multi-rater Consensus*, Neuroinformatics 2018.
