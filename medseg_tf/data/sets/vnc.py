"""Read the ssTEM set of a fly larva's ventral nerve cord: serial sections, membranes marked.

Layout: `stack1/raw/NN.tif` and `stack1/membranes/NN.png`, NN the section; in a mask white is
membrane, extracellular space included. As in the ISBI 2012 set class 1 is the inside of cells and
class 0 the membrane, so the masks are turned round.
"""

from functools import partial

from medseg_tf.data.case import Case, Scan
from medseg_tf.data.sets.sequences import blocks, grid, numbered


def fits(folder):
    """Whether the folder has the layout of the set."""
    return bool(sections(folder))


def plan(folder, spacing_um=None, count=2, gap=1):
    """List the sections by number: (subject, read), read() -> Case with classes 0 and 1.

    The sections follow one another, so the subject is one of `count` blocks ("sections 4-7"),
    with `gap` sections left out between two blocks; gap=0 keeps every section.
    """
    found = sections(folder)
    subjects = {n: f"sections {a}-{b}" for n, (a, b) in blocks(found, count, gap).items()}
    return [
        (subject, partial(read_case, subject, *found[n], spacing_um))
        for n, subject in subjects.items()
    ]


def sections(folder):
    """Return {number: (picture, mask)}, in order."""
    pictures = numbered(folder / "stack1" / "raw", r"(\d+)\.tif")
    masks = numbered(folder / "stack1" / "membranes", r"(\d+)\.png")
    return {n: (pictures[n], masks[n]) for n in sorted(pictures.keys() & masks.keys())}


def read_case(subject, image_path, mask_path, spacing_um):
    image, mask = Scan.read(image_path), Scan.read(mask_path, label=True)
    # Masks of one bit hold 0 and 1; in those of eight bits a border may be grey.
    white = mask.array >= (128 if mask.array.max() > 1 else 1)
    return Case(
        subject,
        Scan(image.array, grid(image.grid.shape, spacing_um)),
        Scan((~white).astype("uint8"), grid(mask.grid.shape, spacing_um)),
        name=f"section {int(image_path.stem)}",
    )
