# %% [markdown]
# # 03 U-Net: context from below, location from the side
#
# - **You will see** why a network that only shrinks and grows again draws blurred borders, and how
#   four copies across the gap (skip connections) repair them.
# - **You will measure** five claims about U-Net, each against a twin that differs in one thing.
# - **It takes** about three minutes on two cores (*desktop* scale), seconds at *smoke* scale.
# - **It builds on** the score functions of lesson 00 and the fully convolutional network of lesson
#   02.
# - **You need** nothing to download: cells are simulated unless you have the real ones (see *The
#   data*).

# %% tags=["setup"]
import keras
import matplotlib.pyplot as plt
import numpy as np

from medseg_tf import data, inference, lesson, losses, metrics, models, plots, training
from medseg_tf.lesson.exercises import l03
from medseg_tf.table import Table

precision = training.set_precision("auto")

# %% [markdown]
# ## The claim
#
# The review tells the story of U-Net (Ronneberger, Fischer, Brox, MICCAI 2015) like this: a
# contracting path gathers context, an expansive path brings the location back, and *skip
# connections* join the two. It trains end to end from very few images, takes the whole image at
# once instead of window by window, and won the ISBI cell tracking challenge of 2015.
#
# Three kind corrections before we start.
#
# - The review calls the skip "a residual structure". It is not: a U-Net skip **concatenates**
#   channels, nothing is added, and no layer learns a difference. (Lesson 05 shows both side by
#   side.)
# - "Very fast training": the paper trained for ten hours. What is fast is **labelling** one image.
# - The challenge's score is **SEG**, a mean over cells, and not one overlap over all pixels. The
#   difference matters so much that you will see it twice below.
#
# | claim | twin |
# |---|---|
# | (a) skip connections place the boundary | the same network, each skip replaced by a copy of the upsampled map |
# | (b) the weight map parts touching cells | the same network, all weights one |
# | (c) elastic deformation lets few images suffice | the same network and image, only flips and turns |
# | (d) one pass gives the answer of many windows, sooner | the same network, window by window |
# | (e) overlapping tiles leave no seam | the same network, the whole image at once |

# %% [markdown]
# ## The data
#
# Cells that touch: the hard part is not *cell or background* but *which cell*. Every cell has a
# number. If the real set `DIC-C2DH-HeLa` lies in one of your data folders
# (`medseg_tf.data.available()` tells), the lesson runs on it, at half its resolution; otherwise
# the cells are simulated.

# %%
SEED = 0
size = lesson.scale(smoke=96, desktop=160)
cases = lesson.real("DIC-C2DH-HeLa", spacing=0.38) or data.phantoms.cells(
    lesson.scale(smoke=4, desktop=16), seed=SEED, size=size
)
rest, test = data.split_by_subject(cases, (0.75, 0.25), seed=SEED)
lesson.banner(cases, "cells that touch, each with its own number, need no download")
print(len(rest), "cases to learn from,", len(test), "held back")


# %%
def side_by_side(titled, alt):
    """Show (title, image, label) panels in a row."""
    size = {"figsize": (4.8, 2.5), "layout": "constrained", "squeeze": False}
    figure, axes = plt.subplots(1, len(titled), **size)
    for panel, (title, image, label) in zip(axes[0], titled, strict=True):
        plots.show_instances(image, label, title=title, axes=panel)
    plots.show(figure, alt=alt)


side_by_side(
    [(case.name or case.subject, case.image, case.label) for case in test[:2]],
    alt="Two held-back images of crowded cells, each cell in a colour; many of them touch.",
)

# %% [markdown]
# ### A baseline that learns nothing
#
# Otsu's threshold picks the grey value that separates dark from bright best; its connected pieces
# are the "cells". **SEG** asks of every true cell: is there one piece that covers more than half
# of it? If so it scores their overlap over union, if not it scores 0. The mean over all cells is
# SEG.

# %%
from skimage.filters import threshold_otsu


def otsu_cells(case):
    grey = case.image.array[..., 0]
    bright = grey > threshold_otsu(grey)
    return inference.instances(np.stack([1.0 - bright, bright], -1))


truth = [case.label.array for case in test]
otsu = metrics.seg(truth, [otsu_cells(case) for case in test])
print(f"Otsu: SEG {otsu:.3f}")

# %% [markdown]
# ## The idea by hand
#
# ### What pooling forgets
#
# An 8 x 8 picture with a slanted edge. Two poolings halve it twice: 2 x 2 numbers are left, and
# each says "something bright was in my 4 x 4 block", no longer *where*. Growing the map back
# cannot invent the answer.

# %%
edge = np.array([[column > row / 2 + 2 for column in range(8)] for row in range(8)], "float32")


def pool(image):  # the largest of each 2 x 2 block
    rows, columns = image.shape
    return image.reshape(rows // 2, 2, columns // 2, 2).max(axis=(1, 3))


grown = pool(pool(edge)).repeat(4, axis=0).repeat(4, axis=1)
print("wrong pixels after shrinking and growing:", int((grown != edge).sum()), "of", edge.size)

# %% [markdown]
# A skip connection puts the early map *beside* the grown one: two channels a pixel. A 1 x 1
# convolution (one weight a channel) may now take *what* from one and *where* from the other.

# %%
beside = np.stack([grown, edge], axis=-1)  # (8, 8, 2): grown map first, as in the released network
weights, bias = np.array([0.5, 1.0]), -1.0
decided = beside @ weights + bias > 0
plots.show(
    plots.show_maps({"picture": edge, "pooled twice, grown back": grown, "with the skip": decided}),
    alt="A slanted edge; the same edge as coarse 4 by 4 blocks; the slanted edge again, repaired.",
)
print("wrong pixels with the skip:", int((decided != edge).sum()))

# %% [markdown]
# ### The arithmetic of sizes
#
# A 3 x 3 convolution without padding costs a pixel on each side, a pooling needs an even size, an
# up-convolution doubles. So not every size fits. Follow 572, the paper's input, through the
# paper's network.

# %%
side, skips = 572, []
for _ in range(4):
    side -= 4  # two 3 x 3 convolutions
    skips.append(side)
    side //= 2  # pooling
side -= 4
for level in reversed(range(4)):
    side *= 2  # up-convolution
    print(
        f"level {level}: skip {skips[level]} is cropped by {(skips[level] - side) // 2} to {side}"
    )
    side -= 4
print("output:", side)

# %% [markdown]
# The package counts the same: `models.unet` with its defaults *is* the network of 2015, and
# `models.unet_sizes(4)` lists the sizes that fit.

# %%
paper = models.unet((572, 572, 1), classes=2)
print("output of models.unet:", paper.output_shape[1:])
print(
    f"weights: {paper.count_params():,}   receptive field: {models.receptive_field(paper)} pixels"
)
print(f"multiply-adds for one tile: {models.macs(paper) / 1e9:.0f} billion")

# %%
plots.show(
    plots.show_network(paper),
    alt="U-Net drawn as a U: maps shrink from 568 to 28 pixels while channels grow from 64 to 1024, "
    "then grow back to 388 pixels; four arrows carry maps across.",
)

# %% [markdown]
# The whole network is one readable function.

# %%
lesson.source(models.unet)

# %% [markdown]
# ### The weight map
#
# A wall of background one or two pixels wide is all that keeps two cells apart, and it is so thin
# that getting it wrong costs a network almost nothing. So the paper makes those pixels dear:
#
# $$w(x) = 1 + w_0\,\exp\left(-\frac{(d_1(x) + d_2(x))^2}{2\sigma^2}\right)$$
#
# with $d_1, d_2$ the distances to the nearest and the second nearest cell, $w_0 = 10$, $\sigma =
# 5$ pixels. By hand, for a picture small enough to check:

# %%
from scipy.ndimage import distance_transform_edt

tiny = np.zeros((5, 8), int)
tiny[1:4, 0:2], tiny[1:4, 4:7] = 1, 2
distances = np.sort([distance_transform_edt(tiny != cell) for cell in (1, 2)], axis=0)
by_hand = 1 + (tiny == 0) * 10 * np.exp(-(distances.sum(axis=0) ** 2) / (2 * 5**2))
print(by_hand.round(2))
print(
    "largest difference to data.unet_weight_map:", abs(by_hand - data.unet_weight_map(tiny)).max()
)

# %%
label = test[0].label.array
plots.show(
    plots.show_maps({"cells": label > 0, "weight of each pixel": data.unet_weight_map(label)}),
    alt="Cells in white; beside them the weight map, bright only in the thin gaps between cells.",
)

# %% [markdown]
# ## Predict, then run
#
# The desktop network is the paper's with fewer channels and one pooling less. Every arm below gets
# the same images, the same number of steps and the same optimizer. **Before you run on**, write
# down what you expect: what SEG will the network reach, and which share of *all* pixels will it
# get wrong?

# %%
my_seg, my_pixel_error = 0.5, 0.10  # change me

# %%
width, depth = lesson.scale(smoke=4, desktop=8, paper=64), lesson.scale(smoke=2, desktop=3, paper=4)
tile, output = lesson.scale(smoke=(84, 44), desktop=(188, 100), paper=(572, 388))
epochs = lesson.scale(smoke=1, desktop=12, paper=800)  # of 25 steps each
turns = data.compose(data.flip(), data.quarter_turns())


def train(cases, augment=turns, weights=data.unet_weight_map, skips=True):
    keras.utils.set_random_seed(SEED)
    model = models.unet((None, None, 1), 2, width=width, depth=depth, skips=skips)
    patches = data.Patches(
        *(cases, tile, 2, output), augment=augment, weights=weights, seed=SEED, steps=25
    )
    loss, optimizer = losses.WeightedCrossEntropy(), keras.optimizers.Adam(2e-3)
    return model, training.fit(model, patches, loss, optimizer, epochs=epochs)


def scores(model):
    """SEG, the error over all pixels, and the error within 2 pixels of a true border."""
    maps = [inference.probabilities(model, case) for case in test]
    pairs = [((t > 0).astype(int), m.argmax(-1)) for t, m in zip(truth, maps, strict=True)]
    return {
        "SEG": metrics.seg(truth, [inference.instances(m) for m in maps]),
        "pixel error": float(1 - np.mean([metrics.pixel_accuracy(*pair) for pair in pairs])),
        "border error": float(np.mean([metrics.boundary_error(*pair) for pair in pairs])),
    }


# %%
unet, history = train(rest)
arms = {"U-Net": scores(unet)}
print(f"you said SEG {my_seg} and pixel error {my_pixel_error}")
for name, value in arms["U-Net"].items():
    print(f"{name}: {value:.3f}")

# %% tags=["front"]
found = inference.instances(inference.probabilities(unet, test[0]))
side_by_side(
    [("true cells", test[0].image, test[0].label), ("found cells", test[0].image, found)],
    alt="A held-back image twice: with the true cells and with the cells that U-Net finds.",
)

# %% [markdown]
# ## Against the twins
#
# Four more trainings, each with one thing changed. **Predict**: without skips, which score suffers
# most, SEG or the border error? And without the weight map?

# %%
no_skips, no_skips_history = train(rest, skips=False)
arms["no skips"] = scores(no_skips)

# %%
no_weights, _ = train(rest, weights=None)
arms["no weight map"] = scores(no_weights)

# %% [markdown]
# Now a poorer world: **one** labelled image. Flips and turns make eight images of it. Elastic
# deformation (random shifts on a coarse grid, joined smoothly) makes as many as we like.

# %%
deform = data.elastic(sd=lesson.scale(smoke=2, desktop=4, paper=10), points=3)
source = rest[0].image.array.astype("float32"), rest[0].label.array
image, label = deform(*source, np.random.default_rng(SEED))
grid = rest[0].image.grid
side_by_side(
    [
        ("image", rest[0].image, rest[0].label),
        ("bent", data.Scan(image, grid), data.Scan(label, grid)),
    ],
    alt="A training image and the same image gently bent: cells keep their look, not their shape.",
)

# %%
one, one_history = train(rest[:1])
arms["1 image"] = scores(one)
bent, bent_history = train(rest[:1], augment=data.compose(turns, deform))
arms["1 image, elastic"] = scores(bent)

# %%
curves = {
    "U-Net": history,
    "no skips": no_skips_history,
    "1 image": one_history,
    "1 image, elastic": bent_history,
}
plots.show(
    plots.show_curves(curves),
    alt="Training loss of four arms over the epochs; all fall, the arm without skips stays above.",
)

# %%
Table([{"arm": arm, **row} for arm, row in arms.items()])

# %%
for text, twin, score, better in [
    ("(a) skip connections place the boundary", "no skips", "border error", -1),
    ("(b) the weight map parts touching cells", "no weight map", "SEG", 1),
]:
    measured, against = arms["U-Net"][score], arms[twin][score]
    lesson.claim(
        text,
        what=score,
        measured=measured,
        against=against,
        holds=better * (measured - against) > 0,
        source="Ronneberger 2015",
    )
measured, against = arms["1 image, elastic"]["SEG"], arms["1 image"]["SEG"]
lesson.claim(
    "(c) elastic deformation lets few images suffice",
    what="SEG with 1 image",
    measured=measured,
    against=against,
    holds=measured > against,
    why="" if measured > against else "bent gaps of 1-2 pixels tear or close; the curve below",
    source="Ronneberger 2015, section 3.1",
)

# %% [markdown]
# ## One pass, many windows, many tiles
#
# The network has no dense layer, so one set of weights takes any size that fits. We label the same
# image three ways: **at once**; in **windows** just large enough for a few output pixels (close to
# what a sliding window does, and most things are computed again and again); and in **tiles** as
# large as those we trained on.

# %%
import time

small = models.unet_sizes(depth)
window = min(size for size, side in small.items() if side >= 2**depth)


def label_it(**options):
    inference.probabilities(unet, test[0], **options)  # the first call compiles
    start = time.perf_counter()
    answer = inference.probabilities(unet, test[0], **options)
    return answer, time.perf_counter() - start


at_once, seconds_at_once = label_it()
by_windows, seconds_by_windows = label_it(tile=window)
by_tiles, _ = label_it(tile=tile)
print(f"a window of {window} x {window} pixels gives {small[window]} x {small[window]}")
print(f"largest difference: {abs(at_once - by_windows).max()} (windows)")
print(f"largest difference: {abs(at_once - by_tiles).max()} (tiles)")

# %%
lesson.claim(
    "(d) one pass gives the answer of many windows, sooner",
    what="seconds an image",
    measured=seconds_at_once,
    against=seconds_by_windows,
    holds=bool(np.allclose(at_once, by_windows, atol=1e-5))
    and seconds_at_once < seconds_by_windows,
    source="Ronneberger 2015, section 1",
)
lesson.claim(
    "(e) overlapping tiles leave no seam",
    what="largest difference of a probability",
    measured=float(abs(at_once - by_tiles).max()),
    against=0.0,
    holds=bool((at_once == by_tiles).all()),
    source="Ronneberger 2015, figure 2",
)

# %% [markdown]
# Why exactly zero? A pixel meets the poolings in one of 2^depth phases. The package starts tiles
# at multiples of 2^depth, so every pixel keeps its phase. Shift the image by a single pixel, and
# the phases change:

# %%
image = data.z_score(test[0].image.array)
shifted = inference.probabilities(unet, data.Scan(image[1:], data.Grid(image[1:].shape[:2])))
print("largest difference after a shift by one pixel:", abs(at_once[1:] - shifted)[40:-40].max())

# %% [markdown]
# ## Look
#
# The case with the lowest SEG, with and without skips. Orange is invented, blue is missed.

# %%
each = [
    metrics.seg(t, inference.instances(inference.probabilities(unet, c)))
    for t, c in zip(truth, test, strict=True)
]
worst = test[int(np.argmin(each))]
cells = (worst.label.array > 0).astype(int)
figure, axes = plt.subplots(1, 2, figsize=(5.2, 3.0), layout="constrained")
for panel, (name, model) in zip(axes, {"U-Net": unet, "no skips": no_skips}.items(), strict=True):
    answer = inference.segment(model, worst)
    plots.show_error(worst.image, cells, answer, title=name, axes=panel)
plots.show(
    figure, alt="Errors on the worst image: thin lines along borders; wide bands without skips."
)

# %% [markdown]
# What does the network see inside? The first stage draws edges; the bottom sees blobs, one for a
# cell; the last stage has both.

# %%
side = max(size for size in small if size <= image.shape[0])
plots.show(
    plots.show_features(
        unet, image[:side, :side], ["down0_conv2", "bottom_conv2", "up0_conv2"], n=3
    ),
    alt="Feature maps: fine edges in the first stage, coarse blobs at the bottom, sharp cells at the end.",
)

# %% [markdown]
# ## On real cells
#
# What the package reaches on the two sets of the paper and two more, each trained for minutes on a
# desktop's two cores, with batch normalisation and "same" padding: `make results LESSON=03`
# measures this table again. The paper reports SEG .9203 on `PhC-C2DH-U373` and .7756 on
# `DIC-C2DH-HeLa`, on the challenge's secret sequences; ours are held-back frames of the open one
# against a truth that computers made, which is easier. Compare with care.

# %%
real = lesson.results("03_unet")
wanted = ["seg", "dice", "pixel_error", "rand_thinned"]
real and lesson.over_seeds(real, wanted, arm=["Otsu", "U-Net"])

# %% [markdown]
# And the claims on real cells, over seeds: every arm learned equally many steps on `DIC-C2DH-HeLa`,
# reduced to a quarter of its resolution ("short" is the U-Net with that budget).

# %%
arms_on_cells = ["short", "no skips", "no weight map"]
real and lesson.over_seeds(real, ["seg", "border_error", "pixel_error"], arm=arms_on_cells)

# %%
if real:
    figure, axes = plt.subplots(figsize=(5, 3), layout="constrained")
    for name, colour in {"": plots.CLASS_COLOURS[0], ", elastic": plots.CLASS_COLOURS[1]}.items():
        for count in (1, 4, 16):
            found = [row["seg"] for row in real["rows"] if row["arm"] == f"{count}{name}"]
            axes.plot([count] * len(found), found, "o", color=colour)
        axes.plot([], [], "o", color=colour, label=name.strip(", ") or "turns and sizes only")
    axes.set(xscale="log", xticks=[1, 4, 16], xticklabels=[1, 4, 16], ylabel="SEG")
    axes.set_xlabel("images to learn from (a dot a seed)")
    axes.legend(loc="lower right")
    plots.show(figure, alt="SEG against 1, 4 and 16 training images, with and without elastic.")

# %% [markdown]
# ## Your turn
#
# ### 1 Which sizes fit?
#
# Write `sizes(side, depth)`: the output's side and the crops of the skips from the deepest up, or
# `None` if the side does not fit. For 572 and 4 it is `(388, [4, 16, 40, 88])`.


# %%
def sizes(side, depth):
    ### BEGIN SOLUTION
    sides, crops = [], []
    for _ in range(depth):
        side -= 4
        if side % 2:
            return None
        sides.append(side)
        side //= 2
    side -= 4
    for skip in reversed(sides):
        side *= 2
        crops.append((skip - side) // 2)
        side -= 4
    return side, crops
    ### END SOLUTION


lesson.exercise(l03.check_sizes, sizes)

# %% [markdown]
# ### 2 The weight map
#
# Write `border_weight(label, w0, sigma)` for any number of cells, from what we did by hand above.


# %%
def border_weight(label, w0, sigma):
    ### BEGIN SOLUTION
    cells = np.unique(label[label > 0])
    if len(cells) < 2:
        return np.ones(label.shape)
    distances = np.sort([distance_transform_edt(label != cell) for cell in cells], axis=0)
    return 1 + (label == 0) * w0 * np.exp(-(distances[:2].sum(axis=0) ** 2) / (2 * sigma**2))
    ### END SOLUTION


lesson.exercise(l03.check_border_weight, border_weight)

# %% [markdown]
# ### 3 SEG
#
# Write `seg(truth, result)`: for each true cell, the overlap over union with the piece that covers
# **more than half** of it, 0 if there is none; then the mean over the true cells.


# %%
def seg(truth, result):
    ### BEGIN SOLUTION
    scores = []
    for cell in np.unique(truth[truth > 0]):
        inside, score = truth == cell, 0
        for number in np.unique(result[inside & (result > 0)]):
            found = result == number
            if (inside & found).sum() > inside.sum() / 2:
                score = (inside & found).sum() / (inside | found).sum()
        scores.append(score)
    return np.mean(scores)
    ### END SOLUTION


lesson.exercise(l03.check_seg, seg)

# %% [markdown]
# ## What we learned
#
# - Pooling gathers context and forgets where; a skip puts the early map beside the late one, and
#   the border is back.
# - What counts must cost: thin gaps matter for counting cells, so the loss has to say so, and so
#   has the score.
# - A network of convolutions only takes whole images; tiles that start at multiples of 2^depth
#   leave no seam.
#
# **What it cannot do.** It has no idea of a *cell*: it labels pixels, and two cells that merge are
# one. It works slice by slice; volumes come in lesson 04. Deeper stacks are hard to train; lesson
# 05 adds the shortcut that helps.

# %% tags=["claims"]
lesson.claims_table()

# %% [markdown]
# **References.** O. Ronneberger, P. Fischer, T. Brox, *U-Net: Convolutional Networks for
# Biomedical Image Segmentation*, MICCAI 2015. O. Cicek et al., *3D U-Net*, MICCAI 2016. M. Maska
# et al., *A benchmark for comparison of cell tracking algorithms*, Bioinformatics 2014 (the SEG
# measure).
