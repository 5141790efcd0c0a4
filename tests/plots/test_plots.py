import io

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

from medseg_tf import plots
from medseg_tf.data.case import Case, Grid, Scan
from medseg_tf.errors import ConfigError, GeometryError, LabelError, ModelError
from medseg_tf.plots import drawing
from medseg_tf.plots.features import liveliest
from medseg_tf.plots.figures import png
from medseg_tf.plots.views import fullest

IMAGE = np.arange(48, dtype="float32").reshape(6, 8)
LABEL = np.pad(np.array([[1, 1, 2, 2]] * 2), 2)


def outlines(axes):
    """Colour and style of every outline on an axes."""
    return [
        (to_hex(lines.get_edgecolor()[0]), "-" if lines.get_linestyle()[0][1] is None else "--")
        for lines in axes.collections
    ]


def texts(axes):
    return [text.get_text() for text in axes.texts if text.get_text()]


@pytest.fixture
def page(monkeypatch):
    """What reaches the page of a pretended notebook."""
    import IPython
    import IPython.display

    shown = []
    monkeypatch.setattr(IPython, "get_ipython", lambda: "a notebook")
    monkeypatch.setattr(IPython.display, "display", lambda data, **how: shown.append((data, how)))
    return shown


# How a figure reaches the page


def test_a_figure_is_shown_once_with_its_alternative_text(page):
    plots.show(plots.show_map(IMAGE), alt="Values rise from top to bottom.")
    ((data, how),) = page
    assert data["image/png"].startswith(b"\x89PNG")
    assert how["metadata"] == {"image/png": {"alt": "Values rise from top to bottom."}}


def test_a_figure_of_pyplot_is_closed_so_that_it_is_not_shown_twice(request):
    import matplotlib.pyplot as plt

    figure = plt.figure()  # before there is a notebook, which pyplot would hook into
    page = request.getfixturevalue("page")
    plots.show(figure, alt="An empty page.")
    assert plt.get_fignums() == [] and len(page) == 1


@pytest.mark.parametrize("alt", ["", "  ", None])
def test_a_figure_without_alternative_text_is_refused(alt):
    with pytest.raises(ConfigError, match="one sentence"):
        plots.show(Figure(), alt)


def test_in_plain_python_nothing_is_drawn(monkeypatch):
    monkeypatch.setattr(Figure, "savefig", lambda *_, **__: pytest.fail("drawn"))
    plots.show(Figure(), alt="Nothing.")


def test_a_noisy_picture_of_four_cases_stays_small():
    noise = np.random.default_rng(0).normal(size=(200, 200, 1))
    scan = Scan(noise, Grid((200, 200), units="pixel"))
    page = png(plots.show_cases([Case("s", scan)] * 4))
    assert len(page) < 80_000
    assert Image.open(io.BytesIO(page)).width <= 768


def test_colours_of_outlines_survive_the_small_palette():
    noise = np.random.default_rng(0).normal(size=(200, 200))
    label = np.zeros((200, 200), int)
    label[50:90, 50:90] = 2
    pixels = np.asarray(Image.open(io.BytesIO(png(plots.show_image(noise, label)))).convert("RGB"))
    orange = np.abs(pixels.astype(int) - (0xE6, 0x9F, 0x00)).max(axis=-1) < 24
    assert orange.sum() > 100


# Images


def test_the_first_four_classes_have_the_courses_colours():
    assert plots.CLASS_COLOURS[:4] == ("#0072B2", "#E69F00", "#009E73", "#CC79A7")


def test_truth_is_outlined_solid_and_prediction_dashed_in_the_colour_of_the_class():
    figure = plots.show_image(IMAGE, LABEL, (LABEL > 1).astype(int))
    assert outlines(figure.axes[0]) == [("#0072b2", "-"), ("#e69f00", "-"), ("#0072b2", "--")]
    legend = figure.axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["truth", "prediction"]


def test_an_outline_runs_between_the_pixels_of_the_border():
    (axes,) = plots.show_image(IMAGE, LABEL == 1).axes
    corners = axes.collections[0].get_paths()[0].vertices
    assert corners.min(axis=0).tolist() == [1.5, 1.5]
    assert corners.max(axis=0).tolist() == [3.5, 3.5]


def test_errors_are_orange_where_invented_blue_where_missed_and_pink_where_mixed_up():
    truth, prediction = np.array([[0, 1, 1, 0]]), np.array([[1, 0, 2, 0]])
    figure = plots.show_error(np.zeros((1, 4)), truth, prediction)
    colours = figure.axes[0].images[1].get_array()
    assert [to_hex(colour) for colour in colours[0, :3]] == ["#e69f00", "#0072b2", "#cc79a7"]
    assert colours[0, 3, 3] == 0
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert legend == ["invented 25.00%", "missed 25.00%", "wrong class 25.00%"]


def test_objects_are_numbered_on_their_middle():
    (axes,) = plots.show_instances(IMAGE, LABEL, numbers=True).axes
    found = {text.get_text(): text.get_position() for text in axes.texts}
    assert found == {"1": (2.5, 2.5), "2": (4.5, 2.5)}


def test_a_volume_is_cut_where_the_label_has_most_and_turned_upright():
    label = np.zeros((5, 6, 7), int)
    label[3, 1:4, 2] = 1
    figure = plots.show_image(np.zeros((5, 6, 7)), label)
    assert [axes.get_title() for axes in figure.axes] == ["z = 2", "y = 1", "x = 3"]
    grid = Grid.from_spacing((5, 6, 7), (1, 2, 3), "um")
    _, cut, spacing, sides = fullest((5, 6, 7), grid)[0]
    index = np.moveaxis(np.indices((5, 6, 7)), 0, -1)
    assert cut(index)[0, 0].tolist() == [0, 5, 3]  # upper left: lowest x, highest y
    assert cut(index)[-1, -1].tolist() == [4, 0, 3]  # lower right: highest x, lowest y
    assert spacing.tolist() == [2, 1] and sides == ""


def test_a_volume_does_not_fit_one_axes():
    axes = Figure().subplots()
    with pytest.raises(GeometryError, match=r"array\[:, :, 3\]"):
        plots.show_image(np.zeros((5, 6, 7)), axes=axes)


def test_a_plane_is_drawn_on_the_axes_given():
    figure = Figure()
    assert plots.show_image(IMAGE, title="here", axes=figure.subplots()) is figure
    assert figure.axes[0].get_title() == "here"


def test_a_label_of_another_shape_or_of_probabilities_is_refused():
    with pytest.raises(GeometryError, match=r"truth has shape \(5, 8\)"):
        plots.show_image(IMAGE, LABEL[1:])
    with pytest.raises(LabelError, match="argmax"):
        plots.show_image(IMAGE, LABEL / 2)


def test_a_scale_bar_is_as_long_as_it_says_and_voxels_keep_their_proportions():
    grid = Grid.from_spacing((6, 8), (2, 0.5), "um")
    (axes,) = plots.show_image(Scan(IMAGE[..., None], grid)).axes
    assert texts(axes) == ["1 µm"]
    assert np.ptp(axes.lines[0].get_xdata()) * 0.5 == pytest.approx(1)
    assert axes.get_aspect() == 4


@pytest.mark.parametrize("limit, length", [(1, 1), (1.99, 1), (2, 2), (49, 20), (0.3, 0.2)])
def test_scale_bars_have_round_lengths(limit, length):
    assert drawing.round_length(limit) == pytest.approx(length)


def test_a_constant_image_and_a_colour_picture_can_be_shown():
    assert png(plots.show_image(np.zeros((4, 4))))
    colour = np.zeros((4, 5, 3), "uint8")
    assert plots.show_image(colour).axes[0].images[0].get_array().shape == (4, 5, 3)


def test_each_case_has_its_name_and_unused_places_stay_empty():
    grid = Grid(IMAGE.shape, units="pixel")
    cases = [Case("s", Scan(IMAGE[..., None], grid), Scan(LABEL, grid), 3, name=n) for n in "abc"]
    figure = plots.show_cases(cases, n=3, columns=2)
    assert [axes.get_title() for axes in figure.axes] == ["a", "b", "c", ""]
    assert not figure.axes[3].axison
    with pytest.raises(ConfigError, match="no cases"):
        plots.show_cases([])


def test_a_signed_map_is_centred_at_zero():
    figure = plots.show_map(np.array([[-1.0, 3.0]]), label="mm", signed=True)
    drawn = figure.axes[0].images[0]
    assert (drawn.get_clim(), drawn.get_cmap().name) == ((-3, 3), "RdBu_r")
    assert figure.axes[1].get_ylabel() == "mm"


def test_maps_side_by_side_have_a_bar_each_unless_they_are_true_or_false():
    figure = plots.show_maps({"cells": LABEL > 0, "weights": IMAGE})
    assert [axes.get_title() for axes in figure.axes] == ["cells", "weights", ""]


# Curves and scores


def test_lines_are_named_at_their_end_and_validation_is_dashed():
    history = {"loss": [3, 2, 1], "val_loss": [4, 3, 2.5]}
    (axes,) = plots.show_curves({"a": history, "b": [1, 0.5]}).axes
    assert sorted(texts(axes)) == [" a", " a, validation", " b"]
    styles = [line.get_linestyle() for line in axes.lines if len(line.get_xdata()) > 1]
    assert styles == ["-", "--", "-"]


def test_names_of_lines_that_end_together_do_not_overlap():
    (axes,) = plots.show_curves({name: [1, 0] for name in "abc"}).axes
    heights = sorted(text.get_position()[1] for text in axes.texts)
    assert min(np.diff(heights)) > 0.05


def test_a_history_without_the_quantity_is_refused_with_what_it_holds():
    with pytest.raises(ConfigError, match="holds loss, not dice"):
        plots.show_curves({"a": {"loss": [1]}}, ylabel="dice")
    with pytest.raises(ConfigError, match="nothing to draw"):
        plots.show_curves({})


def test_scores_that_are_no_number_are_left_out_and_counted():
    rows = [{"arm": "a", "dice": value} for value in (0.5, 0.7, float("nan"))]
    (axes,) = plots.show_scores(rows).axes
    assert texts(axes) == ["0.600"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a\n(1 left out)"]
    with pytest.raises(ConfigError, match="no column 'seg'; the table has arm, dice"):
        plots.show_scores(rows, "seg")


# Networks


def network(**options):
    from medseg_tf import models

    return models.unet((None, None, 1), 2, width=2, depth=2, padding="same", **options)


def test_a_unet_is_drawn_with_a_copy_per_stage_that_lies_at_its_own_level():
    from medseg_tf.plots.networks import read

    boxes = read(network(), size=16)
    assert [(box.kind, box.size[0], box.channels, box.level) for box in boxes] == [
        ("input", 16, 1, 0),
        *[("conv", 16, 2, 0)] * 2,
        *[("conv", 8, 4, 1)] * 2,
        *[("conv", 4, 8, 2)] * 2,
        ("up", 8, 4, 1),
        ("copy", 8, 4, 1),
        *[("conv", 8, 4, 1)] * 2,
        ("up", 16, 2, 0),
        ("copy", 16, 2, 0),
        *[("conv", 16, 2, 0)] * 2,
        ("conv", 16, 2, 0),
    ]
    assert [box.copied for box in boxes if box.kind == "copy"] == [boxes[4], boxes[2]]


def test_without_skips_no_arrow_crosses():
    from medseg_tf.plots.networks import read

    copies = [box for box in read(network(skips=False), size=16) if box.kind == "copy"]
    assert [box.copied for box in copies] == [None, None]


def test_boxes_do_not_overlap():
    from medseg_tf.plots.networks import arrange, read

    boxes = read(network(), size=16)
    arrange(boxes)
    for level in range(3):
        row = sorted((box for box in boxes if box.level == level), key=lambda box: box.x)
        ends = np.array([(box.x, box.x + box.width) for box in row])
        assert (ends[1:, 0] >= ends[:-1, 1] - 1e-9).all()


def test_the_drawing_names_channels_and_sizes():
    found = texts(plots.show_network(network(), size=16).axes[0])
    assert found.count("8") == 2 and found.count("16²") == 3 and found.count("4²") == 1


def test_a_network_without_maps_at_the_end_is_refused():
    import keras

    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(name="flat")])
    with pytest.raises(ModelError, match="layer flat"):
        plots.show_network(model)


def test_the_liveliest_maps_come_first_and_are_stretched():
    flat, lively = np.full((2, 24), 3.0), np.tile([0.0, 4.0], (2, 12))
    strip, shown = liveliest(np.stack([flat, lively, lively / 2], -1), n=2)
    assert shown == 2 and strip.shape == (2, 24 + 1 + 24)
    assert strip[:, :24].tolist() == (lively / 4).tolist() and np.isnan(strip[:, 24]).all()


def test_features_have_a_row_per_layer_and_wrong_names_are_refused():
    model = network()
    figure = plots.show_features(model, np.zeros((8, 8, 1)), ["down0_conv1", "logits"], n=3)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["down0_conv1: 2 of 2 maps, 8×8", "logits: 2 of 2 maps, 8×8"]
    with pytest.raises(ModelError, match="no layer 'middle'.*logits"):
        plots.show_features(model, np.zeros((8, 8, 1)), "middle")
