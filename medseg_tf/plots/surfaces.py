"""Labels as shaded surfaces."""

import numpy as np
from matplotlib.colors import LightSource, to_rgb
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from mpl_toolkits.mplot3d.art3d import Poly3DCollection

from medseg_tf.errors import ConfigError, GeometryError
from medseg_tf.plots import drawing
from medseg_tf.plots.figures import DPI, INK, WIDEST, Picture
from medseg_tf.plots.views import patient

FINEST = 96  # voxels along the longest side of what is drawn: more takes long and looks the same


def show_surface(labels, spacing=None, title=""):
    """Show the classes of a volume of labels as shaded surfaces, all axes in one scale.

    Seen from the left, the front and above, so that right and front are at the picture's left as
    in `show_planes`.

    Args:
        labels: label (x, y, z) as array or Scan; or a dict from titles to several, which are drawn
            side by side in one frame. A Scan lies as its affine says.
        spacing: of an array's voxels along each axis; 1 if left out.

    Raises:
        GeometryError: not three axes.
        ConfigError: no labels.
    """
    labels = labels if isinstance(labels, dict) else {title: labels}
    if not labels:
        raise ConfigError("show_surface: no labels; give a label, or a dict from titles to labels.")
    side = min(WIDEST / len(labels), 4.0)
    figure = Picture(figsize=(side * len(labels), side), dpi=DPI, layout="constrained")
    row = figure.subplots(1, len(labels), squeeze=False, subplot_kw={"projection": "3d"})[0]
    meshes = [mesh(label, spacing) for label in labels.values()]
    corners = np.concatenate([triangles.reshape(-1, 3) for triangles, _ in meshes])
    low, high = (f(axis=0) for f in (corners.min, corners.max)) if len(corners) else (0, 1)
    low, high = np.broadcast_to(low, 3), np.broadcast_to(high, 3)
    for axes, (name, label), (triangles, numbers) in zip(row, labels.items(), meshes, strict=True):
        frame(axes, low, high, drawing.unpack(label)[1])
        axes.set_title(name, fontsize=10, color=INK)
        colours = np.array([to_rgb(drawing.colour_of(int(n))) for n in numbers]).reshape(-1, 3)
        light = LightSource(azdeg=150 - axes.azim, altdeg=50)  # from over the viewer's shoulder
        if len(triangles):
            axes.add_collection3d(
                Poly3DCollection(triangles, facecolors=colours, shade=True, lightsource=light)
            )
    classes = sorted({int(n) for _, numbers in meshes for n in np.unique(numbers)})
    marks = [Patch(color=drawing.colour_of(n)) for n in classes]
    names = [f"class {n}" for n in classes]
    style = {"loc": "outside lower center", "frameon": False, "fontsize": 9, "labelcolor": INK}
    figure.legend(marks, names, ncols=max(1, len(marks)), **style)
    return figure


def mesh(label, spacing=None):
    """Return the triangles (n, 3, 3) around the classes of a label, in mm, and each one's class.

    They run half-way between the voxels of a class and those beside it.
    """
    from skimage.measure import marching_cubes

    array, grid = drawing.unpack(label)
    if array.ndim != 3:
        raise GeometryError(
            f"show_surface: a label of shape {array.shape}; surfaces need a volume (x, y, z)."
        )
    affine = np.diag([*np.broadcast_to(1 if spacing is None else spacing, 3), 1.0])
    affine = affine if grid is None else grid.affine
    found, numbers = [np.zeros((0, 3, 3))], [np.zeros(0, int)]
    for number in np.unique(array[array > 0]):
        inside = np.argwhere(array == number)
        start, stop = inside.min(axis=0), inside.max(axis=0) + 1
        box = array[tuple(map(slice, start, stop))] == number
        step = -(-max(box.shape) // FINEST)
        corners, faces, _, _ = marching_cubes(
            np.pad(box.astype("float32"), step), 0.5, step_size=step
        )
        places = (corners - step + start) @ affine[:3, :3].T + affine[:3, 3]
        triangles = places[faces]
        if (
            np.linalg.det(triangles - triangles[0, 0]).sum() < 0
        ):  # the light wants them to face outwards
            triangles = triangles[:, ::-1]
        found.append(triangles)
        numbers.append(np.full(len(faces), number))
    return np.concatenate(found), np.concatenate(numbers)


def frame(axes, low, high, grid):
    """Set the limits of all axes to one scale, and name them."""
    names, view = ("x", "y", "z"), {"elev": 25, "azim": -60}
    if patient(grid):
        names, view = ("L to R (mm)", "P to A (mm)", "I to S (mm)"), {"elev": 25, "azim": 140}
    axes.view_init(**view)
    for axis, name, start, stop in zip("xyz", names, low, high, strict=True):
        getattr(axes, f"set_{axis}lim")(start, stop)
        getattr(axes, f"set_{axis}label")(name, fontsize=8, color=INK)
        getattr(axes, f"{axis}axis").set_major_locator(MaxNLocator(4))
    axes.set_box_aspect(np.maximum(high - low, 1e-6), zoom=0.9)
    axes.tick_params(labelsize=7, colors=INK)
