"""Simulated echocardiography: the left ventricle beats in speckle, frame by frame.

Its cavity is dark, its wall bright; but speckle breaks every edge, a part of the wall gives no
echo, and behind the valve lies an atrium as dark as the ventricle. So a threshold leaks, and a
network that learned one view of the heart is misled by another.
"""

from collections import namedtuple

import numpy as np
from scipy import ndimage

from medseg_tf.data.case import Case, Grid, Scan
from medseg_tf.data.phantoms.draw import depth
from medseg_tf.errors import ConfigError

FIELD = 128  # mm along the longer side, whatever the number of pixels
DECIBELS = (-25, 10)  # shown from black to white
# long, short: half axes of the cavity at rest, shares of the field; tilt: of the long axis against
# the beam, radians; atrium: whether one lies behind the valve; right: how far the right ventricle
# lies to the side, half axes, or None; tissue: its echo; grain: mm of blur along the beam and
# across; gain: dB added to the whole picture.
View = namedtuple("View", "long short tilt atrium right tissue grain gain")
VIEWS = {
    "A4C": View((0.24, 0.32), (0.13, 0.19), 0.0, True, 2.6, (0.3, 0.55), (1.4, 2.6), 0),
    "A2C": View((0.24, 0.32), (0.12, 0.17), 0.3, True, None, (0.3, 0.55), (1.4, 3.6), 2),
    "A3C": View((0.23, 0.30), (0.12, 0.17), -0.4, True, None, (0.45, 0.7), (1.4, 2.6), 0),
    "PLAX": View((0.22, 0.29), (0.12, 0.17), 1.4, True, -2.4, (0.4, 0.65), (2.0, 2.0), -2),
    "PSAX": View((0.16, 0.21), (0.15, 0.19), 0.0, False, 2.3, (0.2, 0.4), (2.0, 3.0), 0),
}


def ultrasound_cine(
    n,
    seed=0,
    size=64,
    frames=12,
    view="A4C",
    contrast=1.0,
    shortening=(0.2, 0.35),
    drift=3.0,
):
    """Simulate `n` cines of one beat each: a list of n * frames Case, cine after cine.

    What is simulated: an elliptic cavity that shortens and thickens its wall, and wanders; speckle
    of developed scatterers, compressed to decibels; a sector of the wall that gives no echo; an
    atrium behind a valve that opens while the ventricle fills; a right ventricle; the fan of the
    scan. What is not: papillary muscles, ribs' shadows, reverberation, speckle that moves with
    the tissue (it is drawn anew in each frame).

    The five views are five domains of one task: the ventricle's cavity. Their names say what they
    are modelled on, as far as a few ellipses go. Cines of one seed show the same patients in each
    view.

    Args:
        n: number of cines, each of a patient (subject) of its own.
        seed: int or Generator; cine i of a seed does not depend on n.
        size: rows and columns: one number, or two. The longer side always shows 128 mm.
        frames: of one beat.
        view: "A4C", "A2C", "A3C" (apical: four, two, three chambers), "PLAX", "PSAX"
            (parasternal: long, short axis).
        contrast: of blood against wall: blood' = wall - contrast * (wall - blood). One number, or
            two between which it changes linearly from the first frame to the last.
        shortening: range of e, from which each patient's is drawn; see `ventricle_axes`.
        drift: radius in mm of the circle on which the centre wanders once a beat.

    Returns:
        list of Case: image uint8 (*size, 1); label uint8 (*size), 1 the cavity; grid in mm.

    Raises:
        ConfigError: an unknown view, a size that is not positive, fewer than 1 frame.
    """
    if view not in VIEWS or np.shape(size) not in ((), (2,)) or np.min(size) < 1 or frames < 1:
        raise ConfigError(
            f"ultrasound_cine(size={size}, frames={frames}, view={view!r}): give one positive "
            f"size, or two; at least 1 frame; a view of {', '.join(VIEWS)}."
        )
    shape = tuple(np.broadcast_to(size, 2).tolist())
    grid = Grid.from_spacing(shape, FIELD / max(shape))
    contrasts = np.linspace(*np.broadcast_to(contrast, 2), frames)
    cases = []
    for number, rng in enumerate(np.random.default_rng(seed).spawn(n)):
        heart = patient(rng, VIEWS[view], shortening)
        for frame, strength in enumerate(contrasts):
            echoes, inside = reflectivity(heart, VIEWS[view], frame / frames, drift, grid, strength)
            image = decibels(envelope(rng, echoes, VIEWS[view].grain / grid.spacing))
            image = np.clip(image + VIEWS[view].gain / np.ptp(DECIBELS), 0, 1)
            image = np.where(fan(grid), 255 * image, 0).astype("uint8")[..., None]
            name = f"{view}-{number:03d} frame {frame:02d}"
            label = Scan(inside.astype("uint8"), grid)
            cases.append(
                Case(f"patient-{number:03d}", Scan(image, grid), label, classes=2, name=name)
            )
    return cases


def ventricle_axes(n, seed=0, frames=12, view="A4C", shortening=(0.2, 0.35)):
    """Return the exact half axes of the same cines' cavities, mm: (n, frames, 2), long and short.

    At time t of the beat, s = 1 - e / 2 * (1 - cos(2 pi t + phase)); the long axis is a * sqrt(s),
    the short one b * s. So area goes as s^1.5, the volume of an ellipsoid of revolution as s^2.5.
    """
    axes = []
    for rng in np.random.default_rng(seed).spawn(n):
        heart = patient(rng, VIEWS[view], shortening)
        axes.append([half_axes(heart, frame / frames) for frame in range(frames)])
    return np.array(axes)


def patient(rng, view, shortening):
    """Draw what makes one patient in one view."""
    return {
        "long": rng.uniform(*view.long) * FIELD,
        "short": rng.uniform(*view.short) * FIELD,
        "tilt": view.tilt + rng.uniform(-0.25, 0.25),
        "e": rng.uniform(*shortening),
        "phase": rng.uniform(-0.6, 0.6),
        "centre": rng.normal(0, 0.03 * FIELD, 2),
        "blood": rng.uniform(0.08, 0.25),
        "wall": rng.uniform(0.7, 1.0),
        "tissue": rng.uniform(*view.tissue),
        "thickness": rng.uniform(6, 10),  # mm
        "dropout": rng.uniform(0, 2 * np.pi),
    }


def half_axes(heart, time):
    """Long and short half axis in mm at a time of the beat, 0 to 1."""
    s = 1 - heart["e"] / 2 * (1 - np.cos(2 * np.pi * time + heart["phase"]))
    return heart["long"] * np.sqrt(s), heart["short"] * s


def reflectivity(heart, view, time, drift, grid, contrast):
    """Echo of each pixel without speckle, and whether it lies in the cavity: two arrays."""
    turn = 2 * np.pi * time
    middle = (np.array(grid.shape) - 1) * grid.spacing / 2
    centre = middle + heart["centre"] + drift * np.array([np.sin(turn), np.cos(turn)])
    down, right = np.ogrid[: grid.shape[0], : grid.shape[1]]
    down, right = down * grid.spacing[0] - centre[0], right * grid.spacing[1] - centre[1]
    sine, cosine = np.sin(heart["tilt"]), np.cos(heart["tilt"])
    along, across = down * cosine + right * sine, right * cosine - down * sine
    axes = half_axes(heart, time)
    within = depth((along, across), axes)
    blood = heart["wall"] - contrast * (heart["wall"] - heart["blood"])
    # The muscle keeps its mass: it is thicker where the cavity is small.
    thickness = heart["thickness"] * heart["short"] / axes[1]

    echoes = np.full(grid.shape, heart["tissue"])
    if view.right is not None:
        other = depth((along, across + view.right * heart["short"]), (0.8 * axes[0], 0.6 * axes[1]))
        echoes[other > -3] = heart["wall"]
        echoes[other > 0] = blood
    echoes[(within <= 0) & (within > -thickness)] = heart["wall"]
    silent = np.cos(np.arctan2(across, along) - heart["dropout"]) > 0.8
    echoes[silent & (within <= 0) & (within > -thickness)] = blood
    if view.atrium:
        behind = along - axes[0] - 0.62 * heart["short"]
        atrium = depth((behind, across), (0.6 * heart["short"], 0.8 * heart["short"]))
        echoes[(atrium > -3) & (within < 0)] = heart["wall"]
        echoes[(atrium > 0) & (within < 0)] = blood
        filling = np.cos(turn + heart["phase"]) > 0  # the valve is open
        valve = (np.abs(across) < 0.5 * axes[1]) & (within <= 0) & (within > -4) & (along > 0)
        echoes[valve] = blood if filling else heart["wall"]
    echoes[within > 0] = blood
    return echoes, within > 0


def envelope(rng, echoes, grain):
    """Speckle: the modulus of complex Gaussian scatterers, blurred.

    A constant echo gives a Rayleigh distribution: mean over deviation sqrt(pi / (4 - pi)).

    Args:
        echoes: (rows, columns) amplitude.
        grain: sigma of the blur in pixels, along rows and columns.
    """
    parts = [
        ndimage.gaussian_filter(echoes * rng.standard_normal(echoes.shape), grain) for _ in range(2)
    ]
    return np.hypot(*parts)


def decibels(amplitude):
    """Amplitude over its mean, compressed: 0 to 1 from the lowest to the highest decibels shown."""
    level = 20 * np.log10(amplitude / amplitude.mean() + 0.05)
    return np.clip((level - DECIBELS[0]) / np.ptp(DECIBELS), 0, 1)


def fan(grid):
    """Where the scan reaches: a sector of 100 degrees whose tip lies above the picture."""
    rows, columns = np.indices(grid.shape)
    side = (columns - (grid.shape[1] - 1) / 2) * grid.spacing[1]
    return np.abs(side) < np.tan(np.radians(50)) * (rows * grid.spacing[0] + 0.12 * FIELD)
