"""Read sets in the layout of the Medical Segmentation Decathlon, which nnU-Net shares.

Layout: `imagesTr/NAME.nii.gz` and `labelsTr/NAME.nii.gz` (or .nii), and `dataset.json`, which lists
the cases and names channels and classes; where it lists none the two folders are paired by name.
Channels are the fourth axis of an image, or files of their own: `NAME_0000.nii.gz`, `NAME_0001` ...

Source: Antonelli et al., The Medical Segmentation Decathlon, Nature Communications 13:4128 (2022).
"""

import json
import re
from collections import Counter, defaultdict
from functools import cache, partial
from operator import itemgetter

import numpy as np

from medseg_tf.data.sets import labelled
from medseg_tf.errors import (
    ConfigError,
    DataIntegrityError,
    DataNotFoundError,
    ImageReadError,
)

VOLUME = re.compile(r"(?!\._)(.+?)\.nii(\.gz)?")  # macOS leaves a file ._NAME beside each
CHANNEL = re.compile(r"(.+)_(\d{4})")


def fits(folder):
    """Whether the folder has the layout of a Decathlon set."""
    kinds = [folder / "imagesTr", folder / "labelsTr"]
    return (folder / "dataset.json").is_file() or all(volumes(kind) for kind in kinds)


def plan(folder, classes=None, relabel=None, allow_affine_mismatch=False):
    """List the training cases by name: (subject, read), read() -> Case.

    The subject is the file's name without its ending, one a case.

    Args:
        folder: Path of the set.
        classes: how many, background included; None: as dataset.json says, else the highest
            number in any label, plus 1.
        relabel: {number in the files: class}; dataset.json no longer counts the classes then.
        allow_affine_mismatch: put a label of its image's shape on the image's grid, wherever the
            label's own header puts it.

    Raises:
        DataIntegrityError: dataset.json is damaged.
        DataNotFoundError: a file that is listed, or the partner or a channel of one that is there,
            is missing.
        ConfigError: dataset.json has a number to ignore, and relabel gives it no class.
    """
    facts = described(folder)
    pairs = listed(folder, facts["training"]) if facts["training"] else paired(folder)
    if relabel is None and facts["ignore"] is not None:
        raise ConfigError(
            f"{folder / 'dataset.json'} says to ignore label {facts['ignore']}, which nothing here "
            f"does. Give it a class: relabel={{{facts['ignore']}: 0}} for background."
        )
    if relabel is None:
        classes = classes or facts["classes"] or None
    check_channels(pairs, folder)
    files = [
        (name, name, [images[channel] for channel in sorted(images)], label)
        for name, images, label in sorted(pairs, key=itemgetter(0))
    ]
    read_image = partial(read_channels, expected=facts["channels"])
    return labelled.plan(files, read_image, classes, relabel, allow_affine_mismatch)


def described(folder):
    """Return what dataset.json says, as a dict.

    training: [(image, label)]; classes and channels: how many; ignore: nnU-Net's number of voxels
    that do not count. Empty, 0 or None where it does not say.
    """
    path = folder / "dataset.json"
    try:
        facts = json.loads(path.read_text("utf-8-sig")) if path.is_file() else {}
        labels = facts.get("labels", {})
        numbered = all(key.isdigit() for key in labels)  # as in the Decathlon: {"1": "liver"}
        # nnU-Net has {"liver": 1} and regions of several numbers: {"organ": [1, 2]}
        numbers = [int(key) if numbered else int(np.max(labels[key])) for key in labels]
        return {
            "training": [(row["image"], row["label"]) for row in facts.get("training", ())],
            "classes": max(numbers, default=-1) + 1,
            "channels": len(facts.get("modality", facts.get("channel_names", ()))),
            "ignore": None if numbered else labels.get("ignore"),
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataIntegrityError(
            f"{path} is damaged or has another layout ({error!r}). Fetch it again, or remove it to "
            "pair imagesTr and labelsTr by name."
        ) from error


def listed(folder, rows):
    """Return [(name, {channel: image path}, label path)] of the cases that dataset.json lists."""
    there, pairs, lost = cache(scans), [], []
    for image, label in [(folder / image, folder / label) for image, label in rows]:
        name = VOLUME.fullmatch(image.name)[1] if VOLUME.fullmatch(image.name) else image.name
        pairs.append((name, there(image.parent).get(name), label))
        lost += [image] * (pairs[-1][1] is None) + [label] * (not label.is_file())
    if lost:
        raise DataNotFoundError(
            f"{folder / 'dataset.json'} lists {labelled.shown(lost)}; no such file. Fetch the set "
            "again, or take the case off the list."
        )
    times = Counter(name for name, _, _ in pairs)
    if twice := [name for name, count in times.items() if count > 1]:
        raise DataIntegrityError(
            f"{folder / 'dataset.json'} lists {labelled.shown(twice)} more than once. List each "
            "case once."
        )
    return pairs


def paired(folder):
    """Return [(name, {channel: image path}, label path)] of the files in imagesTr and labelsTr."""
    images, labels = scans(folder / "imagesTr"), volumes(folder / "labelsTr")
    pairs = [(name, images[name], label) for name, label in labels.items() if name in images]
    used = {path for _, channels, _ in pairs for path in channels.values()}
    for partner, alone in [
        ("image", [label for name, label in labels.items() if name not in images]),
        ("label", [path for path in volumes(folder / "imagesTr").values() if path not in used]),
    ]:
        if alone:
            raise DataNotFoundError(
                f"{labelled.shown(alone)}: no {partner} of that name. Add it, or take the file "
                "away."
            )
    if not pairs:
        raise DataNotFoundError(
            f"{folder}: dataset.json lists no cases and imagesTr holds no .nii or .nii.gz file. "
            "Fetch the set again."
        )
    return pairs


def check_channels(pairs, folder):
    """Raise DataNotFoundError where an image has fewer channels, or others, than the rest."""
    count = max((channel for _, images, _ in pairs for channel in images), default=0) + 1
    lost = [
        f"{name}_{channel:04d}"
        for name, images, _ in pairs
        for channel in range(count)
        if channel not in images
    ]
    if lost:
        raise DataNotFoundError(
            f"{folder}: images have up to {count} channels in files of their own; there is no "
            f"{labelled.shown(lost)}. Each image needs the same channels, counted from 0000."
        )


def volumes(folder):
    """Return {name without ending: path} of the NIfTI files in a folder."""
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    found = [(match[1], path) for path in paths if (match := VOLUME.fullmatch(path.name))]
    return dict(found)


def scans(folder):
    """Return {name: {channel: path}} of a folder's images; each file has its own name too."""
    files, found = volumes(folder), defaultdict(dict)
    for name, path in files.items():
        if match := CHANNEL.fullmatch(name):
            found[match[1]][int(match[2])] = path
    return found | {name: {0: path} for name, path in files.items()}


def read_channels(*paths, expected):
    """Read an image of one file, or one file a channel: Scan (x, y, z, channels)."""
    scan = labelled.read_channels(*paths)
    if expected and scan.array.shape[-1] != expected:
        raise ImageReadError(
            f"{paths[0]}: {scan.array.shape[-1]} channels; dataset.json names {expected}. Repair "
            "the one that is wrong."
        )
    return scan
