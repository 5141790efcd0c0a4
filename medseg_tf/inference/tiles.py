"""Where tiles lie and what each one is worth: plain numpy, any number of axes."""

import functools
import itertools
import math
from typing import NamedTuple

import numpy as np


class Span(NamedTuple):
    """One tile along one axis, in voxels of the image.

    It answers for first..stop - 1; `weights` (stop - first,) float32, or None for 1.
    """

    start: int  # of the network's output for this tile
    first: int
    stop: int
    weights: np.ndarray = None


def lay(size, output, step, stride, margin=0):
    """Cover an axis with tiles: a list of Span.

    The last tile ends where a single pass would: past the image by less than a stride.

    Args:
        size: voxels of the image.
        output: voxels that one tile answers for, margins included.
        step: voxels between starts, at most output - 2 * margin.
        stride: the network's; the last start is a multiple of it.
        margin: voxels that a tile leaves to its neighbours, not at the image's borders.
    """
    last = math.ceil(max(size - output, 0) / stride) * stride
    spans, start, stop = [], 0, 0
    while stop < size:
        first = start + margin if start else 0
        stop = min(start + output - (margin if start < last else 0), size)
        spans.append(Span(start, first, stop))
        start = min(start + step, last)
    return spans


def edge_to_edge(spans):
    """Let each voxel belong to the first tile that reaches it."""
    stops = [0, *(span.stop for span in spans)]
    return [span._replace(first=stop) for span, stop in zip(spans, stops, strict=False)]


def blend(spans):
    """Weigh tiles by raised cosines that add up to 1 at each voxel."""
    total = np.zeros(spans[-1].stop)
    for span in spans:
        total[span.first : span.stop] += bell(span)
    return [
        span._replace(weights=(bell(span) / total[span.first : span.stop]).astype("float32"))
        for span in spans
    ]


def bell(span):
    size = span.stop - span.first
    return np.sin(np.pi * (np.arange(size) + 0.5) / size) ** 2


def combine(axes, most):
    """Combine the spans of all axes to tiles, in batches of equal length up to `most`.

    The last batch may be shorter; batches are no longer than their number needs.
    """
    cells = list(itertools.product(*axes))
    length = math.ceil(len(cells) / math.ceil(len(cells) / most))
    return [cells[i : i + length] for i in range(0, len(cells), length)]


def place(total, values, tile):
    """Put a tile's values (*output, classes) into `total` (*spatial, classes)."""
    region = tuple(slice(span.first, span.stop) for span in tile)
    kept = values[tuple(slice(s.first - s.start, s.stop - s.start) for s in tile)]
    weights = [span.weights for span in tile]
    if weights[0] is None:
        total[region] = kept
    else:
        total[region] += functools.reduce(np.multiply.outer, weights)[..., None] * kept
