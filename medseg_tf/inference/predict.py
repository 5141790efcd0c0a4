"""From a case to class probabilities on its own grid: in one pass, or in tiles that fit memory.

A model whose recipe says how the scans it learned from were prepared ("scans": spacing, axes in
order, normalisation, turns) has every scan prepared so, and answers on the scan's own grid.
"""

import functools
import itertools

import numpy as np

from medseg_tf import data
from medseg_tf.data import Case, Scan
from medseg_tf.data.patches import cut
from medseg_tf.data.resample import back_to, canonical_scan, resample_scan
from medseg_tf.errors import ConfigError, ModelError
from medseg_tf.inference import tiles
from medseg_tf.inference.objects import instances
from medseg_tf.inference.plan import plan, tile_sides
from medseg_tf.progress import progress

NORMALIZE = ("z_score", "z_score_inside", "window")  # what a recipe may name


def segment(model, case, tile=None, overlap=0.5, margin=0, turns=None, normalize=None):
    """Label each voxel with its most probable class.

    Arguments and errors are those of `probabilities`.

    Returns:
        Scan of (*spatial) class numbers in the smallest unsigned type, on the case's grid and
        with its image's header.
    """
    scan = case.image if isinstance(case, Case) else case
    values = probabilities(model, scan, tile, overlap, margin, turns, normalize)
    smallest = np.min_scalar_type(values.shape[-1] - 1)
    return Scan(values.argmax(-1).astype(smallest), scan.grid, scan.header)


def probabilities(model, case, tile=None, overlap=0.5, margin=0, turns=None, normalize=None):
    """Return what the network gives for each voxel and class.

    The image is normalised as a whole, mirrored at its borders up to a size that the network
    takes, and passed at once or tile by tile. Tiles start at multiples of the network's stride, so
    that a voxel meets the poolings as in a single pass:

    - Tiles of a valid network lie edge to edge and agree with a single pass (in every bit with
      TensorFlow on an x86 processor), unless a tile's output is smaller than the stride.
    - Tiles of a network that keeps the size are blended over their overlap by a raised cosine.
      With half the receptive field as `margin` and overlap=0 they agree with a single pass up to
      rounding: no voxel is kept that has seen the end of a tile inside the image.

    Args:
        model: functional keras.Model, (batch, *spatial, channels) -> (batch, *spatial, classes).
        case: Case, or Scan of an image.
        tile: side of the network's input in voxels, one number or one an axis. If left out: the
            size that the network was built for, else the whole image, else, for more than 2**21
            voxels, a tile of about that many.
        overlap: share of a tile that its neighbour covers too, 0 <= overlap < 1. Networks that
            keep the size.
        margin: voxels to drop from each side of a tile that is not the image's own border, rounded
            up to the stride. Networks that keep the size.
        turns: True averages over flips, in 2-D also quarter turns: 8 copies; axes, as (0,), over
            flips of these alone. Not along an axis whose sides tell classes apart. None: what
            the recipe says, else one copy.
        normalize: function of a whole image array (*spatial, channels). None: what the recipe
            says, else data.z_score.

    Returns:
        (*spatial, classes) float32 array.

    Raises:
        ModelError: image and network differ in rank or channels, or the network gives no map.
        ConfigError: a tile, overlap or margin that does not fit.

    Source: Ronneberger, Fischer, Brox, MICCAI 2015, figure 2 (overlap-tile); they average over 7
    rotated copies.
    """
    scan = case.image if isinstance(case, Case) else case
    check(model, scan, overlap, margin)
    original, (scan, image) = scan, prepare(model, scan, normalize)
    turns = scans_of(model).get("turns", False) if turns is None else turns
    sides = tile_sides(tile, scan.grid.rank)
    copies = symmetries(model, scan.grid, turns)
    plans = {}
    for swap in {swap for swap, _ in copies}:
        order = slice(None, None, -1 if swap else 1)
        plans[swap] = plan(model, scan.grid.shape[order], sides and sides[order], overlap, margin)
    total = None
    with progress(total=sum(len(plans[swap][-1]) for swap, _ in copies), desc="segment") as bar:
        for swap, flips in copies:
            turned = np.flip(image.swapaxes(0, 1) if swap else image, flips)
            values = np.flip(predict(model, turned, *plans[swap], bar), flips)
            values = values.swapaxes(0, 1) if swap else values
            total = values if total is None else np.add(total, values, out=total)
    total = total if len(copies) == 1 else np.divide(total, len(copies), out=total)
    return total if scan is original else back_to(original.grid, total)


def segment_objects(model, case, tile=None, overlap=0.5):
    """Number the objects in a case, cut as the model's recipe says ("objects"), else at .5.

    Returns:
        Scan of (*spatial) int32 object numbers on the case's grid; see `instances`.
    """
    scan = case.image if isinstance(case, Case) else case
    cut = getattr(model, "recipe", {}).get("objects", {})
    found = instances(probabilities(model, scan, tile, overlap), **cut)
    return Scan(found, scan.grid, scan.header)


def scans_of(model):
    """What the recipe says of the scans that the model learned from; {} if nothing."""
    return getattr(model, "recipe", {}).get("scans", {})


def prepare(model, scan, normalize):
    """Return the scan laid and resampled as the recipe says, and its normalised image, float32."""
    known = scans_of(model)
    if known:
        scan = canonical_scan(scan)
        scan = resample_scan(scan, known["spacing"]) if known["spacing"] else scan
    normalize = normalize or normalization(known.get("normalize", {"name": "z_score"}))
    return scan, np.asarray(normalize(scan.array), "float32")


def normalization(named):
    """Return the function that a recipe names: {"name": "window", "low": -100, "high": 240}."""
    bounds = dict(named)
    name = bounds.pop("name", None)
    if name not in NORMALIZE:
        raise ModelError(
            f"the recipe's normalisation is {name!r}; this version knows {', '.join(NORMALIZE)}."
        )
    return functools.partial(getattr(data, name), **bounds)


def predict(model, image, sides, before, batches, bar):
    """Send an image (*spatial, channels) through the network, as `plan` says: (*spatial, classes).

    Memory holds the result and one batch. All batches have one shape, so that one graph serves
    them; what the last one keeps of the one before is computed and dropped.
    """
    total = np.zeros((*image.shape[:-1], model.output_shape[-1]), "float32")
    x = np.zeros((len(batches[0]), *sides, image.shape[-1]), "float32")
    for batch in batches:
        for row, tile in zip(x, batch, strict=False):
            corner = [span.start - shift for span, shift in zip(tile, before, strict=True)]
            row[...] = cut(image, corner, sides)
        for values, tile in zip(model.predict_on_batch(x), batch, strict=False):
            tiles.place(total, values, tile)
        bar.update()
    return total


def symmetries(model, grid, turns):
    """List the copies of an image to average over: (whether axes 0 and 1 swap, axes to flip)."""
    every = turns is True
    swaps = every and grid.rank == 2 and model.input_shape[1] == model.input_shape[2]
    swaps = swaps and np.isclose(*grid.spacing)
    axes = range(grid.rank) if every else turns or ()
    counts = range(len(axes) + 1)
    flips = [chosen for count in counts for chosen in itertools.combinations(axes, count)]
    return [(swap, chosen) for swap in (False, True)[: 1 + swaps] for chosen in flips]


def check(model, scan, overlap, margin):
    """Raise unless the image fits the network and the numbers are in range."""
    check_image(model, scan)
    if len(model.output_shape) != scan.grid.rank + 2:
        raise ModelError(
            f"{model.name} gives {model.output_shape} and no map of (batch, *spatial, classes). "
            "Of a network for windows take models.dense_twin(model), or inference.by_windows."
        )
    if not 0 <= overlap < 1:
        raise ConfigError(f"overlap {overlap}, need 0 <= overlap < 1, for example 0.5.")
    if margin < 0:
        raise ConfigError(f"margin {margin}, need 0 or more voxels.")


def check_image(model, scan):
    """Raise ModelError unless the image has the rank and channels that the network takes."""
    if scan.is_label:
        raise ModelError(
            f"a scan of shape {scan.array.shape} has no channel axis: array[..., None]."
        )
    if len(getattr(model, "inputs", None) or []) != 1 or len(model.outputs) != 1:
        raise ModelError(
            f"{model.name} must have one input and one output; choose: "
            "keras.Model(model.inputs[0], model.outputs[0])."
        )
    rank = len(model.input_shape) - 2
    if rank != scan.grid.rank:
        raise ModelError(
            f"{model.name} takes images of rank {rank}, this one has rank {scan.grid.rank} "
            f"(shape {scan.array.shape}). Build the network with an input_shape of its rank."
        )
    if model.input_shape[-1] != scan.array.shape[-1]:
        raise ModelError(
            f"{model.name} takes {model.input_shape[-1]} channels, the image has "
            f"{scan.array.shape[-1]}. Read it with the channels the network was trained on."
        )
