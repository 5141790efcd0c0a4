"""Read PH2: dermoscopic images of pigmented lesions, in colour, with a dermatologist's outlines.

Layout: `PH2 Dataset images/NAME/NAME_Dermoscopic_Image/NAME.bmp` one picture, and
`PH2 Dataset images/NAME/NAME_lesion/NAME_lesion.bmp` its mask, white the lesion.
"""

from functools import partial

from medseg_tf.data.case import Scan
from medseg_tf.data.sets import labelled


def fits(folder):
    """Whether the folder has the layout of PH2."""
    return bool(pictures(folder))


def plan(folder):
    """List the pictures: (subject, read), read() -> Case in red, green and blue, classes 0 and 1.

    Every picture is a subject of its own: the set names no patients.
    """
    files = [(name, name, [image], label) for name, image, label in pictures(folder)]
    read_image = partial(Scan.read, channels="rgb")
    return labelled.plan(files, read_image, 2, {255: 1}, False, channels="gray")


def pictures(folder):
    """Return [(name, picture, mask)] of the pictures that have a mask, sorted by name."""
    found = []
    for path in sorted(folder.glob("PH2 Dataset images/*/*_Dermoscopic_Image/*.bmp")):
        name, place = path.stem, path.parent.parent
        mask = place / f"{name}_lesion" / f"{name}_lesion.bmp"
        if mask.is_file():
            found.append((name, path, mask))
    return found
