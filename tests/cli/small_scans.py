"""A folder of small labelled volumes, for tests; as a script, the command that dies: ARGUMENTS."""

import os
import signal
import sys

import numpy as np

from medseg_tf import cli
from medseg_tf.data import Grid, Scan

TINY = ["--patch", "8", "--depth", "1", "--width", "4", "--batch", "2"]
OBLIQUE = np.array([[0.9, -0.3, 0.1, 5], [0.3, 0.9, -0.2, -7], [0, 0.2, 1.9, 11], [0, 0, 0, 1]])


def volume(seed, shape=(12, 10, 8)):
    """A bright box somewhere in noise: (x, y, z) grey values and labels."""
    rng = np.random.default_rng(seed)
    label = np.zeros(shape, "uint8")
    start = [rng.integers(1, size - 5) for size in shape]
    label[tuple(slice(a, a + 4) for a in start)] = 1
    image = 300.0 * label + rng.normal(100, 20, shape)
    return image.astype("int16"), label


def write_set(folder, count=5, affine=OBLIQUE):
    """Write `count` cases below imagesTr/ and labelsTr/; return the folder."""
    for kind in ("imagesTr", "labelsTr"):
        (folder / kind).mkdir(parents=True)
    for number in range(count):
        image, label = volume(number)
        grid = Grid(image.shape, affine)
        Scan(image[..., None], grid).write(folder / "imagesTr" / f"box_{number}.nii.gz")
        Scan(label, grid).write(folder / "labelsTr" / f"box_{number}.nii.gz")
    return folder


def die_after_epochs(count):
    """Let this process die by SIGKILL when its checkpoint of epoch `count` is in place."""
    replace, seen = os.replace, []

    def replace_and_die(source, target):
        replace(source, target)
        seen.extend([1] if str(target).endswith("checkpoint.npz") else [])
        if len(seen) == 1 + count:  # the first one is written before the first epoch
            os.kill(os.getpid(), signal.SIGKILL)

    os.replace = replace_and_die


if __name__ == "__main__":
    die_after_epochs(1)
    sys.exit(cli.main(sys.argv[1:]))
