"""Read PTBP: slabs of children's heads in a template's space, tissues labelled by a program.

Layout: `JLF/ilistK.nii.gz`, T1-weighted MR of child K, with `JLF/slistK.nii.gz`; and one child in
four contrasts, `Subjects/NAME/DATE/NAME_DATE_KIND.nii.gz`, KIND one of mprage_t1, 30dir_anatomical
(mean of the diffusion images), 30dir_fa_anatomical (fractional anisotropy), MeanCBFWarpedToT1
(blood flow), with KIND BrainSegmentation its label.

Labels: 0 background, 1 cerebrospinal fluid, 2 cortical grey matter, 3 white matter, 4 deep grey
matter. They are answers of a program, ANTs, and no truth: whoever scores against them measures how
well one program agrees with another.
"""

import re

from medseg_tf.data.sets import labelled

CONTRASTS = ["mprage_t1", "30dir_anatomical", "30dir_fa_anatomical", "MeanCBFWarpedToT1"]


def fits(folder):
    """Whether the folder has the layout of PTBP."""
    return bool(children(folder))


def plan(folder, contrasts=False):
    """List the children: (subject, read), read() -> Case with classes 0 to 4.

    Args:
        folder: Path of the set.
        contrasts: the child in four contrasts (channels T1, diffusion, anisotropy, blood flow),
            instead of those in T1 alone.
    """
    files = in_contrasts(folder) if contrasts else children(folder)
    return labelled.plan(files, labelled.read_channels, 5, None, False)


def children(folder):
    """Return [(subject, name, [path of T1], label)] of the children in T1, sorted by number."""
    found = []
    for path in folder.glob("JLF/slist*.nii.gz"):
        if match := re.fullmatch(r"slist(\d+)\.nii\.gz", path.name):
            image = path.with_name(f"ilist{match[1]}.nii.gz")
            name = f"child {int(match[1]):02d}"
            found.append((name, name, [image], path))
    return sorted(found)


def in_contrasts(folder):
    """Return [(subject, name, [one path a contrast], label)] of the children in all contrasts."""
    ending = "BrainSegmentation.nii.gz"
    found = []
    for path in sorted(folder.glob(f"Subjects/*/*/*_{ending}")):
        name = path.name.removesuffix(f"_{ending}")
        images = [path.with_name(f"{name}_{kind}.nii.gz") for kind in CONTRASTS]
        found.append((path.parent.parent.name, name, images, path))
    return found
