# %% [markdown]
# # 00 Scans, labels, scores: before any network
#
# - **You will see** where a voxel lies, what a number in it means, and how a score can be right and
#   still mislead.
# - **You will measure** six claims that need no network: each takes an honest way and a tempting
#   one, and shows the difference.
# - **It takes** less than a minute on two cores (*desktop* scale), seconds at *smoke* scale.
# - **It builds on** nothing. All later lessons use what stands here.

# %% tags=["setup"]
import contextlib
import importlib.util
import logging
import sys
import tempfile
from dataclasses import replace

import matplotlib.pyplot as plt
import nibabel as nib
import numpy as np
from scipy import ndimage

from medseg_tf import data, lesson, methods, metrics, plots
from medseg_tf.data.resample import canonical_scan, resize
from medseg_tf.lesson.exercises import l00
from medseg_tf.table import Table

# %% [markdown]
# ## The claim
#
# The review that this course follows compares methods by IoU, by Dice, by "accuracy" and by the
# scores of challenges. It names scanners that differ as one of the field's three obstacles.
#
# Two kind remarks before we start.
#
# - It calls IoU "the correlation between prediction and truth". IoU is no correlation: it is the
#   *overlap* of two sets over their *union*.
# - It does not say what its numbers count: voxels or cases, with or without background, before or
#   after a split by patient. Two papers that both "reach 0.90" may have done very different things.
#
# | claim | twin |
# |---|---|
# | (a) interpolated labels invent classes | nearest neighbour |
# | (b) accuracy hides everything | Dice of the same prediction |
# | (c) the same error costs a small object more Dice | a large object |
# | (d) one stray voxel ruins HD | HD95 of the same prediction |
# | (e) a split by slice flatters | the same model, split by subject |
# | (f) a threshold does well where brightness decides | the same threshold where it does not |

# %% [markdown]
# ## The data
#
# Three kinds of scan. **A hippocampus in MR** (`Task04_Hippocampus` if it lies in one of your data
# folders, otherwise simulated), **a head** (the MNI152 brain if nilearn is installed: `pip install
# nilearn`; otherwise the first hippocampus plays its part), and **a slice of chest CT** (`LungCT`
# if you have it, otherwise a drawing).

# %%
SEED = 0
count = lesson.scale(smoke=4, desktop=8)
size = lesson.scale(smoke=(20, 28, 10), desktop=(40, 56, 20))
cases = lesson.real("Task04_Hippocampus", limit=count) or data.phantoms.hippocampus(
    count, seed=SEED, size=size, spacing=lesson.scale(smoke=(2, 2, 4), desktop=(1, 1, 2))
)
lesson.banner(cases, "a small organ among neighbours as bright as itself needs no download")
installed = importlib.util.find_spec("nilearn") is not None
has_head = installed and lesson.scale(smoke=False, desktop=True)
head = data.mni152() if has_head else cases[0]
print("the head:", "MNI152, the mean of 152 people, real" if has_head else head.name)

# %%
plots.show(
    plots.show_planes(head.image, head.label),
    alt="Axial, coronal and sagittal plane of the scan, its classes outlined, and letters for the "
    "patient's sides.",
)

# %% [markdown]
# ## The idea by hand: where a voxel lies
#
# An array knows that a voxel is number (i, j, k). It does not know how large the voxel is, nor
# which way the patient lies. A NIfTI file says so in its **header**, 348 bytes in front of the
# voxels. We write the scan to a file and look at the header with nibabel: `dim` counts axes, then
# voxels along each; `scl_slope` would scale the stored numbers, and nan says that nothing does.

# %%
with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
    head.image.write("scan.nii.gz")
    header = nib.load("scan.nii.gz").header
for field in ["dim", "datatype", "pixdim", "scl_slope", "qform_code", "sform_code"]:
    print(f"{field:11}", header[field])
print("affine")
print(header.get_best_affine().round(2))

# %% [markdown]
# The important part is the **affine**: voxel (i, j, k) lies at
#
# $$(x, y, z, 1) = A \, (i, j, k, 1)$$
#
# in millimetres, with x to the patient's **R**ight, y to the front (**A**nterior), z to the head
# (**S**uperior): *RAS*. (DICOM and ITK count x and y the other way: *LPS*.) Each column of A is
# one step along one axis of the array: its length is the **spacing**, its direction gives the
# axis' letter.
#
# Take a scan that is turned by 30 degrees, with voxels of 1.5 x 2 x 3 mm and the first axis
# running to the left. **Predict**: how far apart are voxels (4, 3, 2) and (10, 3, 6)?

# %%
my_distance = 7.2  # change me

# %% tags=["nbval-check-output"]
angle = np.deg2rad(30)
turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
affine = np.eye(4)
affine[:3, :3] = turn @ np.diag([-1.5, 2, 3])
affine[:3, 3] = 10, -20, 5

places = [(affine @ [*voxel, 1])[:3] for voxel in [(4, 3, 2), (10, 3, 6)]]
print("by hand:", places[0].round(4), "mm")
tilted = data.Grid((12, 10, 8), affine)
print("package:", tilted.to_world((4, 3, 2)).round(4), "mm")
print("spacing", tilted.spacing, "axes", tilted.axes)
print("determinant", np.linalg.det(affine).round(3), "- below 0: a mirrored array, and legal")
print("apart:", np.linalg.norm(places[1] - places[0]).round(4), "mm")
print("apart, counted in voxels:", np.linalg.norm([6, 0, 4]).round(4))

# %% [markdown]
# A distance counted in voxels is wrong by a factor of two here. Every distance in this course is
# in mm and takes `spacing`.
#
# Many programs want the axes *in order*. `canonical_scan` swaps and flips whole axes until they
# point right, front and up **as well as they can**. It turns nothing: a tilted scan stays tilted,
# and no voxel value changes.

# %% tags=["nbval-check-output"]
array = np.random.default_rng(SEED).integers(0, 99, (12, 10, 8, 1))
ordered = canonical_scan(data.Scan(array, tilted))
print("axes", tilted.axes, "->", ordered.grid.axes)
print(ordered.grid.affine.round(3))
print("same voxels, from the other end:", np.array_equal(ordered.array, array[::-1]))

# %% [markdown]
# ### The affine is dropped
#
# It happens in one line: `nib.Nifti1Image(array, None)`, or `np.save`, or a folder of PNG files.
# **Predict**: what do size and sides of our scan look like afterwards?

# %%
logging.getLogger("medseg_tf").addHandler(logging.StreamHandler(sys.stdout))  # warnings, here
bare = nib.Nifti1Image(head.image.array[..., 0].astype("float32"), None)
with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
    nib.save(bare, "bare.nii.gz")
    lost = data.Scan.read("bare.nii.gz")
    header = nib.load("bare.nii.gz").header
print("codes:", int(header["qform_code"]), int(header["sform_code"]))
for name, grid in {"with affine": head.image.grid, "without": lost.grid}.items():
    millilitres = np.prod(grid.spacing) / 1000 * (head.label.array > 0).sum()
    print(f"{name:12} axes {grid.axes}, spacing {grid.spacing}, labelled {millilitres:.1f} ml")

# %%
plots.show(
    plots.show_planes(lost, title="affine dropped"),
    alt="The same scan read without its affine: left and right are exchanged, and lengths are "
    "counted in voxels, whatever the scale bar says.",
)

# %% [markdown]
# Both codes are 0: nobody knows. The reader has warned us and taken nibabel's default: voxels of
# 1 mm and **x mirrored**. So the picture has letters at its sides, and they are *invented*: what is
# called left was right. Where nobody wrote down how the patient lay, the honest word is "unknown".
#
# ### A picture is not a plane
#
# Matplotlib draws rows downwards. A plane `array[:, :, k]` has x along its rows, so `imshow`
# shows the patient lying on the side.

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(6.4, 3), layout="constrained")
k = head.image.grid.shape[2] // 2
plane = head.image.array[:, :, k, 0]
left.imshow(plane, cmap="gray")
left.set(title="imshow(array[:, :, k])", xticks=[], yticks=[])
stood = np.flip(canonical_scan(head.image).array[:, :, k, 0].T, axis=(0, 1))
right.imshow(stood, cmap="gray", aspect=head.image.grid.spacing[1] / head.image.grid.spacing[0])
right.set(title="front up, patient's right at the left", xticks=[], yticks=[])
plots.show(
    figure,
    alt="The same axial plane twice: drawn as the array lies, on its side; and turned, front up.",
)

# %% [markdown]
# ### Labels travel by nearest neighbour
#
# An 8 x 8 label: a tumour, class 2, in background, class 0. There is no class 1 (let us say, liver)
# anywhere. We shrink it to 6 x 6. **Predict** which classes the linear way gives.

# %%
label = np.pad(np.full((4, 4), 2), 2)
linear = np.rint(resize(label[..., None], (6, 6))[..., 0]).astype(int)
nearest = resize(label, (6, 6), is_label=True)
plots.show(
    plots.show_maps({"label": label, "linear, rounded": linear, "nearest": nearest}),
    alt="The linear way puts a rim of class 1 round the block of class 2; nearest neighbour does "
    "not.",
)

# %%
invented = int((linear == 1).sum())
print("linear: ", dict(enumerate(np.bincount(linear.ravel()).tolist())))
print("nearest:", dict(enumerate(np.bincount(nearest.ravel()).tolist())))
lesson.claim(
    "(a) interpolated labels invent classes",
    what="pixels of a class that was never there",
    measured=invented,
    against=int((nearest == 1).sum()),
    holds=invented > 0 and not (nearest == 1).any(),
)

# %% [markdown]
# Halfway between 0 and 2 lies 1, and 1 is another organ. So labels take the nearest neighbour;
# images are interpolated linearly, or by splines; and of a network's output the *probabilities*
# travel, and the class is chosen on arrival.

# %% [markdown]
# ## What a number means
#
# **MR has no unit.** The same tissue has another number in every scan, sometimes by orders of
# magnitude. `z_score` shifts and stretches each scan to mean 0 and standard deviation 1.

# %%
figure, axes = plt.subplots(1, 2, figsize=(8.4, 2.6), layout="constrained")
for case, colour in zip(cases[:4], plots.CLASS_COLOURS, strict=False):
    raw, scaled = case.image.array.astype(float), data.z_score(case.image.array)
    axes[0].hist(np.log10(raw[raw > 0]), 60, histtype="step", color=colour)
    axes[1].hist(scaled.ravel(), np.linspace(-3, 4, 60), histtype="step", color=colour)
axes[0].set(xlabel="grey value, its power of ten", ylabel="voxels", title="as scanned")
axes[1].set(xlabel="z-score", title="after z_score")
plots.show(
    figure,
    alt="Histograms of four scans: as scanned they lie far apart, after z_score on top of another.",
)

# %% [markdown]
# Over *which* voxels is the mean taken? Around a head there is air, and how much of it depends on
# the technician. The same scan with a margin of air:

# %%
image = head.image.array
body = head.label.array > 0
for margin in (0, 10):
    around = np.pad(image, [(margin, margin)] * 3 + [(0, 0)])
    inside = np.pad(body, margin)
    for name, normalise in {"whole": data.z_score, "body": data.z_score_inside}.items():
        value = normalise(around)[..., 0][inside].mean()
        print(
            f"air {margin:2} voxels wide, mean over the {name:5}: the label's mean is {value:.2f}"
        )

# %% [markdown]
# **CT has a unit.** A Hounsfield number means the same in every scanner: air -1000, water 0, fat
# about -100, muscle 50, bone from 300. It spans more than eye or network can use at once, so
# we choose a **window**: centre 40 and width 400 for soft tissue, -600 and 1500 for lung.


# %%
def drawn_chest(side, rng):
    """A drawing of a slice of chest CT in Hounsfield units, and its lungs."""
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    hounsfield = np.full((side, side), -1000.0)
    hounsfield[(x / 0.92) ** 2 + (y / 0.68) ** 2 < 1] = -100  # fat under the skin
    hounsfield[(x / 0.86) ** 2 + (y / 0.61) ** 2 < 1] = 50  # muscle
    lungs = ((np.abs(x) - 0.43) / 0.31) ** 2 + ((y + 0.02) / 0.48) ** 2 < 1
    vessels = ndimage.gaussian_filter(rng.normal(size=x.shape), side / 90)
    hounsfield[lungs] = np.where(vessels > 2.2 * vessels.std(), 30, -830)[lungs]
    hounsfield[x**2 + (y - 0.42) ** 2 < 0.11**2] = 400  # spine
    hounsfield[(x / 0.22) ** 2 + ((y + 0.2) / 0.2) ** 2 < 1] = 60  # heart
    lungs &= (x / 0.22) ** 2 + ((y + 0.2) / 0.2) ** 2 >= 1
    hounsfield[np.abs(y - 0.8) < 0.03] = -300  # the table
    hounsfield = ndimage.gaussian_filter(hounsfield, side / 250) + rng.normal(0, 25, x.shape)
    grid = data.Grid.from_spacing(x.shape, 380 / side)
    image = data.Scan(hounsfield.astype("int16")[..., None], grid)
    return data.Case("chest", image, data.Scan(lungs.astype("uint8"), grid), name="drawn chest")


# %%
chests = lesson.real("LungCT") or [
    drawn_chest(lesson.scale(smoke=96, desktop=256), np.random.default_rng(SEED))
]
chest = chests[0]
print(f"{len(chests)} chest slice(s), the first: {chest.name}")
figure, axes = plt.subplots(1, 3, figsize=(8.6, 2.9), layout="constrained")
windows = {"all": (-1000, 3000), "soft tissue": (-160, 240), "lung": (-1350, 150)}
for panel, (name, (low, high)) in zip(axes, windows.items(), strict=True):
    panel.imshow(data.window(chest.image.array, low, high), cmap="gray", vmin=-1, vmax=1)
    panel.set(title=f"{name}: {low} to {high} HU", xticks=[], yticks=[])
plots.show(
    figure,
    alt="A chest slice in three windows: all values, dull; soft tissue, lungs black; lung, its "
    "vessels visible.",
)

# %% tags=["nbval-check-output"]
hounsfield = np.array([-1000, -160, 40, 240, 1000])
print("HU", hounsfield, "in the soft tissue window:", data.window(hounsfield, low=-160, high=240))

# %% [markdown]
# ## How scores lie
#
# By hand, on one row of ten pixels. G is the truth, P the prediction.
#
# $$\text{Dice} = \frac{2 |G \cap P|}{|G| + |P|}, \qquad
# \text{IoU} = \frac{|G \cap P|}{|G \cup P|}, \qquad
# \text{Dice} = \frac{2\, \text{IoU}}{1 + \text{IoU}}$$

# %% tags=["nbval-check-output"]
G = np.array([0, 0, 1, 1, 1, 1, 0, 0, 0, 0], bool)
P = np.array([0, 0, 0, 1, 1, 1, 1, 1, 0, 0], bool)
print("by hand:", round(2 * 3 / (4 + 5), 4), round(3 / 6, 4))
print("package:", metrics.dice(G, P)[1].round(4), metrics.iou(G, P)[1].round(4))

# %% [markdown]
# **Accuracy** is the share of pixels that are right, background and all. An object of 1 % of the
# scan, and a "network" that predicts nothing. **Predict** its accuracy.

# %%
truth = np.arange(1000) < 10
nothing = np.zeros(1000, bool)
accuracy, overlap = metrics.pixel_accuracy(truth, nothing), metrics.dice(truth, nothing)[1]
lesson.claim(
    "(b) accuracy hides everything",
    what="score of predicting nothing",
    measured=accuracy,
    against=overlap,
    holds=accuracy > 0.95 and overlap < 0.05,
)

# %% [markdown]
# **Size matters.** A disc, and the same disc shifted by one pixel: whatever its radius, the border is
# wrong by one pixel at most.

# %%
rows, columns = np.indices((80, 80)) - 40
radii, shift = [2, 4, 8, 16, 30], []
for radius in radii:
    disc = rows**2 + columns**2 <= radius**2
    pair = disc, np.roll(disc, 1, axis=1)
    shift.append([score(*pair)[1] for score in (metrics.dice, metrics.iou, metrics.hausdorff)])
discs = Table(
    {"radius": radius, "Dice": row[0], "IoU": row[1], "HD (pixels)": row[2]}
    for radius, row in zip(radii, shift, strict=True)
)
discs

# %%
lesson.claim(
    "(c) the same error costs a small object more Dice",
    what="Dice of a disc shifted by one pixel, radius 30 against 2",
    measured=shift[-1][0],
    against=shift[0][0],
    holds=shift[-1][0] > shift[0][0] and len({row[2] for row in shift}) == 1,
)

# %% [markdown]
# So a Dice of 0.8 is poor for a liver and good for a lesion of four pixels. Beside Dice stands a
# **distance**: from each surface voxel of one mask to the nearest of the other, in mm. The largest
# is the Hausdorff distance **HD**; **HD95** is the 95th percentile (the larger of both
# directions). A perfect square of 10 x 10, and one stray pixel:

# %%
square = np.zeros((20, 20), bool)
square[5:15, 5:15] = True
stray = square.copy()
stray[0, 0] = True
hd, hd95 = (float(f(square, stray)[1]) for f in (metrics.hausdorff, metrics.hausdorff95))
print(f"Dice {metrics.dice(square, stray)[1]:.4f}, HD {hd:.4f} (5 down, 5 across), HD95 {hd95:.4f}")
lesson.claim(
    "(d) one stray voxel ruins HD",
    what="pixels from the true surface",
    measured=hd,
    against=hd95,
    holds=hd > 5 and hd95 == 0,
    why="and HD95 does not see it at all: look at both",
)

# %% [markdown]
# **Objects are not pixels.** Two cells, one pixel apart, and a prediction that fills the gap.
# **SEG** asks of each true cell: does one predicted object cover more than half of it? If so it
# scores their IoU. Here both cells meet the same object: 16 of 36 pixels each.

# %%
cells = np.zeros((8, 13), int)
cells[2:6, 2:6], cells[2:6, 7:11] = 1, 2
merged = np.zeros_like(cells)
merged[2:6, 2:11] = 1
print("SEG by hand:", round(16 / 36, 4), " package:", round(metrics.seg(cells, merged), 4))
print("Dice of cell against background:", metrics.dice(cells > 0, merged > 0)[1].round(4))
figure, axes = plt.subplots(1, 2, figsize=(5.6, 1.9), layout="constrained")
for panel, (title, objects) in zip(axes, {"truth": cells, "merged": merged}.items(), strict=True):
    plots.show_instances((cells > 0).astype(float), objects, title=title, axes=panel)
plots.show(figure, alt="Two square cells with a gap, and the prediction that joins them into one.")

# %% [markdown]
# **Empty masks.** A case without tumour. 0 / 0 is no number, and no number is our answer: a
# class that is absent from truth *and* prediction scores NaN, is left out of the mean, and is
# counted. Where only one of the two is empty Dice is 0 and the distance infinite.

# %% tags=["nbval-check-output"]
nothing, something = np.zeros(4, bool), np.array([0, 1, 1, 0], bool)
for name, pair in {"both empty": (nothing, nothing), "one empty": (something, nothing)}.items():
    print(f"{name}: Dice {metrics.dice(*pair)[1]}, HD {metrics.hausdorff(*pair)[1]}")

# %% [markdown]
# **Mean of cases, or one pool of voxels?** A large tumour found nearly whole (100 pixels, 95 of
# them right), a small one nearly missed (4, one right). **Predict** both numbers.

# %% tags=["nbval-check-output"]
each = [2 * 95 / (100 + 100), 2 * 1 / (4 + 4)]
print("mean of cases:", np.mean(each).round(4))
print("pooled voxels:", round(2 * (95 + 1) / (200 + 8), 4))

# %% [markdown]
# The pool asks "how much of all tumour did we find", the mean "how well does a patient fare". This
# course prints the mean over cases unless it says otherwise.

# %% [markdown]
# ## Against the twin: the split
#
# Slices of one subject are not independent: the neighbour slice is nearly the same picture. To see
# what that is worth, ten simulated subjects, each with a background and a texture of its own, which
# all its slices share. The model asks the **five nearest neighbours** of a pixel (by grey value,
# two blurs of it, and position) what they are. It learns nothing about objects; it remembers.


# %%
def unit_field(rng, side, width):
    field = ndimage.gaussian_filter(rng.normal(size=(side, side)), width)
    return field / field.std()


def slices_of(subject, rng, slices, side):
    """Slices of one subject as cases: a wobbly disc on a background all its slices share."""
    background = 0.8 * unit_field(rng, side, 6) + 0.5 * unit_field(rng, side, 1.5)
    centre, radius = rng.uniform(0.3, 0.7, 2) * side, rng.uniform(6, 11) * side / 48
    down, right = np.indices((side, side)) - centre[:, None, None]
    grid, made = data.Grid((side, side), units="pixel"), []
    for number in range(slices):
        wobble = 1 + 0.15 * np.sin(3 * np.arctan2(down, right) + rng.uniform(0, 2 * np.pi))
        label = np.hypot(down, right) < radius * wobble
        image = background + 0.35 * label + 0.15 * rng.normal(size=label.shape)
        scans = data.Scan(image[..., None], grid), data.Scan(label.astype("uint8"), grid)
        made.append(data.Case(subject, *scans, name=f"{subject}, slice {number}"))
    return made


# %%
people, slices, side = lesson.scale(smoke=(4, 6, 24), desktop=(10, 12, 48))
stack = [
    one
    for number, rng in enumerate(np.random.default_rng(SEED).spawn(people))
    for one in slices_of(f"subject {number}", rng, slices, side)
]
plots.show(
    plots.show_cases([stack[0], stack[1], stack[slices], stack[slices + 1]]),
    alt="Two neighbouring slices of one subject, nearly equal, and two of another; a faint disc is "
    "outlined in each.",
)

# %%
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def features(case):
    """Grey value, two blurs of it, row and column: (pixels, 5)."""
    grey = case.image.array[..., 0]
    maps = [grey, *(ndimage.gaussian_filter(grey, width) for width in (1, 3))]
    return np.stack([*maps, *np.indices(grey.shape)], axis=-1).reshape(-1, 5)


def split_and_score(cases):
    """Learn on half of the subjects, every third pixel; mean Dice on the other half."""
    known, new = data.split_by_subject(cases, (0.5, 0.5), seed=SEED)
    x = np.concatenate([features(case) for case in known])[::3]
    y = np.concatenate([case.label.array.ravel() for case in known])[::3]
    model = make_pipeline(StandardScaler(), KNeighborsClassifier(5)).fit(x, y)
    found = [model.predict(features(case)).reshape(case.label.array.shape) for case in new]
    pairs = zip(new, found, strict=True)
    return np.nanmean([metrics.dice(case.label.array, one)[1] for case, one in pairs])


# %% [markdown]
# The twin differs in one thing: it takes every slice for a subject of its own. **Predict** both.

# %%
my_by_slice, my_by_subject = 0.5, 0.5  # change me

# %%
by_slice = split_and_score([replace(case, subject=case.name) for case in stack])
by_subject = split_and_score(stack)
print(f"you said {my_by_slice} and {my_by_subject}")
lesson.claim(
    "(e) a split by slice flatters",
    what="Dice of the same model, split by slice against by subject",
    measured=by_slice,
    against=by_subject,
    holds=by_slice > by_subject + 0.1,
    why="the neighbour slice is the answer sheet",
)

# %% [markdown]
# A paper with the first number has measured how well its model knows the subjects it has seen. The
# same holds for frames of a video, patches of an image, and two scans of one patient.

# %% [markdown]
# ## Baselines that learn nothing
#
# **Otsu's threshold** parts grey values so that each class varies least; **multi-Otsu** does it
# with several thresholds, **k-means** with cluster centres, over any number of channels. In lungs,
# air does the work. Air is around the patient, too: what touches the picture's edge goes, the two
# largest pieces stay, their holes are filled.
#
# One trap first: beyond their round field of view many scanners write numbers far below air, and
# Otsu would part *those* from all the rest. The window cuts them off at air.

# %%
from skimage.segmentation import clear_border


def lungs(case):
    image = data.window(case.image.array, low=-1000, high=400)
    dark = clear_border(methods.otsu(image) == 0)
    pieces, _ = ndimage.label(dark)
    largest = 1 + np.argsort(-np.bincount(pieces.ravel())[1:])[:2]
    return ndimage.binary_fill_holes(np.isin(pieces, largest)).astype("uint8")


lung_labels = [lungs(case) for case in chests]
lung_dice = [
    metrics.dice(case.label.array, one)[1] for case, one in zip(chests, lung_labels, strict=True)
]
print(f"lungs by Otsu: mean Dice {np.nanmean(lung_dice):.3f}, lowest {np.nanmin(lung_dice):.3f}")
worst = int(np.nanargmin(lung_dice))
plots.show(
    plots.show_error(chests[worst].image, chests[worst].label, lung_labels[worst]),
    alt="The chest slice whose lungs Otsu finds worst, errors in orange where invented and blue "
    "where missed.",
)

# %% [markdown]
# And the hippocampus? We are generous: three classes, and whichever fits best counts. The rival is
# **chance**, here "call every voxel organ".

# %%
organ = [(case.label.array > 0).astype("uint8") for case in cases]
arms = {
    "multi-Otsu, 3 classes": lambda case: methods.multi_otsu(case.image.array, 3),
    "k-means, 3 classes": lambda case: methods.k_means(case.image.array, 3, seed=SEED),
}
rows = Table()
for arm, method in arms.items():
    labels = [method(case) for case in cases]
    best = [
        max(metrics.dice(t, one == k)[1] for k in range(3))
        for t, one in zip(organ, labels, strict=True)
    ]
    rows.append({"arm": arm, "Dice": float(np.mean(best))})
chance = [metrics.dice(t, np.ones_like(t))[1] for t in organ]
rows.append({"arm": "every voxel", "Dice": float(np.mean(chance))})
rows

# %%
otsu = methods.multi_otsu(cases[0].image.array, 3)
fits = int(np.argmax([metrics.dice(organ[0], otsu == k)[1] for k in range(3)]))
plots.show(
    plots.show_error(cases[0].image, organ[0], (otsu == fits).astype("uint8")),
    alt="Three planes through the hippocampus: the best grey class takes in most of its neighbours, "
    "drawn in orange.",
)

# %%
lesson.claim(
    "(f) a threshold does well where brightness decides",
    what="Dice of Otsu on lungs in CT against the hippocampus in MR",
    measured=float(np.nanmean(lung_dice)),
    against=rows[0]["Dice"],
    holds=float(np.nanmean(lung_dice)) > rows[0]["Dice"] + 0.3,
)

# %% [markdown]
# The hippocampus is as grey as its neighbours: the best class finds it, and everything around it
# as well. What tells it apart is its *place* and its *shape*, and no threshold knows either. With
# the real head at hand, k-means finds tissues well, because there brightness is what tissues differ
# in:

# %%
if has_head:
    tissues = methods.k_means(head.image.array, 4, seed=SEED)
    scores = metrics.dice(head.label.array, tissues, 4)
    print("fluid, grey matter, white matter: Dice", scores[1:].round(3))
else:
    print("no head here: pip install nilearn, then run the lesson again at desktop scale")

# %% [markdown]
# ## Your turn
#
# ### 1 Where, and how far
#
# Write `measure(affine, a, b)` for a 4 x 4 affine and two voxels: where voxel a lies, three
# numbers in mm, and how far b is from it in mm.


# %%
def measure(affine, a, b):
    ### BEGIN SOLUTION
    here, there = (affine[:3, :3] @ voxel + affine[:3, 3] for voxel in (a, b))
    return here, np.linalg.norm(there - here)
    ### END SOLUTION


lesson.exercise(l00.check_measure, measure)

# %% [markdown]
# ### 2 Dice, with a rule for nothing
#
# Write `dice(a, b)` for two masks of one shape, of True and False or of 1 and 0. Both empty: NaN
# (`np.nan`).


# %%
def dice(a, b):
    ### BEGIN SOLUTION
    a, b = a.astype(bool), b.astype(bool)
    total = a.sum() + b.sum()
    return 2 * (a & b).sum() / total if total else np.nan
    ### END SOLUTION


lesson.exercise(l00.check_dice, dice)

# %% [markdown]
# ### 3 Hold subjects back
#
# `subjects` names for each slice whose it is, e.g. `["anna", "ben", "anna"]`. Write
# `hold_back(subjects, fraction, rng)`: an array with True for each slice to be held back. No
# subject may be on both sides, the fraction counts *subjects* (rounded), and `rng`, a numpy
# Generator, draws them.


# %%
def hold_back(subjects, fraction, rng):
    ### BEGIN SOLUTION
    names = sorted(set(subjects))
    held = rng.choice(names, round(fraction * len(names)), replace=False)
    return np.isin(subjects, held)
    ### END SOLUTION


lesson.exercise(l00.check_hold_back, hold_back)

# %% [markdown]
# ## What we learned
#
# - A scan is an array **and** an affine. Without it nobody knows left from right, or a millilitre
#   from eight. Labels travel by nearest neighbour.
# - A score is a question. Dice asks for overlap and is hard on small things, HD asks for the worst
#   voxel, SEG for objects, accuracy for the background. Print two, and say over what the mean is.
# - Split by subject. And first look how far a threshold gets.
#
# **What a threshold cannot do** is look at a neighbour. Lesson 01 gives each pixel a window to
# look through, and a network that looks.

# %% tags=["claims"]
lesson.claims_table()

# %% [markdown]
# **References.** N. Otsu, *A threshold selection method from gray-level histograms*, IEEE Trans.
# Systems, Man, and Cybernetics 1979. M. Maska et al., *A benchmark for comparison of cell tracking
# algorithms*, Bioinformatics 2014 (SEG). A. Simpson et al., *A large annotated medical image
# dataset* (the Decathlon's hippocampus), arXiv:1902.09063. V. Fonov et al., *Unbiased average
# age-appropriate atlases for pediatric studies*, NeuroImage 2011 (the MNI152 brain).
