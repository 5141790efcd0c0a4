"""Read ProtonLungMRI: volumes of the chest in proton MR, lungs or their lobes.

Layout: `ProtonImages/NNNNH1.nii.gz`, `ProtonLungMasks/NNNNMask.nii.gz` with 1 the right and 2 the
left lung, `ProtonLobeMasks/NNNNLobes.nii.gz` with 1 left lower, 2 left upper, 3 right lower, 4
right middle, 5 right upper lobe; NNNN the person. Lungs are as dark as the outside, nearly.
"""

import re

from medseg_tf.data.case import Scan
from medseg_tf.data.sets import labelled
from medseg_tf.errors import ConfigError

NAME = re.compile(r"(\d+)H1\.nii\.gz")
TRUTHS = {"lungs": ("ProtonLungMasks", "Mask", 3), "lobes": ("ProtonLobeMasks", "Lobes", 6)}


def fits(folder):
    """Whether the folder has the layout of ProtonLungMRI."""
    return bool(volumes(folder, "lungs") or volumes(folder, "lobes"))


def plan(folder, truth="lungs"):
    """List the people by number: (subject, read), read() -> Case.

    Args:
        folder: Path of the set.
        truth: "lungs", classes 0 to 2, or "lobes", 0 to 5.

    Raises:
        ConfigError: another truth.
    """
    if truth not in TRUTHS:
        raise ConfigError(f"truth={truth!r}; ProtonLungMRI has 'lungs' or 'lobes'.")
    files = [(name, name, [image], label) for name, image, label in volumes(folder, truth)]
    return labelled.plan(files, Scan.read, TRUTHS[truth][-1], None, False)


def volumes(folder, truth):
    """Return [(person, volume, label)] of the volumes that have that truth, sorted by person."""
    place, ending, _ = TRUTHS[truth]
    found = []
    for path in sorted(folder.glob("ProtonImages/*H1.nii.gz")):
        if match := NAME.fullmatch(path.name):
            label = folder / place / f"{match[1]}{ending}.nii.gz"
            found += [(match[1], path, label)] * label.is_file()
    return found
