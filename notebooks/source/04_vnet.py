# %% [markdown]
# # 04 V-Net: whole volumes, and a loss that small organs cannot hide from
#
# - **You will see** why a network that labels each voxel as cheaply as it can forgets a small
#   organ, and how the Dice loss keeps it from doing so.
# - **You will measure** what the loss, the residual stages and the third dimension are worth, each
#   against a twin that differs in one thing.
# - **It takes** about three minutes on two cores (*desktop* scale), seconds at *smoke* scale.
# - **It builds on** lesson 03: V-Net is a U-Net at heart.
# - **At the end** you label a scan of your own, a NIfTI file, with two commands.

# %% tags=["setup"]
import keras
import matplotlib.pyplot as plt
import numpy as np

from medseg_tf import data, inference, lesson, losses, metrics, models, plots, recipe, training
from medseg_tf.lesson.exercises import l04
from medseg_tf.table import Table

precision = training.set_precision("auto")

# %% [markdown]
# ## The claim
#
# The review says of V-Net (Milletari, Navab, Ahmadi, 3DV 2016): an improved U-Net for
# three-dimensional MR scans, which adds *residual* units and replaces the cross-entropy by a
# *Dice loss*, so that training no longer ends in a local minimum. On the prostate scans of
# PROMISE 2012 it scores 82.39, a little below the best, Imorphics, with 84.36; but where
# Imorphics trains for 8 minutes on one image, V-Net needs 1 second on the same hardware.
#
# Four kind corrections before we start.
#
# - **8 minutes and 1 second are no training times.** They are the times to *segment one new
#   volume*, on different machines, four years apart. Training V-Net took about 48 hours.
# - The paper claims no global minimum. It says that where the organ fills a small part of the scan
#   training often ends at "all background", and that the Dice loss needs no class weights.
# - V-Net is third in its own table, behind ScrAutoProstate with 83.49 too. In the challenge's
#   paper Imorphics has 85.72; 84.36 is the number that V-Net's authors quote.
# - "Improved U-Net" hides half of it: 5 x 5 x 5 kernels, strided convolutions in place of pooling,
#   PReLU in place of ReLU. And V-Net has **two** kinds of shortcut: across, from the way down to
#   the way up, it concatenates as U-Net does; *inside each stage* it adds.
#
# | claim | twin |
# |---|---|
# | (a) the Dice loss finds a small organ early, without class weights | cross-entropy, plain and weighted |
# | (b) residual stages learn faster | the same network without the additions |
# | (c) a volume is more than its slices | a 2-D network of as many weights, slice by slice |
# | (d) labelling a volume takes seconds | none that is fair: see there |

# %% [markdown]
# ## The data
#
# The hippocampus, a finger of grey matter deep in the temporal lobe, in its *anterior* (class 1)
# and *posterior* part (class 2). Its neighbours are as grey as it is. If the real set
# `Task04_Hippocampus` lies in one of your data folders the lesson runs on it, at 1.5 mm;
# otherwise the brains are simulated.

# %%
SEED = 0
size = lesson.scale(smoke=(16, 24, 16), desktop=(24, 40, 24), paper=(48, 64, 48))
spacing = lesson.scale(smoke=2.5, desktop=1.5, paper=1)
count = lesson.scale(smoke=4, desktop=24, paper=195)
cases = lesson.real("Task04_Hippocampus", spacing, limit=count) or data.phantoms.hippocampus(
    count, seed=SEED, size=size, spacing=spacing
)
rest, test = data.split_by_subject(cases, (0.75, 0.25), seed=SEED)
truth = [case.label.array for case in test]
lesson.banner(cases, "a small organ among neighbours of its brightness needs no download")
share = np.mean([(case.label.array > 0).mean() for case in rest])
print(f"{len(rest)} volumes to learn from, {len(test)} held back; the organ fills {share:.1%}")

# %% [markdown]
# A volume has no front page. We look at three planes that cross in one voxel. The letters say
# where the patient's **R**ight, **L**eft, front (**A**nterior), back (**P**osterior), head
# (**S**uperior) and feet (**I**nferior) are; they come from the file's affine, not from a guess.

# %%
plots.show(
    plots.show_planes(test[0].image, test[0].label, title=test[0].name or test[0].subject),
    alt="Axial, coronal and sagittal plane through a hippocampus, its anterior part outlined in "
    "blue and its posterior part in orange; letters name the patient's sides.",
)

# %% [markdown]
# ### A baseline that learns nothing from grey values
#
# The crops are centred on the organ, so an *average shape* is a rival to take seriously: at each
# place the class that most training labels have there. Imorphics, the winner, is its grown-up
# brother, an active appearance model: an average shape with its ways to vary, fitted to the scan.

# %%
from skimage.transform import resize


def average_shape(case):
    shape, options = case.label.array.shape, {"order": 0, "anti_aliasing": False}
    stack = [resize(one.label.array, shape, preserve_range=True, **options) for one in rest]
    return np.argmax([np.mean(np.equal(stack, number), axis=0) for number in range(3)], axis=0)


def scores(labels):
    """Mean Dice of the two parts over the held-back cases, and found over true volume."""
    dice = [metrics.dice(t, found, 3)[1:] for t, found in zip(truth, labels, strict=True)]
    volume = sum((found > 0).sum() for found in labels) / sum((t > 0).sum() for t in truth)
    return {"Dice": float(np.nanmean(dice)), "found / true volume": float(volume)}


average = [average_shape(case) for case in test]
print(scores(average))

# %% [markdown]
# ## The idea by hand
#
# ### What cross-entropy cares about
#
# 1000 voxels, 10 of them organ. A fresh network says 0.5 everywhere, and each voxel pulls at its
# own logit. Whose pull adds up to more, that of 10 voxels or that of 990? Later, when it has
# learned to say 0.01 everywhere ("all background"), what is left?

# %%
g = np.zeros(1000)
g[:10] = 1
for constant in (0.5, 0.01):
    p = np.full(1000, constant)
    cross_entropy = (p - g) / len(p)  # gradient with respect to the logits
    over, total = 2 * (p * g).sum(), (p**2 + g**2).sum()
    dice = -(2 * g * total - 2 * p * over) / total**2 * p * (1 - p)
    for name, pull in {"cross-entropy": cross_entropy, "Dice loss": dice}.items():
        organ = abs(pull[:10]).sum() / abs(pull).sum()
        print(f"p = {constant}: {organ:6.1%} of the pull of the {name} is the organ's")

# %% [markdown]
# ### The Dice loss on four voxels
#
# With $p_i$ the probability of the organ and $g_i$ the truth, 0 or 1, the paper takes
#
# $$D = \frac{2 \sum p_i g_i}{\sum p_i^2 + \sum g_i^2}, \qquad
# \frac{\partial D}{\partial p_j} = 2\,\frac{g_j (\sum p_i^2 + \sum g_i^2) - 2 p_j \sum p_i g_i}
# {(\sum p_i^2 + \sum g_i^2)^2}.$$
#
# Each voxel's pull depends on the sums over all: where the organ is small, so is $\sum g^2$, and
# the pull of its few voxels is strong. No class weight is needed.

# %%
p, g = np.array([0.9, 0.6, 0.2, 0.1]), np.array([1, 1, 0, 0])
overlap, total = (p * g).sum(), (p**2).sum() + (g**2).sum()
print("by hand  D =", round(2 * overlap / total, 6))
print("dD/dp      =", (2 * (g * total - 2 * p * overlap) / total**2).round(6))

dice_loss = losses.SoftDice(smooth=0, squared=True)


def package(p):
    both = np.stack([1 - p, p], axis=-1)[None]  # (1 volume, voxels, 2 classes)
    return 1 - float(dice_loss(g[None], both.astype("float32")))


steps = 0.01 * np.eye(4)
print("package  D =", round(package(p), 6))
print("dD/dp    ~ =", np.array([(package(p + s) - package(p - s)) / 0.02 for s in steps]).round(3))

# %% [markdown]
# The second organ voxel (0.6) is pulled 2.7 times as hard as the first (0.9): the squares below
# the line make the worse voxel the more urgent one. (The authors' released code counts arg-max
# labels and squares nothing; we follow the paper.)
#
# ### A stage that starts as "do nothing"
#
# A residual stage adds its input to what its convolutions give. By hand, two 3 x 3 convolutions on
# one channel, PReLU (a ReLU that lets a quarter of the negative through) after the first and after
# the addition; then the same stage out of `models.vnet`.

# %%
from scipy.ndimage import correlate


def prelu(x):
    return np.where(x > 0, x, 0.25 * x)


def stage(x, kernels, residual=True):
    first = prelu(correlate(x, kernels[0], mode="constant"))
    return prelu(correlate(first, kernels[1], mode="constant") + (x if residual else 0))


picture = data.z_score(test[0].image.array)[:, :, size[2] // 2, 0]
kernels = np.random.default_rng(SEED).normal(0, 0.3, (2, 3, 3))
small = models.vnet((None, None, 1), 2, width=1, convolutions=(2, 1), kernel=3)
for number in (1, 2):
    kernel = kernels[number - 1][..., None, None].astype("float32")
    small.get_layer(f"down0_conv{number}").set_weights([kernel, np.zeros(1, "float32")])
first_stage = keras.Model(small.inputs, small.get_layer("down0_prelu2").output)
answer = np.asarray(first_stage.predict_on_batch(picture[None, ..., None]))[0, ..., 0]
print("largest difference to models.vnet:", f"{abs(stage(picture, kernels) - answer).max():.0e}")

# %% [markdown]
# **Predict**: all kernels are 0, as if nothing had been learned. What comes out, with and without
# the addition?

# %%
empty = 0 * kernels
maps = {"image": picture, "with addition": stage(picture, empty)}
maps["without"] = stage(picture, empty, residual=False)
plots.show(
    plots.show_maps({name: values.T[::-1] for name, values in maps.items()}),
    alt="With kernels of zero the residual stage hands the image on, its dark parts paler; the "
    "stage without addition gives an empty map.",
)

# %% [markdown]
# So a residual stage only learns what to *change*, and the gradient runs through the addition
# undiminished. How much that is worth depends on depth; you will measure it below.
#
# ### The arithmetic of sizes
#
# "Same" padding keeps the size, and each of four strided convolutions halves it: the paper's 128 x
# 128 x 64 become 8 x 8 x 4, and every size must be a multiple of 16. What does a voxel see on the
# way down? A kernel of 5 adds 4 steps on its own grid, a strided kernel of 2 adds 1.

# %%
for kernel in (5, 3):
    seen, step, column = 1, 1, []
    for level, convolutions in enumerate((1, 2, 3, 3, 3)):
        if level:
            seen, step = seen + step, 2 * step
        seen += convolutions * (kernel - 1) * step
        column.append(seen)
    print(f"kernels of {kernel}: {column}")

# %% [markdown]
# Table 1 of the paper has 5, 22, 72, 172, 372. So its kernels are 5 wide, and the "3 x 3 x 3" in
# the table's caption is a slip. From the bottom each voxel sees the whole scan.

# %%
paper = models.vnet((128, 128, 64, 1), classes=2)
print(f"weights: {paper.count_params():,} (by the paper's table: 65,175,314)")
print("receptive field:", models.receptive_field(paper)[0], "voxels along each axis")
print(f"multiply-adds for one volume: {models.macs(paper) / 1e9:.0f} billion")

# %%
plots.show(
    plots.show_network(paper),
    alt="V-Net drawn as a V: maps shrink from 128 to 8 voxels while channels grow from 16 to 256, "
    "then grow back with twice the channels; four arrows carry maps across.",
)

# %%
lesson.source(models.vnet)

# %% [markdown]
# ## Predict, then run
#
# The desktop network has kernels of 3, half the channels and two halvings. Every arm below gets the
# same volumes in the same order, the same number of steps, the same optimizer. (The paper's, SGD
# with momentum 0.99 and rate 0.0001, needs its 30,000 steps; in our few it would label nearly
# everything organ. Its two augmentations, `data.bspline` and `data.match_histogram`, wait for
# longer runs, too.) **Before you run on**: which Dice will V-Net reach? The average shape is above.

# %%
my_dice = 0.5  # change me

# %%
width = lesson.scale(smoke=4, desktop=8, paper=16)
stages = lesson.scale(smoke=(1, 1), desktop=(1, 2, 3), paper=(1, 2, 3, 3, 3))
kernel = lesson.scale(smoke=3, desktop=3, paper=5)
steps = lesson.scale(smoke=2, desktop=20, paper=250)  # an epoch
epochs = lesson.scale(smoke=1, desktop=6, paper=100)
dice_loss = losses.SoftDice(squared=True)


def train(loss=dice_loss, **changes):
    """Train a V-Net: the model, its losses, and its scores after every epoch."""
    keras.utils.set_random_seed(SEED)
    arguments = {"width": width, "convolutions": stages, "kernel": kernel} | changes
    model = models.vnet((None, None, None, 1), 3, **arguments)
    patches, curve = data.Patches(rest, size, 2, seed=SEED, steps=steps), []
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: curve.append(scores([label(model, c) for c in test]))
    )
    options = {"epochs": epochs, "callbacks": [watch]}
    history = training.fit(model, patches, loss, keras.optimizers.Adam(2e-3), **options)
    return model, history["loss"], Table(curve)


def label(model, case):
    return inference.segment(model, case, tile=size).array


# %%
vnet, dice_losses, dice_curve = train()
print(f"you said Dice {my_dice}; V-Net has", dice_curve[-1])

# %% [markdown]
# ## Against the twins
#
# ### (a) The loss
#
# **Predict**: which volume will plain cross-entropy find after the first steps, too little or too
# much? And cross-entropy whose classes weigh the inverse of their share?

# %%
voxels = np.bincount(np.concatenate([case.label.array.ravel() for case in rest]), minlength=3)
weights = voxels.mean() / voxels
print("class weights:", (weights / weights[0]).round(1))
_, _, plain_curve = train(losses.WeightedCrossEntropy())
_, _, weighted_curve = train(losses.WeightedCrossEntropy(weights / weights.mean()))

# %%
curves = {"Dice loss": dice_curve, "cross-entropy": plain_curve, "weighted": weighted_curve}
figure, axes = plt.subplots(1, 2, figsize=(9.4, 3), layout="constrained")
for panel, score in zip(axes, dice_curve.columns, strict=True):
    lines = {name: curve.column(score) for name, curve in curves.items()}
    xlabel = f"epoch of {steps} steps"
    plots.show_curves(lines, xlabel, score, title="held-back volumes", axes=panel)
plots.show(
    figure,
    alt="Dice over the epochs: the Dice loss rises first, both cross-entropies follow late. Found "
    "volume: near 1 with the Dice loss, below it with cross-entropy, far above it when weighted.",
)

# %%
early = min(1, epochs - 1)  # after two epochs
Table(
    {"loss": name, "epoch": place + 1} | curve[place]
    for name, curve in curves.items()
    for place in sorted({early, epochs - 1})
)

# %% [markdown]
# Plain cross-entropy first finds that "background" is right in 24 of 25 voxels; weighted, it
# overshoots, for a missed organ voxel costs as much as dozens of false ones. Given steps enough both
# catch up: they are **late, not lost**.

# %%
others = max(plain_curve[early]["Dice"], weighted_curve[early]["Dice"])
lesson.claim(
    "(a) the Dice loss finds a small organ early",
    what=f"Dice after {steps * (early + 1)} steps",
    measured=dice_curve[early]["Dice"],
    against=others,
    holds=dice_curve[early]["Dice"] > others,
    source="Milletari 2016, section 3",
)
volume, heavy = (curve[early]["found / true volume"] for curve in (dice_curve, weighted_curve))
lesson.claim(
    "(a) and needs no class weights for it",
    what="found / true volume, 1 is right",
    measured=volume,
    against=heavy,
    holds=abs(np.log(volume + 1e-9)) < abs(np.log(heavy + 1e-9)),
    source="Milletari 2016, section 3",
)

# %% [markdown]
# ### (b) The additions
#
# The same stages without the additions, weight for weight the same network.

# %%
_, plain_losses, no_additions_curve = train(residual=False)
plots.show(
    plots.show_curves(
        {"residual stages": dice_losses, "no additions": plain_losses}, f"epoch of {steps} steps"
    ),
    alt="Training loss with and without additions: two curves that fall close together.",
)

# %%
measured, against = np.mean(dice_losses), np.mean(plain_losses)
lesson.claim(
    "(b) residual stages learn faster",
    what="mean loss of the run",
    measured=measured,
    against=against,
    holds=measured < against,
    why="" if measured < against else "too few stages to need it: see lesson 05",
    source="Milletari 2016, section 2",
)

# %% [markdown]
# Do not read too much into one seed: at two halvings the gain is small, and other seeds turn it
# round. Lesson 05 goes 56 layers deep, where the additions decide.
#
# ### (c) The third dimension
#
# The same volumes as stacks of axial slices, for a V-Net of two dimensions, wide enough to have
# about as many weights. A step sees as many voxels as before. Half of its slices are drawn so that
# they hold the organ: without that, "nothing there" is right so often that it learns nothing else.

# %%
wide = lesson.scale(smoke=7, desktop=14, paper=36)


def slices(case):
    """The axial slices of a case, each a case of its own."""
    image, grid = data.z_score(case.image.array), case.image.grid
    flat = data.Grid.from_spacing(grid.shape[:2], grid.spacing[:2])
    return [
        data.Case(
            case.subject, data.Scan(image[:, :, z], flat), data.Scan(case.label.array[:, :, z], flat), 3
        )
        for z in range(grid.shape[2])
    ]


def by_slices(model, case):
    options = {"tile": size[:2], "normalize": np.asarray}
    maps = [inference.segment(model, one, **options).array for one in slices(case)]
    return np.stack(maps, axis=-1)


keras.utils.set_random_seed(SEED)
flat_net = models.vnet((None, None, 1), 3, width=wide, convolutions=stages, kernel=kernel)
stack = [one for case in rest for one in slices(case)]
options = {"normalize": np.asarray, "seed": SEED, "steps": steps}
patches = data.Patches(stack, size[:2], 2 * size[2], **options)
training.fit(flat_net, patches, dice_loss, keras.optimizers.Adam(2e-3), epochs=epochs)
print(f"weights: {vnet.count_params():,} in 3-D, {flat_net.count_params():,} in 2-D")
