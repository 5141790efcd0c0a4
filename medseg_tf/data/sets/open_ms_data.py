"""Read open_ms_data: MR of people with multiple sclerosis, white-matter lesions outlined.

Layout, in MNI space: `cross_sectional/MNI/patientNN/KIND_N4_..._regtoMNI.nii.gz` with KIND one of
FLAIR, T1, T2, and `GOLD_STANDARD_N4_..._regtoMNI.nii.gz`, the consensus of several raters.
Labels: 0 no lesion, 1 white-matter lesion.
"""

from medseg_tf.data.sets import labelled
from medseg_tf.errors import DataNotFoundError

CONTRASTS = ["FLAIR", "T1", "T2"]
TRUTH = "GOLD_STANDARD"


def fits(folder):
    """Whether the folder has the layout of open_ms_data."""
    return bool(truths(folder))


def plan(folder):
    """List the patients by number: (subject, read), read() -> Case with classes 0 and 1.

    The image's channels are FLAIR, T1, T2, without skull.
    """
    files = []
    for path in truths(folder):
        images = [only(path.parent, kind) for kind in CONTRASTS]
        files.append((path.parent.name, path.parent.name, images, path))
    return labelled.plan(files, labelled.read_channels, 2, None, False)


def truths(folder):
    """Return the paths of the labels, sorted by patient."""
    return sorted(folder.glob(f"cross_sectional/MNI/patient*/{TRUTH}_*_regtoMNI.nii.gz"))


def only(folder, kind):
    """Return the one file of a contrast."""
    found = sorted(folder.glob(f"{kind}_*_regtoMNI.nii.gz"))
    if len(found) != 1:
        raise DataNotFoundError(
            f"{folder} holds {len(found)} files {kind}_*_regtoMNI.nii.gz, expected one. Take the "
            "patient's folder as published."
        )
    return found[0]
