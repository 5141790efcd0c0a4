"""Simulated MR of the front of the visual pathway: two optic nerves and the chiasm they meet in.

The nerves are thin and curved and fade towards the chiasm; muscles and vessels beside them are as
thin and as bright in one contrast or another. So no threshold finds them, one contrast less than
three, and what helps is how they usually run.
"""

import numpy as np
from scipy import ndimage
from scipy.interpolate import CubicSpline
from scipy.spatial import cKDTree

from medseg_tf.data.case import Case, Grid, Scan
from medseg_tf.data.phantoms.draw import centred, wavy

LEFT, RIGHT, CHIASM = 1, 2, 3
FINEST = 0.5  # mm between the points of a line
# A mean right nerve, mm from the middle of the chiasm: x (right), y (front), z (up); from the back
# of the eye to where the chiasm begins. The left one is its mirror image.
NERVE = np.array([(26, 36, 0), (21, 27, 2), (15, 17, 3), (10, 9, 2), (6, 3, 0)], float)
EYE, EYE_RADIUS = (30, 46, 0), 11.5
# How much brighter than its surroundings (0.5) something is in T1, T2 and FLAIR.
NERVE_LOOK = (0.22, -0.20, 0.12)
EYE_LOOK = (-0.30, 0.42, -0.32)
OTHER_LOOK = (0.22, 0.12, -0.05)  # muscles and vessels
SWOLLEN_LOOK = (-0.06, 0.20, 0.22)  # a tumour


def visual_pathway(n, seed=0, size=(104, 80), spacing=0.8, swollen=False):
    """Simulate `n` MR images of the optic nerves and the chiasm in three contrasts.

    What is simulated: nerves whose course and thickness differ from case to case, thinner than
    4 mm, that fade to a third of their brightness where they meet; eyes, muscles and vessels,
    slow changes of brightness, clutter, blur and noise. What is not: the optic tracts behind the
    chiasm, bone, fat.

    Args:
        n: number of images, each of a subject of its own.
        seed: int or Generator; image i of a seed does not depend on n.
        size: voxels along x (right), y (front) and, in a volume, z (up): two numbers or three.
        spacing: mm between voxels: one number, or one an axis.
        swollen: give each case a tumour, as of a glioma: a ball of 6 to 11 mm round some point of
            the pathway, of another brightness than a nerve's. The label includes it.

    Returns:
        list of Case: image float32 (*size, 3), channels T1, T2 and FLAIR; label uint8 (*size),
        1 left nerve, 2 right nerve, 3 chiasm. The origin is the middle of a mean chiasm, which
        lies low in the picture.

    Raises:
        ConfigError: a size of other than two or three axes, or not positive, or such a spacing.
    """
    grid = centred("visual_pathway", size, spacing)
    affine = grid.affine.copy()
    affine[1, -1] += 20  # mm of the nerves lie in front of the picture's middle
    grid = Grid(grid.shape, affine)
    cases = []
    for index, rng in enumerate(np.random.default_rng(seed).spawn(n)):
        image, label = simulate(rng, grid, swollen)
        name = f"visual-pathway-{index:03d}"
        cases.append(Case(name, Scan(image, grid), Scan(label, grid), classes=4, name=name))
    return cases


def simulate(rng, grid, swollen):
    """One image, float32 (*size, 3), and its label, uint8 (*size)."""
    rank, step = grid.rank, grid.spacing
    place = grid.to_world(np.moveaxis(np.indices(grid.shape), 0, -1))

    def waves(period):
        return wavy(rng, grid.shape, period, step)

    def inside(depth):
        """How much of a voxel lies within something whose surface is `depth` mm away."""
        return np.clip(depth / step.mean() + 0.5, 0, 1)[..., None]

    def ball(centre, radius):
        return inside(radius - np.linalg.norm(place - centre[:rank], axis=-1))

    image = np.full((*grid.shape, 3), 0.5)
    image += inside(others(rng, place)) * OTHER_LOOK
    for side in (-1, 1):
        image += ball(rng.normal(EYE, 1) * (side, 1, 1), rng.normal(EYE_RADIUS, 0.5)) * EYE_LOOK
    lines = pathway(rng)
    points = np.concatenate(lines)
    part = np.repeat([LEFT, RIGHT, CHIASM], [len(line) for line in lines])
    distance, nearest = cKDTree(points[:, :rank]).query(place)
    radius = np.where(part == CHIASM, rng.normal(2.1, 0.15), rng.normal(1.6, 0.12))
    share = inside(radius[nearest] - distance)
    fade = np.interp(points[:, 1], [0, 32], [0.35, 1])[nearest][..., None]
    image += share * (0.5 + fade * NERVE_LOOK - image)
    if swollen:
        tumour = ball(points[rng.integers(len(points))], rng.uniform(3, 5.5))
        image += tumour * (0.5 + np.array(SWOLLEN_LOOK) - image)
        share = np.maximum(share, tumour)
    label = np.where(share[..., 0] > 0.5, part[nearest], 0).astype("uint8")
    image = ndimage.gaussian_filter(image, (*0.5 / step, 0))
    for channel in range(3):
        image[..., channel] += 0.06 * waves(50) + 0.05 * waves(4)
    image += rng.normal(0, 0.05, image.shape)
    return image.astype("float32"), label


def pathway(rng):
    """Points on the middle lines of left nerve, right nerve and chiasm: three (points, 3), mm."""
    pose = rng.normal(0, 1.2, 3)
    along = np.linspace(0, np.pi, len(NERVE))[:, None]
    nerves = []
    for side in (-1, 1):
        course = NERVE + rng.normal(0, (1.0, 1.0, 0.7), 3)
        course += np.sin(along) * rng.normal(0, (2.5, 1.0, 1.2))
        course += np.sin(2 * along) * rng.normal(0, (1.2, 0.4, 0.6))
        nerves.append(course * (side, 1, 1) + pose)
    ends = nerves[0][-1], nerves[1][-1]
    middle = np.mean(ends, axis=0) + rng.normal((0, -3.5, 0), (0.7, 0.8, 0.5))
    return [curve(points) for points in (*nerves, np.stack([ends[0], middle, ends[1]]))]


def curve(points):
    """A smooth line through points: (more points, 3), at most FINEST mm apart, about."""
    length = np.linalg.norm(np.diff(points, axis=0), axis=1).sum()
    stations = np.arange(len(points))
    return CubicSpline(stations, points)(np.linspace(0, stations[-1], int(length / FINEST) + 2))


def others(rng, place):
    """How many mm a voxel lies within a muscle or a vessel; negative outside."""
    lines = []
    for side in (-1, 1, -1, 1, -1, 1):
        ends = [rng.uniform((6, 24, -8), (42, 40, 8)), rng.uniform((4, -16, -8), (30, 10, 8))]
        middle = np.mean(ends, axis=0) + rng.normal(0, 3, 3)
        lines.append(curve(np.stack([ends[0], middle, ends[1]])) * (side, 1, 1))
    radius = np.repeat(rng.uniform(0.8, 1.7, len(lines)), [len(line) for line in lines])
    distance, nearest = cKDTree(np.concatenate(lines)[:, : place.shape[-1]]).query(place)
    return radius[nearest] - distance
