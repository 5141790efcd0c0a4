"""Marks on a picture: grey values, outlines, a scale bar, the sides of a patient."""

import numpy as np
from matplotlib import patheffects
from matplotlib.colors import to_rgb
from scipy import ndimage

from medseg_tf.plots.figures import CLASS_COLOURS

UNITS = {"mm": "mm", "um": "µm", "pixel": "px"}


def unpack(scan):
    """Return the array and the grid of a Scan; the array and None of an array."""
    grid = getattr(scan, "grid", None)
    return np.asarray(scan if grid is None else scan.array), grid


def spatial_rank(array, grid=None, label=None):
    """Return how many of an image's axes are spatial; without a grid, from its label or shape."""
    if grid is not None:
        return grid.rank
    if label is not None:
        return np.ndim(label)
    return array.ndim - (array.ndim == 4 or (array.ndim == 3 and array.shape[-1] <= 4))


def plane(axes, values, spacing=(1, 1), **options):
    """Draw a plane without ticks, its voxels in their true proportions; return the drawn image."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    return axes.imshow(values, aspect=spacing[0] / spacing[1], **options)


def gray(axes, image, spacing=(1, 1)):
    """Draw a plane (rows, columns) or (rows, columns, channels); three uint8 channels in colour.

    Grey runs from the 1st to the 99th percentile; of other images the first channel is shown.
    """
    if image.ndim == 3 and image.shape[-1] in (3, 4) and image.dtype == np.uint8:
        return plane(axes, image, spacing)
    image = image[..., 0] if image.ndim == 3 else image
    low, high = np.percentile(image.astype(float), (1, 99))
    if low == high:
        low, high = low - 1, high + 1
    return plane(axes, image, spacing, cmap="gray", vmin=low, vmax=high)


def colour_of(number):
    """Return the colour of a class or object, counted from 1."""
    return CLASS_COLOURS[(number - 1) % len(CLASS_COLOURS)]


def outline(axes, label, style="-", width=1.5):
    """Draw the border of each class or object of a plane of labels, each in its colour."""
    numbers, dense = np.unique(np.pad(label, 1), return_inverse=True)  # the pad makes 0 the first
    for place, box in enumerate(ndimage.find_objects(dense), start=1):
        rows, columns = (slice(side.start - 1, side.stop + 1) for side in box)
        y, x = (np.arange(side.start - 1, side.stop - 1) for side in (rows, columns))
        lines = axes.contour(
            x,
            y,
            dense[rows, columns] == place,
            levels=[0.5],
            colors=[colour_of(int(numbers[place]))],
            linestyles=[style],
            linewidths=[width],
        )
        # A pale rim keeps dark colours visible on dark tissue.
        rim = patheffects.Stroke(linewidth=width + 1, foreground="white", alpha=0.5)
        lines.set_path_effects([rim, patheffects.Normal()])


def scale_bar(axes, shape, grid, spacing):
    """Draw a bar of a round length, about a fifth of the picture, in the lower right corner."""
    if grid is None:
        return
    rows, columns = shape[:2]
    length = round_length(columns * spacing[1] / 4)
    pixels = length / spacing[1]
    rim = [patheffects.withStroke(linewidth=3, foreground="black")]
    right, bottom = columns * 0.96, rows * 0.94
    bar = axes.plot([right - pixels, right], [bottom] * 2, color="white", linewidth=3)
    bar[0].set_path_effects([patheffects.withStroke(linewidth=5, foreground="black")])
    text = f"{length:g} {UNITS.get(grid.units, grid.units)}"
    place = (right - pixels / 2, bottom - rows * 0.025)
    axes.text(*place, text, color="white", ha="center", va="bottom", fontsize=9, path_effects=rim)


def round_length(limit):
    """Return the largest of 1, 2, 5, 10, 20, 50 ... and of .5, .2, .1 ... up to `limit`."""
    power = 10.0 ** np.floor(np.log10(limit))
    return max(step * power for step in (1, 2, 5) if step * power <= limit * (1 + 1e-9))


def name_sides(axes, letters):
    """Write what lies left, right, above and below a plane at its edges; "" writes nothing."""
    places = [(0.02, 0.5, "left"), (0.98, 0.5, "right"), (0.5, 0.98, "top"), (0.5, 0.02, "bottom")]
    rim = [patheffects.withStroke(linewidth=2.5, foreground="black")]
    for letter, (x, y, side) in zip(letters, places, strict=False):
        style = {"color": "white", "fontsize": 10, "path_effects": rim}
        style["ha"] = side if side in ("left", "right") else "center"
        style["va"] = side if side in ("top", "bottom") else "center"
        axes.text(x, y, letter, transform=axes.transAxes, **style)


def tints(label, strength=0.35):
    """Return a plane of labels as transparent colours, (rows, columns, 4)."""
    numbers, dense = np.unique(label, return_inverse=True)
    colours = [(*to_rgb(colour_of(int(n))), strength) if n else (0, 0, 0, 0) for n in numbers]
    return np.array(colours)[dense]


def number(axes, label):
    """Write each object's number on its middle."""
    numbers = np.unique(label[label > 0])
    for name, (row, column) in zip(
        numbers, ndimage.center_of_mass(label > 0, label, numbers), strict=True
    ):
        axes.text(
            column,
            row,
            str(name),
            color="white",
            fontsize=8,
            ha="center",
            va="center",
            path_effects=[patheffects.withStroke(linewidth=2, foreground="black")],
        )
