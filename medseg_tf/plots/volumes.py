"""Pictures of volumes: three planes, slices in a row or under a slider.

Arrays: image (x, y, z) or (x, y, z, channels), label (x, y, z), or Scans of them. Where a Scan's
grid is in mm, planes hang as radiologists hang them, the patient's right at the picture's left, and
letters at the edges name the sides: Right, Left, Anterior, Posterior, Superior, Inferior.
"""

import sys

import numpy as np
from matplotlib.lines import Line2D

from medseg_tf.errors import ConfigError
from medseg_tf.plots import drawing
from medseg_tf.plots.figures import png, show
from medseg_tf.plots.images import legend, outline_all, style_marks
from medseg_tf.plots.panels import image_panels
from medseg_tf.plots.views import axial, centre, held, patient, through


def show_planes(image, label=None, prediction=None, at=None, title=""):
    """Show the three planes of a volume that meet in one voxel, where fine lines cross.

    Args:
        label, prediction: their classes are outlined in the classes' colours, a prediction's
            dashed.
        at: the voxel's index along each axis of the array; if left out, the labelled voxel nearest
            to the label's centre of mass, or the middle.

    Raises:
        GeometryError: a plane, shapes that differ, or a voxel outside the volume.
        LabelError: a label is not of integers.
    """
    shape, grid, guide = measure(image, label, prediction)
    at = centre(shape, guide) if at is None else at
    if patient(grid):
        title = ", ".join(filter(None, [title, "patient's right at the left (radiological view)"]))
    figure, panels = draw(image, label, prediction, title, through(at))
    here = np.zeros(shape, bool)
    here[tuple(at)] = True
    for panel in panels:
        ((down, across),) = np.argwhere(panel.cut(here))
        panel.axes.axhline(down, color="white", linewidth=0.6, alpha=0.6)
        panel.axes.axvline(across, color="white", linewidth=0.6, alpha=0.6)
    return figure


def show_slices(image, label=None, prediction=None, n=5, title=""):
    """Show `n` axial slices of a volume in a row, evenly from the lowest labelled to the highest.

    Without a grid in mm they lie along the last axis. The other arguments and the errors are those
    of `show_planes`.

    Raises: ConfigError if `n` is below 1.
    """
    if n < 1:
        raise ConfigError(f"show_slices: n={n}; ask for at least one slice.")
    shape, grid, guide = measure(image, label, prediction)
    places = held(shape, grid, guide)
    chosen = np.unique(np.linspace(0, len(places) - 1, n).round().astype(int))
    return draw(image, label, prediction, title, axial(places[chosen]))[0]


def slide(image, label=None, prediction=None, alt=""):
    """Put a row of slices on the page, and below it a slider through all of them.

    The slider needs ipywidgets and a front end at work (JupyterLab, VS Code, Colab). A notebook
    that a program executes, or that is opened without its kernel, has the row.

    Args:
        image, label, prediction: as in `show_planes`.
        alt: what the row shows, in one sentence.
    """
    show(show_slices(image, label, prediction), alt)
    if not live():
        return
    try:
        import ipywidgets
    except ModuleNotFoundError:
        return
    from IPython.display import display

    shape, grid, guide = measure(image, label, prediction)
    places, most = held(shape, grid), held(shape, grid, guide)
    pages = ipywidgets.Image()

    def turn(number):
        pages.value = png(draw(image, label, prediction, "", axial([places[number]]))[0])

    start = int(np.flatnonzero(places == most[len(most) // 2])[0])
    slider = ipywidgets.IntSlider(start, 0, len(places) - 1, description="slice")
    slider.observe(lambda change: turn(change["new"]), "value")
    turn(start)
    display(ipywidgets.VBox([slider, pages]))


def live():
    """Whether a front end at work asked for the running cell.

    JupyterLab and VS Code send the cell's identity along; nbclient and nbconvert, which execute
    whole notebooks, do not, and a widget in their output would be dead text.
    """
    if "google.colab" in sys.modules:
        return True
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    kernel = getattr(shell, "kernel", None)
    return kernel is not None and "cellId" in kernel.get_parent().get("metadata", {})


def measure(image, label, prediction):
    """Return an image's spatial shape, its grid or None, and its first label or None."""
    array, grid = drawing.unpack(image)
    labels = [drawing.unpack(one)[0] for one in (label, prediction) if one is not None]
    guide = labels[0] if labels else None
    return array.shape[: drawing.spatial_rank(array, grid, guide)], grid, guide


def draw(image, label, prediction, title, views):
    """Return the figure and panels of an image with its labels outlined, and their legend."""
    labels = {"truth": label, "prediction": prediction}
    figure, panels = image_panels(image, None, title, legend=True, views=views, **labels)
    outline_all(panels)
    found = [np.unique(drawing.unpack(one)[0]) for one in labels.values() if one is not None]
    classes = sorted({int(number) for numbers in found for number in numbers} - {0})
    marks = [Line2D([], [], color=drawing.colour_of(number)) for number in classes]
    texts = [f"class {number}" for number in classes]
    if len(found) == 2:
        styles, names = style_marks(panels)
        marks, texts = marks + styles, texts + names
    if marks:
        legend(panels, marks, texts)
    return figure, panels
