"""What readers of frames and sections share: numbered files, blocks of neighbours, the grid."""

import re

from medseg_tf.data.case import Grid


def numbered(folder, pattern):
    """Return {number: path} of the files whose whole name fits `pattern`, in no order.

    Args:
        folder: Path; one that is not there holds no files.
        pattern: regular expression whose first group is the number.
    """
    if not folder.is_dir():
        return {}
    found = ((re.fullmatch(pattern, path.name), path) for path in folder.iterdir())
    return {int(match[1]): path for match, path in found if match}


def blocks(numbers, count, gap):
    """Part a sequence into blocks of neighbours, the smallest unit that may go to one side.

    Args:
        numbers: frame or section numbers; their range is parted, holes in it count.
        count: how many blocks; fewer where a block would be shorter than two gaps.
        gap: how many numbers are left out between two blocks, so that neighbours which show
            nearly the same picture never stand on both sides of a split.

    Returns:
        {number: (first, last)} with the range of its block; numbers in a gap are missing.
    """
    first, length = min(numbers), max(numbers) - min(numbers) + 1
    count = max(1, min(count, (length + gap) // (3 * gap + 1)))
    starts = [first + (length + gap) * block // count for block in range(count + 1)]
    ranges = [(starts[block], starts[block + 1] - gap - 1) for block in range(count)]
    return {n: block for n in numbers for block in ranges if block[0] <= n <= block[1]}


def grid(shape, spacing_um):
    """Return the Grid of a microscope's picture; its units are pixels where no size is known."""
    if spacing_um is None:
        return Grid(shape, units="pixel")
    return Grid.from_spacing(shape, spacing_um, "um")
