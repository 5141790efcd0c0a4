"""Simulated dermoscopy: one pigmented lesion on skin, as a lens pressed on it shows it.

Pigment darkens skin, so a threshold finds most lesions; but hairs and the dark rim of the tube
are as dark, light falls unevenly, and the border of a faint lesion fades into the skin.
"""

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from medseg_tf.data.case import Case, Grid, Scan
from medseg_tf.data.phantoms.draw import bent, wavy
from medseg_tf.errors import ConfigError

FIELD = 15  # mm along the longer side, whatever the number of pixels
# How strongly red, green and blue light are absorbed: colours multiply as in layers of glass.
MELANIN = np.array([0.45, 0.9, 1.25])
BLOOD = np.array([0.1, 0.75, 0.6])
DEEP = np.array([1.1, 0.9, 0.6])  # melanin seen through a whitish veil looks blue
WHITE = np.array([218, 208, 194])
GLARE = 7  # light that the lens scatters over all of the picture


def skin_lesions(n, seed=0, size=(144, 192)):
    """Simulate `n` dermoscopic images of one lesion each, in colour.

    What is simulated: skin of different tones with fine furrows and reddish places; ragged,
    lobed outlines, sharp at one place and fading at another; pigment that varies within and
    between lesions, its network, dots and blue-grey veils; hairs, uneven light, a dark round rim,
    blur and noise. What is not: gel bubbles, rulers, several lesions, diagnoses.

    Args:
        n: number of images, each of a subject of its own.
        seed: int or Generator; image i of a seed does not depend on n.
        size: rows and columns: one number, or two. The longer side always shows 15 mm, so that
            more pixels show the same lesion more finely.

    Returns:
        list of Case: image uint8 (*size, 3), red, green, blue; label uint8 (*size), 0 skin,
        1 lesion, the whole of it in one piece and without holes.

    Raises:
        ConfigError: a size that is not positive, or neither one number nor two.
    """
    if np.shape(size) not in ((), (2,)) or np.min(size) <= 0:
        raise ConfigError(f"skin_lesions(size={size}): give one positive number, or two.")
    shape = tuple(np.broadcast_to(size, 2).tolist())
    grid = Grid.from_spacing(shape, FIELD / max(shape))
    cases = []
    for index, rng in enumerate(np.random.default_rng(seed).spawn(n)):
        depth = lesion(rng, shape)
        image = photograph(rng, depth)
        label = (depth > 0).astype("uint8")
        name = f"skin-lesion-{index:03d}"
        cases.append(Case(name, Scan(image, grid), Scan(label, grid), classes=2, name=name))
    return cases


def lesion(rng, shape):
    """How many mm each pixel lies within the lesion; negative on the skin."""
    pitch = FIELD / max(shape)
    middle = np.array(shape) / 2 * pitch
    centre = rng.normal(middle, 0.08 * middle)
    radius = rng.uniform(0.3, 0.68) * min(middle)
    rows, columns = bent(rng, shape, (0.5, 7), (0.2, 2.5), (0.12, 0.9), spacing=pitch)
    inside = np.zeros(shape, bool)
    for lobe in range(rng.integers(1, 4)):  # the later lobes are smaller and lie off the middle
        away = rng.normal(0, 0.4 * radius, 2) * (lobe > 0)
        size, angle = radius * (1 - 0.2 * lobe), rng.uniform(0, np.pi)
        stretch = rng.uniform(1, 1.35)
        down, right = rows - centre[0] - away[0], columns - centre[1] - away[1]
        along = (down * np.cos(angle) + right * np.sin(angle)) / stretch
        across = (right * np.cos(angle) - down * np.sin(angle)) * stretch
        inside |= np.hypot(along, across) < size
    inside = one_piece(inside)
    within, beyond = (ndimage.distance_transform_edt(mask) for mask in (inside, ~inside))
    return pitch * np.where(inside, within - 0.5, 0.5 - beyond)


def one_piece(mask):
    """The largest piece of a mask, its holes filled."""
    pieces, count = ndimage.label(mask)
    if count > 1:
        mask = pieces == np.bincount(pieces.ravel())[1:].argmax() + 1
    return ndimage.binary_fill_holes(mask)


def photograph(rng, depth):
    """The picture of a lesion of that depth (mm): uint8 (rows, columns, 3)."""
    shape, pitch = depth.shape, FIELD / max(depth.shape)

    def waves(period):
        return wavy(rng, shape, period, pitch)

    furrows = waves(0.5) + np.abs(waves(1.5))
    melanin = rng.uniform(0.02, 0.22) + 0.02 * waves(8) + 0.012 * furrows
    blood = np.clip(rng.uniform(0.02, 0.26) + 0.06 * waves(9), 0, None)
    amount = pigment(rng, depth, waves)
    veil = np.clip(waves(5) - rng.uniform(0.6, 3), 0, 1) * (depth > 0.4)
    hair = hairs(rng, shape)
    layers = [
        (melanin + amount * (1 - 0.6 * veil), MELANIN),
        (0.6 * amount * veil, DEEP),
        (blood * (1 - 0.4 * np.clip(amount, 0, 1)), BLOOD),
        (rng.uniform(0.7, 2.0) * hair, MELANIN + 0.2),
    ]
    density = sum(layer[..., None] * colour for layer, colour in layers)
    image = WHITE * np.exp(-density) * light(rng, shape)[..., None]
    image = ndimage.gaussian_filter(image, (0.06 / pitch, 0.06 / pitch, 0))
    image *= rng.normal(1, (0.03, 0.03, 0.07))  # the camera's balance of colours
    return np.clip(GLARE + image + rng.normal(0, 3, image.shape), 0, 255).astype("uint8")


def pigment(rng, depth, waves):
    """Optical density of the lesion's melanin, 0 on the skin away from it."""
    # The border is some 0.2 mm wide where it is sharp, some 2 mm where it fades.
    width = 0.1 * 10 ** np.clip(0.45 + 0.45 * waves(6), 0, 1)
    inside = 1 / (1 + np.exp(-np.clip(4 * depth / width, -50, 50)))
    strength = rng.uniform(0.28, 1.25)
    patches = np.exp(0.3 * waves(3.5)) * (1 + 0.25 * np.clip(depth, 0, 2))
    network = rng.uniform(0.05, 0.5) * net(rng, depth.shape)
    dots = 0.8 * np.clip(waves(0.45) - 2, 0, 1) * (waves(4) > 0)
    return strength * inside * np.clip(patches * (1 - network) + dots, 0.15, 2.2)


def net(rng, shape):
    """The pigment network's holes: 1 in the middle of a mesh of some 0.6 mm, 0 on its lines."""
    pitch = FIELD / max(shape)
    pixels = bent(rng, shape, (0.12, 3), spacing=pitch)
    turned = rng.uniform(0, np.pi) + np.arange(3) * np.pi / 3
    waves = [np.cos((2 * np.pi / 0.55) * (pixels.T @ [np.cos(a), np.sin(a)]).T) for a in turned]
    return np.clip((sum(waves) + 1) / 3, 0, 1)


def hairs(rng, shape):
    """Darkness, 0 to 1, of none to some twenty hairs that cross the picture in arcs."""
    pitch = FIELD / max(shape)
    extent = np.array(shape) * pitch
    count = rng.poisson(rng.choice([0, 3, 10]))
    if not count:
        return np.zeros(shape)
    way, points = rng.uniform(0, np.pi), []
    for _ in range(count):
        angle, length = rng.normal(way, 0.5), rng.uniform(4, 14)
        along = np.linspace(-0.5, 0.5, round(4 * length / pitch))[:, None]
        ahead = np.array([np.cos(angle), np.sin(angle)])
        aside = ahead[::-1] * [1, -1] * rng.normal(0, 2.5) * (along**2 - 0.25)
        points.append(rng.uniform(0, extent) + length * along * ahead + aside)
    widths = np.repeat(rng.uniform(0.03, 0.07, count), [len(hair) for hair in points])
    pixels = np.moveaxis(np.indices(shape) + 0.5, 0, -1) * pitch
    distance, nearest = cKDTree(np.concatenate(points)).query(pixels)
    return np.exp(-((distance / widths[nearest]) ** 2))


def light(rng, shape):
    """How much light comes back: uneven, and in most pictures dark beyond the tube's round rim."""
    pitch = FIELD / max(shape)
    shining = 1 + 0.08 * wavy(rng, shape, 20, pitch) + 0.02 * wavy(rng, shape, 4, pitch)
    places = (np.moveaxis(np.indices(shape) + 0.5, 0, -1) - np.array(shape) / 2) * pitch
    distance = np.linalg.norm(places - rng.normal(0, 0.4, 2), axis=-1)
    shining *= 1 - rng.uniform(0.1, 0.3) * (distance / FIELD * 1.6) ** 2
    rim = rng.uniform(0.5, 0.75) * FIELD
    dark = 1 / (1 + np.exp(-np.clip((distance - rim) / rng.uniform(0.1, 0.3), -50, 50)))
    return shining * (1 - 0.85 * dark)
