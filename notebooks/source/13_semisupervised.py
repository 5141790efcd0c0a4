# %% [markdown]
# # 13 A hundred labels: let the labelled name the others
#
# - **You will see** how a hundred labels become more than a thousand, round by round and along a
#   graph, and how a network is then trained on labels that nobody checked.
# - **You will measure** what the given labels are worth: against the hundred alone, against all true
#   labels, against labelling everything at once; and what happens when a network is taught its own
#   mistakes.
# - **It takes** about two minutes on two cores (*desktop* scale), seconds at *smoke* scale.
# - **It builds on** the sliding window (lesson 01), U-Net (lesson 03) and random walks (lesson 09).
# - **You need** nothing to download: breast masses and skin lesions are simulated.

# %% tags=["setup"]
import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import LabelSpreading

from medseg_tf import data, inference, lesson, losses, methods, metrics, models, plots, training
from medseg_tf.lesson.exercises import l13
from medseg_tf.progress import progress
from medseg_tf.table import Table

# Our narrow layers gain nothing from 16 bits.
precision = training.set_precision(lesson.scale(smoke="float32", desktop="float32", paper="auto"))

# %% [markdown]
# ## The claim
#
# The review tells of Sun, Tseng, Zhang and Qian (2017), who search for signs of breast cancer. Of a
# training set of 3,158 samples only 100 are labelled. Twenty-one image measures are computed for
# all; labelled samples pass their labels on to unlabelled ones, again and again, until all have one;
# then a convolutional network is trained. About 80 % of the given labels are right, and the network
# reaches an accuracy of 82.43 %; with all 3,158 labels right, 85.52 %. So the work of labelling
# falls sharply and little is lost. Principal components (PCA) describe the samples; features from a
# network should label better.
#
# Three kind corrections before we start.
#
# - It is filed under segmentation, but it **classifies**: each sample is a region of interest that
#   holds one mass, benign or malignant. No outline is learned. (We do segment, at the end.)
# - The abstract says that 3,158 regions "were used for this study", from 1,874 pairs of mammograms;
#   not that all of them were training data.
# - "Little is lost" lacks a twin: the same network, trained on **the 100 alone**. If that reaches
#   82 % as well, the given labels were for nothing.
#
# | claim | twin |
# |---|---|
# | (a) labels get worse from round to round | the first round, the forced one |
# | (b) labelling in rounds beats labelling at once | one classifier, trained on all 100 |
# | (c) 100 labels and given ones beat the 100 alone | the same network, 100 labels |
# | (d) and lose little against all labels | the same network, all labels true |
# | (e) a network's features label better than principal components | the same graph on both |
# | (f) a network repeats mistakes that it was taught | the same network, never told them |
# | (g) whoever accepts at confidence .95 gets 95 % right labels | the labels |
# | (h) self-training improves a segmentation | its teacher, trained as long as both |
# | (i), (j) on real data | measured results |

# %% [markdown]
# ## The data
#
# Simulated regions of interest of a mammogram: a benign mass tends to be round and sharp, a
# malignant one ragged and faded, and both tendencies overlap. A mass carries its kind in its label,
# so the class of an image is the largest number of its label map.

# %%
SEED = 0
count, held_back, few = lesson.scale(smoke=(60, 20, 12), desktop=(1200, 600, 100))
cases = data.phantoms.breast_masses(count + held_back, seed=SEED)
lesson.banner(cases, "its hardness is set near the paper's, every label known")
images = np.stack([data.z_score(case.image.array) for case in cases])
kinds = np.array([int(case.label.array.max()) - 1 for case in cases])  # 0 benign, 1 malignant
x, y = images[:count], kinds[:count]
x_test, y_test = images[count:], kinds[count:]
labels = np.where(np.arange(count) < few, y, -1)  # -1: nobody has labelled it
unlabelled = labels == -1
print(f"{few} labelled, {unlabelled.sum()} not, {held_back} held back")

# %%
names = ["benign", "malignant"]
chosen = [np.flatnonzero(kinds == kind)[:5] for kind in (0, 1)]
figure, axes = plt.subplots(2, 5, figsize=(8.4, 3.6), layout="constrained")
for row, name, places in zip(axes, names, chosen, strict=True):
    for panel, place in zip(row, places, strict=True):
        plots.show_image(cases[place].image.array, cases[place].label.array, axes=panel)
    row[0].set_title(name, loc="left", fontsize=10)
plots.show(
    figure,
    alt="Five benign masses, mostly round with a clear outline, and five malignant ones, mostly "
    "lobed and blurred; some of either kind could be the other.",
)

# %% [markdown]
# ### Twenty-one measures, and a rule that needs no label
#
# `methods.region_measures` outlines the mass by Otsu's threshold and measures its shape, its border
# and its grey values. The paper's own 21 are not in what we could read; these are the usual ones.
# **Predict**: a doctor's rule, "the less compact half is malignant", needs no training at all. How
# often is it right?

# %%
measures = np.stack([methods.region_measures(image) for image in images])
compact = measures[:, methods.MEASURES.index("compactness")]
ragged = compact < np.median(compact[:count])
rule = ragged[count:] == y_test
print(*methods.MEASURES, sep=", ")
print(f"the ragged half called malignant: {rule.mean():.3f} right of {held_back} held back")

# %% [markdown]
# ## The idea by hand
#
# ### Along a graph
#
# Samples are nodes; an edge says how alike two are. *Label spreading* lets each node take the share
# $\alpha$ of its score from its neighbours and the rest from its own label, if it has one:
#
# $$F \leftarrow \alpha S F + (1-\alpha) Y, \qquad S = D^{-1/2} W D^{-1/2}$$
#
# $W$ holds the weights (no node is its own neighbour), $D$ the sums of its rows, $Y$ a one where a
# node has a label. It ends at $F^* = (1-\alpha)(I - \alpha S)^{-1} Y$. Five nodes in a chain, the
# first labelled A, the last B, and one weak edge. **Predict**: node 3 lies in the middle. A or B?

# %%
W = np.zeros((5, 5))
for node, weight in enumerate([1.0, 1.0, 0.2, 1.0]):
    W[node, node + 1] = W[node + 1, node] = weight
degree = W.sum(axis=1)
S = W / np.sqrt(np.outer(degree, degree))
Y = np.zeros((5, 2))
Y[0, 0] = Y[4, 1] = 1
F = Y
for _ in range(60):
    F = 0.8 * S @ F + 0.2 * Y
print(np.round(F, 4))
package = methods.label_spreading(W, [0, -1, -1, -1, 1], alpha=0.8)
print("largest difference to methods.label_spreading:", f"{abs(F - package).max():.0e}")

# %%
figure, axes = plt.subplots(figsize=(6.4, 2.4), layout="constrained")
for row, alpha in enumerate((0.2, 0.8, 0.99)):
    scores = methods.label_spreading(W, [0, -1, -1, -1, 1], alpha)
    share = scores[:, 0] / scores.sum(axis=1)
    for node in range(4):
        axes.plot([node, node + 1], [row, row], color="#999999", lw=5 * W[node, node + 1], zorder=1)
    axes.scatter(range(5), [row] * 5, c=share, s=650, cmap="RdBu_r", vmin=0, vmax=1)
    for node, value in enumerate(share):
        ink = "white" if abs(value - 0.5) > 0.25 else "#333333"
        axes.text(node, row, f"{value:.2f}", color=ink, ha="center", va="center", fontsize=9)
axes.set(yticks=range(3), yticklabels=["α = 0.2", "α = 0.8", "α = 0.99"], ylim=(-0.6, 2.6))
axes.set(xticks=range(5), xticklabels=["1: A", "2", "3", "4", "5: B"], xlim=(-0.4, 4.4))
axes.spines[:].set_visible(False)
axes.tick_params(length=0)
plots.show(
    figure,
    alt="The chain three times: nodes 1 to 3 are on A's side, 4 and 5 on B's, at each alpha; the "
    "larger alpha, the closer all shares come to one half.",
)

# %% [markdown]
# The weak edge is the border whatever $\alpha$ is: labels run along what is dense and stop where it
# is thin. That is the bet of every such method, *classes are clumps with gaps between them*, and it
# can be lost. A large $\alpha$ makes all scores alike and takes long: so many steps until nothing
# moves by a millionth.

# %%
for alpha in (0.2, 0.8, 0.99):
    last, moved = Y, 0
    for F in methods.spreading_steps(W, [0, -1, -1, -1, 1], alpha):
        if abs(F - last).max() < 1e-6:
            break
        last, moved = F, moved + 1
    print(f"alpha {alpha}: {moved} steps")
clamped = methods.harmonic_labels(W, [0, -1, -1, -1, 1])[:, 0]
print("with labels that may not change:", clamped, "(lesson 09's random walk)")

# %% [markdown]
# ### In rounds
#
# Sun's group divides the *labelled* samples into two halves and trains a classifier on each. An
# unlabelled sample gets a label where both say the same; then it joins the halves, and the next
# round begins. (The classic co-training, of Blum and Mitchell, divides the *measures* instead.) On
# one measure, each classifier a threshold midway between its two samples. **Predict** which of 2, 4,
# 5.5 and 8 get a label.


# %%
def midpoint(negative, positive):
    """A classifier: probabilities of both classes, one half midway between two samples."""

    def says(values):
        odds = np.exp(2 * (np.asarray(values) - (negative + positive) / 2))
        return np.stack([1 / (1 + odds), odds / (1 + odds)], axis=-1)

    return says


left = [2, 4, 5.5, 8]
first, second = midpoint(0, 6), midpoint(1, 9)
for tau in (0.5, 0.85):
    classes = methods.agreed(first(left), second(left), tau)
    print(f"both above {tau}:", dict(zip(left, classes.tolist(), strict=True)), "(-1: none)")

# %% [markdown]
# 4 lies between the two thresholds: refused. Demanding more confidence refuses 5.5, too. When too
# few are accepted, all that are left get the class of the mean probability, for the paper labels
# every sample. The whole procedure:

# %%
lesson.source(methods.co_training)

# %% [markdown]
# ## Predict, then run: eleven hundred labels
#
# The classifier is a logistic regression on the 21 measures, standardised. **Before you run on**: how
# many of the first round's labels are right, and how many of the forced ones?

# %%
my_first, my_forced = 0.8, 0.8  # change me

# %%
classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
z = measures[:count]
given, rounds = methods.co_training(z, labels, classifier, tau=0.85, seed=SEED)
report = methods.label_report(given, y, rounds)
print(f"you said {my_first} and {my_forced}")
report

# %%
shares = {"this round": report.column("right"), "so far": report.column("right so far")}
plots.show(
    plots.show_curves(shares, xlabel="round (the last one is forced)", ylabel="right labels"),
    alt="Share of right labels: high in the first round, falling from round to round, lowest in the "
    "forced one; the share so far falls more slowly.",
)

# %%
right_first, right_last = report[0]["right"], report[-1]["right"]
lesson.claim(
    "(a) labels get worse from round to round",
    what="right labels, first round and last",
    measured=right_first,
    against=right_last,
    holds=right_first > right_last,
    source="our measurement",
)

# %% [markdown]
# So the rounds sort the samples from easy to hard. Do they also label better? The plainest rival:
# **one** classifier on all 100, which labels everything at once. And the graph, on the 21 measures
# and on their first five principal components. How much of a difference is luck? For two sets of
# labels of the same samples we take twice the standard error of the difference, and call less than
# that undecided.


# %%
def spread_over(features):
    """Labels from scikit-learn's label spreading on a graph of ten nearest neighbours."""
    graph = LabelSpreading(kernel="knn", n_neighbors=10, alpha=0.2, max_iter=1000)
    return graph.fit(features, labels).transduction_


def error_of(one, other):
    """Twice the standard error of the difference between two rates of right answers."""
    return float(2 * np.std(one.astype(float) - other) / np.sqrt(len(one)))


standard = StandardScaler().fit_transform(z)  # unlabelled samples may count here, test ones not
components = PCA(5).fit(standard)
at_once = clone(classifier).fit(z[:few], y[:few]).predict(z)
labellers = {
    "rule, no labels": ragged[:count].astype(int),
    "in rounds": given,
    "at once": at_once,
    "graph, 21 measures": spread_over(standard),
    "graph, 5 components": spread_over(components.transform(standard)),
}
print(f"5 components hold {components.explained_variance_ratio_.sum():.0%} of the variance")

# %%
right = {name: (those == y)[unlabelled] for name, those in labellers.items()}
both, luck = (right["in rounds"], right["at once"]), error_of(right["in rounds"], right["at once"])
lesson.claim(
    "(b) labelling in rounds beats labelling at once",
    what="right labels of the unlabelled",
    measured=both[0].mean(),
    against=both[1].mean(),
    spread=luck,
    holds=both[0].mean() > both[1].mean(),
    why="" if both[0].mean() > both[1].mean() + luck else "what is accepted confirms the halves",
    source="Sun 2017",
)
Table({"labels from": name, "right": float(hits.mean())} for name, hits in right.items())

# %% [markdown]
# What do the labels look like? All samples on the first two components. Watch where the wrong ones
# lie.

# %%
places = components.transform(standard)[:, :2]
bounds = 1.3 * np.percentile(places[:, 1], (0.5, 99.5))  # a few lie farther out
wrong = unlabelled & (given != y)
panels = {
    f"{few} labels": np.where(unlabelled, -1, y),
    "given in rounds": given,
    "truth": y,
}
figure, axes = plt.subplots(1, 3, figsize=(9.4, 3.2), layout="constrained", sharey=True)
for panel, (title, classes) in zip(axes, panels.items(), strict=True):
    panel.scatter(*places[classes == -1].T, s=4, color="#CCCCCC")
    for kind, mark in enumerate("o^"):
        color = plots.CLASS_COLOURS[kind]
        panel.scatter(*places[classes == kind].T, s=9, color=color, marker=mark, label=names[kind])
    panel.set(title=title, xlabel="component 1", xticks=[], yticks=[], ylim=bounds)
axes[1].scatter(*places[wrong].T, s=26, facecolors="none", edgecolors="#333333", lw=0.7)
axes[1].set_title("given in rounds (circled: wrong)")
axes[0].legend(loc="lower left", fontsize=8)
plots.show(
    figure,
    alt="Three clouds of dots: few labelled ones among grey; given labels, parted by a clean border "
    "with the wrong ones near it on both sides; and the truth, in which the kinds mix.",
)

# %% [markdown]
# There is no gap between the clumps: the truth mixes where the given labels draw a clean border.
#
# ## Against the twins: the network
#
# A small network on the images themselves, that of lesson 01: three convolutions, 32 features, two
# classes. Four arms see equally many batches; only the labels differ:
#
# - the 100 alone;
# - *given*: 100 true labels and those given in rounds;
# - *random*: as many wrong labels, but at random places;
# - all true.

# %%
steps, epochs = lesson.scale(smoke=(3, 1), desktop=(100, 8))
BATCH = 32


def train(pictures, classes):
    """Train the network: the model, and the loss of each epoch."""
    keras.utils.set_random_seed(SEED)
    layers = {"maps": (8, 16, 32), "kernels": (3, 3, 3), "dense": (32,)}
    network = models.sliding_window((32, 32, 1), 2, **layers)
    rate = keras.optimizers.schedules.PolynomialDecay(2e-3, epochs * steps, 1e-5)
    network.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    rng, history = np.random.default_rng(SEED), []
    for _ in progress(range(epochs), desc="network"):
        order = rng.integers(len(pictures), size=steps * BATCH)
        down, across = rng.random((2, len(order), 1, 1, 1)) < 0.5
        drawn = np.where(down, pictures[order][:, ::-1], pictures[order])
        drawn = np.where(across, drawn[:, :, ::-1], drawn)
        options = {"batch_size": BATCH, "shuffle": False, "verbose": 0}
        history += network.fit(drawn, classes[order][:, None, None], **options).history["loss"]
    return network, history


# %% [markdown]
# **Before you run on**: which accuracy will the network reach with 100 labels, which with the given
# ones, which with all?

# %%
my_hundred, my_given, my_all = 0.7, 0.8, 0.85  # change me

# %%
rng = np.random.default_rng(SEED)
flipped = y.copy()
flipped[rng.choice(np.flatnonzero(unlabelled), wrong.sum(), replace=False)] ^= 1
arms = {"100 alone": (x[:few], y[:few]), "given": (x, given), "random": (x, flipped)}
arms["all true"] = (x, y)
networks, curves = {}, {}
for name, (pictures, classes) in arms.items():
    networks[name], curves[name] = train(pictures, classes)
plots.show(
    plots.show_curves(curves, f"epoch of {steps} steps"),
    alt="Training loss: that of the 100 alone falls towards nothing, that of random wrong labels "
    "stays highest, given and true labels lie between.",
)


# %% [markdown]
# Accuracy says how often a network is right; AUC how well it orders; the *calibration error* (ECE)
# how far its confidence is from how often it is right: sort the answers into ten bins of
# confidence, take each bin's gap, average over the answers. All on held-back samples with **true**
# labels.


# %%
def says(network, pictures):
    """Probability that each picture is malignant."""
    return np.asarray(network(pictures, training=False))[:, 0, 0, 1]


def scores(p):
    hits = (p > 0.5) == y_test
    confidence = methods.calibration_error(np.maximum(p, 1 - p), hits)
    return {"accuracy": float(hits.mean()), "AUC": roc_auc_score(y_test, p), "ECE": confidence}


answers = {name: says(network, x_test) for name, network in networks.items()}
hits = {name: (p > 0.5) == y_test for name, p in answers.items()}
table = Table([{"labels": "rule, none", "accuracy": float(rule.mean()), "AUC": None, "ECE": None}])
measured = clone(classifier).fit(z[:few], y[:few]).predict_proba(measures[count:])[:, 1]
table.append({"labels": "100, logistic on measures"} | scores(measured))
table += [{"labels": name} | scores(p) for name, p in answers.items()]
print(f"you said {my_hundred}, {my_given} and {my_all}")
table

# %%
alone, mixed, whole = (float(hits[name].mean()) for name in ("100 alone", "given", "all true"))
lesson.claim(
    "(c) 100 labels and given ones beat the 100 alone",
    what="accuracy",
    measured=mixed,
    against=alone,
    spread=error_of(hits["given"], hits["100 alone"]),
    holds=mixed > alone,
    why="" if mixed > alone else "given labels did not help at this label accuracy",
    source="the review lacks this twin",
)
lesson.claim(
    "(d) and lose little against all labels",
    what="accuracy; little: no more than the paper's 3.09 points",
    measured=mixed,
    against=whole,
    holds=whole - mixed <= 0.8552 - 0.8243,
    source="Sun 2017",
)
print(f"of the accuracy of all labels: the paper {0.8243 / 0.8552:.3f}, here {mixed / whole:.3f}")
print(f"and the 100 alone {alone / whole:.3f}, the rule without labels {rule.mean() / whole:.3f}")

# %% [markdown]
# A ratio of two accuracies flatters: who guesses already has more than half of it. That is why the
# twin belongs into the table. And look at the second row: a logistic regression on 21 measures and
# the same 100 labels, without a given one. It is the kind of labeller that gave the labels. Where
# the network that learned from them gets no further, it has learned to imitate its teacher.
#
# Be careful with the ruler: whoever scores on *given* labels, of
# which the share $q$ is right, sees $a q + (1-a)(1-q)$ of a true accuracy $a$ (if errors are
# independent).

# %%
for a in (0.8243, 1.0):
    print(f"accuracy {a}, scored on labels of which .8 are right: {a * 0.8 + (1 - a) * 0.2:.4f}")

# %% [markdown]
# ### The review's outlook: features of a network
#
# The network of the 100 alone describes each image by 32 numbers. The same graph, on these:
# **Predict**: better than on principal components? And than the network's own answers?

# %%
hundred = networks["100 alone"]
inner = keras.Model(hundred.input, hundred.get_layer("dense1").output)
features = StandardScaler().fit_transform(np.asarray(inner(x, training=False)))
labellers["graph, network's features"] = spread_over(features)
labellers["network of the 100"] = (says(hundred, x) > 0.5).astype(int)
right = {name: (those == y)[unlabelled] for name, those in labellers.items()}
deep, linear = right["graph, network's features"], right["graph, 5 components"]
lesson.claim(
    "(e) a network's features label better than principal components",
    what="right labels of the unlabelled",
    measured=deep.mean(),
    against=linear.mean(),
    spread=error_of(deep, linear),
    holds=deep.mean() > linear.mean(),
    source="the review's outlook",
)
Table({"labels from": name, "right": float(those.mean())} for name, those in right.items())

# %% [markdown]
# Compare the last two rows: where they agree, what helped are the features, not the graph. The
# features have seen the labels, principal components have not.
#
# ## When it confirms its own mistakes
#
# The network trained on given labels was *taught* some errors. Look at the samples whose given label
# is wrong. The network of the 100 errs on many of them, too, for they are the hard ones; it was not
# told anything about them. So the twin is on the same samples: how often does each network answer
# what the wrong label says?

# %%
repeated = {name: (says(network, x) > 0.5) != y for name, network in networks.items()}
lied = unlabelled & (flipped != y)
rows = [
    {"network": name, "of the wrong given labels": repeated[name][wrong].mean()} for name in arms
]
for row in rows:
    row["of random wrong ones"] = repeated[row["network"]][lied].mean()
taught, never = repeated["given"][wrong], repeated["100 alone"][wrong]
lesson.claim(
    "(f) a network repeats mistakes that it was taught",
    what="wrong given labels that it repeats",
    measured=taught.mean(),
    against=never.mean(),
    spread=error_of(taught, never),
    holds=taught.mean() > never.mean(),
    source="our measurement",
)
Table(rows)

# %% [markdown]
# Wrong labels at random places are hardly learned: nothing in the images speaks for them. Wrong
# labels from a classifier follow a rule, the very rule by which it errs, and a rule can be learned.
#
# Does a higher threshold protect? Only if confidence means what it says. Below, the network of the
# 100: its confidence on the unlabelled, and how often it is right.

# %%
p = says(hundred, x[unlabelled])
confidence, correct = np.maximum(p, 1 - p), (p > 0.5) == y[unlabelled]
edges = np.linspace(0.5, 1, 6)
bins = np.clip(np.digitize(confidence, edges) - 1, 0, 4)
filled = [b for b in range(5) if (bins == b).any()]
figure, axes = plt.subplots(figsize=(4.2, 3.6), layout="constrained")
axes.plot([0.5, 1], [0.5, 1], ":", color="#999999", label="honest")
middles = [confidence[bins == b].mean() for b in filled]
axes.plot(middles, [correct[bins == b].mean() for b in filled], "o-", label="network of the 100")
for b, at in zip(filled, middles, strict=True):
    axes.text(at, 0.47, f"{(bins == b).sum()}", ha="center", fontsize=8)
axes.set(xlabel="confidence (below: samples)", ylabel="share that is right", ylim=(0.44, 1.02))
axes.legend(frameon=False, loc="upper left")
plots.show(
    figure,
    alt="Share of right answers against confidence: the line of the network lies below the diagonal, "
    "most samples have the highest confidence.",
)

# %%
sure = confidence > 0.95
kept = float(correct[sure].mean()) if sure.any() else np.nan
print(f"{sure.sum()} of {len(sure)} answers have a confidence above .95")
lesson.claim(
    "(g) whoever accepts at confidence .95 gets 95 % right labels",
    what="right labels among those",
    measured=kept,
    against=0.95,
    spread=2 * np.sqrt(kept * (1 - kept) / max(sure.sum(), 1)),
    holds=kept >= 0.95,
    why="" if kept >= 0.95 else "it knows its 100 by heart, and boasts",
    source="our measurement",
)

# %% [markdown]
# ## The same idea for masks: self-training
#
# Outlines cost more than classes. *Self-training*: a **teacher** learns from few outlined images and
# labels the others; where its probability is above $\tau$ its answer becomes a label, elsewhere the
# pixel weighs nothing; a **student** starts afresh on both. Simulated skin lesions, of which four
# are outlined:

# %%
size = lesson.scale(smoke=(16, 24), desktop=(48, 64), paper=(96, 128))
outlined, more, kept_back = lesson.scale(smoke=(2, 3, 2), desktop=(4, 60, 30))
skin = data.phantoms.skin_lesions(outlined + more + kept_back, seed=SEED, size=size)
labelled, bare, test = skin[:outlined], skin[outlined:-kept_back], skin[-kept_back:]
skin_steps, skin_epochs = lesson.scale(smoke=(2, 1), desktop=(30, 10), paper=(100, 20))
width, depth = lesson.scale(smoke=(2, 2), desktop=(8, 3), paper=(32, 4))
plots.show(
    plots.show_cases(labelled),
    alt="Four skin lesions with their outlines, all that the teacher learns from.",
)


# %%
def learn(cases, times=1):
    """Train a U-Net on cases, some of whose pixels may be unknown."""
    keras.utils.set_random_seed(SEED)
    network = models.unet(
        (None, None, 3), 2, width=width, depth=depth, padding="same", norm="batch", dropout=0
    )
    options = {"classes": 2, "augment": data.flip(), "seed": SEED, "steps": skin_steps}
    patches = methods.KnownPatches(cases, size, 8, balance=0, **options)
    loss = losses.WeightedCrossEntropy()
    training.fit(network, patches, loss, epochs=times * skin_epochs, learning_rate=3e-3)
    return network


def dice(label_of, cases):
    """Mean Dice of the lesion; `label_of` turns a case into its labels."""
    return float(np.mean([metrics.dice(c.label.array, label_of(c))[1] for c in cases]))


def by(network):
    return lambda case: inference.segment(network, case).array


# %% [markdown]
# **Before you run on**: does the student beat its teacher? And a teacher that trains twice as long,
# which costs the same?

# %%
my_student = True  # change me

# %%
chain = methods.self_training(labelled, bare, learn, rounds=1, tau=0.9)
print(f"{len(chain) - 1} student; it stops where a teacher finds next to nothing")
segmenters = {
    "Otsu, nothing learned": lambda case: 1 - methods.otsu(case.image.array).astype(int),
    "few (the teacher)": by(chain[0]),
    "few, twice as long": by(learn(labelled, times=2)),
    "self-training": by(chain[-1]),
    "all outlined": by(learn(labelled + bare)),
}
found = {name: dice(label_of, test) for name, label_of in segmenters.items()}
Table({"arm": name, "Dice": value} for name, value in found.items())

# %%
each = {
    name: np.array([metrics.dice(c.label.array, segmenters[name](c))[1] for c in test])
    for name in ("self-training", "few, twice as long")
}
better = found["self-training"] - found["few, twice as long"]
reason = "the student learns the teacher's errors as truth"
if len(chain) == 1:
    reason = "the teacher found too little: no student"
lesson.claim(
    "(h) self-training improves a segmentation",
    what="Dice",
    measured=found["self-training"],
    against=found["few, twice as long"],
    spread=error_of(each["self-training"], each["few, twice as long"]),
    holds=better > 0 if len(chain) > 1 else None,
    why="" if better > 0 else reason,
    source="outlook of the review",
)

# %% [markdown]
# Where a label map is mostly background, a ruler can lie (lesson 00). The teacher's labels of the
# bare images, by pixel accuracy and by Dice; and what a teacher would get that finds nothing:

# %%
rows = []
for name, label_of in {
    "teacher": by(chain[0]),
    "finds nothing": lambda c: 0 * c.label.array,
}.items():
    accuracy = np.mean([metrics.pixel_accuracy(c.label.array, label_of(c)) for c in bare])
    rows.append(
        {"labels from": name, "pixels right": float(accuracy), "Dice": dice(label_of, bare)}
    )
Table(rows)

# %% [markdown]
# ## Look
#
# The bare image on which the teacher was worst, its sure answers, and what the student makes of the
# same image: does it repeat the error? Orange is invented, blue is missed.

# %%
worst = min(bare, key=lambda case: metrics.dice(case.label.array, by(chain[0])(case))[1])
pseudo = methods.pseudo_label(worst, inference.probabilities(chain[0], worst), 0.9)
figure, axes = plt.subplots(1, 3, figsize=(9.2, 2.8), layout="constrained")
truth = worst.label.array.astype(int)
for panel, (title, network) in zip(
    axes, {"teacher": chain[0], "student": chain[-1]}.items(), strict=False
):
    plots.show_error(worst.image, truth, by(network)(worst).astype(int), title=title, axes=panel)
plots.show_image(worst.image, pseudo.label, title="its labels (orange: unknown)", axes=axes[2])
plots.show(
    figure,
    alt="One lesion three times: errors of the teacher, errors of the student, mostly at the same "
    "places, and the teacher's labels with a rim of unknown pixels.",
)

# %% [markdown]
# ## On real data
#
# *Breast-cancer table*: 569 masses, 30 measures of cell nuclei each, benign or malignant (Wolberg
# and others, 1995; scikit-learn brings it along). A fifth of the masses is held back; of the others
# 20 are labelled, in 20 draws a seed. `labels` is the share of right labels among the unlabelled,
# `accuracy` that of a logistic regression trained on them, on what was held back.

# %%
real = lesson.results("13_semisupervised")
wanted = ["labels", "accuracy", "auc"]
real and lesson.over_seeds(real, wanted, set="breast-cancer table")

# %% [markdown]
# *Masks*: `PH2`, skin lesions, and `BUSI`, breast ultrasound, where the folders hold them; few
# outlined images, a teacher, two students in turn; beside Otsu's threshold, and the teacher trained
# as long as all three.

# %%
real and lesson.over_seeds(real, ["dice", "pseudo_dice"], set=["PH2", "BUSI"])


# %%
def judge(text, where, arm, twin, score):
    """One arm against another on a real set, over the seeds."""
    rows = [row for row in real["rows"] if row["set"] == where and score in row]
    one, other = ([row[score] for row in rows if row["arm"] == name] for name in (arm, twin))
    if not one or not other:
        return
    gains = np.subtract(one, other)
    childless = any(row.get("students") == 0 for row in rows if row["arm"] == arm)
    lesson.claim(
        text,
        what=f"{score}, {arm} against {twin}",
        measured=np.mean(one),
        against=np.mean(other),
        spread=np.std(gains, ddof=1) if len(gains) > 1 else None,
        holds=None if childless else gains.mean() > 0,
        why="the teacher found too little: no student" if childless else "",
        source="measured results",
    )


# %%
if real:
    place = "breast-cancer table"
    judge("(i) rounds label better than at once, real", place, "in rounds", "at once", "labels")
    judge("(i) a graph labels better than at once, real", place, "graph", "at once", "labels")
    for place in ("PH2", "BUSI"):
        text = f"(j) self-training improves a segmentation, {place}"
        judge(text, place, "self-training", "few, three times as long", "dice")

# %% [markdown]
# ## Your turn
#
# ### 1 Where spreading ends
#
# Write `spread(weights, labels, alpha)` for a symmetric matrix `weights` (samples, samples), whose
# diagonal does not count, and an array `labels`, -1 for unlabelled: $F^*$ from above, each row
# divided by its sum, (samples, classes).


# %%
def spread(weights, labels, alpha):
    ### BEGIN SOLUTION
    weights = weights - np.diag(np.diag(weights))
    root = np.sqrt(weights.sum(axis=1))
    likeness = weights / np.outer(root, root)
    start = (labels[:, None] == np.arange(labels.max() + 1)).astype(float)
    scores = np.linalg.solve(np.eye(len(labels)) - alpha * likeness, (1 - alpha) * start)
    return scores / scores.sum(axis=1, keepdims=True)
    ### END SOLUTION


lesson.exercise(l13.check_spread, spread)

# %% [markdown]
# ### 2 Round by round
#
# Write `per_round_report(given, truth, rounds)` for three arrays (samples,): for each round from 1
# the number of labels, the share of right ones, and the share of right ones *so far*, an array
# (rounds, 3). Round 0, labelled from the start, is left out.


# %%
def per_round_report(given, truth, rounds):
    ### BEGIN SOLUTION
    rows = []
    for number in range(1, rounds.max() + 1):
        own, so_far = rounds == number, (rounds > 0) & (rounds <= number)
        hits = given == truth
        rows.append((own.sum(), hits[own].mean(), hits[so_far].mean()))
    return np.array(rows)
    ### END SOLUTION


lesson.exercise(l13.check_report, per_round_report)

# %% [markdown]
# ### 3 Does confidence mean what it says?
#
# Write `ece(confidence, right, bins)`: sort the answers into bins of equal width from 0 to 1, take
# in each filled bin the absolute gap between the mean of `right` and the mean of `confidence`, and
# average the gaps, each weighted by its bin's share of the answers.


# %%
def ece(confidence, right, bins):
    ### BEGIN SOLUTION
    own = np.minimum((confidence * bins).astype(int), bins - 1)
    total = 0.0
    for number in np.unique(own):
        inside = own == number
        total += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return total
    ### END SOLUTION


lesson.exercise(l13.check_ece, ece)

# %% [markdown]
# ## What we learned
#
# - Labels can be passed on along a graph or in rounds. The first rounds are much better than the
#   last: the worth of rounds is the *order*, from sure to doubtful.
# - Whether given labels helped is told by one twin only, the few labels alone; and whether rounds
#   helped, by labelling at once.
# - A network learns the mistakes of its labeller, because they follow a rule. Its confidence does
#   not warn of them.
#
# **What it cannot do.** Nothing here finds a mistake that all measures agree on. Threshold and
# number of rounds want validation labels, which few have to spare: take them from the hundred, never
# from the given ones. Two views of one mass belong on one side of every split. Later methods average
# teachers over time (Tarvainen and Valpola 2017) or ask for consistency under changes of the image;
# the twin to ask for is the same. Lesson 14 asks what holds from scanner to scanner.
#
# **References.** W. Sun, T.-L. Tseng, J. Zhang, W. Qian: Comput. Med. Imaging Graph. 57:4 (2017), of
# which we could read the abstract. D. Zhou and others: NIPS 2003. X. Zhu, Z. Ghahramani, J.
# Lafferty: ICML 2003. A. Blum, T. Mitchell: COLT 1998. D.-H. Lee: ICML workshop 2013. C. Guo and
# others: ICML 2017. A. Tarvainen, H. Valpola: NIPS 2017.

# %% tags=["claims"]
lesson.claims_table()
