"""Read IBSR18: T1-weighted MR of the head without skull, tissues outlined by experts.

Layout: `Training_Set/IBSR_NN/IBSR_NN.nii.gz` and `IBSR_NN_seg.nii.gz` beside it, the same below
`Validation_Set`; of the IBSR's 18 people those with a label are read. The files have a fourth axis
of length 1. Labels: 0 background, 1 cerebrospinal fluid, 2 grey matter, 3 white matter.
"""

import re

from medseg_tf.data.case import Scan
from medseg_tf.data.sets import labelled

NAME = re.compile(r"(IBSR_\d+)_seg\.nii\.gz")


def fits(folder):
    """Whether the folder has the layout of IBSR18."""
    return bool(labels(folder))


def plan(folder):
    """List the people by number: (subject, read), read() -> Case with classes 0 to 3.

    The subject is the person, whichever of the two folders holds it.
    """
    files = [
        (name, name, [path.with_name(f"{name}.nii.gz")], path) for name, path in labels(folder)
    ]
    return labelled.plan(files, Scan.read, 4, None, False)


def labels(folder):
    """Return [(subject, path of the label)], sorted by subject."""
    paths = folder.glob("*/IBSR_*/IBSR_*_seg.nii.gz")
    found = [(match[1], path) for path in paths if (match := NAME.fullmatch(path.name))]
    return sorted(found)
