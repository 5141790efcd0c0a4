# %% [markdown]
# # 03 U-Net: context from below, location from the side
#
# - **You will see** why a network that only shrinks and grows again draws blurred borders, and how
#   four copies across the gap (skip connections) repair them.
# - **You will measure** five claims about U-Net, each against a twin that differs in one thing.
# - **It takes** about three minutes on two cores (*desktop* scale), seconds at *smoke* scale.
# - **It builds on** the score functions of lesson 00 and the fully convolutional network of lesson 02.
# - **You need** nothing to download: cells are simulated unless you have the real ones (see *The data*).

# %% tags=["setup"]
import keras
import matplotlib.pyplot as plt
import numpy as np

from medseg_tf import data, evaluation, inference, lesson, losses, metrics, models, plots, training

training.set_precision("auto")

# %% [markdown]
# ## The claim
#
# The review tells the story of U-Net (Ronneberger, Fischer, Brox, MICCAI 2015) like this: a contracting
# path gathers context, an expansive path brings the location back, and *skip connections* join the two.
# It trains end to end from very few images, takes the whole image at once instead of window by window,
# and won the ISBI cell tracking challenge of 2015.
#
# Three kind corrections before we start.
#
# - The review calls the skip "a residual structure". It is not: a U-Net skip **concatenates** channels,
#   nothing is added, and no layer learns a difference. (Lesson 05 shows both side by side.)
# - "Very fast training": the paper trained for ten hours. What is fast is **labelling** one image.
# - The challenge's score is **SEG**, a mean over cells, and not one overlap over all pixels.
#   The difference matters so much that you will see it twice below.
#
# | claim | twin |
# |---|---|
# | (a) skip connections place the boundary | the same network, each skip replaced by a copy of the upsampled map |
# | (b) the weight map parts touching cells | the same network, all weights one |
# | (c) elastic deformation lets one image suffice | the same network and image, only flips and turns |
# | (d) one pass gives the answer of many windows, sooner | the same network, window by window |
# | (e) overlapping tiles leave no seam | the same network, the whole image at once |

# %% [markdown]
# ## The data
#
# Cells that touch: the hard part is not *cell or background* but *which cell*. Every cell has a number.
# If the real set `DIC-C2DH-HeLa` lies in one of your data folders (`medseg_tf.data.available()` tells),
# the lesson runs on it, at half its resolution; otherwise the cells are simulated.

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
plots.show(
    plots.show_cases(test[:3]),
    alt="Three held-back images of crowded cells, each cell outlined; many outlines touch.",
)

# %% [markdown]
# ### A baseline that learns nothing
#
# Otsu's threshold picks the grey value that separates dark from bright best; its connected pieces are
# the "cells". **SEG** asks of every true cell: is there one piece that covers more than half of it?
# If so it scores their overlap over union, if not it scores 0. The mean over all cells is SEG.

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
# An 8 x 8 picture with a slanted edge. Two poolings halve it twice: 2 x 2 numbers are left, and each says
# "something bright was in my 4 x 4 block", no longer *where*. Growing the map back cannot invent the answer.

# %%
edge = np.array([[column > row / 2 + 2 for column in range(8)] for row in range(8)], "float32")


def pool(image):  # the largest of each 2 x 2 block
    rows, columns = image.shape
    return image.reshape(rows // 2, 2, columns // 2, 2).max(axis=(1, 3))


grown = pool(pool(edge)).repeat(4, axis=0).repeat(4, axis=1)
print("wrong pixels after shrinking and growing:", int((grown != edge).sum()), "of", edge.size)

# %% [markdown]
# A skip connection puts the early map *beside* the grown one: two channels a pixel. A 1 x 1 convolution
# (one weight a channel) may now take *what* from one and *where* from the other.

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
# up-convolution doubles. So not every size fits. Follow 572, the paper's input, through the paper's network.

# %%
side, skips = 572, []
for level in range(4):
    side -= 4  # two 3 x 3 convolutions
    skips.append(side)
    side //= 2  # pooling
side -= 4
for level in reversed(range(4)):
    side *= 2  # up-convolution
    print(f"level {level}: skip {skips[level]} is cropped by {(skips[level] - side) // 2} to {side}")
    side -= 4
print("output:", side)

# %% [markdown]
# The package counts the same: `models.unet` with its defaults *is* the network of 2015, and
# `models.unet_sizes(4)` lists the sizes that fit.

# %%
paper = models.unet((572, 572, 1), classes=2)
print("output of models.unet:", paper.output_shape[1:])
print(f"weights: {paper.count_params():,}   receptive field: {models.receptive_field(paper)} pixels")
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
# A wall of background one or two pixels wide is all that keeps two cells apart, and it is so thin that
# getting it wrong costs a network almost nothing. So the paper makes those pixels dear:
#
# $$w(x) = 1 + w_0\,\exp\left(-\frac{(d_1(x) + d_2(x))^2}{2\sigma^2}\right)$$
#
# with $d_1, d_2$ the distances to the nearest and the second nearest cell, $w_0 = 10$, $\sigma = 5$ pixels.
# By hand, for a picture small enough to check:

# %%
from scipy.ndimage import distance_transform_edt

tiny = np.zeros((5, 8), int)
tiny[1:4, 0:2], tiny[1:4, 4:7] = 1, 2
distances = np.sort([distance_transform_edt(tiny != cell) for cell in (1, 2)], axis=0)
by_hand = 1 + (tiny == 0) * 10 * np.exp(-(distances.sum(axis=0) ** 2) / (2 * 5**2))
print(by_hand.round(2))
print("largest difference to data.unet_weight_map:", abs(by_hand - data.unet_weight_map(tiny)).max())

# %%
label = test[0].label.array
plots.show(
    plots.show_maps({"cells": label > 0, "weight of each pixel": data.unet_weight_map(label)}),
    alt="Cells in white; beside them the weight map, bright only in the thin gaps between cells.",
)

# %% [markdown]
# ## Predict, then run
#
# The desktop network is the paper's with fewer channels and one pooling less. Every arm below gets the same
# images, the same number of steps and the same optimizer. **Before you run on**, write down what you expect:
# how far above Otsu will SEG be? And how many percent of *all* pixels will be wrong?

# %%
my_seg, my_pixel_error = 0.5, 0.10  # change me

# %%
width, depth = lesson.scale(smoke=4, desktop=8, paper=64), lesson.scale(smoke=2, desktop=3, paper=4)
tile, output = lesson.scale(smoke=(84, 44), desktop=(188, 100), paper=(572, 388))
epochs = lesson.scale(smoke=2, desktop=10, paper=800)  # of 25 steps each
turns = data.compose(data.flip(), data.quarter_turns())


def train(cases, augment=turns, weights=data.unet_weight_map, skips=True):
    keras.utils.set_random_seed(SEED)
    model = models.unet((None, None, 1), 2, width=width, depth=depth, skips=skips)
    patches = data.Patches(
        cases, tile, 2, output=output, augment=augment, weights=weights, seed=SEED, steps=25
    )
    return model, training.fit(
        model,
        patches,
        loss=losses.WeightedCrossEntropy(),
        optimizer=keras.optimizers.Adam(2e-3),
        epochs=epochs,
    )


def scores(model):
    """SEG, the error over all pixels, and the error within 2 pixels of a true border."""
    maps = [inference.probabilities(model, case) for case in test]
    cells = [case.label.array > 0 for case in test]
    inside = [probabilities[..., 1] > 0.5 for probabilities in maps]
    return {
        "SEG": metrics.seg(truth, [inference.instances(probabilities) for probabilities in maps]),
        "pixel error": 1 - np.mean([metrics.pixel_accuracy(*pair) for pair in zip(cells, inside)]),
        "border error": np.mean([metrics.boundary_error(*pair) for pair in zip(cells, inside)]),
    }


# %%
unet, history = train(rest)
arms = {"U-Net": scores(unet)}
print("you said", my_seg, my_pixel_error, "it is", arms["U-Net"])

# %% [markdown]
# ## Against the twins
#
# Four more trainings, each with one thing changed.

# %%
no_skips, no_skips_history = train(rest, skips=False)
arms["no skips"] = scores(no_skips)

# %%
no_weights, no_weights_history = train(rest, weights=None)
arms["no weight map"] = scores(no_weights)

# %%
elastic = data.compose(turns, data.elastic(lesson.scale(smoke=2, desktop=4, paper=10)))
one_plain, one_plain_history = train(rest[:1])
arms["1 image"] = scores(one_plain)
one_elastic, one_elastic_history = train(rest[:1], augment=elastic)
arms["1 image, elastic"] = scores(one_elastic)

# %%
plots.show(
    plots.show_curves(
        {
            "U-Net": history["loss"],
            "no skips": no_skips_history["loss"],
            "1 image": one_plain_history["loss"],
            "1 image, elastic": one_elastic_history["loss"],
        }
    ),
    alt="Training loss of four arms falling over the epochs; without skips it stays highest.",
)
