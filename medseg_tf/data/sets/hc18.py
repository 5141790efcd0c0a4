"""Read HC18: ultrasound of the fetal head in its standard plane, the head outlined by an ellipse.

Layout: `training_set/NNN_HC.png` one picture, `training_set/NNN_HC_Annotation.png` the outline,
and `training_set_pixel_size_and_HC.csv` the pixels' size. NNN_2HC, NNN_3HC ... are further pictures
of the same pregnancy.
"""

import csv
import re
from functools import partial

import numpy as np

from medseg_tf.data.case import Case, Grid, Scan
from medseg_tf.errors import DataIntegrityError, LabelError

TABLE = "training_set_pixel_size_and_HC.csv"
NAME = re.compile(r"(\d+)_\d*HC\.png")


def fits(folder):
    """Whether the folder has the layout of HC18."""
    return (folder / TABLE).is_file() and bool(pictures(folder))


def plan(folder):
    """List the pictures: (subject, read), read() -> Case, 1 the head with its outline, in mm.

    The subject is the pregnancy.

    Raises:
        DataIntegrityError: the table has no size for a picture.
    """
    with open(folder / TABLE, newline="", encoding="utf-8-sig") as file:
        sizes = {row[0].strip(): row[1] for row in csv.reader(file) if len(row) > 1}
    planned = []
    for path in pictures(folder):
        if path.name not in sizes:
            raise DataIntegrityError(
                f"{folder / TABLE} has no line for {path.name}, so the size of its pixels is not "
                "known. Get the table that belongs to the pictures."
            )
        subject = NAME.fullmatch(path.name)[1]
        planned.append((subject, partial(read_case, subject, path, float(sizes[path.name]))))
    return planned


def pictures(folder):
    """Return the paths of pictures that have an outline, sorted by name."""
    paths = sorted((folder / "training_set").glob("*HC.png"))
    return [path for path in paths if NAME.fullmatch(path.name) and outline_of(path).is_file()]


def outline_of(path):
    return path.with_name(f"{path.stem}_Annotation.png")


def read_case(subject, path, spacing_mm):
    image = Scan.read(path, channels="gray")
    outline = Scan.read(outline_of(path), label=True, channels="gray")
    label = filled(outline.array > 0, outline_of(path))
    grid = Grid.from_spacing(image.grid.shape, spacing_mm)
    return Case(
        subject,
        Scan(image.array, grid),
        Scan(label, Grid.from_spacing(label.shape, spacing_mm)),
        classes=2,
        name=path.stem,
    )


def filled(outline, path):
    """The outline and what it encloses, alone or together with the picture's border: uint8.

    Raises:
        LabelError: it encloses nothing.
    """
    from scipy import ndimage

    if not outline.any():
        raise LabelError(f"{path} holds no outline: all pixels are 0. Get the file again.")
    parts = ndimage.label(~outline)[0]
    places = np.argwhere(outline)
    middle = tuple((places.min(0) + places.max(0)) // 2)
    inside = parts == parts[middle]
    corners = inside[[0, 0, -1, -1], [0, -1, 0, -1]]
    if outline[middle] or corners.all():
        raise LabelError(
            f"{path}: the outline is not closed, so the head cannot be filled. Get the file again."
        )
    return (inside | outline).astype("uint8")
