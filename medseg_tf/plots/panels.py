"""The empty panels of a picture: one for a plane, one for each shown slice of a volume."""

from typing import NamedTuple

import numpy as np

from medseg_tf.errors import GeometryError, LabelError
from medseg_tf.plots import drawing
from medseg_tf.plots.figures import INK, canvas
from medseg_tf.plots.views import fullest


class Panel(NamedTuple):
    """One slice of a picture: where to draw, and how to cut an array (*spatial, ...) to it."""

    axes: object
    cut: object
    spacing: np.ndarray  # of rows and columns
    planes: dict  # the slice of each label


def make_panels(image, axes, title, rank=None, legend=False, bar=False, views=fullest, **labels):
    """Return the figure and its panels.

    Args:
        image: array or Scan.
        axes: where to draw a plane; None makes a new figure.
        rank: number of spatial axes; without it, the image's grid, its first label or its shape
            tells.
        legend, bar: leave room below for a legend, at the right for a colour bar.
        views: function of shape, grid and first label that returns the slices to show.
        labels: name=label of what is shown on the image, None where there is none.

    Raises:
        GeometryError: a label's shape is not the image's, or one `axes` for a volume.
        LabelError: a label is not of integers.
    """
    array, grid = drawing.unpack(image)
    labels = {name: drawing.unpack(label)[0] for name, label in labels.items() if label is not None}
    guide = next(iter(labels.values()), None)
    shape = array.shape[: rank or drawing.spatial_rank(array, grid, guide)]
    for name, label in labels.items():
        if label.shape != shape:
            raise GeometryError(
                f"{name} has shape {label.shape} and the image {shape}; they must agree. "
                "Where a network returns less than it sees, show the image's middle."
            )
        if label.dtype.kind not in "iub":
            raise LabelError(
                f"{name} is of type {label.dtype}; classes and objects are integers. "
                "Probabilities become classes by argmax(axis=-1)."
            )
    views = views(shape, grid, guide)
    if axes is None:
        figure, row = _row(shape, views, 0.6 if legend else 0.3, 1.0 if bar else 0)
    elif len(views) == 1:
        figure, row = axes.figure, [axes]
    else:
        raise GeometryError(
            f"one axes cannot hold {len(views)} slices of an image of shape {shape}; "
            f"leave axes out, or pass a slice such as array[:, :, {shape[2] // 2}]."
        )
    for one, view in zip(row, views, strict=True):
        one.set_title(view.title or title, fontsize=10, color=INK)
        drawing.name_sides(one, view.sides)
    if len(views) > 1 and title:
        figure.suptitle(title, fontsize=11, color=INK)
    return figure, [
        Panel(
            one, view.cut, view.spacing, {name: view.cut(label) for name, label in labels.items()}
        )
        for one, view in zip(row, views, strict=True)
    ]


def image_panels(image, axes, title, **options):
    """Return make_panels with the image and its scale bar drawn on them."""
    array, grid = drawing.unpack(image)
    figure, panels = make_panels(image, axes, title, **options)
    for panel in panels:
        plane = panel.cut(array)
        drawing.gray(panel.axes, plane, panel.spacing)
        drawing.scale_bar(panel.axes, plane.shape, grid, panel.spacing)
    return figure, panels


def _row(shape, views, texts, right):
    """Return a figure and a row of axes in the proportions of the slices."""
    blank = np.broadcast_to(0, shape)
    sides = [(*view.cut(blank).shape, *view.spacing) for view in views]
    widths = [columns * across for _, columns, _, across in sides]
    height = max(rows * down for rows, _, down, _ in sides)
    inches = 4.4 if len(views) == 1 else 9.0
    scale = min(inches / sum(widths), 5.0 / height)
    texts += 0.3 * (len(views) > 1)
    figure, axes = canvas([scale * width for width in widths], [scale * height], texts, right)
    return figure, axes[0]
