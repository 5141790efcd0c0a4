"""Simulated brain MR: the crop round a left hippocampus, its anterior and its posterior part.

The hippocampus is grey matter among grey matter: amygdala and parahippocampal cortex are as
bright and touch it, fluid and white matter lie on its other sides. So no threshold finds it; only
where it lies among its neighbours and how it is shaped tell it apart. Nothing in the grey values
marks where the anterior part ends; there the body widens into the head.
"""

import numpy as np
from scipy import ndimage
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation

from medseg_tf.data.case import Case, Grid, Scan
from medseg_tf.data.phantoms.draw import averaged, bent, depth, wavy
from medseg_tf.errors import ConfigError

CENTRE = (-27, -21, -13)  # of the crop, RAS in mm from the anterior commissure
# A mean hippocampus in coronal sections, mm: how far in front of the crop's centre the section
# lies, how far medial and above it the middle of the body, half its width and height; and by how
# many degrees its medial side is lifted. The body ends within the first and the last section.
SECTIONS = np.array(
    [
        (-32, 9.0, 21.0, 5.0, 3.5, 25),
        (-20, 3.2, 11.4, 5.5, 3.5, 25),
        (-12, -1.2, 5.2, 6.4, 3.7, 6),
        (-4, -3.0, 0.9, 6.4, 3.5, -5),
        (3, -1.3, -1.8, 7.7, 4.1, 0),
        (10, 1.5, -4.2, 9.4, 4.8, 10),
        (18, 5.0, -7.7, 7.5, 3.8, 20),
        (32, 9.0, -14.5, 7.0, 3.8, 20),
    ]
)
BACK, FRONT, CAP = -20.5, 18.5, 5  # where the body ends; its ends are half ellipsoids so long
CUT = 2.5  # the anterior part begins so far in front of the centre
# Neighbours as ellipsoids: centre (x, y, z) and half axes, mm.
THALAMUS = (12, -3, 19), (14, 16, 13)
PUTAMEN = (-6, 10, 18), (4, 12, 7)
AMYGDALA = (3, 17, 3), (11, 10, 7)
BRAINSTEM = (23, -4, 0), (10, 12, 18)
CEREBELLUM = (10, -24, -17), (19, 23, 12)
VENTRICLE = (-3, -26, 15), (4, 10, 7)


def hippocampus(n, seed=0, size=(40, 56, 40), spacing=1):
    """Simulate `n` T1-weighted MR crops round a left hippocampus.

    What is simulated: size, pose and bends of the hippocampus that differ from case to case, its
    neighbours, partial volume, slow changes of brightness (bias), Rician noise, an arbitrary scale
    of grey values for each case. What is not: vessels, motion, lesions, the right side (mirror x).

    Args:
        n: number of images, each of a subject of its own.
        seed: int or Generator; image i of a seed does not depend on n.
        size: voxels along x (medial), y (anterior) and z (superior): one number, or three. What
            lies beyond is cut off: the hippocampus takes about 23 x 40 x 25 mm in the middle.
        spacing: mm between voxels: one number, or three. It changes how finely a brain is
            sampled; thick slices average over their thickness.

    Returns:
        list of Case: image uint16 (*size, 1); label uint8 (*size), 0 background, 1 anterior,
        2 posterior, of the default size some 2 % each; RAS affine.

    Raises:
        ConfigError: a size or spacing that is not positive, or neither one number nor three.
    """
    size = three("hippocampus", size=size)
    spacing = three("hippocampus", spacing=spacing)
    cases = []
    for index, rng in enumerate(np.random.default_rng(seed).spawn(n)):
        grid = around(rng.normal(CENTRE, 1.5), size, spacing)
        tissue, label = anatomy(rng, grid.shape, grid.spacing)
        image = scanned(rng, tissue, grid.spacing)
        name = f"hippocampus-{index:03d}"
        cases.append(Case(name, Scan(image, grid), Scan(label, grid), classes=3, name=name))
    return cases


def three(phantom, **argument):
    """One number an axis, from one or three."""
    ((name, given),) = argument.items()
    if np.shape(given) not in ((), (3,)) or np.min(given) <= 0:
        raise ConfigError(f"{phantom}({name}={given}): give one positive number, or three.")
    return np.broadcast_to(given, 3).tolist()


def around(centre, size, spacing):
    """Return the RAS Grid whose middle is `centre`, in mm."""
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = centre - np.multiply(spacing, np.subtract(size, 1)) / 2
    return Grid(size, affine)


def anatomy(rng, shape, spacing, finest=1):
    """Brightness of each voxel, float32, white matter 1, and its label, uint8: both `shape`.

    A voxel is the mean of parts of at most `finest` mm.
    """
    parts = np.maximum(np.ceil(spacing / finest - 1e-6), 1).astype(int)
    shape, step = tuple(parts * shape), spacing / parts
    place = places(rng, shape, step)
    section = body(rng, *place)
    inside = section[0] > 0
    share = averaged(inside, parts)
    anterior = averaged(inside & (place[1] > CUT + rng.normal(0, 0.7)), parts)
    label = np.where(share > 0.5, np.where(anterior > share / 2, 1, 2), 0).astype("uint8")
    return averaged(brain(rng, place, section, step), parts), label


def places(rng, shape, step):
    """Where each voxel would lie in the mean brain: (3, *shape), mm from the crop's centre."""
    found = bent(rng, shape, (1.0, 40), (0.4, 10), spacing=step)
    middle = step * (np.array(shape) - 1) / 2 + rng.normal(0, 1, 3)
    turn = Rotation.from_rotvec(rng.normal(0, np.deg2rad(4), 3)).as_matrix()
    turn = turn / np.exp(rng.normal(0, 0.04))
    return np.tensordot(turn, found - middle[:, None, None, None], 1).astype("float32")


def body(rng, x, y, z):
    """A hippocampus, as seen from each voxel: five float32 arrays, mm.

    Returns:
        How deep the voxel lies in it (negative outside); and in the coronal section how far medial
        and above its middle the voxel lies, half its width there, half its height.
    """
    sections = SECTIONS + rng.normal(0, (0.7, 0.7, 0.7, 0.5, 0.25, 5), SECTIONS.shape)
    first, last = sections[[0, -1], 0]
    along = np.linspace(first, last, 256)
    table = CubicSpline(sections[:, 0], sections[:, 1:])(along).astype("float32")
    nearest = np.rint((y - first) * (255 / (last - first))).clip(0, 255).astype(int)
    x0, z0, width, height, tilt = table.T[:, nearest]
    sine, cosine = np.sin(np.deg2rad(tilt)), np.cos(np.deg2rad(tilt))
    medial = cosine * (x - x0) + sine * (z - z0)
    above = cosine * (z - z0) - sine * (x - x0)
    back, front = rng.normal((BACK, FRONT), 1)
    beyond = np.maximum(np.maximum(back + CAP - y, y - front + CAP), 0)
    return depth((medial, above, beyond), (width, height, CAP)), medial, above, width, height


def brain(rng, place, section, step):
    """Brightness of the hippocampus and its neighbours: float32, white matter 1."""
    shape = place[0].shape
    inside, medial, above, width, height = section
    fluid, grey, deep = rng.uniform((0.06, 0.45, 0.75), (0.16, 0.54, 0.88))

    def waves(period):
        return wavy(rng, shape, period, step)

    def ball(centre, axes):
        centre, axes = rng.normal(centre, 0.7), axes * np.exp(rng.normal(0, 0.08, 3))
        return depth(
            [c - m for c, m in zip(place, centre.astype("f"), strict=True)], axes.astype("f")
        )

    image = cortex(medial, -above - height + waves(18), fluid, grey)
    image = np.minimum(image, ribbon(-medial - 17 + 3 * waves(14), fluid, grey))
    cerebellum = ball(*CEREBELLUM)
    paint(image, cerebellum + 1.5, fluid)
    leaves = np.sin(1.75 * (0.8 * place[2] + 0.6 * place[0] + 1.5 * waves(15)))
    paint(image, cerebellum, grey + 0.17 * (1 + leaves))
    stem = ball(*BRAINSTEM)
    paint(image, np.minimum(stem + 2.5 + 1.2 * waves(15), 9 - place[2]), fluid)
    paint(image, stem, 0.95)
    paint(image, ball(*THALAMUS) / 2, deep)
    paint(image, ball(*PUTAMEN) / 2, deep - 0.1)
    paint(image, ball(*VENTRICLE), fluid)
    paint(image, (ball(*AMYGDALA) + waves(12)) / 2, grey * rng.uniform(1, 1.15))
    # A cleft of fluid on the body's upper side widens laterally into the ventricle's horn.
    lateral = np.clip(-medial / width, 0, 1.3)
    cleft = rng.uniform(0.6, 1.6) * (0.7 + 1.3 * lateral) + 0.4 * waves(15)
    paint(image, np.minimum(inside + cleft, above + 0.3 * height), fluid)
    # A thin bright coat above, a dark streak of the folded sulcus within.
    streak = np.exp(-((above + 0.1 * height) ** 2)) * np.clip(inside - 1, 0, 1)
    coat = np.exp(-np.abs(inside)) * (above > 0)
    paint(image, inside, grey + 0.15 * coat - 0.12 * streak + 0.04 * waves(5))
    return image + 0.03 * waves(6)


def paint(image, inside, brightness):
    """Colour in place what lies inside (mm, negative outside), its border 1 mm wide."""
    image += np.clip(inside + 0.5, 0, 1) * (brightness - image)


def cortex(medial, below, fluid, grey):
    """The gyri under the hippocampus.

    They fold round a blade of white matter close to its underside and end with it; their medial
    edge bends up to the hippocampus, which is the end of the ribbon.

    Args:
        medial: mm from the middle of the hippocampus.
        below: mm under its underside.
    """
    blade = np.hypot(np.maximum(medial - 5, 0), below - 1.7) - 1.7
    lower = below > 1.7
    folds = ribbon(np.where(lower, blade, np.minimum(blade, 9)), fluid, grey)
    return np.where(lower | (medial > 2), folds, np.float32(1))


def ribbon(distance, fluid, grey):
    """Brightness so many mm from a blade of white matter, through gyri that lie side by side."""
    borders = np.array([0, 3.2, 4, 7.2, 10.5, 13.5, 14.5, 17.5])
    levels = [1, grey, fluid, grey, 1, grey, fluid, grey, 1]
    knots = np.stack([borders - 0.4, borders + 0.4], 1).ravel()
    return np.interp(distance, knots, np.repeat(levels, 2)[1:-1]).astype("float32")


def scanned(rng, tissue, spacing):
    """The picture that a scanner makes of it: uint16 (*shape, 1)."""
    signal = ndimage.gaussian_filter(tissue, 0.5 / spacing)
    signal *= np.exp(0.08 * wavy(rng, tissue.shape, 60, spacing))
    noise = rng.uniform(0.02, 0.06) * rng.standard_normal((2, *tissue.shape), "float32")
    signal = np.hypot(signal + noise[0], noise[1])
    return np.clip(10 ** rng.uniform(2, 3.5) * signal, 0, 65535).astype("uint16")[..., None]
