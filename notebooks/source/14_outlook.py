# %% [markdown]
# # 14 Outlook: memory against resolution, machine against raters, scanner against scanner
#
# - **You will see** the review's three open problems as experiments: what a pixel costs, how good
#   "as good as an expert" is, and what a new scanner does to a trained network.
# - **You will measure** each of them against a twin, and the remedies that are usually named.
# - **It takes** two to three minutes on two cores (*desktop* scale), seconds at *smoke* scale.
# - **It builds on** the U-Net (lesson 03); nothing new is needed.
# - **At the end** you train, evaluate and label on a folder of scans with three commands: put your
#   own in its place.

# %% tags=["setup"]
import keras
import matplotlib.pyplot as plt
import numpy as np

from medseg_tf import data, inference, lesson, losses, methods, metrics, models, plots, training
from medseg_tf.lesson.exercises import l14
from medseg_tf.table import Table

# Our narrow layers gain nothing from 16 bits.
precision = training.set_precision(lesson.scale(smoke="float32", desktop="float32", paper="auto"))

# %% [markdown]
# ## The claim
#
# The review ends with three problems.
#
# 1. Hardware can hardly carry the computation, so nearly all experiments shrink or crop images to a
#    few hundred pixels a side, far too few to locate and diagnose exactly. The ideal: read a whole
#    image at once, with no down-sampling inside the network.
# 2. In most tasks networks are still somewhat below manual segmentation.
# 3. Devices and operators differ, so it is hard to gather many labelled data of one standard.
#    Networked hospitals or unsupervised learning may solve it.
#
# Kind remarks before we start.
#
# - **On 1**: two things are mixed up. Shrinking the *input* throws detail away. Pooling *inside* a
#   network with skips does not, and it is what lets a pixel see far. And whoever cannot read the
#   whole image may read it in tiles.
# - **On 2**: "manual" is no truth. Two people draw two borders; a network has to be measured against
#   how well *they* agree.
# - **On 3**: more data of one standard do not tell how a network does on the next device. That takes
#   a test on a device that it never saw.
#
# | claim | twin |
# |---|---|
# | (a) twice the side, four times the memory | half the side |
# | (b) in a shrunk image thin things vanish | a disc, shrunk alike |
# | (c) shrunk images place the border worse | the full image; the label alone, without a network |
# | (d) an image must be read at once | tiles with and without a margin |
# | (e) a network stays below manual segmentation | a second rater in its place |
# | (f) raters' Dice is the most a network can reach (often said) | a perfect network |
# | (g) a new scanner costs accuracy | the old scanner |
# | (h) normalising each scan helps there | raw values |
# | (i) more scans of the old one mend it (the review) | half as many |
# | (j) matching histograms mends it | z-score alone |
# | (k) random grey values in training mend it | z-score alone |
# | (l) how a scan is stored does not change its label | the same scan, stored otherwise |

# %% [markdown]
# ## The data
#
# All of it simulated, for each question needs a truth that no real set has: what a second rater or a
# second scanner would have made of the same case. **Masses** in mammograms, some round and sharp, some
# ragged and faded, for problems 1 and 2; **heads** with lesions of multiple sclerosis, in FLAIR and
# T1, for problem 3. Real scans come near the end.

# %%
from dataclasses import replace

SEED = 0
size = lesson.scale(smoke=32, desktop=64, paper=256)
count = lesson.scale(smoke=6, desktop=60, paper=400)
masses = [
    replace(case, label=data.Scan((case.label.array > 0).astype("uint8"), case.image.grid))
    for case in data.phantoms.breast_masses(count, seed=SEED, size=size)
]
masses = [replace(case, classes=2) for case in masses]  # benign or malignant is not asked here
rest, test = data.split_by_subject(masses, (0.7, 0.3), seed=SEED)

# %%
head_side = lesson.scale(smoke=16, desktop=48, paper=96)
n_learn, n_test = lesson.scale(smoke=(4, 2), desktop=(40, 60), paper=(200, 100))
heads = data.phantoms.ms_lesions(
    2 * n_learn + n_test, seed=SEED, size=(head_side,) * 2, spacing=3.0
)
heads_test, heads_rest = heads[:n_test], heads[n_test : n_test + n_learn]
more = heads[n_test + n_learn :]
lesson.banner(masses + heads, "no real case was outlined twice or scanned twice")

# %%
plots.show(
    plots.show_cases(test[:2] + heads_test[:2], n=4),
    alt="Two noisy grey pictures with one bright outlined mass each, and two heads in FLAIR with "
    "some small bright outlined lesions.",
)

# %% [markdown]
# ## 1 Memory against resolution
#
# ### By hand: what a U-Net keeps
#
# To learn, a network keeps what every layer gave until the gradient has come back. With $H \times
# W$ pixels, $f$ channels in the first stage and two convolutions a stage, the first stage keeps $2
# H W f$ numbers on its way down and as many on its way up. Each stage below has a quarter of the
# positions and twice the channels: half as much. With $D$ poolings all convolutions keep
#
# $$H\,W f\,(8 - 6 \cdot 2^{-D})$$
#
# numbers of 4 bytes. **Predict** for the network of 2015 ($f = 64$, $D = 4$): which side fits into
# 16 GB, in training, where each number has a gradient beside it and other layers have maps, too?


# %%
def by_formula(side, width, depth):
    return side**2 * width * (8 - 6 / 2**depth)


width, depth = lesson.scale(smoke=(4, 2), desktop=(64, 4))
published = models.unet((None, None, 1), 2, width=width, depth=depth, padding="same")
rows = Table()
for side in (128, 256, 512, 1024, 2048):
    row = {"side": side, "convolutions (MiB)": 4 * by_formula(side, width, depth) / 2**20}
    row["training, batch 1 (GB)"] = models.training_memory(published, 1, (side, side)) / 1e9
    rows.append(row | {"multiply-adds (10^9)": models.macs(published, (side, side)) / 1e9})
rows

# %% [markdown]
# The weights (`models.training_memory` counts them, with their gradients and Adam's averages) do
# not depend on the side; maps do, and they decide.
#
# ### And measured
#
# An estimate is no measurement. For each side a process of its own trains a small U-Net for two steps
# and says how much more memory it ever held than before. (Images smaller than these would hide in
# what loading the framework took for a moment.)

# %%
MEASURE = """
import sys, time, keras, numpy as np, psutil
from medseg_tf import models
def most():  # bytes that this process ever held
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset
    import resource
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
model = models.unet((None, None, 1), 2, width=8, depth=3, padding="same", dropout=0)
model.compile("adam", "sparse_categorical_crossentropy")
before = psutil.Process().memory_info().rss
side = int(sys.argv[1])
x, y = np.zeros((4, side, side, 1), "float32"), np.zeros((4, side, side), "int32")
model.train_on_batch(x, y)  # the first step traces
start = time.perf_counter()
model.train_on_batch(x, y)
seconds = time.perf_counter() - start
print(side, most() - before, seconds)
"""

# %%
import subprocess
import sys

sides = lesson.scale(smoke=(64,), desktop=(448, 896), paper=(512, 1024))
how = {"capture_output": True, "text": True, "check": True}
runs = [subprocess.run([sys.executable, "-c", MEASURE, str(side)], **how) for side in sides]
small = models.unet((None, None, 1), 2, width=8, depth=3, padding="same", dropout=0)
measured = Table()
for run in runs:
    side, grown, seconds = map(float, run.stdout.splitlines()[-1].split())
    need = models.training_memory(small, 4, (int(side),) * 2)
    row = {"side": int(side), "estimate (MB)": need / 1e6, "memory grew by (MB)": grown / 1e6}
    measured.append(row | {"seconds a step": seconds})
measured


# %%
grew = [row["memory grew by (MB)"] for row in measured]
lesson.claim(
    "(a) twice the side, four times the memory",
    what=f"MB that training grows by, sides {sides[-1]} and {sides[0]}",
    measured=grew[-1],
    against=grew[0],
    holds=3 < grew[-1] / grew[0] < 5,
    source="arithmetic",
)

# %% [markdown]
# Ways out, none of them free: a smaller batch; numbers of 16 bits (half the memory; lesson A2);
# keeping only what enters a stage and computing the rest again on the way back (*checkpointing*,
# a third to a half more time); and not reading the whole image at once, which comes next.
#
# ## 2 What a shrunk image loses
#
# ### Without any network
#
# Take a mask, shrink it, enlarge it again: what is lost now no network can bring back. (It could
# only guess.) Two ways: pick the nearest pixel, or average and cut at one half. **Predict** which
# suffers most at a quarter of the resolution: a disc of radius 60, one of radius 8, or a line 2
# pixels wide?

# %%
from medseg_tf.data.resample import resize

down, across = np.indices((256, 256)) - 127.5
shapes = {f"disc, radius {r}": down**2 + across**2 <= r**2 for r in (60, 20, 8)}
shapes["line, 2 wide"] = abs(np.cos(0.3) * down - np.sin(0.3) * across) <= 1


def shrunk(mask, factor, mean=True):
    """The mask at 1 / factor of its resolution and back: by means and linear, or nearest pixels."""
    rows, columns = (side // factor for side in mask.shape)
    if not mean:
        few = resize(mask.astype(int), (rows, columns), is_label=True)
        return resize(few, mask.shape, is_label=True) > 0
    few = mask.reshape(rows, factor, columns, factor).mean(axis=(1, 3))
    return resize(few[..., None], mask.shape)[..., 0] > 0.5


shrinking = Table()
for name, mask in shapes.items():
    row = {"Dice after shrinking": name}
    for factor in (2, 4, 8):
        row[f"{factor} x"] = float(metrics.dice(mask, shrunk(mask, factor))[1])
        row[f"{factor} x, nearest"] = float(metrics.dice(mask, shrunk(mask, factor, mean=False))[1])
    shrinking.append(row)
shrinking

# %%
lesson.claim(
    "(b) in a shrunk image thin things vanish",
    what="Dice at a quarter of the resolution, line 2 wide and disc of radius 20",
    measured=shrinking[3]["4 x"],
    against=shrinking[1]["4 x"],
    holds=shrinking[3]["4 x"] < 0.5 * shrinking[1]["4 x"],
    source="our measurement",
)

# %% [markdown]
# ### With a network
#
# The same network learns to outline the masses from the full pictures, and from pictures at a quarter
# of the resolution; its *probabilities* are enlarged and cut on the full grid. Distances are in pixels
# of the full picture.

# %%
depth = lesson.scale(smoke=1, desktop=3, paper=4)
steps = lesson.scale(smoke=1, desktop=25, paper=200)  # an epoch
epochs = lesson.scale(smoke=1, desktop=8, paper=20)
FLIP = data.flip()


def train(cases, size, times=1, normalize=data.z_score, augment=FLIP):
    """Train a U-Net of width 8 from the same first weights: the model, its losses."""
    keras.utils.set_random_seed(SEED)
    shape = (None, None, cases[0].image.array.shape[-1])
    model = models.unet(shape, 2, width=8, depth=depth, padding="same", dropout=0)
    options = {"augment": augment, "normalize": normalize, "seed": SEED, "steps": steps}
    patches = data.Patches(cases, size, 8, **options)
    loss = losses.DiceCrossEntropy()
    return model, training.fit(model, patches, loss, epochs=times * epochs, learning_rate=2e-3)


# %%
def at(case, factor):
    """The case at 1 / factor of its resolution."""
    return data.resample_case(case, factor * case.image.grid.spacing[1]) if factor > 1 else case


def on_full_grid(model, case, factor):
    maps = inference.probabilities(model, at(case, factor))
    return resize(maps, case.label.array.shape).argmax(-1)


def scores(found):
    """Dice, and the mean distance of the two borders in pixels of the full picture."""
    pairs = [(case.label.array, one) for case, one in zip(test, found, strict=True)]
    apart = [float(metrics.assd(*pair)[1]) for pair in pairs]
    dice = np.mean([metrics.dice(*pair)[1] for pair in pairs])
    off = float(np.ma.masked_invalid(apart).mean())  # infinite where nothing was found
    return {"Dice": float(dice), "border off by (pixels)": off}


# %%
def interval(differences):
    """Mean of the cases' differences, and its 95 % interval: cases drawn anew 2,000 times."""
    differences = np.asarray(differences)[np.isfinite(differences)]
    if not len(differences):  # smoke scale may find nothing at all
        return np.nan, np.nan, np.nan
    draws = np.random.default_rng(SEED).choice(differences, (2000, len(differences)))
    return differences.mean(), *np.percentile(draws.mean(axis=1), (2.5, 97.5))


def above_zero(differences):
    """Whether differences are above 0; None where their interval holds 0."""
    _, low, high = interval(differences)
    return None if low <= 0 <= high else bool(low > 0)


# %%
sampled = Table()
otsu = [methods.otsu(case.image.array).astype(int) for case in test]
sampled.append({"arm": "Otsu, nothing learned"} | scores(otsu))
labels_alone = [shrunk(case.label.array > 0, 4).astype(int) for case in test]
sampled.append({"arm": "label alone, shrunk by 4"} | scores(labels_alone))
sampled

# %% [markdown]
# The second row is what a perfect network would reach at a quarter of the resolution. **Before you
# run on**: how far off will the border of a real network be, at full resolution and at a quarter?
# (At a quarter a step costs little, so one more arm takes four times as many.)

# %%
my_full, my_quarter = 2.0, 4.0  # change me, in pixels

# %%
nets, curves = {}, {}
found = {}
arms = [("full", 1, 1), ("quarter, longer", 4, 4), ("quarter", 4, 1)]
for name, factor, times in arms[: lesson.scale(smoke=2, desktop=3)]:
    model, history = train([at(case, factor) for case in rest], size // factor, times)
    nets[name], curves[name] = model, history["loss"]
    found[name] = [on_full_grid(model, case, factor) for case in test]
    sampled.append({"arm": name} | scores(found[name]))
print(f"you said {my_full} and {my_quarter}")
plots.show(
    plots.show_curves(curves, f"epoch of {steps} steps"),
    alt="Training loss of three networks over their epochs; all fall.",
)
sampled


# %%
def off(labels):
    """How far off each border is, in pixels."""
    pairs = zip(test, labels, strict=True)
    return np.array([metrics.assd(case.label.array, one)[1] for case, one in pairs])


farther = off(found["quarter, longer"]) - off(found["full"])
mean, low, high = interval(farther)
print(f"a quarter's border lies {mean:+.2f} pixels ({low:+.2f} to {high:+.2f}) farther off")
print(f"shrinking a perfect label costs {sampled[1]['border off by (pixels)']:.2f} by itself")
lesson.claim(
    "(c) shrunk images place the border worse",
    what="mean distance of borders (pixels), a quarter (trained longer) and full resolution",
    measured=sampled[3]["border off by (pixels)"],
    against=sampled[2]["border off by (pixels)"],
    holds=above_zero(farther),
    why="" if above_zero(farther) else "the network's own errors are as large as the pixels",
    source="the review, problem 1",
)

# %% [markdown]
# ### Must an image be read at once?
#
# A pixel depends on its receptive field alone. So a tile with a *margin* of that size, of which only
# the inner part is kept, must give what the whole image gives, if it also begins at a multiple of
# $2^D$, so that the poolings fall alike. A picture of three times the side, in tiles:

# %%
safe = 7 * 2**depth  # a multiple of 2^D, and at least 7 * 2^D - 5: the field's reach to one side
large = data.phantoms.breast_masses(1, seed=SEED + 1, size=24 * 2**depth)[0]
field = models.receptive_field(nets["full"])[0]
whole = inference.probabilities(nets["full"], large)
cost, tile = Table(), 16 * 2**depth
for margin in (0, 2 * 2**depth, 4 * 2**depth, safe):
    parts = inference.probabilities(nets["full"], large, tile, overlap=0, margin=margin)
    times = (tile / (tile - 2 * margin)) ** 2
    row = {"margin": margin, "largest difference": float(abs(parts - whole).max())}
    cost.append(row | {"work, times the whole image": times})
print("receptive field:", field, "pixels; safe margin:", safe)
cost

# %%
lesson.claim(
    "(d) an image must be read at once",
    what="largest difference of a probability, tiles with safe margin and without",
    measured=cost[-1]["largest difference"],
    against=cost[0]["largest difference"],
    holds=cost[-1]["largest difference"] > 1e-4,
    why="tiles with a margin of the receptive field give the same; they cost time, not accuracy",
    source="the review, problem 1; Ronneberger 2015, figure 2",
)

# %% [markdown]
# So memory need not limit the resolution of an answer; what costs is the context, and larger tiles
# waste less of it. A margin that "looks fine" is not exact.
#
# ## 3 Machine against raters
#
# Two *simulated* raters outline the masses. Each moves the true border by
# smooth random errors of one pixel; besides, rater A draws generously (0.6 pixels outside) and rater
# B tightly. In life there would be no truth to look at; here we keep it to see more than one can.

# %%
from scipy.ndimage import distance_transform_edt, gaussian_filter


def outline(case, rng, bias, sd=1.0):
    """A simulated rater's label: the border moved by `bias` pixels and by smooth errors."""
    inside = case.label.array > 0
    depth_in = distance_transform_edt(inside) - distance_transform_edt(~inside)
    errors = gaussian_filter(rng.normal(size=inside.shape), 4)
    drawn = depth_in - np.sign(depth_in) / 2 + bias + sd * errors / errors.std() > 0
    return replace(case, label=data.Scan(drawn.astype("uint8"), case.label.grid))


readers = dict(zip("AB", np.random.default_rng(SEED).spawn(2), strict=True))
bias = {"A": 0.6, "B": -0.6}
drawn = {
    name: [[outline(case, rng, bias[name]) for case in part] for part in (rest, test)]
    for name, rng in readers.items()
}
again = [outline(case, readers["A"], bias["A"]) for case in test]


# %%
def agree(one, other):
    """Dice of each pair of labels."""
    arrays = [[getattr(x, "label", x) for x in side] for side in (one, other)]
    arrays = [[np.asarray(getattr(x, "array", x)) for x in side] for side in arrays]
    return np.array([metrics.dice(*pair)[1] for pair in zip(*arrays, strict=True)])


a, b = drawn["A"][1], drawn["B"][1]
raters = Table()
for name, pair in {
    "A and B": (a, b),
    "A and A again": (a, again),
    "A and the truth": (a, test),
    "B and the truth": (b, test),
}.items():
    raters.append({"pair": name, "Dice": float(agree(*pair).mean())})
raters

# %% [markdown]
# Is each rater closer to the truth than to the other? Independent errors must have it so. (Always
# check that of simulated raters.) Now two networks: one learns from A alone, one from images that
# were outlined half by A and half by B. **Predict**: will they agree with B better or worse than A
# does?

# %%
mixed = [drawn["AB"[number % 2]][0][number] for number in range(len(rest))]
by_rater = {}
for name, cases in {"learned from A": drawn["A"][0], "learned from A and B": mixed}.items():
    model, _ = train(cases, size)
    by_rater[name] = [inference.segment(model, case) for case in test]
by_rater["perfect (the truth)"] = [case.label for case in test]
rows = Table()
for name, found in by_rater.items():
    with_raters = agree(found, a), agree(found, b)
    row = {"network": name, "with A": with_raters[0].mean(), "with B": with_raters[1].mean()}
    row["with the truth"] = agree(found, test).mean()
    row["Williams' index"] = np.mean(with_raters) / agree(a, b).mean()
    rows.append({key: getattr(value, "item", lambda v=value: v)() for key, value in row.items()})
rows

# %% [markdown]
# *Williams' index* is the network's mean agreement with the raters over theirs with each other:
# above 1 the network is the better colleague. The fair test of "below manual": let the network that
# learned from A take A's place, and ask B. The same cases, in pairs.

# %%
differences = agree(by_rater["learned from A"], b) - agree(a, b)
mean, low, high = interval(differences)
print(f"agreement with B, the network's less A's: {mean:+.3f} ({low:+.3f} to {high:+.3f})")
lesson.claim(
    "(e) a network stays below manual segmentation",
    what="Dice with rater B, of the network that learned from A and of A",
    measured=agree(by_rater["learned from A"], b).mean(),
    against=agree(a, b).mean(),
    holds=above_zero(-differences),
    why="it averages A's random errors out" if low > 0 else "",
    source="the review, problem 2",
)

# %%
perfect = rows[2]
lesson.claim(
    "(f) raters' Dice is the most a network can reach",
    what="mean Dice with both raters, of a perfect network and of them",
    measured=(perfect["with A"] + perfect["with B"]) / 2,
    against=agree(a, b).mean(),
    holds=perfect["Williams' index"] <= 1,
    why="" if perfect["Williams' index"] <= 1 else "who averages errors out agrees with both more",
    source="often said",
)

# %% [markdown]
# Raters' agreement is no ceiling: the truth agrees with each of them more than they do with each other,
# and a network that learns from many outlines averages their random errors out, given steps enough.
# What it cannot average out is a habit that all raters share. And an interval that holds 0 says "not to
# be told from a rater with so many cases", and no more: not "expert level".
#
# ## 4 Scanner against scanner
#
# The heads so far come from scanner A. Scanner B sees them with a flatter contrast curve (gamma 0.6), a
# bias field of two fifths that nobody corrected, a little more noise, and another scale (gain and
# offset): a shift that is strong enough to leave something to mend.


# %%
def scanner_b(case, rng, gamma=0.6, gain=2.5, offset=0.6, field=0.4, noise=0.05):
    """The same head in the simulated scanner B; outside the head stays 0."""
    old, grid = case.image.array, case.image.grid
    head = (old != 0).any(axis=-1, keepdims=True)
    low, high = (np.percentile(old[head[..., 0]], q, axis=0) for q in (1, 99))
    grey = np.clip((old - low) / (high - low), 0, None) ** gamma
    waves = gaussian_filter(rng.normal(size=grid.shape), head_side / 4)[..., None]
    grey = grey * (1 + field * waves / abs(waves).max()) + noise * rng.normal(size=old.shape)
    grey = gain * (low + (high - low) * grey) + offset
    grey = np.maximum(grey, 1e-3) * head
    return replace(case, image=data.Scan(grey.astype("float32"), grid))


rng = np.random.default_rng(SEED)
test_b, rest_b = ([scanner_b(case, rng) for case in part] for part in (heads_test, heads_rest))

# %%
figure, axes = plt.subplots(1, 4, figsize=(9.4, 2.7), layout="constrained")
for panel, (name, case, channel) in zip(
    axes,
    [
        ("A, FLAIR", heads_test[0], 0),
        ("B, FLAIR", test_b[0], 0),
        ("A, T1", heads_test[0], 1),
        ("B, T1", test_b[0], 1),
    ],
    strict=True,
):
    grey = case.image.array[..., channel].T[::-1]
    plots.show_image(grey, case.label.array.T[::-1], title=name, axes=panel)
plots.show(
    figure,
    alt="One simulated head with outlined lesions in both scanners: in B the contrast is flatter, "
    "one side brighter than the other, and the noise stronger.",
)

# %% [markdown]
# Four remedies are usually named: **normalise** (here within the head; without it a network sees raw
# numbers), **match histograms** to those it learned from, **vary grey values** at random in training
# so widely that the next scanner is one more variation, and the review's: **gather more**. None may
# look at scanner B's labels. The *oracle* does: it learned from B. **Predict** their order on B.

# %%
inside = data.z_score_inside
grey_values = data.intensity(gamma=1.0, shading=0.3, noise=0.3)
ways = {
    "raw values": {"normalize": np.asarray},
    "z-score": {},
    "z-score, twice as many scans": {"cases": heads_rest + more},
    "z-score, random grey values": {"augment": data.compose(data.flip(), grey_values)},
    "oracle: learned from B": {"cases": rest_b},
}
ways = {name: {"cases": heads_rest, "normalize": inside} | way for name, way in ways.items()}
scanner_nets = {name: train(size=(head_side,) * 2, **way)[0] for name, way in ways.items()}

# %%
pool = np.concatenate([inside(case.image.array) for case in heads_rest])
to_pool = data.match_histogram([pool])  # one reference, so nothing is drawn


def matched(array):
    return to_pool(inside(array), None, rng)[0]


def lesion_dice(label, cases):
    """Dice of the lesions, case by case; NaN where there are none."""
    return np.array([metrics.dice(case.label.array, label(case))[1] for case in cases])


def bright(case):  # learns nothing: FLAIR above two standard deviations of the head
    return (inside(case.image.array)[..., 0] > 2).astype(int)


def by(name, normalize):
    return lambda case: inference.segment(scanner_nets[name], case, normalize=normalize).array


# %%
labellers = {"bright in FLAIR, nothing learned": bright}
labellers |= {name: by(name, way["normalize"]) for name, way in ways.items()}
labellers["z-score, histogram matched"] = by("z-score", matched)
dice = {
    name: {"A": lesion_dice(label, heads_test), "B": lesion_dice(label, test_b)}
    for name, label in labellers.items()
}
Table(
    {"arm": name} | {scanner: float(np.nanmean(each)) for scanner, each in of.items()}
    for name, of in dice.items()
)

# %% [markdown]
# The oracle's lead over the z-score on B is what a remedy could win; the share says how much of it
# each wins. A gain whose interval over the cases holds 0 is undecided. (The interval knows nothing of
# other first weights; seeds, on real scans, come below.)

# %%
on_b = {name: of["B"] for name, of in dice.items()}
lead = on_b["oracle: learned from B"] - on_b["z-score"]
remedies = {
    "(i) more scans of the old one mend it": "z-score, twice as many scans",
    "(j) matching histograms mends it": "z-score, histogram matched",
    "(k) random grey values in training mend it": "z-score, random grey values",
}
won = Table()
for arm in remedies.values():
    mean, low, high = interval(on_b[arm] - on_b["z-score"])
    row = {"remedy": arm, "gain on B": mean, "from": low, "to": high}
    # Without a lead to speak of a share means nothing.
    won.append(row | {"share of the lead": mean / np.nanmean(lead) if above_zero(lead) else None})
won

# %%
old = dice["z-score"]["A"]
lesson.claim(
    "(g) a new scanner costs accuracy",
    what="Dice of lesions with z-score, scanner B and A",
    measured=np.nanmean(on_b["z-score"]),
    against=np.nanmean(old),
    holds=above_zero(old - on_b["z-score"]),
    source="the review, problem 3; simulated shift",
)
spared = above_zero(on_b["z-score"] - on_b["raw values"])
lesson.claim(
    "(h) normalising each scan helps there",
    what="Dice on scanner B, z-score and raw values",
    measured=np.nanmean(on_b["z-score"]),
    against=np.nanmean(on_b["raw values"]),
    holds=spared,
    why="" if spared else "an uneven field moves mean and deviation, too",
    source="common practice; simulated shift",
)

# %%
for text, arm in remedies.items():
    lesson.claim(
        text,
        what="Dice on scanner B, and with z-score alone",
        measured=np.nanmean(on_b[arm]),
        against=np.nanmean(on_b["z-score"]),
        holds=above_zero(on_b[arm] - on_b["z-score"]),
        source="the review" if "more" in text else "common practice; simulated shift",
    )

# %% [markdown]
# ### Which part of the shift hurts?
#
# A ranking of remedies belongs to *this* shift. One part at a time, without training anew:

# %%
off = {"gamma": 1, "gain": 1, "offset": 0, "field": 0, "noise": 0}
parts = {"none of them": off, "gain and offset": {"gamma": 1, "field": 0, "noise": 0}}
parts |= {name: {k: v for k, v in off.items() if k != name} for name in ("gamma", "field", "noise")}
by_part = Table()
for name, how in parts.items():
    shifted = [scanner_b(case, np.random.default_rng(SEED), **how) for case in heads_test]
    row = {"what B changes": name}
    for arm in ("raw values", "z-score", "z-score, random grey values"):
        row[arm] = float(np.nanmean(lesion_dice(labellers[arm], shifted)))
    by_part.append(row)
by_part

# %% [markdown]
# Gain and offset are what a z-score takes out, within the head; the air round it is 0 in both scanners
# and so ends up at another value. The other parts it leaves, and a row that stays near the first one
# names a part that the network does not mind. What a remedy has to aim at are the rows that fall.
#
# ### An alarm
#
# A new scanner's scans can be told without any label: how far, by the Wasserstein distance, are a
# scan's normalised grey values from those that were learned from?

# %%
from scipy.stats import wasserstein_distance


def greys(case):
    """Normalised FLAIR within the head."""
    return inside(case.image.array)[..., 0][case.image.array[..., 0] > 0]


known = np.concatenate([greys(case) for case in heads_rest])
usual = [wasserstein_distance(greys(case), known) for case in more]
limit = np.quantile(usual, 0.95)  # of scans of A that nobody learned from
for name, cases in {"A": heads_test, "B": test_b}.items():
    away = [wasserstein_distance(greys(case), known) for case in cases]
    print(f"scanner {name}: {np.mean(np.array(away) > limit):.0%} of the scans raise the alarm")

# %% [markdown]
# ## Look
#
# The scan of B on which the network with z-score does worst, and what the network with random grey
# values makes of it. Orange is invented, blue is missed.

# %%
arms = ["z-score", "z-score, random grey values"]
worst = test_b[int(np.nanargmin(on_b["z-score"]))]
truth = worst.label.array
figure, axes = plt.subplots(1, 3, figsize=(8.6, 3.7), layout="constrained")
flair = worst.image.array[..., 0].T[::-1]
plots.show_image(flair, truth.T[::-1], title="truth, scanner B", axes=axes[0])
for panel, arm in zip(axes[1:], arms, strict=True):
    found = labellers[arm](worst)
    plots.show_error(flair, truth.T[::-1].astype(int), found.T[::-1], title=arm, axes=panel)
plots.show(
    figure,
    alt="The hardest head of scanner B: true lesions outlined, then errors of the two networks, "
    "orange where a bright place was taken for a lesion, blue where one was missed.",
)

# %% [markdown]
# ## On real scans
#
# `make results LESSON=14` measures two of this on real sets. *Resolution*: `Task04_Hippocampus`,
# labelled at 1 mm, learned at 1 to 3 mm; scores on the 1 mm grid, the label alone beside the
# network. *Shift*: `IBSR18`, whose scans have three voxel sizes, a mark of how each was acquired
# (the set does not name the machines): one kind learned, the other labelled.

# %%
real = lesson.results("14_outlook")
wanted = ["dice", "hd95", "memory_gb", "seconds_a_step", "steps"]
real and lesson.over_seeds(real, wanted, set="Task04_Hippocampus")

# %%
wanted = ["dice", "dice_1", "dice_2", "dice_3", "dice_own"]
real and lesson.over_seeds(real, wanted, set="IBSR18")

# %% [markdown]
# ## 5 Your own scans, from a folder to labels
#
# The capstone: a folder of scans as yours may look. We write ten simulated hippocampi as NIfTI with
# their labels; three more that stay unseen; and a new scan twice, once as it is and once stored from
# the other ends of two axes. Then three commands, as you would type them in a terminal:
#
# ```
# medseg train mine --out model --minutes 0.7
# medseg evaluate model others
# medseg segment model new --out labels
# ```
#
# Replace the folders by your own (and 0.7 minutes by thirty).

# %%
import os
import tempfile
from pathlib import Path

from medseg_tf import cli

shape, mm = lesson.scale(smoke=((8, 16, 8), 4.5), desktop=((24, 40, 24), 1.5))
count = lesson.scale(smoke=3, desktop=10, paper=40)
folder, before = tempfile.TemporaryDirectory(), Path.cwd()
os.chdir(folder.name)
organs = data.phantoms.hippocampus(count + 3, seed=SEED, size=shape, spacing=mm)
for number, case in enumerate(organs):
    for kind, scan in {"imagesTr": case.image, "labelsTr": case.label}.items():
        where = Path("mine" if number < count else "others", kind)
        where.mkdir(parents=True, exist_ok=True)
        scan.write(where / f"{case.subject}.nii.gz")
Path("new").mkdir()
new = data.phantoms.hippocampus(1, seed=SEED + 1, size=shape, spacing=mm)[0]
turned = np.diag([-1.0, -1, 1, 1])
turned[:2, 3] = np.subtract(shape[:2], 1)
grid = data.Grid(shape, new.image.grid.affine @ turned)
data.Scan(new.image.array[::-1, ::-1], grid).write("new/turned.nii.gz")
new.image.write("new/plain.nii.gz")
for kind in ("mine", "others", "new"):
    print(f"{kind}:", len(list(Path(kind).rglob("*.nii.gz"))), "files")

# %% [markdown]
# `train` looks at the scans and says what it chose and why; it holds two subjects back and scores
# them. Read its plan: would you have chosen the same?

# %%
minutes = lesson.scale(smoke="0.02", desktop="0.7", paper="30")
small = ["--patch", "8", "--depth", "1", "--width", "4", "--held-back", "0.34"]
options = ["--minutes", minutes, *lesson.scale(smoke=small, desktop=[])]
code = cli.main(["train", "mine", "--out", "model", *options])

# %% [markdown]
# `evaluate` scores any labelled folder, best one that nobody learned from. (Where the model knows a
# subject, it says so: such scores flatter.)

# %%
code = cli.main(["evaluate", "model", "others"])

# %% [markdown]
# `segment` writes a label for each new scan, on that scan's own grid.

# %%
code = cli.main(["segment", "model", "new", "--out", "labels"])
answers = {
    name: data.Scan.read(f"labels/{name}.nii.gz", label=True) for name in ("plain", "turned")
}
report = Table()
for name, answer in answers.items():
    scan = data.Scan.read(f"new/{name}.nii.gz")
    voxel_ml = abs(np.linalg.det(answer.grid.affine[:3, :3])) / 1000  # mm3 to ml
    row = {"scan": name, "on its own grid": answer.grid.same_place(scan.grid)}
    row["volume (ml)"] = float(voxel_ml * (answer.array > 0).sum())
    truth = new.label.array if name == "plain" else new.label.array[::-1, ::-1]
    row["true volume (ml)"] = float(voxel_ml * (truth > 0).sum())
    report.append(row | {"Dice": float(np.nanmean(metrics.dice(truth, answer.array, 3)[1:]))})
os.chdir(before)
folder.cleanup()
report

# %%
same = float(np.mean(answers["plain"].array == answers["turned"].array[::-1, ::-1]))
lesson.claim(
    "(l) how a scan is stored does not change its label",
    what="share of voxels with the same class, axes turned back and not",
    measured=same,
    against=float(np.mean(answers["plain"].array == answers["turned"].array)),
    holds=same > 0.999,
    source="our measurement",
)
plots.show(
    plots.show_planes(new.image, new.label, answers["plain"].array),
    alt="Three planes through the new scan: the true outline solid, the network's dashed.",
)

# %% [markdown]
# **For research and teaching only, not for diagnosis.** A label keeps its scan's header, so a name that
# stands there travels along: look before you hand it on. And before you trust a label on your own scans:
# is the scan like those learned from (the alarm above)? Is the volume within the range of the
# training labels? How many pieces does it have? Look at three planes of *every* label at first, then
# of those that stick out.
#
# ## Your turn
#
# ### 1 What the maps cost
#
# Write `map_bytes(rows, columns, width, depth, batch)`: the bytes of what the convolutions of a U-Net
# give (two a stage, down, at the bottom and up; numbers of 4 bytes; no other layers).


# %%
def map_bytes(rows, columns, width, depth, batch):
    ### BEGIN SOLUTION
    numbers = 0
    for stage in range(depth + 1):
        convolutions = 2 if stage == depth else 4
        numbers += convolutions * (rows / 2**stage) * (columns / 2**stage) * width * 2**stage
    return 4 * batch * numbers
    ### END SOLUTION


lesson.exercise(l14.check_map_bytes, map_bytes)

# %% [markdown]
# ### 2 Tiles that leave no trace
#
# Write `tile_predict(predict, image, tile, margin)`: label an image (rows, columns) by parts of at
# most `tile` pixels a side, of which `margin` pixels are dropped where the image goes on. `predict`
# takes any part whose sides are multiples of 4, as all numbers here are, and gives a map of its size.


# %%
def tile_predict(predict, image, tile, margin):
    ### BEGIN SOLUTION
    answer, step = np.zeros(image.shape), tile - 2 * margin
    for row in range(0, image.shape[0], step):
        for column in range(0, image.shape[1], step):
            top, left = max(row - margin, 0), max(column - margin, 0)
            part = predict(image[top : row + step + margin, left : column + step + margin])
            core = part[row - top :, column - left :][:step, :step]
            answer[row : row + step, column : column + step] = core
    return answer
    ### END SOLUTION


lesson.exercise(l14.check_tiles, tile_predict)

# %% [markdown]
# ### 3 Williams' index
#
# Write `williams(model, raters)` for one mask and a list of masks of True and False: the mean Dice of
# the model with each rater over the mean Dice of all pairs of raters.


# %%
def williams(model, raters):
    ### BEGIN SOLUTION
    def dice(one, other):
        return 2 * (one & other).sum() / (one.sum() + other.sum())

    pairs = [dice(one, other) for k, one in enumerate(raters) for other in raters[:k]]
    return np.mean([dice(model, rater) for rater in raters]) / np.mean(pairs)
    ### END SOLUTION


lesson.exercise(l14.check_williams, williams)

# %% [markdown]
# ## What we learned
#
# - Memory grows with the number of pixels, and tiles with a safe margin make that a question of time.
#   What shrinking loses, thin things first, no network brings back.
# - Raters disagree, and their agreement is no ceiling. Put the network in a rater's place, case by
#   case, and report an interval, not "expert level".
# - A normalisation takes out what it models. What it does not model has to be in the training, real or
#   simulated. Only a test on the other scanner tells what a remedy was worth.
#
# **What this lesson cannot show.** Its raters and scanners are simulated: real ones share habits, and
# real scanners differ in ways nobody wrote down. Lesson A2 takes the work to a GPU.

# %% tags=["claims"]
lesson.claims_table()

# %% [markdown]
# **References.** G. W. Williams, *Comparing the joint agreement of several raters with another rater*,
# Biometrics 1976. M. Ghafoorian et al., *Location sensitive deep convolutional neural networks for
# segmentation of white matter hyperintensities*, Scientific Reports 2017. L. Nyul, J. Udupa, X.
# Zhang, *New variants of a method of MRI scale standardization*, IEEE TMI 2000. T. Chen et al.,
# *Training Deep Nets with Sublinear Memory Cost*, arXiv:1604.06174. O. Ronneberger, P. Fischer, T.
# Brox, *U-Net*, MICCAI 2015. A. Simpson et al., arXiv:1902.09063 (`Task04_Hippocampus`). Scans of
# `IBSR18`: Center for Morphometric Analysis at Massachusetts General Hospital,
# http://www.cma.mgh.harvard.edu/ibsr/.
