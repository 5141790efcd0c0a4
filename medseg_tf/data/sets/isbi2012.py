"""Read the ISBI 2012 set: serial sections of a fly larva's nerve cord in the electron microscope.

Layout: `train/image/N.png` and `train/label/N.png`, N the section; in a label file 255 is inside a
cell and 0 is membrane. Class 1 is the inside of cells and class 0 the membrane, so that connected
components of class 1 are neurons.
"""

from functools import partial

import numpy as np

from medseg_tf.data.case import Case, Scan
from medseg_tf.data.sets.sequences import blocks, grid, numbered
from medseg_tf.errors import LabelError

SECTION = r"(\d+)\.png"


def fits(folder):
    """Whether the folder has the layout of the ISBI 2012 set."""
    images, labels = (numbered(folder / "train" / kind, SECTION) for kind in ("image", "label"))
    return bool(images.keys() & labels.keys())


def plan(folder, spacing_um=None, count=4, gap=1):
    """List the labelled sections by number: (subject, read), read() -> Case with classes 0 and 1.

    The sections follow one another, so the subject is one of `count` blocks ("sections 4-7"),
    with `gap` sections left out between two blocks; gap=0 keeps every section.
    """
    images, labels = (numbered(folder / "train" / kind, SECTION) for kind in ("image", "label"))
    sections = sorted(images.keys() & labels.keys())
    subjects = {n: f"sections {a}-{b}" for n, (a, b) in blocks(sections, count, gap).items()}
    return [
        (subject, partial(read_case, subject, images[n], labels[n], spacing_um))
        for n, subject in subjects.items()
    ]


def read_case(subject, image_path, label_path, spacing_um):
    image, label = Scan.read(image_path), Scan.read(label_path, label=True)
    if set(np.unique(label.array)) - {0, 255}:
        raise LabelError(
            f"{label_path} holds {np.unique(label.array)[:8].tolist()}; expected 0 (membrane) and "
            "255 (inside a cell). It was probably resampled: take the file as published."
        )
    return Case(
        subject,
        Scan(image.array, grid(image.grid.shape, spacing_um)),
        Scan((label.array == 255).astype("uint8"), grid(label.grid.shape, spacing_um)),
        name=f"section {image_path.stem}",
    )
