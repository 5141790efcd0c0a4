"""Arrays that know where they lie: Grid, Scan, Case.

Spatial axes come first, in the file's own voxel order; an image ends in a channel axis, a label
never has one.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from medseg_tf.errors import GeometryError, ImageReadError, LabelError

UNITS = ("mm", "um", "pixel")


@dataclass(frozen=True, eq=False)
class Grid:
    """Where the voxels of an array lie.

    Args:
        shape: tuple of int, the spatial shape: (rows, columns) or (x, y, z).
        affine: (rank + 1, rank + 1) array from voxel index to position; identity if left out.
        units: "mm", "um" or "pixel" (size unknown).

    Raises:
        GeometryError: an axis shorter than 1, shape and affine disagree, the affine has no
            inverse, or the units are others.
    """

    shape: tuple
    affine: np.ndarray = None
    units: str = "mm"

    def __post_init__(self):
        shape = tuple(int(size) for size in self.shape)
        rank = len(shape)
        if min(shape, default=0) < 1:
            raise GeometryError(f"grid of shape {self.shape}; each axis needs at least one voxel.")
        if self.units not in UNITS:
            raise GeometryError(f"units {self.units!r}; expected one of {', '.join(UNITS)}.")
        affine = np.eye(rank + 1) if self.affine is None else np.array(self.affine, float)
        if affine.shape != (rank + 1, rank + 1):
            raise GeometryError(
                f"affine of shape {affine.shape} for a grid of rank {rank}; "
                f"it must be ({rank + 1}, {rank + 1})."
            )
        if not np.isfinite(affine).all():
            raise GeometryError(f"affine holds NaN or infinite values: {affine.tolist()}.")
        with np.errstate(over="ignore"):
            spacing = np.linalg.norm(affine[:-1, :-1], axis=0)
        possible = (spacing > 0).all() and np.isfinite(spacing).all()
        if not possible or abs(np.linalg.det(affine[:-1, :-1] / spacing)) < 1e-6:
            raise GeometryError(
                f"affine has no inverse (columns of length {spacing.tolist()}); each axis must "
                "point somewhere of its own. Repair the header, or give the spacing by hand."
            )
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "affine", affine)

    @classmethod
    def from_spacing(cls, shape, spacing, units="mm"):
        """Make a grid with axes along the world's, `spacing` (one number an axis) apart."""
        return cls(shape, np.diag([*np.broadcast_to(spacing, len(shape)), 1.0]), units)

    @property
    def spacing(self):
        """Distance between neighbouring voxels along each axis, in `units`: (rank,) array."""
        return np.linalg.norm(self.affine[:-1, :-1], axis=0)

    @property
    def rank(self):
        return len(self.shape)

    @property
    def axes(self):
        """Where the axes of a volume point, as well as a tilted one can: "RAS" is right, front, up.

        Six letters of the patient's world: Right, Left, Anterior, Posterior, Superior, Inferior.

        Raises:
            GeometryError: a grid that is not three-dimensional.
        """
        from nibabel import aff2axcodes

        if self.rank != 3:
            raise GeometryError(f"axes of a grid of shape {self.shape}; only volumes name sides.")
        return "".join(aff2axcodes(self.affine))

    def to_world(self, voxel):
        """Return where voxels lie, in `units`: (..., rank) from indices (..., rank)."""
        return np.asarray(voxel) @ self.affine[:-1, :-1].T + self.affine[:-1, -1]

    def to_voxel(self, place):
        """Return the indices at places in the world, not rounded: (..., rank) of (..., rank)."""
        return (np.asarray(place) - self.affine[:-1, -1]) @ np.linalg.inv(self.affine[:-1, :-1]).T

    def same_place(self, other, tolerance=1e-3):
        """Whether both grids have one shape and their corners lie within `tolerance` units."""
        return self.shape == other.shape and bool(self.corner_distance(other) <= tolerance)

    def corner_distance(self, other):
        """Largest distance between matching corners of two grids of one shape, in `units`."""
        corners = np.array(list(np.ndindex(*(2,) * self.rank))) * (np.array(self.shape) - 1)
        corners = np.c_[corners, np.ones(len(corners))]
        return np.linalg.norm(corners @ (self.affine - other.affine).T, axis=1).max()


@dataclass(frozen=True, eq=False)
class Scan:
    """An array on a grid.

    Args:
        array: image (*spatial, channels) or label (*spatial), integer.
        grid: its Grid; where the size of a voxel is unknown, Grid(shape, units="pixel").
        header: what the file's format needs for writing back (a nibabel header), or None.
    """

    array: np.ndarray
    grid: Grid
    header: object = field(default=None, repr=False)

    def __post_init__(self):
        array = np.asarray(self.array)
        rank = self.grid.rank
        if array.shape[:rank] != self.grid.shape or array.ndim not in (rank, rank + 1):
            raise GeometryError(
                f"array of shape {array.shape} on a grid of shape {self.grid.shape}; an image "
                "is (*grid.shape, channels) and a label grid.shape."
            )
        object.__setattr__(self, "array", array)

    @property
    def is_label(self):
        return self.array.ndim == self.grid.rank

    @classmethod
    def read(cls, path, label=False, volume=None, channels=None):
        """Read a NIfTI, PNG, TIFF or BMP file.

        Args:
            path: the file; its ending decides: .nii, .nii.gz, .png, .tif, .tiff, .bmp.
            label: read integers without a channel axis instead of an image.
            volume: which volume of a four-dimensional NIfTI; "all" makes them channels.
            channels: "gray" or "rgb" to say what a colour picture should become.

        Raises:
            ImageReadError, GeometryError, LabelError, DataIntegrityError, DataNotFoundError.
        """
        from medseg_tf.data import formats

        return formats.read(Path(path), label=label, volume=volume, channels=channels)

    def write(self, path):
        """Write to a NIfTI, PNG or TIFF file under a temporary name, then rename."""
        from medseg_tf.data import formats

        path = Path(path)
        formats.write(self, path)
        return path


@dataclass(frozen=True, eq=False)
class Case:
    """One image with its label.

    Args:
        subject: the smallest unit that must not straddle a split (a person, a field of view).
        image: Scan of an image.
        label: Scan of a label on the same grid, or None.
        classes: number of classes, background included.
        instances: True if the label's numbers are objects (cells) of one class, 0 outside.
        name: what to call this case among the subject's others.

    Raises:
        GeometryError: image and label lie on different grids.
        LabelError: the label is not of whole numbers from 0 to classes - 1.
    """

    subject: str
    image: Scan
    label: Scan = None
    classes: int = 2
    instances: bool = False
    name: str = ""

    def __post_init__(self):
        where = f"case {self.name or self.subject}"
        if self.image.is_label:
            raise ImageReadError(
                f"{where}: image of shape {self.image.array.shape} has no channel axis; "
                "add one: array[..., None]."
            )
        if self.label is None:
            return
        if not self.label.is_label:
            raise LabelError(
                f"{where}: label of shape {self.label.array.shape} has a channel axis."
            )
        if self.label.grid.shape != self.image.grid.shape:
            raise GeometryError(
                f"{where}: image {self.image.grid.shape} and label {self.label.grid.shape} "
                "differ in shape. Resample the label onto the image with nearest neighbour."
            )
        if not self.label.grid.same_place(self.image.grid):
            distance = self.label.grid.corner_distance(self.image.grid)
            raise GeometryError(
                f"{where}: image and label lie up to {distance:.4g} {self.image.grid.units} apart; "
                "they must share an affine (within 0.001)."
            )
        check_label(self.label.array, None if self.instances else self.classes, where)


def slices(case, axis=2):
    """Cut a volume into its slices: a list of 2-D Case of the same subject, in order.

    Args:
        case: Case of rank 3.
        axis: the axis across the slices.
    """
    spacing = np.delete(case.image.grid.spacing, axis)
    cut = []
    for index in range(case.image.grid.shape[axis]):
        image = case.image.array.take(index, axis)
        grid = Grid.from_spacing(image.shape[:2], spacing, case.image.grid.units)
        label = case.label and Scan(case.label.array.take(index, axis), grid)
        name = f"{case.name or case.subject}, slice {index}"
        cut.append(replace(case, image=Scan(image, grid), label=label, name=name))
    return cut


def check_label(array, classes, where):
    """Raise LabelError unless `array` holds whole numbers from 0 to classes - 1.

    Args:
        array: label array.
        classes: number of classes, or None where any number of objects is right.
        where: start of the message.
    """
    if array.dtype.kind not in "iub":
        whole = np.isfinite(array) & (array == np.rint(array))
        if not whole.all():
            raise LabelError(
                f"{where}: label holds {array[~whole].flat[0]:.3f}; class numbers are whole. "
                "It was probably interpolated: go back to the file before resampling."
            )
    lowest, highest = (int(array.min()), int(array.max())) if array.size else (0, 0)
    if lowest < 0 or (classes is not None and highest >= classes):
        values = np.unique(array)
        shown = ", ".join(str(int(v)) for v in values[:8]) + (", ..." if len(values) > 8 else "")
        hint = (
            " 255 is often 'ignore' or 'white': map it to a class first." if 255 in values else ""
        )
        raise LabelError(
            f"{where}: label values {shown}; expected 0..{classes - 1 if classes else 'n'}.{hint}"
        )
