# %% [markdown]
# # 12 Transfer: what one network hands on to the next
#
# - **You will see** a network that learned one view of the heart start into another view, from
#   very few labels; and a network that is tuned anew on every video, frame by frame.
# - **You will measure** what the first weights are worth, what freezing is worth, whether photographs
#   help ultrasound, and what batch normalisation does when it is forgotten; and whether all this
#   beats a copy of the first outline.
# - **It takes** about two minutes on two cores (*desktop* scale), seconds at *smoke* scale.
# - **It builds on** U-Net (lesson 03) and pretraining without labels (lesson 10).
# - **You need** nothing to download: the hearts are simulated.

# %% tags=["setup"]
import keras
import matplotlib.pyplot as plt
import numpy as np

from medseg_tf import data, lesson, losses, methods, metrics, models, plots, training
from medseg_tf.lesson.exercises import l12
from medseg_tf.table import Table

# Our narrow layers gain nothing from 16 bits.
precision = training.set_precision(lesson.scale(smoke="float32", desktop="float32", paper="auto"))

# %% [markdown]
# ## The claim
#
# The review says of L. Yu et al. (IEEE TBME 2017), who outline the left ventricle in ultrasound
# cines of the fetal heart: a network is trained on labelled data, and once a new video begins it is
# fine-tuned *all the time*, with the first frame and with those that follow; on 51 sequences it
# comes close to outlines by hand and clearly beats other methods. And of H. Chen et al. (MICCAI
# 2016): a network that had learned natural images is tuned on ultrasound, and segments five views
# with results comparable to manual ones. Transfer "partly cures lack of data".
#
# Three kind corrections before we start.
#
# - In Yu's method the first frame of *every* video is outlined **by hand**. Comparing it with a
#   network that gets no outline is no fair comparison. A fair rival gets the same outline: a
#   network trained on it alone, or plainly a copy of it.
# - What Chen's network starts from is printed as a reference to DeepLab; meant is a network trained
#   on the pictures of PASCAL VOC. Which five structures were segmented we could not verify.
# - Transfer is no cure by itself: where the old and the new pictures differ too much, the old
#   weights can stand in the way. So the fresh twin stays in every table.
#
# | claim | twin |
# |---|---|
# | (a) with few labels, handed-on weights beat fresh ones | fresh weights, the same steps |
# | (b) with more labels the lead shrinks | the lead with few |
# | (c) freezing the contracting path helps with few labels | all layers learn |
# | (d) weights from photographs help ultrasound | fresh weights |
# | (e) a network per video beats one for all | the network left alone |
# | (f) and it beats a copy | the first outline, repeated |
# | (g) and plain re-normalisation | new statistics, nothing learned |
# | (h) and a network that saw this first frame alone | fresh weights |
# | (i) tuning on later frames adds something | the first frame alone |
# | (j) calling a trunk with `training=False` protects its statistics | frozen layers |
# | (k) forgetting batch normalisation costs what was known before | statistics held |
# | (m) a trunk that five views share beats a network per view | the same images and steps, apart |
# | (n) and a branch per view beats one head for all | one head, the same batches |
# | (o) a second look at image and first answer improves | one network that takes all those steps |

# %% [markdown]
# ## The data
#
# Left ventricles that beat in speckle, in five views of the echocardiogram: three apical ones
# (`A4C`, `A2C`, `A3C`), where the ventricle stands, and two parasternal ones, along it (`PLAX`) and
# across it (`PSAX`). The task is always the same, the cavity; its shape, its place and what lies
# beside it are not. Each view is a *domain*.

# %%
SEED = 0
size = lesson.scale(smoke=16, desktop=48, paper=128)
frames = lesson.scale(smoke=2, desktop=4)  # of each cine, to learn from
views = ["A4C", "A2C", "A3C", "PLAX", "PSAX"]
patients = lesson.scale(smoke=3, desktop=30, paper=100)


def cines(view, contrast):
    """Cines of all patients in one view: those to learn from, those held back."""
    cases = data.phantoms.ultrasound_cine(patients, SEED, size, frames, view, contrast)
    return data.split_by_subject(cases, (2 / 3, 1 / 3), seed=SEED)


source, source_test = cines("PSAX", contrast=1.0)
target, target_test = cines("PLAX", contrast=0.75)
lesson.banner(target + target_test, "cines with exact outlines need no download")
print(len(source), "frames of the source view,", len(target), "of the target view to learn from")

# %%
examples = [data.phantoms.ultrasound_cine(1, SEED, size=96, frames=1, view=v)[0] for v in views]
plots.show(
    plots.show_cases(examples, n=5, columns=5),
    alt="The same simulated heart in five views: in the first three its cavity is an upright ellipse "
    "with another dark chamber below, in the fourth it lies, in the last it is round.",
)

# %% [markdown]
# We learn on `PSAX`, round cavities with nothing behind them, and want to segment `PLAX`: long, lying
# ones with a valve and an atrium that is as dark, taken by a machine of three quarters of the
# contrast.
#
# ### Two baselines without a network
#
# Otsu's threshold takes what is dark. The other baseline only needs labels: the *mean mask*, all
# pixels that lie in the cavity in most of the labelled frames.


# %%
def by_case(labels, cases=target_test):
    """Dice of each case: labels (cases, rows, columns)."""
    pairs = zip(cases, labels, strict=True)
    return np.array([metrics.dice(c.label.array.astype(int), one)[1] for c, one in pairs])


def score(labels, cases=target_test):
    return float(np.nanmean(by_case(labels, cases)))


def mean_mask(cases):
    return (np.mean([case.label.array for case in cases], axis=0) > 0.5).astype(int)


dark = [1 - methods.otsu(case.image.array).astype(int) for case in target_test]
baselines = {"Otsu": score(dark), "mean mask": score([mean_mask(target)] * len(target_test))}
Table({"baseline": name, "Dice": dice} for name, dice in baselines.items())

# %% [markdown]
# ## The idea by hand
#
# To transfer means: copy the weights, then train on. Three questions come at once. Which layers may
# move? How fast? And what happens to what is no weight, the averages of batch normalisation?
#
# ### How fast: why smaller gradients are not smaller steps
#
# One would like the first layers to move a tenth as far. Multiply their gradients by 0.1?
# **Predict** how far five steps of a constant gradient move a weight, with plain gradient descent
# (SGD) and with Adam, both at rate 0.01.


# %%
def way(optimizer, gradient, steps=5):
    weight = keras.Variable(np.zeros(1, "float32"))
    optimizer.build([weight])
    for _ in range(steps):
        optimizer.apply([np.full(1, gradient, "float32")], [weight])
    return round(-float(np.asarray(weight)[0]), 4)


adam, sgd = keras.optimizers.Adam, keras.optimizers.SGD
Table(
    {"gradient": gradient, "SGD moves": way(sgd(0.01), gradient), "Adam": way(adam(0.01), gradient)}
    for gradient in (0.7, 0.07)
)

# %% [markdown]
# Adam divides each gradient by its own size, so the factor cancels. It is the *step* that must be
# shortened: `methods.AdamByLayer(1e-3, {"down": 0.1})` lets Adam step and takes back nine tenths of
# it wherever a layer's name begins with `down`. A factor of 0 freezes.
#
# ### What is no weight: the averages of batch normalisation
#
# In training, batch normalisation divides by the mean and deviation of *this batch*, and lets its
# averages follow; in use it divides by the averages. Keras' averages keep 0.99 of themselves at each
# step. **Predict**: of the way to new statistics, how much have they gone after 40 steps of tuning?

# %%
layer = keras.layers.BatchNormalization()
for _ in range(40):
    layer(np.ones((2, 1)), training=True)
gone = float(np.squeeze(layer.moving_mean))
print(f"by Keras {gone:.3f}, by hand 1 - 0.99**40 = {1 - 0.99**40:.3f}")

# %% [markdown]
# A third: neither the old statistics nor the new ones.
#
# The well-known recipe against it calls the trunk with `training=False`. **Predict**: pixels of
# mean 3 go through a trunk that expects mean 0, once with the recipe, once with frozen layers; the
# outer model is called as `fit` calls it, with `training=True`. What mean comes out, and do the
# averages stand still?

# %%
x = np.random.default_rng(SEED).normal(3, 1, (64, 8, 8, 1)).astype("float32")
drift = {}
for recipe in ("called with training=False", "frozen"):
    inner = keras.Input((8, 8, 1))
    trunk = keras.Model(inner, keras.layers.BatchNormalization(name="norm")(inner))
    outer = keras.Input((8, 8, 1))
    model = keras.Model(outer, trunk(outer, training=False))
    if recipe == "frozen":
        methods.hold_statistics(trunk)
    mean = float(np.asarray(model(x, training=True)).mean())
    drift[recipe] = abs(float(np.squeeze(trunk.get_layer("norm").moving_mean)))
    print(f"{recipe}: mean of what comes out {mean:.2f}, average moved by {drift[recipe]:.3f}")
lesson.claim(
    "(j) calling a trunk with training=False protects its statistics",
    what="how far one step moves the average",
    measured=drift["called with training=False"],
    against=drift["frozen"],
    holds=drift["called with training=False"] == 0,
    why="in this Keras, the outer model's training flag is passed on to every layer",
    source="a common recipe",
)

# %% [markdown]
# In a functional model the outer flag wins. What is safe: `layer.trainable = False` on each layer of
# batch normalisation, which puts it in inference mode for good. That is all the package does:

# %%
lesson.source(methods.freeze)

# %% [markdown]
# ## Predict, then run: from one view to another
#
# A small U-Net with batch normalisation learns `PSAX`. Its averages keep 0.9 instead of 0.99, for
# a run of a hundred steps would otherwise end before they arrive, and the fresh twin would lose for
# that reason alone.

# %%
width, depth = lesson.scale(smoke=(1, 1), desktop=(8, 2), paper=(32, 4))
steps = lesson.scale(smoke=1, desktop=10, paper=400)  # an epoch
epochs = lesson.scale(smoke=1, desktop=6)
loss = losses.DiceCrossEntropy()
augment = data.compose(data.warp(15, 0.85, 1.2, sd=1), data.intensity(blur=0, gamma=0, shading=0))


def network(channels=1):
    keras.utils.set_random_seed(SEED)
    shape = (size, size, channels)
    model = models.unet(shape, 2, width, depth, padding="same", norm="batch", dropout=0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.9
    return model


# %%
def label(model, cases=target_test):
    images = np.stack([data.z_score(case.image.array) for case in cases])
    return np.asarray(model(images, training=False)).argmax(-1)


class Watch(keras.callbacks.Callback):
    """Scores the held-back patients after each epoch: to be looked at, nothing is chosen by it."""

    dice = ()

    def on_epoch_end(self, epoch, logs=None):
        self.dice = [*self.dice, score(label(self.model))]


def train(cases, start=None, frozen=(), epochs=epochs):
    """Train a network from fresh weights, or from those of `start`; equal rates for all."""
    model, watch = network(), Watch()
    if start is not None:
        model.set_weights(start.get_weights())
    methods.freeze(model, frozen)
    patches = data.Patches(cases, size, 8, augment=augment, seed=SEED, steps=steps)
    training.fit(model, patches, loss, epochs=epochs, learning_rate=3e-3, callbacks=[watch])
    return model, watch.dice


# %%
base, _ = train(source, epochs=lesson.scale(smoke=1, desktop=20))
known, unseen = score(label(base, source_test), source_test), score(label(base))
print(f"Dice on PSAX, held-back patients: {known:.3f}; on PLAX, never seen: {unseen:.3f}")

# %% [markdown]
# Now the target view. Its labelled patients are few or more, the number of steps is the same
# for all: fresh weights, or those from `PSAX`. **Before you run on**: with labels of one patient,
# which Dice from fresh weights and which from handed-on ones?

# %%
my_fresh, my_tuned = 0.5, 0.5  # change me

# %%
subjects = list(dict.fromkeys(case.subject for case in target))
counts = lesson.scale(smoke=(1,), desktop=(1, 20), paper=(1, 2, 4, 8, 16, 32))
few, most = counts[0], counts[-1]


def labelled(count):
    return [case for case in target if case.subject in subjects[:count]]


nets, dice, curves = {}, {}, {}
for count in counts:
    for name, start in {"fresh": None, "from PSAX": base}.items():
        nets[name, count], curves[name, count] = train(labelled(count), start)
        dice[name, count] = by_case(label(nets[name, count]))
    dice["mean mask", count] = by_case([mean_mask(labelled(count))] * len(target_test))
print(f"you said {my_fresh} and {my_tuned}")

# %%
plots.show(
    plots.show_curves(
        {f"{name}, {count}": values for (name, count), values in curves.items()},
        xlabel=f"epoch of {steps} steps",
        ylabel="Dice of held-back patients",
    ),
    alt="Dice of held-back patients over the epochs, for one patient labelled and for all: handed-on "
    "weights start high, fresh ones start low and rise.",
)

# %% [markdown]
# The number at each line says how many patients were labelled. The head start is largest in the
# first steps. Watch the handed-on network that has *one* patient to learn from: what fits four frames
# by heart sooner also forgets sooner what held for all. Where its line turns down, more steps are not
# more learning, and nobody without held-back labels would notice.
#
# ### What may move
#
# The layers on the way down see edges and speckle, those on the way up draw the shape. If the way
# down is frozen, fewer weights have to be learned from the few labels. It costs nothing but a twin:

# %%
frozen, _ = train(labelled(few), base, frozen=("down", "bottom"))
dice["from PSAX, way down frozen", few] = by_case(label(frozen))
dice["from PSAX, not tuned", few] = by_case(label(base))

# %% [markdown]
# ### From photographs
#
# Natural images are what most networks start from. The weights of `keras.applications` would be
# handed on in one line, `models.hand_on(keras.applications.VGG16(weights=FILE, include_top=False),
# models.fcn((None, None, 3), 2, backbone="vgg16"))`, as our VGG-16 names its layers alike. They have
# to be downloaded first. Are they at hand?

# %%
import os
from pathlib import Path

home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
at_hand = sorted(path.name for path in (home / "models").glob("vgg16*.h5"))
print("at hand:", ", ".join(at_hand) or "no weights; what they would bring is not measured here")

# %% [markdown]
# Without a million photographs we take the few that come with scikit-image, and a task that needs no
# label: from a noisy photograph, find what Otsu calls bright in the clean one. That is far less than
# PASCAL VOC, and real photographs all the same.

# %%
from scipy import ndimage
from skimage import data as photographs

photos = []
for name in ("camera", "coins", "moon", "chelsea", "coffee", "astronaut"):
    grey = getattr(photographs, name)().astype("float32")
    grey = (grey if grey.ndim == 2 else grey.mean(-1))[::2, ::2, None]
    grid = data.Grid(grey.shape[:2], units="pixel")
    bright = methods.otsu(ndimage.gaussian_filter(grey, (1, 1, 0)))
    noisy = grey + np.random.default_rng(SEED).normal(0, grey.std(), grey.shape)
    photos.append(data.Case(name, data.Scan(noisy, grid), data.Scan(bright, grid), name=name))
plots.show(
    plots.show_cases(photos, n=6, columns=6),
    alt="Six noisy photographs, what is bright in each of them outlined.",
)

# %%
of_photos, _ = train(photos, epochs=lesson.scale(smoke=1, desktop=12))
dice["from photographs", few] = by_case(label(train(labelled(few), of_photos)[0]))
arms = dict.fromkeys(name for name, _ in dice)
rows = Table()
for arm in sorted(arms, key=lambda arm: -dice[arm, few].mean()):
    means = {n: float(dice[arm, n].mean()) if (arm, n) in dice else None for n in counts}
    rows.append({"start": arm} | {f"Dice, labelled patients: {n}": means[n] for n in counts})
rows


# %% [markdown]
# How much of a difference is luck? We compare patient by patient, and call what lies within twice the
# standard error of the mean gain undecided. That is the luck of the patients; the luck of the first
# weights and of the order of the pictures comes on top, and one run does not show it.


# %%
def judge(text, what, gains, measured, against, why="", source=""):
    """Claim that the gains, one a patient, are above 0; undecided within two standard errors."""
    error = 2 * np.std(gains, ddof=1) / len(gains) ** 0.5 if len(gains) > 1 else None
    lesson.claim(
        text,
        what=what,
        measured=measured,
        against=against,
        spread=error,
        holds=np.mean(gains) > 0,
        why=why if np.mean(gains) <= (error or 0) else "",
        source=source,
    )


def gain(arm, twin, count=few):
    """Gain in Dice of each held-back patient."""
    return (dice[arm, count] - dice[twin, count]).reshape(-1, frames).mean(axis=1)


# %%
for text, arm, twin, why, source in [
    (
        "(a) with few labels, handed-on weights beat fresh ones",
        *("from PSAX", "fresh", "all of it may move: see the curves, and (c)", "the review"),
    ),
    (
        "(c) freezing the contracting path helps with few labels",
        *("from PSAX, way down frozen", "from PSAX", "see the table", "often done"),
    ),
    (
        "(d) weights from photographs help ultrasound",
        *("from photographs", "fresh", "six photographs, and another task", "Chen 2016"),
    ),
]:
    values = (dice[arm, few].mean(), dice[twin, few].mean())
    judge(text, f"Dice, labelled patients: {few}", gain(arm, twin), *values, why, source)

# %%
leads = [gain("from PSAX", "fresh", count) for count in (most, few)]
judge(
    "(b) with more labels the lead shrinks",
    f"lead in Dice, {most} and {few} patients labelled",
    leads[1] - leads[0],
    *(leads[0].mean(), leads[1].mean()),
    "in so few steps fresh weights lack time, not labels",
    "the review: lack of data",
)

# %% [markdown]
# Mind the **mean mask**: it knows nothing of the picture that it labels. And mind the row of the
# frozen way down beside those of fresh weights and of weights that may all move: how one hands on
# can decide more than whether.
#
# ## Five views at once
#
# Chen's second idea needs no old weights. All views are learned *together*: one trunk, and for each
# view a branch of its own. What one view would fit by heart, the others forbid. His third: a further
# network reads the image and the answer of the first, and corrects it.
#
# Each view has two labelled patients. The shared trunk takes a batch of every view in each step; its
# first twin is five networks that take the same batches apart, its second one network with a single
# head for all. **Predict**: which of the three labels new patients best?

# %%
together = lesson.scale(smoke=views[:1], desktop=views)
domains = {view: cines(view, contrast=0.75) for view in together}


def batches(cases, batch=4):
    return data.Patches(cases, size, batch, augment=augment, seed=SEED, steps=steps)


def branches(groups, batch=4):
    """Train one network with a branch for each group of cases; return one network a branch."""
    net = methods.branch_out(network(), len(groups))
    methods.fit_domains(net, [batches(one, batch) for one in groups], 3 * epochs, 3e-3)
    return [keras.Model(net.input, output) for output in net.outputs]


learned = [learn[: 2 * frames] for learn, _ in domains.values()]
of_views = {
    "a network per view": [branches([one])[0] for one in learned],
    "one head for all": branches([sum(learned, [])], batch=4 * len(together)) * len(together),
    "a branch per view": branches(learned),
}

# %%
view_dice, rows = {}, Table()
for name, models_of_views in of_views.items():
    pairs = zip(models_of_views, domains.values(), strict=True)
    view_dice[name] = [by_case(label(model, test), test) for model, (_, test) in pairs]
    means = dict(zip(together, map(np.mean, view_dice[name]), strict=True))
    rows.append({"arm": name} | means | {"mean": float(np.mean(view_dice[name]))})
rows


# %%
def of_patients(dice):
    """Mean Dice of each held-back patient, from that of each view's frames."""
    return np.mean(dice, axis=0).reshape(-1, frames).mean(axis=1)


def over_views(text, arm, twin, why, source):
    new, old = (of_patients(view_dice[name]) for name in (arm, twin))
    judge(text, "Dice, mean of the views", new - old, new.mean(), old.mean(), why, source)


over_views(
    "(m) a trunk that five views share beats a network per view",
    *(
        "a branch per view",
        "a network per view",
        "likely: five views ask more of a narrow trunk than one",
        "Chen 2016",
    ),
)
over_views(
    "(n) and a branch per view beats one head for all",
    *("a branch per view", "one head for all", "the picture itself tells the view", "our twin"),
)

# %% [markdown]
# Now the second look. The rule of lesson 06 holds: a network must not read answers that its maker
# gave on pictures it had learned. `methods.refine` therefore deals the patients to two folds at every
# stage. That makes four networks; the fair twin is a single one that takes the steps of all four.


# %%
def look(times=1):
    """Return a function that trains on cases, which may bring maps as further channels."""

    def fit(cases):
        net = network(cases[0].image.array.shape[-1])
        patches = batches(cases, batch=8)
        training.fit(net, patches, loss, epochs=times * epochs, learning_rate=3e-3)
        return net

    return fit


some = labelled(lesson.scale(smoke=2, desktop=6))
stages = lesson.scale(smoke=1, desktop=2)
networks = methods.refine(some, look(), stages, seed=SEED)
ways = {
    "first look": networks[:1],
    "second look": networks,
    "one look, four times the steps": [[look(4)(some)]],
}
refined = {}
for name, trained in ways.items():
    maps = [methods.refined_maps(trained, case) for case in target_test]
    refined[name] = by_case([one.argmax(-1) for one in maps])
    print(f"{name}: Dice {refined[name].mean():.3f}")

# %%
_, second, long = (values.reshape(-1, frames).mean(axis=1) for values in refined.values())
judge(
    "(o) a second look at image and first answer improves",
    f"Dice of PLAX, {len(some) // frames} patients labelled",
    second - long,
    *(second.mean(), long.mean()),
    "the rival learns as long, and from all patients",
    "Chen 2016",
)

# %% [markdown]
# ## One network for all videos, or one per video
#
# Yu's method takes the network of the population, here the one that learned from the most `PLAX`
# patients, to a new video. Its scanner is another one: less contrast. Its heart beats hard.
#
# 1. A person outlines the first frame.
# 2. *Deep tuning*: some steps of all layers on that frame, augmented.
# 3. For each later frame: predict; take the answer for a label; *shallow tuning*, a few steps of the
#    last layers on it, with the first frame in every batch as an anchor; predict again.
# 4. Before the next video everything is set back, the optimizer too. Otherwise the second patient
#    would be tuned from the first.

# %%
length = lesson.scale(smoke=2, desktop=8, paper=24)
count = lesson.scale(smoke=1, desktop=5, paper=40)
hard = {"contrast": 0.6, "shortening": (0.4, 0.6), "drift": 6.0}
new = data.phantoms.ultrasound_cine(count, SEED + 1, size, length, view="PLAX", **hard)
videos = [new[length * k : length * (k + 1)] for k in range(count)]
population = nets["from PSAX", most]
plots.show(
    plots.show_cases(videos[0], n=length, columns=4),
    alt="One beat of a simulated heart in speckle: its outlined cavity shrinks to less than half of "
    "its area and grows again.",
)

# %% [markdown]
# **Predict** before you run: how good is the plainest rival that also gets the outline, a *copy* of
# it on every frame? The first frame is never scored.

# %%
my_copy = 0.5  # change me


# %%
def by_video(labels):
    """Mean Dice of each video, its first frame left out; labels: (videos, frames, ...)."""
    return [score(one[1:], video[1:]) for one, video in zip(labels, videos, strict=True)]


def renormalized(video):
    """New statistics from the whole video, no label, nothing learned."""
    model = network()
    model.set_weights(population.get_weights())
    methods.renormalize(model, np.stack([data.z_score(case.image.array) for case in video]))
    return label(model, video)


found = {"one network for all": [label(population, video) for video in videos]}
found["copy of the outline"] = [[v[0].label.array.astype(int)] * length for v in videos]
found["re-normalised"] = [renormalized(video) for video in videos]
per_video = {name: by_video(labels) for name, labels in found.items()}
print(f"you said {my_copy}; it is {np.mean(per_video['copy of the outline']):.3f}")

# %% [markdown]
# Now tuning. While a video's answer is in our hands, the network is still the tuned one: so we also
# ask it what it still knows of the population's held-back patients. **Predict**: which arm forgets
# most?

# %%
deep, shallow = lesson.scale(smoke=(1, 1), desktop=(40, 3), paper=(200, 10))
tuning = {
    "deep": {"deep": deep, "shallow": 0},
    "deep and shallow": {"deep": deep, "shallow": shallow},
    "deep, statistics not held": {"deep": deep, "shallow": 0, "hold": False},
    "first frame alone": {"deep": 2 * deep, "shallow": 0, "hold": False, "rates": (5e-3, 5e-3)},
}
still_known = {"one network for all": [score(label(population))]}
for name, options in tuning.items():
    start = network() if name == "first frame alone" else population
    found[name], still_known[name] = [], []
    for maps in methods.dynamic_cnn(start, videos, **options):
        found[name].append(maps.argmax(-1))
        still_known[name].append(score(label(start)))
    per_video[name] = by_video(found[name])

# %%
rows = Table()
for name, dices in sorted(per_video.items(), key=lambda item: -np.mean(item[1])):
    row = {"arm": name, "Dice": float(np.mean(dices)), "worst video": min(dices)}
    afterwards = np.mean(still_known[name]) if name in still_known else None
    rows.append(row | {"Dice on the population afterwards": afterwards})
rows


# %%
def paired(text, arm, twin, source="Yu 2017"):
    gains = np.subtract(per_video[arm], per_video[twin])
    why = f"gains by video: {', '.join(f'{one:+.2f}' for one in gains)}"
    means = (np.mean(per_video[arm]), np.mean(per_video[twin]))
    judge(text, f"mean Dice of {len(gains)} videos", gains, *means, why, source)


method = "deep and shallow"
paired("(e) a network per video beats one for all", method, "one network for all")
paired("(f) and it beats a copy", method, "copy of the outline", "the copy that could win")
paired("(g) and plain re-normalisation", method, "re-normalised", "Li 2016")
paired("(h) and a network that saw this first frame alone", method, "first frame alone")
paired("(i) tuning on later frames adds something", method, "deep")
held, not_held = (np.array(still_known[n]) for n in ("deep", "deep, statistics not held"))
judge(
    "(k) forgetting batch normalisation costs what was known before",
    "Dice on the population after tuning, held and not held",
    held - not_held,
    *(held.mean(), not_held.mean()),
    source="our measurement",
)

# %% [markdown]
# Read the table from two ends. On the video itself, statistics that follow the new frames may even
# *help*: they are the new scanner's. The last column says what that costs: how much of what the
# network knew of the population is left. Tuned, it is a specialist for one patient. A copy of the
# weights costs nothing; that is why step 4 sets everything back.
#
# ## Look
#
# The worst video of the dynamic network, its worst frame, beside its rivals. Orange is invented,
# blue is missed.

# %%
place = int(np.argmin(per_video[method]))
video = videos[place]
worst = 1 + int(np.argmin(by_case(found[method][place], video)[1:]))
shown = ["one network for all", method, "copy of the outline"]
figure, axes = plt.subplots(1, 3, figsize=(8.6, 3.2), layout="constrained")
for panel, name in zip(axes, shown, strict=True):
    case, labels = video[worst], found[name][place][worst]
    plots.show_error(case.image, case.label, labels, title=name, axes=panel)
plots.show(
    figure,
    alt="The hardest frame three times: what one network for all, the tuned one and the copy of the "
    "outline invent around the small cavity, or miss.",
)

# %% [markdown]
# What a cardiologist wants of all this is one number: how much of its area the cavity gives up in a
# beat. The areas, frame by frame:

# %%
pixel = video[0].image.grid.spacing.prod() / 100  # cm²
curves = {"truth": [case.label.array.sum() * pixel for case in video]}
for name in shown:
    curves[name] = [(one > 0).sum() * pixel for one in found[name][place]]
plots.show(
    plots.show_curves(curves, xlabel="frame", ylabel="area of the cavity, cm²"),
    alt="Area of the cavity over one beat: the truth falls and rises again, the copy stays flat, the "
    "two networks go up and down with the truth, but not closely.",
)
for name, area in curves.items():
    print(f"{name}: area ejection fraction {1 - min(area) / max(max(area), 1e-6):.2f}")

# %% [markdown]
# ## On real ultrasound
#
# Two sets that share nothing but the physics: `HC18`, heads of unborn children, and `BUSI`, lesions
# of the breast. A network learns one and is handed on to the other with few labelled pictures; the
# twins are fresh weights and a frozen way down, the baselines Otsu (the better polarity) and the
# mean mask of the same few labels. `make results LESSON=12` measures it again.

# %%
real = lesson.results("12_transfer")
real and lesson.over_seeds(real, ["dice", "hausdorff95"])


# %%
def on_real(name, few):
    """Handed-on weights against fresh ones on a real set, over the seeds."""
    arm, twin = (f"{kind}, {few} labelled" for kind in ("tuned", "fresh"))
    reached = {
        one: [row["dice"] for row in real["rows"] if (row["set"], row["arm"]) == (name, one)]
        for one in (arm, twin)
    }
    gains = np.subtract(reached[arm], reached[twin])
    lesson.claim(
        f"(l) on real pictures too: {name}",
        what=f"Dice, {few} pictures labelled",
        measured=np.mean(reached[arm]),
        against=np.mean(reached[twin]),
        spread=np.std(gains, ddof=1) if len(gains) > 1 else None,
        holds=gains.mean() > 0,
        source="the review",
    )


if real:
    for name in dict.fromkeys(row["set"] for row in real["rows"]):
        on_real(name, min(row["labelled"] for row in real["rows"] if row["set"] == name))

# %% [markdown]
# ## Your turn
#
# ### 1 From masks to an ejection fraction
#
# Write `ejection(masks, spacing)`: `masks` is (frames, rows, columns), 1 the cavity, `spacing` the
# mm between rows and between columns. Return the areas in cm², one a frame, and the share of the
# largest area that is given up at the smallest.


# %%
def ejection(masks, spacing):
    ### BEGIN SOLUTION
    areas = masks.sum(axis=(1, 2)) * spacing[0] * spacing[1] / 100
    return areas, 1 - areas.min() / areas.max()
    ### END SOLUTION


lesson.exercise(l12.check_ejection, ejection)

# %% [markdown]
# ### 2 Slow layers
#
# Write `adam_step(weights, gradients, moments, step, rate, factors)`: one step of Adam on arrays in
# a dictionary from a layer's name to its array. `moments` holds for each name the pair (m, v),
# to be replaced by 0.9 m + 0.1 g and 0.999 v + 0.001 g²; a weight moves by minus rate times
# m / (1 - 0.9^step) over sqrt(v / (1 - 0.999^step)) + 1e-7. A layer in `factors` moves that many
# times as far. Return new weights and new moments.


# %%
def adam_step(weights, gradients, moments, step, rate, factors):
    ### BEGIN SOLUTION
    moved, kept = {}, {}
    for name, g in gradients.items():
        m, v = moments[name]
        kept[name] = m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        direction = m / (1 - 0.9**step) / (np.sqrt(v / (1 - 0.999**step)) + 1e-7)
        moved[name] = weights[name] - rate * factors.get(name, 1) * direction
    return moved, kept
    ### END SOLUTION


lesson.exercise(l12.check_adam_step, adam_step)

# %% [markdown]
# ### 3 Who still moves?
#
# Write `moving(model, x)`: call the model once on `x` as `fit` would, with `training=True`, and
# return {name: largest change of its moving mean} of the layers of batch normalisation that moved.
# Layers may sit in models within the model. Leave the averages as you found them.


# %%
def moving(model, x):
    ### BEGIN SOLUTION
    def norms(part):
        for layer in part.layers:
            if hasattr(layer, "layers"):
                yield from norms(layer)
            elif isinstance(layer, keras.layers.BatchNormalization):
                yield layer

    before = {layer.name: layer.get_weights() for layer in norms(model)}
    model(x, training=True)
    change = {}
    for layer in norms(model):  # its weights: scale, offset, moving mean, moving variance
        old = before[layer.name]
        change[layer.name] = float(np.abs(layer.get_weights()[2] - old[2]).max())
        layer.set_weights(old)
    return {name: most for name, most in change.items() if most > 0}
    ### END SOLUTION


lesson.exercise(l12.check_moving, moving)

# %% [markdown]
# ## What we learned
#
# - Handed-on weights are a head start in steps. With few labels it is what may *move* that decides;
#   the fresh twin and the mean mask say how much of a score is transfer at all.
# - A network per video can win on most videos and fail badly on one: show each video and the worst.
#   Its rivals must get the same outline, the copy included.
# - Batch normalisation is part of fine-tuning: hold it by freezing its layers, or replace its
#   averages on purpose. Slow layers need short steps, not small gradients.
#
# **What it cannot do.** A network that labels its own frames learns from its own mistakes too: if it
# begins to drift, each frame confirms it. When that helps and when it harms is the subject of lesson
# 13. And simulated speckle is drawn anew in each frame; real speckle moves with the tissue.

# %% tags=["claims"]
lesson.claims_table()

# %% [markdown]
# **References.** L. Yu, Y. Guo, Y. Wang, J. Yu, P. Chen, *Segmentation of Fetal Left Ventricle in
# Echocardiographic Sequences Based on Dynamic Convolutional Neural Networks*, IEEE TBME 64(8), 2017.
# H. Chen, Y. Zheng, J.-H. Park, P.-A. Heng, S. K. Zhou, *Iterative Multi-domain Regularized Deep
# Learning for Anatomical Structure Detection and Segmentation from Ultrasound Images*, MICCAI 2016,
# arXiv:1607.01855. Y. Li, N. Wang, J. Shi, J. Liu, X. Hou, *Revisiting Batch Normalization for
# Practical Domain Adaptation*, arXiv:1603.04779, 2016. T. van den Heuvel et al., *Automated
# measurement of fetal head circumference using 2D ultrasound images*, PLoS ONE 2018 (`HC18`). W.
# Al-Dhabyani et al., *Dataset of breast ultrasound images*, Data in Brief 2020 (`BUSI`).
