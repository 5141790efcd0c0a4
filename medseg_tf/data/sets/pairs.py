"""Pair images with labels: two patterns whose wildcards stand for the same text in both.

`scans/*.nii.gz` and `masks/*_seg.nii.gz` pair `scans/anna.nii.gz` with `masks/anna_seg.nii.gz`.
"""

import glob
import re
from functools import partial
from pathlib import Path

from medseg_tf.data.case import Scan
from medseg_tf.data.sets import labelled
from medseg_tf.errors import ConfigError, DataNotFoundError

WILDCARD = r"\*\*/?|[*?]|\[[^\]]+\]"
# Wildcards side by side are one: `case??` has a number of two digits, not two of one.
WILDCARDS = re.compile(f"((?:{WILDCARD})+)")
# glob has found the files; what a set in brackets leaves out need not be known here again.
REGEX = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*"}


def plan(
    images,
    labels,
    channels=None,
    volume=None,
    classes=None,
    relabel=None,
    allow_affine_mismatch=False,
):
    """List the pairs of two patterns: (subject, read), read() -> Case.

    The subject is the text of the first wildcard, so that `scans/*/slice_*.png` keeps the slices
    of one person together.

    Args:
        images, labels: patterns with `*`, `?`, `[...]`, and `**/` for any folders between. A file
            that both match is a label: `*.png` and `*_mask.png` may lie in one folder.
        channels, volume: as in Scan.read.
        classes: how many, background included; None: the highest number in any label, plus 1.
        relabel: {number in the files: class}, e.g. {255: 1} for masks of black and white.
        allow_affine_mismatch: put a label of its image's shape on the image's grid, wherever the
            label's own header puts it.

    Raises:
        ConfigError: the patterns differ in how many wildcards they have, or have none.
        DataNotFoundError: no file matches a pattern, or some have no partner.
    """
    images, labels = Path(images).as_posix(), Path(labels).as_posix()
    counts = [len(WILDCARDS.findall(pattern)) for pattern in (images, labels)]
    if counts[0] != counts[1] or not counts[0]:
        raise ConfigError(
            f"{images} has {counts[0]} wildcards and labels={labels} has {counts[1]}; each stands "
            "for a text that image and label share, so both need the same number, at least one."
        )
    masks = matching(labels)
    scans = matching(images, without=set(masks.values()))
    for pattern, files in [(labels, masks), (images, scans)]:
        if not files:
            raise DataNotFoundError(
                f"No file matches {pattern}, seen from {Path.cwd()}. Check folder and ending."
            )
    for kind, these, those in [("label", scans, masks), ("image", masks, scans)]:
        if alone := [these[texts] for texts in sorted(these.keys() - those.keys())]:
            raise DataNotFoundError(
                f"{len(alone)} of {len(these)} files have no {kind}: {labelled.shown(alone)}. In a "
                f"pair the wildcards of {images} and {labels} stand for the same text. Add or "
                "remove files, or narrow the patterns."
            )
    files = []
    for texts, path in scans.items():
        names = [text for text in texts if text] or [path.stem]  # `**/` and `*` may match nothing
        files.append((names[0], "/".join(names), [path], masks[texts]))
    read_image = partial(Scan.read, channels=channels, volume=volume)
    grey = channels and "gray"
    return labelled.plan(files, read_image, classes, relabel, allow_affine_mismatch, grey)


def matching(pattern, without=frozenset()):
    """Return {texts of the wildcards: path} of the files that match, sorted by path."""
    parts = WILDCARDS.split(pattern)
    parts[::2] = map(re.escape, parts[::2])
    parts[1::2] = [
        "(" + re.sub(WILDCARD, lambda wild: REGEX.get(wild[0], "[^/]"), part) + ")"
        for part in parts[1::2]
    ]
    regex = re.compile("".join(parts), re.IGNORECASE | re.DOTALL)
    paths = sorted({Path(path) for path in glob.glob(pattern, recursive=True)} - without)
    texts = {path: regex.fullmatch(path.as_posix()).groups() for path in paths if path.is_file()}
    return {tuple(text.strip("/") for text in found): path for path, found in texts.items()}
