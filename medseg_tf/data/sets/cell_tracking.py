"""Read any set of the Cell Tracking Challenge: frames of cells, one object number a cell.

Layout: `NN/tTTT.tif` the frames of sequence NN, `NN_ST/SEG/man_segTTT.tif` silver truth (computed
from many entries, every frame), `NN_GT/SEG/man_segTTT.tif` gold truth (drawn by experts, few frames
and in some sets not every cell of them). TTT has three or four digits.
"""

import re
from functools import partial

from medseg_tf.data.case import Case, Scan
from medseg_tf.data.sets.sequences import blocks, grid, numbered
from medseg_tf.errors import ConfigError, DataNotFoundError

TRUTHS = {"silver": "ST", "gold": "GT"}


def fits(folder):
    """Whether the folder has the layout of a Cell Tracking Challenge set."""
    return any(labels(folder, sequence) for sequence in sequences(folder))


def plan(folder, truth=None, spacing_um=None, count=8, gap=3):
    """List the frames that have truth.

    Args:
        folder: Path of the set.
        truth: "silver" or "gold"; left out: silver for sequences that have it, else gold.
        spacing_um: edge of a pixel in um; the grid's units are pixels where it is unknown.
        count, gap: where only one sequence has truth, it is parted into `count` blocks, and
            `gap` frame numbers between two blocks are left out; gap=0 keeps every frame.

    Returns:
        A list of (subject, read), read() -> Case with object numbers. The subject is the
        sequence ("01"), or where there is only one the block ("01 frames 0-10").

    Raises:
        ConfigError: another truth. DataNotFoundError: no frame has truth.
    """
    if truth not in (None, *TRUTHS):
        raise ConfigError(f"truth={truth!r}; Cell Tracking Challenge sets have 'silver' or 'gold'.")
    found = {name: labels(folder, name, truth) for name in sequences(folder)}
    found = {name: label for name, label in found.items() if label}
    if not found:
        raise DataNotFoundError(
            f"{folder} has no {truth or 'silver or gold'} truth; expected files like "
            f"{folder / ('01_' + TRUTHS.get(truth, 'ST')) / 'SEG' / 'man_seg000.tif'}."
        )
    planned = []
    for name, label in found.items():
        frames = numbered(folder / name, r"t(\d{3,4})\.tif")
        subjects = dict.fromkeys(frames, name)
        if len(found) == 1:
            parts = blocks(frames, count, gap)
            subjects = {n: f"{name} frames {a}-{b}" for n, (a, b) in parts.items()}
        for n in sorted(subjects.keys() & label.keys()):
            case = partial(read_case, subjects[n], name, frames[n], label[n], spacing_um)
            planned.append((subjects[n], case))
    return planned


def sequences(folder):
    """Names of the sequences in the folder that hold frames: ["01", "02", ...]."""
    names = sorted(path.name for path in folder.iterdir() if re.fullmatch(r"\d\d", path.name))
    return [name for name in names if numbered(folder / name, r"t(\d{3,4})\.tif")]


def labels(folder, sequence, truth=None):
    """Return {frame: path} of one sequence's truth; silver before gold where none is asked for."""
    for kind in [truth] if truth else TRUTHS:
        segmented = folder / f"{sequence}_{TRUTHS[kind]}" / "SEG"
        if found := numbered(segmented, r"man_seg(\d{3,4})\.tif"):
            return found
    return {}


def read_case(subject, sequence, image_path, label_path, spacing_um):
    image, label = Scan.read(image_path), Scan.read(label_path, label=True)
    return Case(
        subject,
        Scan(image.array, grid(image.grid.shape, spacing_um)),
        Scan(label.array, grid(label.grid.shape, spacing_um)),
        instances=True,
        name=f"{sequence}/{image_path.stem}",
    )
