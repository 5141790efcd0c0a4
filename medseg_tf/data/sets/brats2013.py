"""Read BRATS2013_2D: one slice of the head of patients with a brain tumour, four MR contrasts.

Layout: `TrainingData/NAME/NAME_KIND_sliceN.nii.gz`, the same below `TestingData`, NAME the patient
and KIND one of T1, T1C (with contrast agent), T2, FLAIR and atropos_truth.

Labels: 0 background, 1 cerebrospinal fluid, 2 grey matter, 3 white matter, 4 necrosis, 5 edema,
6 tumour that does not enhance, 7 tumour that does. The tumour (4 to 7) was outlined by experts; the
tissues (1 to 3) are the answer of a program, ANTs' Atropos, and no truth: whoever scores against
them measures how well one program agrees with another.
"""

import re

from medseg_tf.data.sets import labelled

CONTRASTS = ["T1", "T1C", "T2", "FLAIR"]
NAME = re.compile(r"(BRATS_\w+?)_atropos_truth_(slice\d+)\.nii\.gz")


def fits(folder):
    """Whether the folder has the layout of BRATS2013_2D."""
    return bool(truths(folder))


def plan(folder, classes=None, relabel=None):
    """List the patients by number: (subject, read), read() -> Case.

    The image's channels are T1, T1C, T2, FLAIR. The subject is the patient, of whom there is one
    slice.

    Args:
        folder: Path of the set.
        classes: how many, background included; None: 8, or after relabel the highest number left
            in any label, plus 1.
        relabel: {number in the files: class}, e.g. {5: 4, 6: 4, 7: 4} to make edema and all parts
            of a tumour one class beside the tissues.
    """
    files = []
    for name, cut, path in truths(folder):
        images = [path.with_name(f"{name}_{kind}_{cut}.nii.gz") for kind in CONTRASTS]
        files.append((name, f"{name} {cut}", images, path))
    return labelled.plan(
        files, labelled.read_channels, classes or (None if relabel else 8), relabel, False
    )


def truths(folder):
    """Return [(subject, "sliceN", path of the label)], sorted by subject."""
    paths = folder.glob("*/BRATS_*/BRATS_*_atropos_truth_slice*.nii.gz")
    found = [(*match.groups(), path) for path in paths if (match := NAME.fullmatch(path.name))]
    return sorted(found)
