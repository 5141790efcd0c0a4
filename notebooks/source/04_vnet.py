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
# | (a) the Dice loss finds a small organ early, unweighted | cross-entropy, plain and weighted |
# | (a) and it frees training from local minima (the review) | both losses added |
# | (b) residual stages learn faster | the same network without the additions |
# | (c) a volume is more than its slices | a 2-D network of as many weights, slice by slice |
# | (d) about a second is the time to label a volume, not to learn | the time that training takes |

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
# The crops are centred on the organ, so an *atlas* is a rival to take seriously: at each place the
# class that most training labels have there. Imorphics, the challenge's winner, is its grown-up
# brother, an active appearance model: a mean shape with its ways to vary, fitted to the scan.

# %%
from medseg_tf.data.resample import resize


def atlas(case):
    shape = case.label.array.shape
    stack = [resize(one.label.array, shape, is_label=True) for one in rest]
    return np.argmax([np.mean(np.equal(stack, number), axis=0) for number in range(3)], axis=0)


def scores(labels):
    """Mean Dice of the two parts over the held-back cases, and found over true volume."""
    dice = [metrics.dice(t, found, 3)[1:] for t, found in zip(truth, labels, strict=True)]
    volume = sum((found > 0).sum() for found in labels) / sum((t > 0).sum() for t in truth)
    return {"Dice": float(np.nanmean(dice)), "found / true volume": float(volume)}


mapped = [atlas(case) for case in test]
print("atlas:", scores(mapped))

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


nudges = 0.01 * np.eye(4)
print("package  D =", round(package(p), 6))
print("dD/dp    ~ =", np.array([(package(p + s) - package(p - s)) / 0.02 for s in nudges]).round(3))

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
    weights = kernels[number - 1][..., None, None].astype("float32")
    small.get_layer(f"down0_conv{number}").set_weights([weights, np.zeros(1, "float32")])
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
for side in (5, 3):
    seen, step, column = 1, 1, []
    for level, convolutions in enumerate((1, 2, 3, 3, 3)):
        if level:
            seen, step = seen + step, 2 * step
        seen += convolutions * (side - 1) * step
        column.append(seen)
    print(f"kernels of {side}: {column}")

# %% [markdown]
# Table 1 of the paper has 5, 22, 72, 172, 372. So its kernels are 5 wide, and the "3 x 3 x 3" in
# the table's caption is a slip. From the bottom on, each voxel sees the whole scan. (At the output
# the table counts 551; the true field is 532 or 548, by the voxel's place. `receptive_field` gives
# the larger.)

# %%
paper = models.vnet((128, 128, 64, 1), 2, width=lesson.scale(smoke=2, desktop=16))
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
# The desktop network has kernels of 3, half the channels and two halvings. Every arm below gets
# the same volumes in the same order, the same number of steps, the same optimizer. (The paper's,
# SGD with momentum 0.99 and rate 0.0001, needs its 30,000 steps; in our few it would label nearly
# everything organ. Its two augmentations, `data.bspline` and `data.match_histogram`, wait for
# longer runs, too.) **Before you run on**: which Dice will V-Net reach? The atlas's is above.

# %%
my_dice = 0.5  # change me

# %%
width = lesson.scale(smoke=4, desktop=8, paper=16)
stages = lesson.scale(smoke=(1, 1), desktop=(1, 2, 3), paper=(1, 2, 3, 3, 3))
kernel = lesson.scale(smoke=3, desktop=3, paper=5)
steps = lesson.scale(smoke=2, desktop=20, paper=250)  # an epoch
epochs = lesson.scale(smoke=1, desktop=6, paper=100)
dice_loss = losses.SoftDice(squared=True)


def train(loss=dice_loss, start=SEED, **changes):
    """Train a V-Net: the model, its losses, and its scores after every epoch."""
    keras.utils.set_random_seed(start)  # of the first weights
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
import time

start = time.perf_counter()
vnet, dice_losses, dice_curve = train()
learning = time.perf_counter() - start
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
# Plain cross-entropy first finds that "background" is right nearly everywhere; weighted, it
# overshoots, for a missed organ voxel costs as much as dozens of false ones. Given steps enough
# both catch up: they are **late, not lost**. On its 30 test volumes the paper reports Dice 0.869
# with its loss and 0.739 with the weighted logistic loss.

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
# Does the Dice loss "solve" local minima, as the review has it? Of ten starts that we tried on the
# simulated scans, nine went as above. The tenth, number 2, calls nearly everything organ.
# **Predict** what comes of it, remembering that our Dice averages over the two parts and never asks
# about the background. The twin adds both losses.

# %%
_, _, unlucky_curve = train(start=2)
_, _, both_curve = train(losses.DiceCrossEntropy(squared=True), start=2)
unlucky = {"Dice loss": unlucky_curve, "Dice + cross-entropy": both_curve}
Table(
    {"loss": name}
    | {f"volume, epoch {k + 1}": row["found / true volume"] for k, row in enumerate(curve)}
    for name, curve in unlucky.items()
)

# %%
volume, against = (curve[early]["found / true volume"] for curve in unlucky.values())
lesson.claim(
    "(a) and it frees training from local minima",
    what=f"found / true volume after {steps * (early + 1)} steps from start 2, 1 is right",
    measured=volume,
    against=against,
    holds=0.5 < volume < 2,
    why="" if 0.5 < volume < 2 else "one part plays the background; added cross-entropy leads out",
    source="the review; Milletari 2016 does not say so",
)

# %% [markdown]
# The network finds one part and lets the other *play the background*. From there nearly every small
# step lowers Dice, so it stays long; with the data in another order we saw it stay to the end.
# Cross-entropy asks about every voxel, the background's too, and leads out. That is why many add
# both losses today.
#
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
gain = 1 - measured / against
lesson.claim(
    "(b) residual stages learn faster",
    what="mean loss of the run",
    measured=measured,
    against=against,
    holds=None if abs(gain) < 0.1 else gain > 0,
    why="" if gain > 0.1 else "smaller than what another seed changes; lesson 05 goes deeper",
    source="Milletari 2016, section 2",
)

# %% [markdown]
# With another start the order of two such curves may turn round, so a gain below a tenth counts
# as undecided here. At two halvings there is little for a shortcut to shorten; lesson 05 goes 56
# layers deep, where the additions decide.
#
# ### (c) The third dimension
#
# The same volumes as stacks of axial slices, for a V-Net of two dimensions, wide enough to have
# about as many weights. A step sees as many voxels as before. Half of its slices are drawn so that
# they hold the organ: without that, "nothing there" is right so often that it learns nothing else.
# **Predict**: it sees each slice as well as the other does. Where will its labels be worse?

# %%
wide = lesson.scale(smoke=7, desktop=14, paper=36)
keras.utils.set_random_seed(SEED)
flat_net = models.vnet((None, None, 1), 3, width=wide, convolutions=stages, kernel=kernel)
stack = [one for case in rest for one in data.slices(case)]
patches = data.Patches(stack, size[:2], 2 * size[2], seed=SEED, steps=steps)
training.fit(flat_net, patches, dice_loss, keras.optimizers.Adam(2e-3), epochs=epochs)
print(f"weights: {vnet.count_params():,} in 3-D, {flat_net.count_params():,} in 2-D")


def by_slices(model, case):
    maps = [inference.segment(model, one, tile=size[:2]).array for one in data.slices(case)]
    return np.stack(maps, axis=-1)


# %%
def lone(labels):
    """Of 1000 labelled voxels, how many have a class that neither slice beside them has."""
    middle, below, above = labels[..., 1:-1], labels[..., :-2], labels[..., 2:]
    return 1000 * ((middle != below) & (middle != above)).sum() / max((labels > 0).sum(), 1)


found = {
    "truth": truth,
    "atlas": mapped,
    "V-Net": [label(vnet, case) for case in test],
    "2-D, slice by slice": [by_slices(flat_net, case) for case in test],
}
rows = Table()
for arm, labels in found.items():
    pairs = list(zip(truth, labels, test, strict=True))
    far = [
        metrics.hausdorff95(t, one, 3, spacing=case.image.grid.spacing)[1:]
        for t, one, case in pairs
    ]
    row = {"arm": arm, "Dice": scores(labels)["Dice"], "HD95 (mm)": float(np.median(far))}
    rows.append(row | {"lone voxels of 1000": float(np.mean([lone(one) for one in labels]))})
rows

# %% [markdown]
# HD95 is the distance in mm that 95 of 100 surface voxels keep from the other surface; the table
# has its median over cases and parts. Look at the sagittal plane, *across* the slices that the 2-D
# network saw one by one.

# %%
middle = int((truth[0] > 0).sum(axis=(1, 2)).argmax())
image = data.z_score(test[0].image.array)[middle, ..., 0].T[::-1, ::-1]  # front left, head up
figure, axes = plt.subplots(1, 2, figsize=(7.6, 3), layout="constrained")
for panel, name in zip(axes, ["V-Net", "2-D, slice by slice"], strict=True):
    pair = [labels[middle].T[::-1, ::-1] for labels in (truth[0], found[name][0])]
    plots.show_image(image, *pair, title=name, axes=panel)
plots.show(
    figure,
    alt="A sagittal plane twice, truth solid and prediction dashed: the outline of the volume's "
    "network is smoother than that of the stacked slices, which has steps.",
)

# %%
for text, score, better in [
    ("(c) a volume is more than its slices", "Dice", 1),
    ("(c) and holds together across them", "lone voxels of 1000", -1),
]:
    volume, flat = rows[2][score], rows[3][score]
    lesson.claim(
        text,
        what=score,
        measured=volume,
        against=flat,
        holds=better * (volume - flat) > 0,
        source="Milletari 2016, section 1",
    )

# %% [markdown]
# ### (d) What takes a second
#
# The review's "1 second against 8 minutes on the same hardware" is the time to **segment one test
# volume**: V-Net in 2016 on a GTX 1080, Imorphics in 2012 on a machine of that time. *Training*
# V-Net took 48 hours for 50 volumes, nearly an hour for each. We measure both times of our network
# here; what the paper's network would need on this machine we can only guess, by its multiply-adds.

# %%
label(vnet, test[0])
start = time.perf_counter()
for case in test:
    label(vnet, case)
seconds = (time.perf_counter() - start) / len(test)
times = models.macs(paper) / models.macs(vnet, size=size)
print(f"this network labels a volume in {seconds:.3f} s and learned for {learning:.1f} s")
print(f"the paper's, {times:,.0f} times the work: some {seconds * times:.0f} s on this machine")
lesson.claim(
    "(d) about a second is the time to label a volume, not to learn",
    what="seconds a volume",
    measured=seconds,
    against=learning / len(rest),
    holds=seconds < learning / len(rest),
    source="Milletari 2016, results",
)

# %% [markdown]
# ## Look
#
# The case with the lowest Dice, slice by slice from the feet up; where a front end is at work
# (JupyterLab, VS Code, Colab), a slider below the picture turns the pages.

# %%
each = [
    np.nanmean(metrics.dice(t, one, 3)[1:]) for t, one in zip(truth, found["V-Net"], strict=True)
]
place = int(np.argmin(each))
worst, answer = test[place], found["V-Net"][place]
print(f"{worst.name or worst.subject}: Dice {each[place]:.3f}")
plots.slide(
    worst.image,
    worst.label,
    answer,
    alt="Five axial slices of the worst case: true outlines solid, predicted ones dashed.",
)

# %% [markdown]
# Its errors, on the planes through the slices that hold most of them. Orange is invented, blue is
# missed, pink is the wrong part.

# %%
wrong = answer != truth[place]
most = [int(wrong.sum(axis=others).argmax()) for others in ((1, 2), (0, 2), (0, 1))]
plots.show(
    plots.show_error(worst.image, worst.label, answer, at=most),
    alt="Errors on three planes: rims along the organ's border, wide where it meets neighbours of "
    "its brightness, and a few voxels between its two parts.",
)

# %%
plots.show(
    plots.show_surface({"truth": worst.label, "V-Net": data.Scan(answer, worst.label.grid)}),
    alt="The worst case as shaded surfaces, truth beside prediction: anterior part blue, posterior "
    "part orange.",
)

# %% [markdown]
# Most errors lie where nothing in the picture says where the border is: where the organ touches
# other grey matter, and between the two parts, a border that anatomists agreed upon. What does the
# network see inside? Edges in the first stage, rough places at the bottom, the organ in the last,
# still with the checks of the last upsampling.

# %%
names = ["down0_prelu1", f"bottom_prelu{stages[-1]}", "up0_prelu1"]
inner = data.patches.cut(data.z_score(worst.image.array), (0, 0, 0), size)
plots.show(
    plots.show_features(vnet, inner, names, n=4),
    alt="Maps of the first stage show edges, those of the bottom coarse blocks, those of the last "
    "stage the organ, dark or bright, under a fine checkerboard.",
)

# %% [markdown]
# ## On real scans
#
# What the package reaches on the real `Task04_Hippocampus`, at its full resolution, over seeds:
# `make results LESSON=04` measures it again. The number to beat in the paper was Imorphics's on
# PROMISE 2012, which only its organisers can score.

# %%
real = lesson.results("04_vnet")
wanted = ["dice_1", "dice_2", "hd95_1", "hd95_2", "seconds"]
real and lesson.over_seeds(real, wanted, arm=["atlas", "V-Net", "3-D U-Net", "2-D U-Net"])

# %% [markdown]
# ## Your turn
#
# ### 1 The gradient of the Dice loss
#
# Write `dice_gradient(p, g)` for arrays of shape (volumes, voxels): the mean over the volumes of
# 1 - D, and its gradient with respect to each p.


# %%
def dice_gradient(p, g):
    ### BEGIN SOLUTION
    overlap = 2 * (p * g).sum(axis=1, keepdims=True)
    total = (p**2 + g**2).sum(axis=1, keepdims=True)
    gradient = -(2 * g * total - 2 * p * overlap) / total**2
    return 1 - (overlap / total).mean(), gradient / len(p)
    ### END SOLUTION


lesson.exercise(l04.check_dice_gradient, dice_gradient)

# %% [markdown]
# ### 2 A residual stage
#
# Write `residual_stage(x, channels, convolutions)` in two dimensions with Keras: kernels of 5,
# "same" padding, a PReLU (one slope a channel, 0.25 at first) after each convolution, the last one
# after the stage's input has been added. The addition repeats a single channel by itself.


# %%
def residual_stage(x, channels, convolutions):
    ### BEGIN SOLUTION
    start, quarter = x, keras.initializers.Constant(0.25)
    for number in range(convolutions):
        x = keras.layers.Conv2D(channels, 5, padding="same")(x)
        if number == convolutions - 1:
            x = keras.layers.Add()([x, start])
        x = keras.layers.PReLU(alpha_initializer=quarter, shared_axes=[1, 2])(x)
    return x
    ### END SOLUTION


lesson.exercise(l04.check_residual_stage, residual_stage)

# %% [markdown]
# ### 3 Distances in millimetres
#
# Write `distances(truth, prediction, spacing)` for two masks: Hausdorff distance, HD95 (the larger
# of the two sides' 95th percentiles) and ASSD (the mean over the surface voxels of both). The
# surface of a mask is its voxels with a face neighbour outside it. Two helpers of scipy do the
# work: `binary_erosion(mask)`, and `distance_transform_edt(mask, sampling=spacing)`, the distance
# of each True voxel to the nearest False one.

# %%
from scipy.ndimage import binary_erosion, distance_transform_edt


def distances(truth, prediction, spacing):
    ### BEGIN SOLUTION
    surfaces = [mask & ~binary_erosion(mask) for mask in (truth, prediction)]
    there, back = (
        distance_transform_edt(~other, sampling=spacing)[own]
        for own, other in (surfaces, surfaces[::-1])
    )
    both = np.concatenate([there, back])
    return both.max(), max(np.percentile(one, 95) for one in (there, back)), both.mean()
    ### END SOLUTION


lesson.exercise(l04.check_distances, distances)

# %% [markdown]
# ## Use it on your own NIfTI
#
# Two commands take you from labelled scans to labels for new ones. `FOLDER` holds `imagesTr/` and
# `labelsTr/` with NIfTI files of the same names.
#
# ```
# medseg train FOLDER --model vnet --out my_model --minutes 30
# medseg segment my_model scan.nii.gz --out results
# ```
#
# `train` looks at the scans, prints a plan with a reason for each number (spacing, patch, depth,
# width), trains for 30 minutes and scores the cases it held back. `segment` resamples each scan
# as the model wants it, and writes the label **on the scan's own grid**: same shape, same affine,
# ready to lie over the scan in any viewer. Nothing leaves your machine.
#
# Here the network of this lesson plays the trained model, and a scan it has never seen the new one:
# 1 mm voxels, whose axes run to the left and to the back, where it learned from others.

# %%
import contextlib
import tempfile

from medseg_tf import cli

new = data.phantoms.hippocampus(1, seed=SEED + 1)[0]
turn = np.diag([-1.0, -1, 1, 1])  # the same brain, stored from the other ends of two axes
turn[:2, 3] = np.subtract(new.image.grid.shape[:2], 1)
grid = data.Grid(new.image.grid.shape, new.image.grid.affine @ turn)
scan = data.Scan(new.image.array[::-1, ::-1], grid)

with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
    scan.write("scan.nii.gz")
    recipe.save(vnet, "my_model", scans={"spacing": [spacing] * 3})
    cli.main(["segment", "my_model", "scan.nii.gz", "--out", "results"])
    written = data.Scan.read("results/scan.nii.gz", label=True)
print("shape", written.grid.shape, "spacing", written.grid.spacing)
print("lies on the scan's own grid:", written.grid.same_place(grid))
print("Dice:", metrics.dice(new.label.array[::-1, ::-1], written.array, 3)[1:].round(3))

# %% [markdown]
# ## What we learned
#
# - The Dice loss asks for overlap, and a small organ has as large a say in it as a large one: it
#   is found early and without class weights. Cross-entropy gets there later.
# - A residual stage starts as "do nothing" and learns what to change; at a few stages the gain is
#   small.
# - Three dimensions hold together what slices tear apart, and a whole volume takes seconds.
#
# **What it cannot do.** It wants voxels of one size and memory for whole volumes; it knows no
# shape, so it may find a second organ where there is one (`inference.largest_component` keeps the
# largest piece). Dice says nothing about the border's detail: look at HD95, in mm. Deeper stacks of
# additions come in lesson 05, several contrasts at once in lesson 06.

# %% tags=["claims"]
lesson.claims_table()

# %% [markdown]
# **References.** F. Milletari, N. Navab, S.-A. Ahmadi, *V-Net: Fully Convolutional Neural Networks
# for Volumetric Medical Image Segmentation*, 3DV 2016. G. Litjens et al., *Evaluation of prostate
# segmentation algorithms for MRI: the PROMISE12 challenge*, Medical Image Analysis 2014. K. He, X.
# Zhang, S. Ren, J. Sun, *Delving Deep into Rectifiers*, ICCV 2015 (PReLU). A. Simpson et al., *A
# large annotated medical image dataset* (the Decathlon's hippocampus), arXiv:1902.09063.
