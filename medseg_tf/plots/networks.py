"""The drawn architecture of a network, read from its own graph."""

import math
from dataclasses import dataclass

import keras
from matplotlib.patches import Patch, Rectangle

from medseg_tf.errors import ModelError
from medseg_tf.models.measure import through
from medseg_tf.plots.figures import FAINT, INK, on

COLOURS = {"input": "#C9C9C9", "conv": "#9DB7D5", "up": "#4F76A3", "copy": "#FFFFFF"}
NAMES = {"conv": "convolution", "up": "upsampling", "copy": "copy of an earlier map"}
TALLEST, WIDEST, NARROWEST, GAP = 3.0, 1.2, 0.15, 0.12


@dataclass
class Box:
    """One map of a network, as drawn."""

    kind: str  # a key of COLOURS
    size: tuple  # spatial
    channels: int
    level: int = 0  # halvings minus doublings so far
    source: object = None  # the Box it is made from
    copied: object = None  # the Box it is a copy of
    added: object = None  # the Box whose map is added to it from the side
    x: float = 0  # left edge
    y: float = 0  # lower edge
    width: float = 0
    height: float = 0
    end: float = 0  # where the next box may begin

    @property
    def center(self):
        return self.x + self.width / 2

    @property
    def middle(self):
        return self.y + self.height / 2


@dataclass
class Map:
    """What runs through the graph in place of an image: a shape, its box, and how deep it is."""

    tensor: keras.KerasTensor
    box: Box
    level: int


def show_network(model, size=256, title=None, axes=None):
    """Draw an encoder-decoder: a box per convolution, as tall as its map, as wide as its channels.

    Heights and widths go with the square root of sides and channels. Numbers above the boxes are
    channels, below them sides. Arrows across are copies or additions (skips), arrows down poolings.

    Args:
        model: a functional keras.Model, 2-D or 3-D, that keeps its spatial axes to the end.
        size: side of the input where the model leaves it open.
        title: what to write above; the model's name and number of weights if left out.

    Raises: ModelError if the model has maps without spatial axes.
    """
    boxes = read(model, size)
    arrange(boxes)
    figure, axes = on(axes, panel=(9.6, 4.8))
    for box in boxes:
        style = {"facecolor": COLOURS[box.kind], "edgecolor": INK, "linewidth": 0.7}
        axes.add_patch(Rectangle((box.x, box.y), box.width, box.height, **style))
        top = box.y + box.height + 0.06
        x = box.center + {"input": -0.06, "copy": -0.06, "up": 0.06}.get(box.kind, 0)
        axes.text(x, top, str(box.channels), ha="center", fontsize=7.5, color=INK)
        _arrows(axes, box)
    for box, following in zip(boxes, [*boxes[1:], None], strict=True):
        if box.kind == "input":
            place = {"ha": "right", "va": "center", "rotation": 90, "fontsize": 8, "color": INK}
            axes.text(box.x - 0.08, box.middle, sides(box.size), **place)
        elif following is None or following.level != box.level:
            down = following is not None and following.level > box.level
            # Beside the arrows: one that leads down from here, one that leads up to here.
            left = box.center + 0.06 if box.kind == "up" else box.x
            x = box.center - 0.06 if down else left
            place = {"ha": "right" if down else "left", "va": "top", "fontsize": 8, "color": INK}
            axes.text(x, box.y - 0.08, sides(box.size), **place)
    kinds = [kind for kind in NAMES if any(box.kind == kind for box in boxes)]
    marks = [Patch(facecolor=COLOURS[kind], edgecolor=INK, linewidth=0.7) for kind in kinds]
    names = [NAMES[kind] for kind in kinds]
    axes.legend(marks, names, loc="lower left", frameon=False, fontsize=9, labelcolor=INK)
    axes.set_axis_off()
    axes.margins(0.01)
    axes.set_title(title or f"{model.name}: {model.count_params():,} weights", color=INK)
    return figure


def read(model, size=256):
    """Return the boxes of a functional model, in the order in which they are computed."""
    shape = (1, *(side or size for side in model.input_shape[1:-1]), model.input_shape[-1])
    boxes = [Box("input", shape[1:-1], shape[-1])]

    def look(layer):
        if isinstance(layer, keras.Model):
            return lambda inputs, *args, **kwargs: through(layer, inputs, look)

        def pass_on(*args, **kwargs):
            maps = [one for one in keras.tree.flatten((args, kwargs)) if isinstance(one, Map)]
            args, kwargs = keras.tree.map_structure(
                lambda one: one.tensor if isinstance(one, Map) else one, (args, kwargs)
            )
            output = layer.compute_output_spec(*args, **kwargs)
            if len(output.shape) < 4:
                raise ModelError(
                    f"show_network: layer {layer.name} gives {output.shape}, without spatial "
                    "axes; only networks that keep them to the end can be drawn."
                )
            return add(boxes, layer, maps, output)

        return pass_on

    through(model, [Map(keras.KerasTensor(shape), boxes[0], 0)], look)
    return boxes


def add(boxes, layer, maps, output):
    """Append the boxes of one layer, if it has any, and return its output as a Map."""
    main = max(maps, key=lambda one: boxes.index(one.box))
    kind, level = type(layer).__name__, main.level
    size, channels = output.shape[1:-1], output.shape[-1]
    if "upsampling" in kind.lower() or kind.endswith("Transpose"):
        level -= doublings(layer.size if kind.startswith("Up") else layer.strides)
        boxes.append(Box("up", size, channels, level, main.box))
    elif kind.startswith("Conv"):
        level += doublings(layer.strides)
        boxes.append(Box("conv", size, channels, level, main.box))
    elif kind == "Concatenate":
        maps.remove(main)  # once: a map beside its own copy stays
        for other in maps:
            copied = None if other.box is main.box else other.box
            boxes.append(Box("copy", size, other.tensor.shape[-1], level, main.box, copied))
    else:
        if kind == "Add":
            join(*(one.box for one in maps))
        level += doublings(getattr(layer, "strides", (1,)))
        return Map(output, main.box, level)
    return Map(output, boxes[-1], level)


def join(*boxes):
    """Note where an upsampled map meets one from the way down; residual additions stay undrawn."""
    up, down = ([box for box in boxes if box.kind == kind] for kind in ("up", "conv"))
    if up and down:
        up[0].added = down[0]


def doublings(strides):
    return round(math.log2(max(strides)))


def arrange(boxes):
    """Place the boxes: to the right along a level, one level lower after each halving."""
    widest = max(box.channels for box in boxes)
    for box in boxes:
        box.width = max(NARROWEST, WIDEST * math.sqrt(box.channels / widest))
        box.height = TALLEST * math.sqrt(max(box.size) / max(boxes[0].size))
    levels = sorted({box.level for box in boxes})
    tallest = [max(box.height for box in boxes if box.level == level) for level in levels]
    tops = [-sum(tallest[:place]) - 0.85 * place for place in range(len(levels))]
    for box in boxes:
        place = levels.index(box.level)
        box.y = tops[place] - (tallest[place] + box.height) / 2
        source = box.source
        if source is None:
            box.x = 0
        elif box.kind == "copy" and source.kind == "up":  # left of it, where its arrow comes from
            box.x, box.end = source.x - box.width, source.end
            continue
        else:  # to the right of its source, and of what stands at its level already
            placed = boxes[: boxes.index(box)]
            box.x = max([source.end, *(b.end for b in placed if b.level == box.level)]) + GAP
        box.end = box.x + box.width


def _arrows(axes, box):
    """Draw the arrows that lead to a box from another level, or across its own."""
    source = box.source
    style = {"arrowstyle": "-|>", "color": INK, "linewidth": 1, "shrinkA": 0, "shrinkB": 0}
    if source and box.level > source.level:
        bend = {"connectionstyle": "angle,angleA=90,angleB=0,rad=0"}
        start = (source.center, source.y)
        axes.annotate("", (box.x, box.middle), start, arrowprops=style | bend, zorder=0)
    elif source and box.level < source.level:
        bend = {"connectionstyle": "angle,angleA=0,angleB=90,rad=0"}
        start = (source.end, source.middle)
        axes.annotate("", (box.center, box.y), start, arrowprops=style | bend, zorder=0)
    if aside := box.copied or box.added:
        start = (aside.end, box.middle)
        style["color"] = FAINT
        axes.annotate("", (box.x, box.middle), start, arrowprops=style, zorder=0)


def sides(size):
    """Write a map's sides: 64² for equal ones, 132×132×116 for others."""
    if len(set(size)) == 1:
        return f"{size[0]}{'²' if len(size) == 2 else '³'}"
    return "×".join(map(str, size))
