# %% [markdown]
# # 08 No labels at all: learn features, cluster them, paint the clusters back
#
# - **You will see** a network that learns without a single label: clusters teach it features, better
#   features make other clusters, in turns (*JULE*); and its clusters painted on a volume.
# - **You will measure** what that is worth beside thresholds on grey values, and beside twins that
#   learn nothing: smoothing, mean and spread of a patch, a network of random weights.
# - **It takes** about two minutes on two cores (*desktop* scale), seconds at *smoke* scale.
# - **It builds on** Otsu and k-means (lesson 00) and features without labels (lesson 07).
# - **You need** nothing to download: the specimen is simulated.

# %% tags=["setup"]
from itertools import combinations

import keras
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch
from scipy import ndimage
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_score

from medseg_tf import data, lesson, methods, metrics, models, plots, training
from medseg_tf.lesson.exercises import l08
from medseg_tf.methods.jule import triplet
from medseg_tf.table import Table

# Our narrow layers gain nothing from 16 bits.
precision = training.set_precision(lesson.scale(smoke="float32", desktop="float32", paper="auto"))

# %% [markdown]
# ## The claim
#
# The review tells of Moriya et al. (2018), who carried a clustering of photographs (Yang, Parikh,
# Batra, 2016) over to volumes. A network of three convolutions, a pooling and two dense layers learns
# a vector for each small block of the image; k-means puts the vectors into K classes; the voxels in
# the middle of a block get its class. K can be changed without new features, and no medical knowledge
# is needed. With K = 3 a "lung CT" is divided into invasive cancer, non-invasive cancer and normal
# tissue, better than by k-means or by Otsu's thresholds on grey values.
#
# Four kind corrections before we start.
#
# - The images are **micro-CT of three resected pieces of lung**, no scans of patients.
# - The network is trained on **the very image it then divides**. There is no test set; scores compare
#   with labels that the method never saw.
# - That K may be changed freely is true of the last step only. The learning itself merges clusters
#   down to a number given beforehand, and that number shapes the features. We measure how much.
# - k-means and Otsu were given single voxels, the network a whole neighbourhood. A fair twin may look
#   at the neighbourhood, too.
#
# | claim | twin |
# |---|---|
# | (a) learned features beat grey values | k-means, multi-Otsu on voxels |
# | (b) and smoothed grey values | k-means after a Gaussian blur |
# | (c) and the simplest texture there is | k-means on a patch's mean and spread |
# | (d) learning is what helps | the same network, its weights random |
# | (e) features and clusters help each other | the same merging, of raw patches |
# | (f) smaller blocks draw finer borders | blocks four times as wide |
# | (g) the data tell how many clusters there are | three, by the truth |
# | (h) K can be changed without new features | features learned for that K |
# | (i) another seed finds the same clusters | mean and spread |
# | (j) features find a texture that mean and spread cannot | mean and spread; raw patches |
# | (k) on real scans they beat grey values | k-means on voxels |

# %% [markdown]
# ## The data
#
# A simulated specimen. **Normal** lung (class 0) is air in thin walls. **Invasive** cancer (class 1)
# has filled the air with soft tissue and varies little. **Non-invasive** cancer (class 2) grows along
# the walls, thickens them and leaves the air spaces open. Voxels of 25 um.

# %%
SEED = 0
size = lesson.scale(smoke=(24, 24, 24), desktop=(48, 64, 64), paper=(128, 128, 128))
case = data.phantoms.lung_specimen(1, seed=SEED, size=size)[0]
image, truth = data.z_score(case.image.array), case.label.array
tissues = ["normal", "invasive", "non-invasive"]
lesson.banner([case], "exact labels; published specimens are not within reach")
print(size, "voxels:", ", ".join(f"{s} {(truth == k).mean():.0%}" for k, s in enumerate(tissues)))


# %%
COLOURS = ["#999999", *plots.CLASS_COLOURS]  # of class or cluster 0, 1, 2 ...


def show_labels(labels, grey=None, cut=size[0] // 2):
    """Return a figure of label maps, behind the grey image if there is one; of volumes a slice."""
    count = len(labels) + (grey is not None)
    figure, axes = plt.subplots(1, count, figsize=(2.3 * count, 2.6), layout="constrained")
    if grey is not None:
        plots.show_image(grey, title="image", axes=axes[0])
    for panel, (title, one) in zip(axes[-len(labels) :], labels.items(), strict=True):
        one = one if one.ndim == 2 else one[cut]
        panel.imshow(one, cmap=ListedColormap(COLOURS), vmin=-0.5, vmax=7.5)
        panel.set_title(title, fontsize=10)
        panel.set(xticks=[], yticks=[])
    return figure


# %%
figure = show_labels({"truth": truth}, image[size[0] // 2, ..., 0])
marks = [Patch(color=color, label=name) for color, name in zip(COLOURS, tissues, strict=False)]
figure.legend(handles=marks, loc="outside right center", frameon=False)
figure.set_size_inches(6.8, 2.9)
plots.show(
    figure,
    alt="A slice of the specimen: lace of thin walls, lace of thick walls, and solid grey with small "
    "holes. Beside it the truth: normal grey, invasive blue, non-invasive orange.",
)

# %% [markdown]
# The eye tells three textures apart. Can a threshold? The grey values of the three:

# %%
figure, axes = plt.subplots(figsize=(6.4, 2.8), layout="constrained")
edges = np.linspace(-0.2, 1.1, 80)
for number, (name, color) in enumerate(zip(tissues, COLOURS, strict=False)):
    grey = case.image.array[..., 0][truth == number]
    axes.hist(grey, edges, histtype="step", density=True, color=color, linewidth=1.8, label=name)
    print(f"{name:13} mean {grey.mean():.2f}, spread {grey.std():.2f}")
axes.set(xlabel="grey value", ylabel="density")
axes.spines[["top", "right"]].set_visible(False)
axes.legend(frameon=False)
plots.show(
    figure,
    alt="Grey values of the three tissues: normal and non-invasive both have a peak at air and one "
    "at walls; invasive has one peak between, at soft tissue.",
)

# %% [markdown]
# ### Scores for clusters without names
#
# A cluster's number means nothing. Two scores live with that. **Accuracy** renames the clusters so
# that most pixels are right, each cluster another class (the *Hungarian method* finds the best of all
# one-to-one maps). **NMI**, normalised mutual information, needs no names: how much knowing the
# cluster tells of the class, 0 nothing, 1 all. Twelve pixels, **predict** the best names:

# %%
true = np.repeat([0, 1, 2], 4)
found = np.array([2, 2, 2, 1, 0, 0, 0, 0, 1, 1, 1, 0])
named = metrics.match_clusters(true, found)
print("truth   ", *true)
print("clusters", *found)
print("renamed ", *named)
print(f"right as numbered {np.mean(true == found):.2f}, renamed {np.mean(true == named):.2f}")
print(f"NMI {metrics.nmi(true, found):.3f} (with JULE's geometric mean: "
      f"{metrics.nmi(true, found, 'geometric'):.3f})")  # fmt: skip

# %% [markdown]
# ### Baselines that learn nothing
#
# Multi-Otsu searches the thresholds, k-means starts at random, but both make the classes vary least
# within themselves. On one channel they are **one criterion**, so expect the same labels, nearly.

# %%
rows = []


def add(arm, found, seed=SEED):
    """Note an arm's scores; return its clusters, renamed."""
    named = metrics.match_clusters(truth, found)
    scores = {"NMI": metrics.nmi(truth, found), "accuracy": float((truth == named).mean())}
    rows.append({"arm": arm, "seed": seed} | scores)
    return named


pictures = {"truth": truth}
pictures["multi-Otsu"] = add("multi-Otsu", methods.multi_otsu(image, 3))
pictures["k-means"] = add("k-means", methods.k_means(image, 3, SEED))
print(f"NMI of the two: {metrics.nmi(pictures['multi-Otsu'], pictures['k-means']):.3f}")
plots.show(
    show_labels(pictures),
    alt="Truth, multi-Otsu, k-means: both follow walls and air voxel by voxel and show no tissue.",
)

# %% [markdown]
# They found walls, air and what lies between, which is what the grey values hold.
#
# ## The idea by hand
#
# JULE turns three things round and round. **Merge** the clusters that belong together; **teach** the
# network that samples of one cluster lie close and others far; look at the samples through the
# network, which makes the next merges better ones. First, what belongs together?
#
# ### A graph of neighbours
#
# Each sample points at its nearest neighbours, with weight exp(-distance² / s²). Five points on a
# line, two neighbours each, s² the mean squared distance along the edges:

# %%
x = np.array([0.0, 1, 2, 10, 11])
gaps = (x[:, None] - x) ** 2
nearest = np.argsort(gaps + np.diag([np.inf] * 5), axis=1)[:, :2]
spread = np.take_along_axis(gaps, nearest, 1).mean()
weights = np.zeros((5, 5))
for i, some in enumerate(nearest):
    weights[i, some] = np.exp(-gaps[i, some] / spread)
print(f"s² = {spread:.1f}\n{weights.round(3)}")
package = methods.affinity(x[:, None], neighbours=2).toarray()
print("largest difference to methods.affinity:", f"{abs(weights - package).max():.0e}")

# %% [markdown]
# The affinity of two clusters multiplies, sample by sample, how strongly the other cluster points at
# it and how strongly it points back. **Predict** the affinity of {0, 1, 2} and {10, 11}: 10 and 11
# both point at 2.

# %%
for name, groups in {
    "{0, 1} and {2}": [0, 0, 1, 2, 2],
    "{0, 1, 2} and {10, 11}": [0, 0, 0, 1, 1],
}.items():
    affinity = methods.cluster_affinity(methods.affinity(x[:, None], 2), np.array(groups))
    print(f"affinity of {name}: {affinity[0, 1]:.3f}")

# %% [markdown]
# None: 2 does not point back. An outlier that points at everyone belongs to nobody.
#
# ### Which pair merges first?
#
# Not the one of highest affinity $A$, but one that is close *and stands apart* from its $K_c - 1$
# next neighbours: the lowest
#
# $$L = -A_1 - \frac{\lambda}{K_c - 1} \sum_{k=2}^{K_c} (A_1 - A_k)$$
#
# **Predict**: one cluster has affinities .5 to its nearest and .1 to four others, another .6 and four
# times .58.

# %%
losses = methods.merge_loss([(0.5, 0.1, 0.1, 0.1, 0.1), (0.6, 0.58, 0.58, 0.58, 0.58)])
print(
    "losses:",
    losses.round(2),
    "- merged first:",
    ["the one of .5", "the one of .6"][losses.argmin()],
)

# %% [markdown]
# ### What the network is taught
#
# A triplet: an anchor, one of its own cluster, one of another. The loss is 0 once the stranger is
# farther, in squared distance, than $\gamma$ times the friend, by a margin:
# $\max(0, \gamma\, d_{near} - d_{far} + 0.2)$. For squared distances .4 and .8:

# %%
for pull in (1, 2):
    print(f"gamma {pull}: loss {float(triplet(0.4, 0.8, pull=pull)):.1f}")

# %% [markdown]
# ### In turns
#
# The first clusters join each patch to its nearest neighbour, pixel by pixel. In every period nine
# in ten clusters are merged away and the network learns; the paper also has two in ten, for faces.
# **Predict**: from 250 clusters to 3, how many periods?

# %%
for merge in (0.9, 0.2):
    counts = methods.merge_schedule(250, 3, merge)
    print(f"{merge}: {len(counts) - 1} merges,", *counts)

# %% [markdown]
# ### The network
#
# Moriya's patches are 27 x 27 x 27. Convolutions of 5 without padding take 4 voxels, the pooling
# halves. The paper names "fully connected layers of 1350 and 160". Where must the pooling stand?

# %%
for order in ("conv pool conv conv", "conv conv conv pool"):
    sides = [27]
    for layer in order.split():
        sides.append(sides[-1] // 2 if layer == "pool" else sides[-1] - 4)
    print(f"{order}: sides {sides}, 50 maps leave {50 * sides[-1] ** 3:,} numbers")
paper = models.patch_encoder()
print(f"models.patch_encoder(): {paper.count_params():,} weights")

# %% [markdown]
# Behind the first convolution: then 1350 is what is left, and 160 the one dense layer. (The authors
# do not say; this is our reading, and the builder knows the other one.) The output is divided by its
# length, so features lie on a sphere.

# %%
lesson.source(models.patch_encoder)

# %% [markdown]
# ## Predict, then run
#
# The desktop network sees 15 x 15 x 15 voxels and has a third of the channels. It learns from random
# patches of the specimen, without labels; then each block of 4 x 4 x 4 voxels is described by the
# patch round it, k-means makes three clusters, and they are painted back.
#
# **Before you run on**: k-means on grey values has the NMI above. What will the learned features have?

# %%
my_nmi = 0.5  # change me

# %%
patch, stride = lesson.scale(smoke=13, desktop=15, paper=27), 4
count = lesson.scale(smoke=60, desktop=600, paper=2000)
epochs = lesson.scale(smoke=5, desktop=10, paper=20)
net = lesson.scale(
    smoke={"maps": (8, 8, 8), "kernel": 3, "dense": (32,), "features": 16},
    desktop={"maps": (16, 16, 16), "kernel": 3, "dense": (64,), "features": 32},
    paper={},
)


def fresh(seed):
    keras.utils.set_random_seed(seed)  # of the first weights
    return models.patch_encoder((patch, patch, patch, 1), **net)


def learn(seed, clusters=3):
    """Train an encoder without labels: the encoder, and what happened on the way."""
    encoder, patches = fresh(seed), methods.draw_patches(image, count, patch, seed)
    return encoder, methods.jule(encoder, patches, clusters, epochs=epochs, seed=seed)


# %%
encoder, history = learn(SEED)
print("clusters, period by period:", *(labels.max() + 1 for labels in history["labels"]))
print("their sizes at the end:", *np.bincount(history["labels"][-1]))
plots.show(
    plots.show_curves({"JULE": history["loss"]}, "epoch", "triplet loss"),
    alt="The triplet loss falls within each period; when clusters are merged it rises, because the "
    "task is a new one.",
)

# %% [markdown]
# The curve says how well the network does what the clusters of the moment ask, not whether they are
# tissues. Each merge is a new task. Now paint:


# %%
def describe(encode, stride=stride, patch=patch):
    return methods.block_features(image, encode, patch, stride)


def paint(features, classes=3, seed=SEED, stride=stride):
    return methods.paint_clusters(features, truth.shape, stride, classes, seed)


features = {SEED: describe(encoder.predict_on_batch)}
painted = {SEED: paint(features[SEED])}
pictures["JULE + k-means"] = add("JULE + k-means", painted[SEED])
print(f"you said {my_nmi}; it is {rows[-1]['NMI']:.3f}")
plots.show(
    show_labels({name: pictures[name] for name in ("truth", "k-means", "JULE + k-means")}),
    alt="Truth, k-means, and the painted clusters: blocky regions. Normal lung and the solid cancer "
    "have one each; the third runs along their borders.",
)

# %% [markdown]
# ### What learning did to the features
#
# 600 patches as the network sees them, before and after, by their two main directions; colours are
# the true tissue of the middle voxel.

# %%
patches = methods.draw_patches(image, count, patch, SEED)
middle = (slice(None), *[patch // 2] * 3, 0)
tissue = methods.draw_patches(truth[..., None], count, patch, SEED)[middle]
figure, axes = plt.subplots(1, 2, figsize=(7.6, 3.4), layout="constrained")
for panel, (title, one) in zip(
    axes, {"random": fresh(SEED), "learned": encoder}.items(), strict=True
):
    flat = PCA(2, random_state=SEED).fit_transform(one.predict_on_batch(patches))
    for number, marker in enumerate("os^"):
        style = {"s": 12, "alpha": 0.6, "marker": marker, "linewidths": 0}
        panel.scatter(
            *flat[tissue == number].T, color=COLOURS[number], label=tissues[number], **style
        )
    panel.set(title=f"{title} weights", xticks=[], yticks=[])
axes[1].legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1, 0.5))
plots.show(
    figure,
    alt="Left, random weights: one cloud with the tissues mixed. Right, learned: two dense heaps, one "
    "of normal lung, one of invasive cancer; non-invasive lies in both and in the bow between them.",
)

# %% [markdown]
# Learning made heaps. Are they the three tissues? Which share of each tissue went to which cluster:

# %%
Table(
    {"tissue": name}
    | {
        f"cluster {k}": float((pictures["JULE + k-means"][truth == t] == k).mean())
        for k in range(3)
    }
    for t, name in enumerate(tissues)
)

# %% [markdown]
# Normal lung and invasive cancer each have a cluster. The non-invasive cancer is dealt out: where its
# walls fill the patch it looks solid, where they leave space it looks like lung. What is left for the
# third cluster are patches *between*, above all those on a border, which see two tissues. (The paper
# reports that the two cancers came apart in two of its three specimens.)

# %% [markdown]
# ## Against the twins
#
# Each twin ends with the same k-means, three clusters. **Predict** the order of: a Gaussian blur of a
# fifth of the patch; a patch's mean and spread, two numbers; its 32 principal components; the same
# network with random weights (its normalisation has seen the patches); JULE. We draw the patches, the
# weights and the starts of k-means three times.


# %%
def moments(patches):
    flat = patches.reshape(len(patches), -1)
    return np.stack([flat.mean(axis=1), flat.std(axis=1)], axis=1)


def random_weights(seed):
    """The encoder that learned nothing; its normalisation knows the patches' means."""
    untrained, patches = fresh(seed), methods.draw_patches(image, 100, patch, seed)
    for _ in range(lesson.scale(smoke=2, desktop=40)):
        untrained(patches, training=True)
    return describe(untrained.predict_on_batch)


def components(seed):
    """The patches' principal components, of the patches that JULE learns from."""
    flat = methods.draw_patches(image, count, patch, seed).reshape(count, -1)
    pca = PCA(32, svd_solver="randomized", random_state=seed).fit(flat)
    return describe(lambda patches: pca.transform(patches.reshape(len(patches), -1)))


# %%
seeds = lesson.scale(smoke=(0, 1), desktop=(0, 1, 2))
blurred = ndimage.gaussian_filter(image[..., 0], patch / 5)[..., None]
two_numbers, by_moments = describe(moments), {}
for seed in seeds:
    add("k-means, blurred", methods.k_means(blurred, 3, seed), seed)
    by_moments[seed] = add("mean and spread", paint(two_numbers, seed=seed), seed)
    add("principal components", paint(components(seed), seed=seed), seed)
    add("random weights", paint(random_weights(seed), seed=seed), seed)
    if seed != SEED:
        add("k-means", methods.k_means(image, 3, seed), seed)
        add("multi-Otsu", methods.multi_otsu(image, 3), seed)
        features[seed] = describe(learn(seed)[0].predict_on_batch)
        painted[seed] = paint(features[seed], seed=seed)
        add("JULE + k-means", painted[seed], seed)


# %%
def over_seeds(arm, score="NMI"):
    return np.array([r[score] for r in sorted(rows, key=lambda r: r["seed"]) if r["arm"] == arm])


table = Table()
for arm in dict.fromkeys(row["arm"] for row in rows):
    table.append({"arm": arm})
    for score in ("NMI", "accuracy"):
        values = over_seeds(arm, score)
        table[-1] |= {score: f"{values.mean():.3f}"}
        table[-1][f"{score}, from seed to seed"] = f"{values.min():.3f} to {values.max():.3f}"
table

# %%
for text, twin, why in [
    ("(a) learned features beat grey values", "k-means", ""),
    ("(b) and smoothed grey values", "k-means, blurred", "a blur sees the neighbourhood, too"),
    ("(c) and a patch's mean and spread", "mean and spread", "these tissues differ in just that"),
    ("(d) learning is what helps", "random weights", ""),
]:
    gains = over_seeds("JULE + k-means") - over_seeds(twin)
    lesson.claim(
        text,
        what=f"NMI, mean of {len(seeds)} seeds; twin: {twin}",
        measured=over_seeds("JULE + k-means").mean(),
        against=over_seeds(twin).mean(),
        spread=gains.std(ddof=1),
        holds=gains.mean() > 0,
        why="" if gains.mean() > 0 else why,
        source="Moriya 2018" if twin == "k-means" else "our measurement",
    )

# %% [markdown]
# So the published comparison is won, and by far, and random weights show that it is the learning that
# lifts the network. But what is won over single voxels comes from looking at a **neighbourhood**: two
# numbers of a patch, which nobody has to train, or a plain blur do about as well or better here. Keep
# that in mind when a method is compared with thresholds on voxels alone.
#
# ### (e) Do features help clusters?
#
# The twin merges the same first clusters down to three by the same rule, but looks at raw patches
# all the time. NMI of the training patches with the tissue of their middle voxel:

# %%
merged = Table()
for labels in history["labels"]:
    merged.append({"clusters": int(labels.max() + 1), "NMI": metrics.nmi(tissue, labels)})
raw = methods.agglomerate(patches, history["labels"][0], 3)
merged.append({"clusters": "3, of raw patches", "NMI": metrics.nmi(tissue, raw)})
lesson.claim(
    "(e) features and clusters help each other",
    what="NMI of the training patches, three clusters",
    measured=merged[-2]["NMI"],
    against=merged[-1]["NMI"],
    holds=merged[-2]["NMI"] > merged[-1]["NMI"],
    why="" if merged[-2]["NMI"] > merged[-1]["NMI"] else "what it learned from were no tissues",
    source="Yang 2016",
)
merged

# %% [markdown]
# (Many clusters always know more, but NMI divides by what there is to know of them: compare rows of
# three.)
#
# ### (f) Blocks
#
# The label is that of a block. Smaller blocks draw finer borders, at a price that grows with the
# third power. **Predict**: does NMI rise as long as blocks shrink?

# %%
blocks = Table()
for step in lesson.scale(smoke=(8, 4), desktop=(8, 4, 2)):
    one = describe(encoder.predict_on_batch, step)
    found = paint(one, stride=step)
    right = float((metrics.match_clusters(truth, found) == truth).mean())
    blocks.append({"side": step, "patches": int(np.prod(one.shape[:-1]))})
    blocks[-1] |= {"NMI": metrics.nmi(truth, found), "accuracy": right}
lesson.claim(
    "(f) smaller blocks draw finer borders",
    what=f"NMI, blocks of {blocks[-1]['side']} and {blocks[0]['side']} voxels",
    measured=blocks[-1]["NMI"],
    against=blocks[0]["NMI"],
    holds=blocks[-1]["NMI"] > blocks[0]["NMI"],
    source="Moriya 2018",
)
blocks

# %% [markdown]
# From some side on little is won: a patch of 15 voxels cannot say on which side of a border its
# middle lies, however finely the patches are placed.
#
# ## How many clusters?
#
# We told k-means that there are three tissues. Who tells us in a new image? A common judge is the
# **silhouette**: how much nearer, on average, a block lies to its own cluster than to the next one. It
# needs no labels. **Predict** which K it prefers, and which K the truth prefers.

# %%
judged = Table()
for number in (2, 3, 4, 5, 6):
    own = methods.k_means(features[SEED], number, SEED)
    every = features[SEED].reshape(own.size, -1)
    row = {"K": number, "silhouette": silhouette_score(every, own.ravel())}
    row |= {"NMI, JULE": metrics.nmi(truth, paint(features[SEED], number))}
    judged.append(row | {"NMI, mean and spread": metrics.nmi(truth, paint(two_numbers, number))})
chosen = max(judged, key=lambda row: row["silhouette"])["K"]
lesson.claim(
    "(g) the data tell how many clusters there are",
    what="K of the highest silhouette; tissues",
    measured=chosen,
    against=3,
    holds=chosen == 3,
    why="" if chosen == 3 else "heaps that can be told apart need not be tissues",
    source="our measurement",
)
judged

# %%
counts = {k: metrics.match_clusters(truth, paint(features[SEED], k)) for k in (2, 3, 5)}
plots.show(
    show_labels({"truth": truth} | {f"K = {k}": found for k, found in counts.items()}),
    alt="Truth beside two, three and five clusters: with two, tissues share a cluster; with more, "
    "new clusters run along the borders.",
)

# %% [markdown]
# Too few clusters put tissues together; more of them need not part those tissues, but go to the
# borders or cut a tissue in two. All of these maps look plausible to one who does not know the truth.
# That NMI hardly cares which K we take says that none of them is the right one.
#
# And the network? It was trained towards three. Had it been told six, are its features as good for
# three?

# %%
for_six = describe(learn(SEED, clusters=6)[0].predict_on_batch)
other, noise = metrics.nmi(truth, paint(for_six)), over_seeds("JULE + k-means").std(ddof=1)
lesson.claim(
    "(h) K can be changed without new features",
    what="NMI of three clusters; features learned for six, for three",
    measured=other,
    against=rows[2]["NMI"],
    holds=other > rows[2]["NMI"] - max(noise, 0.02),
    source="the review",
)

# %% [markdown]
# ## Another seed
#
# The same specimen, other patches, other first weights. How alike are the labels of two seeds? NMI
# again, this time of one labelling with another; no truth is needed.

# %%
pairs = list(combinations(seeds, 2))
alike = {
    "JULE + k-means": [metrics.nmi(painted[a], painted[b]) for a, b in pairs],
    "mean and spread": [metrics.nmi(by_moments[a], by_moments[b]) for a, b in pairs],
}
lesson.claim(
    "(i) another seed finds the same clusters",
    what="NMI of the two seeds that differ most; twin: mean and spread",
    measured=min(alike["JULE + k-means"]),
    against=min(alike["mean and spread"]),
    holds=min(alike["JULE + k-means"]) > 0.95 * min(alike["mean and spread"]),
    why="the order of merges hangs on small differences",
    source="our measurement",
)
plots.show(
    show_labels({f"seed {k}": metrics.match_clusters(truth, painted[k]) for k in seeds}),
    alt="Painted clusters of the seeds: the large regions agree; borders and small regions differ.",
)

# %% [markdown]
# What two seeds disagree on cannot be in the data alone. It is the cheapest test there is for a
# clustering without truth: run it again. (It finds what is unstable, not what is wrong.)
#
# ## Look
#
# Where is the painted map wrong? Orange: normal lung called cancer. Blue: cancer called normal. Pink:
# the wrong cancer.

# %%
plots.show(
    plots.show_error(case.image, case.label, pictures["JULE + k-means"]),
    alt="Errors on three planes: large pink areas, where one cancer was taken for the other; blue and "
    "orange blocks along the borders of normal lung.",
)

# %% [markdown]
# ## What a cluster cannot know
#
# **Its name.** Which cluster is the invasive cancer? The renaming looked at the truth. Without it:

# %%
for seed in seeds:
    print(
        f"seed {seed}: right as numbered {(painted[seed] == truth).mean():.2f}, renamed "
        f"{(metrics.match_clusters(truth, painted[seed]) == truth).mean():.2f}"
    )

# %% [markdown]
# **Which differences matter.** Two cloths, one striped along, one across; grey values, means and
# spreads are the same, a voxel or a blur can know nothing. A network can. But to a cluster a stripe
# that begins one pixel later is as new a thing as a stripe that runs the other way.


# %%
def cloth(side, seed=SEED, period=4, noise=0.5):
    """Two cloths in one picture (side, side, 1), and which is where."""
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.normal(size=(side, side)), side / 8, mode="wrap")
    which = (field > np.median(field)).astype(int)
    down, across = 2 * np.pi * np.mgrid[:side, :side] / period + 1
    picture = np.where(which, np.sin(across), np.sin(down)) + rng.normal(0, noise, (side, side))
    return picture[..., None].astype("float32"), which


side, window = lesson.scale(smoke=48, desktop=96), 11
picture, which = cloth(side)


def label_cloth(encode, clusters=2):
    described = methods.block_features(picture, encode, window, 3)
    return methods.paint_clusters(described, which.shape, 3, clusters, SEED)


# %%
some = methods.draw_patches(picture, lesson.scale(smoke=60, desktop=400), window, SEED)


def jule_on_cloth(clusters):
    keras.utils.set_random_seed(SEED)
    width = lesson.scale(smoke=4, desktop=16)
    weaver = models.patch_encoder((window, window, 1), (width, width), 3, features=32)
    methods.jule(weaver, some, clusters, epochs=epochs, seed=SEED)
    return label_cloth(weaver.predict_on_batch, clusters)


# %%
slopes = [ndimage.sobel(picture[..., 0], axis) ** 2 for axis in (0, 1)]
energy = np.stack([ndimage.gaussian_filter(one, window / 5) for one in slopes], axis=-1)


def flat(patches):
    return patches.reshape(len(patches), -1)


cloths = {
    "k-means, blurred": methods.k_means(ndimage.gaussian_filter(picture, (2, 2, 0)), 2),
    "mean and spread, 2 clusters": label_cloth(moments),
    "JULE, 2 clusters": jule_on_cloth(2),
    "mean and spread, 8 clusters": label_cloth(moments, 8),
    "raw patches, 8 clusters": label_cloth(flat, 8),
    "JULE, 8 clusters": jule_on_cloth(8),
    "slopes along and across": methods.k_means(energy, 2),
}

# %%
shown = ["JULE, 2 clusters", "JULE, 8 clusters", "slopes along and across"]
plots.show(
    show_labels({"truth": which} | {name: cloths[name] for name in shown}, picture[..., 0]),
    alt="Two striped cloths and where they are; two clusters, stripes that mix both cloths; eight "
    "clusters, stripes of other colours in each cloth; and what slopes along and across find.",
)


# %%
def told(found):
    """How much of the truth a labelling tells: mutual information over the truth's entropy."""
    share = np.bincount(found.ravel()) / found.size
    own = -(share[share > 0] * np.log(share[share > 0])).sum()
    return metrics.nmi(which, found) * (own + np.log(2)) / 2 / np.log(2)  # half is either cloth


for text, twin in [
    ("(j) features find a texture that mean and spread cannot", "mean and spread, 8 clusters"),
    ("(j) and more of it than raw patches", "raw patches, 8 clusters"),
]:
    measured, against = told(cloths["JULE, 8 clusters"]), told(cloths[twin])
    lesson.claim(
        text,
        what=f"share of the truth told, two cloths; twin: {twin}",
        measured=measured,
        against=against,
        spread=0.05,
        holds=measured > against,
        why="" if measured > against else "stripes look alike everywhere: pixels suffice",
        source="our measurement",
    )

# %%
Table(
    {"arm": arm, "clusters": int(found.max() + 1), "NMI": metrics.nmi(which, found)}
    | {"truth told": told(found)}
    for arm, found in cloths.items()
)

# %% [markdown]
# *Truth told* is the share of what there is to know, however many clusters tell it. Read the table
# twice. What single voxels, a blur, and mean and spread cannot know is there for patches to find, with
# learning or, here, without. Yet asked for two clusters nobody returns the two cloths: phases of both
# are put together. Eight clusters, four phases of each, tell much, and then somebody has to say which
# belong together: a label. And who *knows* that direction is what matters takes slopes along and
# across, two numbers, and needs no network.
#
# **What lies elsewhere.** A patch does not know where it is: to it, air in the lung and air beside the
# body are one thing.
#
# ## On real scans
#
# Lungs in CT slices (`LungCT`) and in proton MR volumes (`ProtonLungMRI`); tissues inside the brain in
# T1 and in four contrasts (`PTBP`, whose labels are a program's answer, so a score says how well two
# programs agree). Each image is clustered for itself, into as many clusters as there are classes; "one
# more" gives one cluster more. Scores are means over images. `make results LESSON=08` measures it
# again.

# %%
real = lesson.results("08_unsupervised")
real and lesson.over_seeds(real, ["nmi", "accuracy", "nmi_one_more"])


# %%
def judge(name, arm="JULE + k-means", twin="k-means"):
    """An arm's NMI on a real set against its twin's, over the seeds."""
    of = {one: [r["nmi"] for r in real["rows"] if (r["set"], r["arm"]) == (name, one)]
          for one in (arm, twin)}  # fmt: skip
    gains = np.subtract(of[arm], of[twin])
    lesson.claim(
        f"(k) on real scans they beat grey values: {name}",
        what="NMI, mean over images",
        measured=np.mean(of[arm]),
        against=np.mean(of[twin]),
        spread=np.std(gains, ddof=1) if len(gains) > 1 else None,
        holds=gains.mean() > 0,
        why="" if gains.mean() > 0 else "here grey values, not textures, tell classes apart",
        source="our measurement",
    )


for name in dict.fromkeys(row["set"] for row in real["rows"]) if real else []:
    judge(name)

# %% [markdown]
# ## Your turn
#
# ### 1 The affinity of two clusters
#
# Write `pair_affinity(weights, first, second)`. `weights[i, j]` is the weight of the edge from sample
# i to sample j, 0 where there is none; `first` and `second` are arrays of sample numbers. With
# $W_{12}$ the block of edges from the first to the second cluster and $n$ their sizes:
#
# $$A = \frac{1}{n_1^2} \sum (W_{12} W_{21}) + \frac{1}{n_2^2} \sum (W_{21} W_{12})$$
#
# The sums run over all entries of the matrix products.


# %%
def pair_affinity(weights, first, second):
    ### BEGIN SOLUTION
    there, back = weights[np.ix_(first, second)], weights[np.ix_(second, first)]
    return (there @ back).sum() / len(first) ** 2 + (back @ there).sum() / len(second) ** 2
    ### END SOLUTION


lesson.exercise(l08.check_pair_affinity, pair_affinity)

# %% [markdown]
# ### 2 How many clusters in each period
#
# Write `cluster_counts(samples, clusters, merge)`: the list of cluster numbers, from `samples` to
# `clusters`. In each period a share `merge` of the clusters is merged away, rounded up, but never more
# than down to `clusters`.


# %%
def cluster_counts(samples, clusters, merge):
    ### BEGIN SOLUTION
    counts = [samples]
    while counts[-1] > clusters:
        away = int(np.ceil(merge * counts[-1] - 1e-9))  # 0.55 * 100 is a little above 55
        counts.append(max(clusters, counts[-1] - away))
    return counts
    ### END SOLUTION


lesson.exercise(l08.check_cluster_counts, cluster_counts)

# %% [markdown]
# ### 3 Scores without names
#
# Write `cluster_scores(truth, found)`: accuracy under the best one-to-one renaming, and NMI with the
# *mean* of the two entropies below. `truth` and `found` are arrays of numbers from 0.
# `scipy.optimize.linear_sum_assignment(table, maximize=True)` finds the rows and columns of the best
# pairs. With shares $p_{uv}$ of pixels, $I = \sum p_{uv} \ln \frac{p_{uv}}{p_u p_v}$ and
# $H = -\sum p \ln p$.


# %%
def cluster_scores(truth, found):
    ### BEGIN SOLUTION
    from scipy.optimize import linear_sum_assignment

    table = np.zeros((truth.max() + 1, found.max() + 1))
    np.add.at(table, (truth, found), 1 / truth.size)
    accuracy = table[linear_sum_assignment(table, maximize=True)].sum()

    def entropy(p):
        return -(p[p > 0] * np.log(p[p > 0])).sum()

    h_truth, h_found = entropy(table.sum(axis=1)), entropy(table.sum(axis=0))
    common = h_truth + h_found - entropy(table)
    return accuracy, 2 * common / (h_truth + h_found)
    ### END SOLUTION


lesson.exercise(l08.check_cluster_scores, cluster_scores)

# %% [markdown]
# ## What we learned
#
# - Without labels a network can learn features: merge clusters, learn from them, look again. Painted
#   back they divide textures that thresholds on grey values cannot.
# - The fair twin of such a method is no threshold but a description of the same neighbourhood that
#   needs no learning. Where mean and spread tell the textures apart, they are hard to beat.
# - On the real scans at hand grey values tell the classes apart, and features of the neighbourhood only
#   blur them: there k-means on voxels was better. Ask what differs before choosing what to learn.
# - K, the seed, and what a cluster means are not in the data. Scores against labels, which renamed
#   the clusters, hide that.
#
# **What it cannot do.** It names nothing, it draws borders as coarse as its patches, it learns each
# image anew. Lesson 09 lets neighbours vote on a label, lesson 10 learns features without labels
# first and names them with a few, lesson 13 spreads few labels over many images.

# %% tags=["claims"]
lesson.claims_table()

# %% [markdown]
# **References.** T. Moriya, H. R. Roth, S. Nakamura, H. Oda, K. Nagara, M. Oda, K. Mori,
# *Unsupervised Segmentation of 3D Medical Images Based on Clustering and Deep Representation
# Learning*, SPIE Medical Imaging 10578, 2018, arXiv:1804.03830. J. Yang, D. Parikh, D. Batra, *Joint
# Unsupervised Learning of Deep Representations and Image Clusters*, CVPR 2016, arXiv:1604.03628. W.
# Zhang, X. Wang, D. Zhao, X. Tang, *Graph Degree Linkage*, ECCV 2012. N. Otsu, IEEE Trans. Systems,
# Man, and Cybernetics 9:62, 1979. P.-S. Liao, T.-S. Chen, P.-C. Chung, *A Fast Algorithm for
# Multilevel Thresholding*, J. Information Science and Engineering 17:713, 2001. S. Lloyd, *Least
# Squares Quantization in PCM*, IEEE Trans. Information Theory 28:129, 1982. P. Rousseeuw,
# *Silhouettes*, J. Computational and Applied Mathematics 20:53, 1987. The sets: K. S. Mader (2017)
# for `LungCT`; Tustison et al., Magnetic Resonance in Medicine 76:315, 2016, for `ProtonLungMRI`;
# Avants et al., Scientific Data 2:150003, 2015, for `PTBP`.
