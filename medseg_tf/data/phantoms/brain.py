"""Simulated MR of brains without their skulls: fluid, grey and white matter in three contrasts.

The cortex is a sheet of grey matter of nearly one thickness, folded round fluid: sulci, thin sheets
of fluid, cut into the brain from its surface, and what lies deeper under the nearest fluid than the
cortex is thick is white. Grey values are computed from relaxation times, so each contrast shows one
tissue best and another one badly, as scanners do.
"""

import numpy as np

from medseg_tf.data import head
from medseg_tf.data.augment import affine_coordinates, resample
from medseg_tf.data.case import Case, Scan
from medseg_tf.data.phantoms.draw import averaged, bent, centred, depth, wavy

# Fluid, grey and white matter at 3 tesla, about: density of protons, T1 and T2 in ms.
# Source: Wansapura et al., Journal of Magnetic Resonance Imaging 9:531 (1999), for T1 and T2.
TISSUES = np.array([(1.0, 4000, 1500), (0.82, 1330, 110), (0.71, 830, 80)])
# Inversion recovery, ms: repetition, echo and inversion times of T1, T1-IR and FLAIR.
SEQUENCES = np.array([(2200, 4, 1000), (4400, 15, 400), (11000, 120, 2600)])

FILLED = (0.41, 0.45, 0.46)  # half axes of the brain as shares of the picture's extent: x, y, z
FINEST = 1.5  # mm; voxels longer than this average over their length
ADULT = 58  # mm, the shortest half axis of an adult's brain; there the lengths are, in mm,
CORTEX, RIM, DEPTH = 2.8, 1.5, 22  # of the cortex, of the fluid around it, of sulci at most,
FOLD = 28  # and from a sulcus to the next but one
WAVES = 24  # that interfere in the pattern of sulci
UPRIGHT = 0.35  # how much less the pattern changes inwards than along the surface
# Parts on either side as ellipsoids: centre and half axes as shares of the brain's half axes.
VENTRICLE = (0.13, -0.02, 0.08), (0.065, 0.42, 0.13)
NUCLEI = [  # thalamus, lentiform nucleus, head of the caudate nucleus
    ((0.17, -0.12, -0.04), (0.11, 0.19, 0.15)),
    ((0.38, 0.10, -0.06), (0.10, 0.24, 0.17)),
    ((0.22, 0.30, 0.10), (0.06, 0.14, 0.13)),
]


def brain(n, seed=0, size=48, spacing=1.5):
    """Simulate `n` MR images of brains in three contrasts, each of another anatomy.

    A brain fills its picture. Its folds are equally wide whatever its size and its cortex nearly
    equally thick, as among species: 96 voxels of 1.5 mm show an adult's brain, 24 one of a small
    animal, with few folds. What is simulated: sulci of different depth and width, the fissure
    between the hemispheres, ventricles, deep nuclei (grey matter, a bit whiter than the cortex),
    partial volume, bias fields, Rician noise, an arbitrary scale of grey values for each channel.
    What is not: cerebellum and brainstem, vessels, lesions, skull.

    Args:
        n: number of images, each of a subject of its own.
        seed: int or Generator; image i of a seed does not depend on n.
        size: voxels along x (right), y (front) and z (up): one number, or three; two for one
            slice across, a 2-D image.
        spacing: mm between voxels: one number, or one an axis. Voxels longer than 1.5 mm
            average over their length.

    Returns:
        list of Case: image uint16 (*size, 3), channels T1, T1-IR and FLAIR, 0 outside the brain;
        label uint8 (*size), 0 outside, 1 fluid, 2 grey matter, 3 white matter. RAS affine, the
        origin in the middle.

    Raises:
        ConfigError: a size or spacing that is not positive, or is not one number an axis.
    """
    grid = centred("brain", size, spacing)
    # A voxel is the mean of parts of at most 1.5 mm.
    parts = np.maximum(np.ceil(grid.spacing / FINEST - 1e-6), 1).astype(int)
    shape, step = tuple(parts * grid.shape), grid.spacing / parts
    cases = []
    for index, rng in enumerate(np.random.default_rng(seed).spawn(n)):
        shares = averaged(anatomy(rng, shape, step), (1, *parts))
        cases.append(imaged(rng, shares, grid, f"brain-{index:03d}"))
    return cases


def mni_brain(n, seed=0, spacing=3):
    """Simulate `n` subjects from one real anatomy: the tissues of the MNI152 brain, deformed.

    The anatomy is that of `data.mni152`, a mean of 152 people, turned, stretched and bent
    smoothly at random; the grey values are simulated as those of `brain`. So shape and place of
    everything are real, but no two subjects differ as two people do: each has the same folds.

    Args:
        n: number of images, each of a simulated subject.
        seed: int or Generator; image i of a seed does not depend on n.
        spacing: mm between voxels, a whole number from 1.

    Returns:
        list of Case as of `brain`, 66 x 78 x 63 voxels of 3 mm.

    Raises:
        ConfigError: a spacing that is no whole number from 1.
        DataNotFoundError: nilearn is not installed.
    """
    real = head.mni152(spacing).label
    tissues = np.stack([real.array == k for k in (1, 2, 3)], -1).astype("float32")
    cases = []
    for index, rng in enumerate(np.random.default_rng(seed).spawn(n)):
        turns, stretch = rng.normal(0, np.deg2rad(5), 3), np.exp(rng.normal(0, 0.05))
        coordinates = affine_coordinates(real.grid.shape, turns, stretch)
        for axis in range(3):
            bend = 3 * wavy(rng, real.grid.shape, 100, spacing)
            bend += 0.8 * wavy(rng, real.grid.shape, 25, spacing)
            coordinates[axis] = coordinates[axis] + bend / spacing
        moved, _ = resample(tissues, None, coordinates)
        cases.append(imaged(rng, np.moveaxis(moved, -1, 0), real.grid, f"mni-brain-{index:03d}"))
    return cases


def imaged(rng, shares, grid, name):
    """Return the Case of a brain from the shares of its tissues, (3, *shape)."""
    label = np.concatenate([1 - shares.sum(0, keepdims=True), shares]).argmax(0).astype("uint8")
    image = scanned(rng, shares, grid.spacing) * (label > 0)[..., None]
    return Case(name, Scan(image, grid), Scan(label, grid), classes=4, name=name)


def anatomy(rng, shape, step):
    """How much of each voxel fluid, grey and white matter take: (3, *shape) float32.

    Args:
        step: mm between voxels, one number an axis.
    """
    rank, extent = len(shape), step * shape

    def waves(period):
        return wavy(rng, shape, period, step)

    def inside(depth):
        """How much of a voxel lies on the inner side of a surface that is `depth` mm away."""
        return np.clip(depth / float(step.mean()) + 0.5, 0, 1)

    half = (extent * FILLED[:rank] * np.exp(rng.normal(0, 0.03, rank))).astype("float32")
    size = float(half.min() / ADULT) ** 0.35  # thickness grows with a brain, but much less
    large = float(extent.mean())
    place = bent(rng, shape, (0.015 * large, 0.4 * large), (0.8 * size**2, 15), spacing=step)
    for axis, length in zip(place, extent - step, strict=True):
        axis -= length / 2
    place[2:] += 0.12 * half[-1]
    axes = list(half)
    axes[0] = half[0] / (1 + 0.15 * place[1] / half[1])  # narrower in front
    axes[2:] = [np.where(place[2] < 0, 0.75, 1) * top for top in half[2:]]  # flat at its base
    unit = [p / a for p, a in zip(place, axes, strict=True)]
    hull = depth(place, axes)
    under = hull - size * RIM * np.clip(1 + 0.4 * waves(25), 0.3, 2)
    sheet, width = sulci(rng, place, unit, hull, size, waves)
    fluid = np.maximum(inside(-under), inside(width - sheet) - inside(-width - sheet))
    thickness = size * CORTEX * np.clip(rng.normal(1, 0.04) + 0.1 * waves(20), 0.75, 1.25)
    grey = inside(thickness - np.minimum(under, sheet - width))
    for nucleus in NUCLEI:
        grey = np.maximum(grey, 0.75 * inside(paired(rng, unit, half, *nucleus)))
    fluid = np.maximum(fluid, inside(paired(rng, unit, half, *VENTRICLE, bend=0.3)))
    return inside(hull) * np.stack([fluid, (1 - fluid) * grey, (1 - fluid) * (1 - grey)])


def sulci(rng, place, unit, hull, size, waves):
    """Sheets of fluid: distance of each voxel to the nearest, and half its width there, mm.

    Args:
        place: (rank, *shape) mm from the middle; unit: the same over the brain's half axes.
        hull: how many mm a voxel lies within the brain.
        size: thickness in this brain over thickness in an adult's.
    """
    deepest = float(hull.max())
    radius = np.sqrt(sum(u**2 for u in unit))
    bottom = min(DEPTH, 0.5 * deepest) * np.clip(0.85 + 0.3 * waves(25), 0.25, 1)
    near = (hull > -5) & (hull < bottom + 6)  # elsewhere no sheet is within reach
    sheet = np.full(hull.shape, np.inf, "float32")
    sheet[near] = upright(rng, place[:, near], radius[near])
    sheet = np.hypot(sheet, np.maximum(hull - bottom, 0))
    # The fissure parts the hemispheres down to what joins them.
    floor = np.maximum(0.5 - np.sqrt(sum(u**2 for u in unit[1:])), 0) * deepest
    sheet = np.minimum(sheet, np.hypot(place[0], floor))
    opening = 0.4 * np.exp(-np.maximum(hull, 0) / 3)
    return sheet, size * np.clip(rng.uniform(0.4, 0.7) + 0.2 * waves(15) + opening, 0.2, 1.5)


def upright(rng, place, radius):
    """Distance to the nearest sheet of those that stand upright on the brain's surface, mm.

    The sheets are where a sum of random waves is 0. The waves are read where a voxel would lie
    if it were moved out along its radius, nearly to the surface: so they hardly change inwards.

    Args:
        place: (rank, voxels) mm from the middle; radius: (voxels,), 1 at the surface.
    """
    rank, number = len(place), 2 * np.pi / FOLD
    vectors = rng.normal(size=(WAVES, rank))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    numbers = number * rng.uniform(0.9, 1.1, (WAVES, 1)).astype("float32")
    phases = rng.uniform(0, 2 * np.pi, (WAVES, 1)).astype("float32")
    distance = np.sqrt((place**2).sum(0)) + 1e-3
    outwards = np.maximum(radius, 0.1) ** (UPRIGHT - 1)
    inwards = vectors.astype("float32") @ (place / distance)  # cosine between wave and radius
    angle = numbers * inwards * (distance * outwards) + phases
    # A wave counts as far as it runs along the surface; else it would part folds unevenly.
    along = 1 - inwards**2
    height = (along * np.cos(angle)).sum(0)
    steep = numbers * along * np.sin(angle)
    gradient = vectors.T.astype("float32") @ steep
    slope = (gradient**2).sum(0) - (1 - UPRIGHT**2) * (steep * inwards).sum(0) ** 2
    # Exact for a single wave, and never more than half the way to the next sheet.
    sheet = np.arctan2(number * np.abs(height), np.sqrt(np.maximum(slope, 0)))
    return sheet / (number * outwards)


def paired(rng, unit, half, centre, axes, bend=0.0):
    """How many mm a voxel lies within a part that both hemispheres have, about.

    Args:
        unit: place over the brain's half axes, one array an axis; half: those in mm.
        centre, axes: of an ellipsoid, in the same measure.
        bend: how far its ends in front and behind are bent out of the middle.
    """
    rank = len(half)
    centre = rng.normal(centre[:rank], 0.01).astype("float32")
    axes = half * axes[:rank] * np.exp(rng.normal(0, 0.1, rank)).astype("float32")
    place = [np.abs(unit[0]) - bend * unit[1] ** 2, *unit[1:]]
    return depth([(p - c) * h for p, c, h in zip(place, centre, half, strict=True)], axes)


def scanned(rng, shares, spacing):
    """The pictures that a scanner makes of shares (3, *shape) of tissues: uint16 (*shape, 3).

    A voxel's signal is the sum of its tissues', whose sign is lost in the picture.
    """
    shape = shares.shape[1:]
    density, t1, t2 = (TISSUES * np.exp(rng.normal(0, 0.03, TISSUES.shape))).T
    texture = 1 + 0.03 * wavy(rng, shape, 8, spacing)
    channels = []
    for times in SEQUENCES:
        repetition, echo, inversion = times * np.exp(rng.normal(0, 0.04, 3))
        signal = 1 - 2 * np.exp(-inversion / t1) + np.exp(-repetition / t1)
        signal *= density * np.exp(-echo / t2)
        image = np.tensordot((signal / np.abs(signal).max()).astype("float32"), shares, 1)
        image *= texture * np.exp(0.1 * wavy(rng, shape, 70, spacing))
        noise = rng.uniform(0.03, 0.07) * rng.standard_normal((2, *shape), "float32")
        scale = 10 ** rng.uniform(2.3, 3.5)
        channels.append(np.clip(scale * np.hypot(image + noise[0], noise[1]), 0, 65535))
    return np.stack(channels, -1).astype("uint16")
