"""Pictures of images, labels and maps. Volumes are shown by one slice along each axis (views.py).

Arrays: image (*spatial) or (*spatial, channels), label and map (*spatial), or Scans of them. With
a Scan as image, the picture has a scale bar and the voxels' true proportions. Given `axes`, a
plane is drawn there; otherwise on a new figure, which is returned.
"""

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from medseg_tf.errors import ConfigError
from medseg_tf.plots import drawing
from medseg_tf.plots.figures import INK, INVENTED, MISSED, MIXED_UP, canvas
from medseg_tf.plots.panels import image_panels, make_panels
from medseg_tf.plots.views import fullest, through

STYLES = {"truth": "-", "prediction": "--"}


def show_image(image, label=None, prediction=None, title="", axes=None):
    """Show an image, with a label's classes outlined; a prediction's are dashed.

    Raises: GeometryError if shapes differ, LabelError if a label is not of integers.
    """
    both = label is not None and prediction is not None
    labels = {"truth": label, "prediction": prediction}
    figure, panels = image_panels(image, axes, title, legend=both, **labels)
    outline_all(panels)
    if both:
        legend(panels, *style_marks(panels))
    return figure


def show_cases(cases, n=4, columns=4):
    """Show the first `n` cases with the outlines of their labels; of volumes one slice each.

    Raises: ConfigError if there are no cases.
    """
    cases = list(cases)[:n]
    if not cases:
        raise ConfigError("show_cases: no cases; give a list with at least one.")
    views = [_first_slice(case) for case in cases]
    planes = [view.cut(case.image.array) for case, view in zip(cases, views, strict=True)]
    heights = [
        plane.shape[0] * view.spacing[0] / (plane.shape[1] * view.spacing[1])
        for plane, view in zip(planes, views, strict=True)
    ]
    columns = min(columns, len(cases))
    figure, grid = canvas([2.6] * columns, [2.6 * max(heights)] * -(-len(cases) // columns))
    for axes, case, plane, view in zip(grid.flat, cases, planes, views, strict=False):
        drawing.gray(axes, plane, view.spacing)
        drawing.scale_bar(axes, plane.shape, case.image.grid, view.spacing)
        drawing.name_sides(axes, view.sides)
        if case.label is not None:
            drawing.outline(axes, view.cut(case.label.array))
        name = case.name or case.subject
        axes.set_title(", ".join(filter(None, (name, view.title))), fontsize=10, color=INK)
    for axes in grid.flat[len(cases) :]:
        axes.set_axis_off()
    return figure


def _first_slice(case):
    """Return the View of a case to show."""
    label = None if case.label is None else case.label.array
    return fullest(case.image.grid.shape, case.image.grid, label)[0]


def show_instances(image, labels, title="", numbers=False, axes=None):
    """Show an image with each object tinted and outlined; `numbers` writes theirs on them.

    Raises: GeometryError if shapes differ, LabelError if labels are not integers.
    """
    figure, panels = image_panels(image, axes, title, labels=labels)
    for panel in panels:
        objects = panel.planes["labels"]
        drawing.plane(panel.axes, drawing.tints(objects), panel.spacing)
        drawing.outline(panel.axes, objects, width=1.2)
        if numbers:
            drawing.number(panel.axes, objects)
    return figure


def show_error(image, truth, prediction, title="", axes=None, at=None):
    """Show where a prediction is wrong: orange where invented, blue where missed.

    Pixels given to a wrong class that is not background are pink. The legend gives each kind's
    share of all pixels, of a volume's voxels. Planes of a volume meet in the voxel `at`; without
    it each has most of the truth.

    Raises: GeometryError if shapes differ, LabelError if a label is not of integers.
    """
    labels = {"truth": truth, "prediction": prediction}
    views = fullest if at is None else through(at)
    figure, panels = image_panels(image, axes, title, legend=True, views=views, **labels)
    true, found = (np.asarray(drawing.unpack(label)[0]) for label in (truth, prediction))
    kinds = {
        "invented": (INVENTED, (true == 0) & (found > 0)),
        "missed": (MISSED, (true > 0) & (found == 0)),
        "wrong class": (MIXED_UP, (true > 0) & (found > 0) & (true != found)),
    }
    if max(true.max(), found.max()) <= 1:
        del kinds["wrong class"]
    for panel in panels:
        colours = np.zeros((*panel.planes["truth"].shape, 4))
        for color, wrong in kinds.values():
            colours[panel.cut(wrong)] = (*to_rgb(color), 0.85)
        drawing.plane(panel.axes, colours, panel.spacing)
    texts = [f"{name} {wrong.mean():.2%}" for name, (_, wrong) in kinds.items()]
    legend(panels, [Patch(color=color) for color, _ in kinds.values()], texts)
    return figure


def show_map(array, title="", label="", signed=False, axes=None):
    """Show a map of numbers (*spatial) with its colour bar, which `label` names (with the unit).

    A map of True and False has no bar. signed: centre the colours at 0, red above and blue below.
    """
    numbers = drawing.unpack(array)[0]
    mask = numbers.dtype == bool
    low, high = (0, 1) if mask else (numbers.min(), numbers.max())
    if signed:
        high = max(abs(low), abs(high))
        low = -high
    figure, panels = make_panels(array, axes, title, bar=not mask, rank=numbers.ndim)
    options = {"cmap": "RdBu_r" if signed else "cividis", "vmin": low, "vmax": high}
    for panel in panels:
        drawn = drawing.plane(panel.axes, panel.cut(numbers), panel.spacing, **options)
    if not mask:
        bar = figure.colorbar(drawn, ax=[panel.axes for panel in panels], shrink=0.9, pad=0.02)
        bar.set_label(label, color=INK)
        bar.ax.tick_params(labelsize=9)
        bar.outline.set_visible(False)
    return figure


def show_maps(maps):
    """Show planes of numbers side by side: a dict from titles to arrays (rows, columns).

    Raises: ConfigError if there are no maps.
    """
    if not maps:
        raise ConfigError("show_maps: no maps; give a dict from titles to arrays.")
    figure, grid = canvas([3.4] * len(maps), [3.0])
    for axes, (title, array) in zip(grid[0], maps.items(), strict=True):
        show_map(array, title, axes=axes)
    return figure


def outline_all(panels):
    """Outline the classes of the truth, and dashed those of the prediction, in their colours."""
    for panel in panels:
        for name, label in panel.planes.items():
            drawing.outline(panel.axes, label, STYLES[name])


def style_marks(panels):
    """Return the marks and texts of a legend that tells truth from prediction."""
    names = list(panels[0].planes)
    return [Line2D([], [], color=INK, linestyle=STYLES[name]) for name in names], names


def legend(panels, marks, texts):
    """Write a legend in one row below the panels."""
    style = {"frameon": False, "fontsize": 9, "labelcolor": INK, "ncols": len(marks)}
    style |= {"columnspacing": 1.0, "handlelength": 1.2, "handletextpad": 0.5}
    axes = panels[0].axes
    if len(panels) == 1:
        axes.legend(marks, texts, loc="upper center", bbox_to_anchor=(0.5, -0.01), **style)
    else:
        axes.figure.legend(marks, texts, loc="outside lower center", **style)
