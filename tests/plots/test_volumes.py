import itertools
import sys
import types

import numpy as np
import pytest
from matplotlib.colors import to_hex

from medseg_tf import plots
from medseg_tf.data.case import Case, Grid, Scan
from medseg_tf.errors import ConfigError, GeometryError
from medseg_tf.plots import volumes
from medseg_tf.plots.figures import png
from medseg_tf.plots.surfaces import mesh
from medseg_tf.plots.views import centre, held, through

WORLD = {"R": (1, 0, 0), "L": (-1, 0, 0), "A": (0, 1, 0), "P": (0, -1, 0)}
WORLD |= {"S": (0, 0, 1), "I": (0, 0, -1)}
ORIENTATIONS = [
    "".join(codes)
    for order in itertools.permutations(("RL", "AP", "SI"))
    for codes in itertools.product(*order)
]


def grid_of(codes, shape=(5, 6, 7), spacing=(1, 2, 3), units="mm"):
    """A grid whose voxel axes run to the sides that `codes` names, e.g. LPS."""
    affine = np.eye(4)
    affine[:3, :3] = np.array([WORLD[code] for code in codes]).T * spacing
    return Grid(shape, affine, units)


def letters(axes):
    """What is written at the edges: (left, right, above, below)."""
    found = {text.get_position(): text.get_text() for text in axes.texts}
    return "".join(found[p] for p in [(0.02, 0.5), (0.98, 0.5), (0.5, 0.98), (0.5, 0.02)])


def volume(shape=(5, 6, 7), grid=None):
    array = np.random.default_rng(0).normal(size=(*shape, 1)).astype("float32")
    return Scan(array, grid or grid_of("RAS", shape))


# Which way round


@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_whatever_a_files_order_planes_hang_alike(codes):
    grid = grid_of(codes)
    index = np.moveaxis(np.indices(grid.shape), 0, -1)
    place = index @ grid.affine[:3, :3].T + grid.affine[:3, 3]  # (x, y, z, 3): R, A, S in mm
    for view, normal in zip(through((1, 2, 3))(grid.shape, grid), (2, 1, 0), strict=True):
        plane = view.cut(place)
        assert np.ptp(plane[..., normal]) == 0  # a slice across the patient's own axis
        left, right, above, below = (np.array(WORLD[letter]) for letter in view.sides)
        assert (right == -left).all() and (below == -above).all()
        assert np.diff(plane @ right, axis=1) == pytest.approx(view.spacing[1])
        assert np.diff(plane @ below, axis=0) == pytest.approx(view.spacing[0])


def test_the_patients_right_is_at_the_left_and_the_front_at_the_left_of_sagittal_planes():
    figure = plots.show_planes(volume())
    assert [letters(axes) for axes in figure.axes] == ["RLAP", "RLSI", "APSI"]
    assert [axes.get_title() for axes in figure.axes] == [
        *("axial, z = 3", "coronal, y = 3", "sagittal, x = 2")
    ]
    assert "radiological" in figure.get_suptitle()


def test_titles_count_in_the_files_own_order():
    figure = plots.show_planes(volume(grid=grid_of("PSR")), at=(1, 2, 4))
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["axial, y = 2", "coronal, x = 1", "sagittal, z = 4"]


@pytest.mark.parametrize("grid", [grid_of("RAS", units="um"), None])
def test_without_a_patient_no_sides_are_named(grid):
    array = volume().array
    figure = plots.show_planes(array if grid is None else Scan(array, grid))
    assert [axes.get_title() for axes in figure.axes] == ["z = 3", "y = 3", "x = 2"]
    assert not {"R", "A", "S"} & {text.get_text() for axes in figure.axes for text in axes.texts}
    assert figure.get_suptitle() == ""


# Planes


def test_planes_meet_in_the_labelled_voxel_nearest_to_the_centre_of_mass():
    ring = np.zeros((5, 5, 5), int)
    ring[1:4, 1:4, 2] = 1
    assert centre(ring.shape, ring) == (2, 2, 2)
    ring[2, 2, 2] = 0  # the centre of mass is now in the hole
    assert ring[centre(ring.shape, ring)] == 1
    assert centre((4, 5, 6)) == centre((4, 5, 6), np.zeros((4, 5, 6))) == (2, 2, 3)


def test_fine_lines_cross_in_the_voxel():
    image = volume()
    for axes in plots.show_planes(image, at=(1, 2, 5)).axes:
        _, level, upright = axes.lines  # the first is the scale bar
        row, column = level.get_ydata()[0], upright.get_xdata()[0]
        assert axes.images[0].get_array()[row, column] == image.array[1, 2, 5, 0]


def test_classes_are_outlined_in_their_colours_and_voxels_keep_their_proportions():
    label = np.zeros((5, 6, 7), int)
    label[1:3, 2:5, 2:5], label[3, 2:5, 2:5] = 1, 2
    image = volume()
    figure = plots.show_planes(image, Scan(label, image.grid), label > 0)
    axial = figure.axes[0]
    assert axial.get_aspect() == 2  # rows are 2 mm, columns 1 mm apart
    colours = [to_hex(lines.get_edgecolor()[0]) for lines in axial.collections]
    assert colours == ["#0072b2", "#e69f00", "#0072b2"]
    (legend,) = figure.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert names == ["class 1", "class 2", "truth", "prediction"]


@pytest.mark.parametrize("at", [(5, 0, 0), (0, -1, 0), (1, 2)])
def test_a_voxel_outside_is_refused(at):
    with pytest.raises(GeometryError, match=r"\(5, 6, 7\).*three indices"):
        plots.show_planes(volume(), at=at)


@pytest.mark.parametrize("show", [plots.show_planes, plots.show_slices])
def test_a_plane_has_no_three_planes(show):
    with pytest.raises(GeometryError, match="show_image"):
        show(np.zeros((8, 8)))


def test_errors_can_be_shown_on_planes_through_a_voxel():
    truth = np.zeros((5, 6, 7), int)
    truth[2, 2, 1:3] = 1
    found = np.roll(truth, 1, axis=2)
    figure = plots.show_error(volume(), truth, found, at=(2, 2, 2))
    sagittal = figure.axes[2].images[1].get_array()
    # Rows run from the head down, columns from the front back: z = 3 invented, z = 1 missed.
    assert [to_hex(sagittal[6 - z, 5 - 2]) for z in (3, 1)] == ["#e69f00", "#0072b2"]
    assert (sagittal[..., 3] > 0).sum() == 2 and letters(figure.axes[2]) == "APSI"


def test_cases_of_volumes_are_shown_by_a_named_axial_slice():
    image = volume(grid=grid_of("LPS"))
    figure = plots.show_cases([Case("one", image)])
    assert figure.axes[0].get_title() == "one, axial, z = 3"
    assert letters(figure.axes[0]) == "RLAP"


# Slices


def test_slices_run_over_what_the_label_holds_from_the_feet_up():
    label = np.zeros((5, 6, 7), int)
    label[1, 1, 2:7] = 1
    assert held(label.shape, grid_of("RAS"), label).tolist() == [2, 3, 4, 5, 6]
    assert held(label.shape, grid_of("RAI"), label).tolist() == [6, 5, 4, 3, 2]
    assert held(label.shape, grid_of("RSA"), label).tolist() == [1]
    assert len(held(label.shape)) == 7
    figure = plots.show_slices(volume(grid=grid_of("RAI")), label, n=3)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["axial, z = 6", "axial, z = 4", "axial, z = 2"]


def test_there_are_no_more_slices_than_the_volume_has():
    assert len(plots.show_slices(volume(), n=20).axes) == 7
    with pytest.raises(ConfigError, match="n=0"):
        plots.show_slices(volume(), n=0)


@pytest.fixture
def page(monkeypatch):
    """What reaches the page of a pretended notebook, whose request `page.metadata` goes with."""
    import IPython
    import IPython.display
    import ipywidgets  # noqa: F401, older ones look for a real kernel when they are imported

    page = types.SimpleNamespace(shown=[], metadata={})
    kernel = types.SimpleNamespace(get_parent=lambda: {"metadata": page.metadata})
    shell = types.SimpleNamespace(kernel=kernel)
    monkeypatch.setattr(IPython, "get_ipython", lambda: shell)
    monkeypatch.setattr(IPython.display, "display", lambda data, **_: page.shown.append(data))
    return page


def test_an_executed_notebook_gets_the_row_of_slices_alone(page):
    plots.slide(volume(), alt="Five slices.")
    assert [set(data) for data in page.shown] == [{"image/png", "text/plain"}]


def test_a_front_end_at_work_gets_the_row_and_a_slider_that_turns_the_page(page):
    page.metadata = {"cellId": "1"}
    label = np.zeros((5, 6, 7), int)
    label[2, 2, 4:] = 1
    plots.slide(volume(), label, alt="Five slices.")
    row, box = page.shown
    slider, picture = box.children
    assert set(row) == {"image/png", "text/plain"}
    assert (slider.min, slider.max, slider.value) == (0, 6, 5)
    before = bytes(picture.value)
    slider.value = 0
    after = bytes(picture.value)
    assert after.startswith(b"\x89PNG") and after != before


def test_without_ipywidgets_a_front_end_gets_the_row(page, monkeypatch):
    page.metadata = {"cellId": "1"}
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    plots.slide(volume(), alt="Five slices.")
    assert len(page.shown) == 1


def test_plain_python_is_no_front_end(monkeypatch):
    import IPython

    monkeypatch.setattr(IPython, "get_ipython", lambda: None)
    assert not volumes.live()
    plots.slide(volume(), alt="Nothing is shown.")


# Surfaces


def test_a_surface_lies_half_a_voxel_around_its_class_in_mm():
    label = np.zeros((6, 6, 6), int)
    label[2:4, 2:5, 3] = 2
    triangles, numbers = mesh(label, spacing=(1, 2, 3))
    assert set(numbers) == {2}
    assert triangles.min(axis=(0, 1)).tolist() == [1.5, 3, 7.5]
    assert triangles.max(axis=(0, 1)).tolist() == [3.5, 9, 10.5]


@pytest.mark.parametrize("codes", ["RAS", "LAS", "SPL"])
def test_a_surface_lies_where_the_affine_says_and_faces_outwards(codes):
    grid = grid_of(codes, (6, 6, 6))
    label = np.zeros((6, 6, 6), int)
    label[1:5, 1:5, 1:5] = 1
    triangles, _ = mesh(Scan(label, grid))
    middle = (grid.affine @ [2.5, 2.5, 2.5, 1])[:3]
    assert triangles.reshape(-1, 3).min(axis=0) == pytest.approx(
        middle - np.abs(grid.affine[:3, :3]).sum(axis=1) * 2
    )
    normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    assert (np.sum(normals * (triangles[:, 0] - middle), axis=1) > 0).all()


def test_surfaces_side_by_side_share_frame_and_scale():
    small, large = np.zeros((8, 8, 8), int), np.zeros((8, 8, 8), int)
    small[2:4, 2:4, 2:4], large[1:7, 1:4, 1:4] = 1, 1
    figure = plots.show_surface({"small": small, "large": large}, spacing=(1, 1, 2))
    assert [axes.get_title() for axes in figure.axes] == ["small", "large"]
    limits = [(axes.get_xlim(), axes.get_ylim(), axes.get_zlim()) for axes in figure.axes]
    assert limits[0] == limits[1]
    x, y, z = (np.ptp(limit) for limit in limits[0])
    assert (x, y, z) == (6, 3, 6)
    shape = figure.axes[0]._box_aspect  # matplotlib has no public way to read it
    assert shape / shape[0] == pytest.approx([1, 0.5, 1])


def test_large_labels_are_coarsened_and_keep_their_size():
    label = np.ones((200, 20, 20), int)
    triangles, _ = mesh(label)
    assert len(triangles) < 10_000
    assert np.ptp(triangles.reshape(-1, 3), axis=0) == pytest.approx([200, 20, 20], abs=4)


def test_an_empty_label_is_an_empty_frame_and_a_plane_is_refused():
    assert png(plots.show_surface(np.zeros((4, 4, 4), int))).startswith(b"\x89PNG")
    with pytest.raises(GeometryError, match="needs? a volume"):
        plots.show_surface(np.zeros((4, 4), int))
    with pytest.raises(ConfigError, match="no labels"):
        plots.show_surface({})
