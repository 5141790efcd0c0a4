"""Choose the tiles for a network and an image."""

import math

import numpy as np

from medseg_tf.errors import ConfigError, ModelError
from medseg_tf.inference import tiles
from medseg_tf.inference.sizes import nearest_fit, output_size, stride

# What one pass takes at most: 1448 x 1448 or 128 x 128 x 128. One map of the paper's 64 channels is
# 512 MiB then, and a network holds a handful of them at a time.
VOXELS = 2**21
# Smaller tiles go in batches of about this size: larger ones leave the cache and gain nothing.
BATCH_VOXELS = 2**17


def plan(model, shape, sides, overlap, margin):
    """Lay tiles over an image of `shape`: (sides of a tile, context before its output, batches)."""
    sides = choose_sides(model, shape, sides)
    outputs = [
        model.output_shape[1 + axis] or output_size(model, axis, side)
        for axis, side in enumerate(sides)
    ]
    keeps = list(sides) == outputs
    if margin and not keeps:
        raise ConfigError(
            f"margin {margin}: {model.name} makes {outputs} of {list(sides)} voxels and so drops "
            "its tiles' margins itself. Leave margin out."
        )
    axes = []
    for axis, (size, output) in enumerate(zip(shape, outputs, strict=True)):
        unit = stride(model, axis)
        trim = math.ceil(margin / unit) * unit
        if output < size and output - 2 * trim < unit:
            raise ConfigError(
                f"tile {output} keeps nothing but margins of {trim} voxels along axis {axis}; take "
                f"at least {2 * trim + unit}, or a smaller margin."
            )
        kept = output - 2 * trim
        step = int(kept * (1 - overlap) if keeps else kept) // unit * unit or min(unit, kept)
        axes.append(tiles.lay(size, output, step, unit, trim))
    several = any(len(spans) > 1 for spans in axes)
    join = tiles.blend if keeps and overlap and several else tiles.edge_to_edge
    before = [(side - output) // 2 for side, output in zip(sides, outputs, strict=True)]
    # A batch of several is rounded otherwise than the single pass that valid tiles must equal.
    most = max(1, BATCH_VOXELS // math.prod(sides)) if keeps else 1
    return sides, before, tiles.combine([join(spans) for spans in axes], most)


def choose_sides(model, shape, sides):
    """Return the sides of the network's input: those asked for, its own, or the whole image."""
    whole = [
        fixed or whole_side(model, axis, size)
        for axis, (fixed, size) in enumerate(zip(model.input_shape[1:-1], shape, strict=True))
    ]
    if sides is None:
        if math.prod(whole) <= VOXELS:
            return whole
        cube = round(VOXELS ** (1 / len(shape)))
        sides = [
            nearest_fit(model, axis, cube, way=-1) or nearest_fit(model, axis, cube)
            for axis in range(len(shape))
        ]
    else:
        check_sides(model, sides)
    return [
        fixed or min(side, most)
        for fixed, side, most in zip(model.input_shape[1:-1], sides, whole, strict=True)
    ]


def whole_side(model, axis, size):
    """Return the smallest input that answers for `size` voxels."""
    side = nearest_fit(model, axis, size)
    if side is None:
        raise ModelError(f"{model.name} takes no size from {size} to {size + 1023}, axis {axis}.")
    unit = stride(model, axis)
    return side + math.ceil(max(size - output_size(model, axis, side), 0) / unit) * unit


def check_sides(model, sides):
    """Raise ConfigError unless the network takes tiles of these sides."""
    for axis, (side, fixed) in enumerate(zip(sides, model.input_shape[1:-1], strict=True)):
        if fixed and side != fixed:
            raise ConfigError(
                f"tile {side} along axis {axis}, but {model.name} was built for {fixed}. Leave "
                "tile out, or build the network for size None and copy the weights: set_weights."
            )
        if not fixed and output_size(model, axis, side) is None:
            below, above = nearest_fit(model, axis, side, way=-1), nearest_fit(model, axis, side)
            nearest = " or ".join(str(fit) for fit in (below, above) if fit)
            raise ConfigError(
                f"tile {side} does not fit {model.name} along axis {axis}; the nearest that do are "
                f"{nearest}."
            )


def tile_sides(tile, rank):
    """Return one side an axis, or None."""
    if tile is None:
        return None
    sides = np.atleast_1d(tile)
    if sides.shape not in ((1,), (rank,)) or sides.dtype.kind not in "iu" or sides.min() < 1:
        raise ConfigError(
            f"tile {tile}: give one whole number of voxels, or one for each of {rank} axes."
        )
    return [int(side) for side in np.broadcast_to(sides, rank)]
