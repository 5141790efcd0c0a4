"""Random transforms of an image and its label, alike in 2-D and 3-D.

Each factory returns `transform(image, label, rng) -> (image, label)`: image float32
(*spatial, channels), label integer (*spatial) or None, rng a numpy Generator. Shapes stay as they
are. The image moves linearly and the label by nearest neighbour through the same coordinates;
beyond its border a crop goes on as its mirror image.
"""

from medseg_tf.data.augment.fields import affine_coordinates, bspline_matrix, resample, smooth_field
from medseg_tf.data.augment.greys import focus, intensity, match_histogram
from medseg_tf.data.augment.moves import (
    bspline,
    elastic,
    flip,
    quarter_turns,
    rotate,
    scale,
    warp,
)

__all__ = [
    "affine_coordinates",
    "bspline",
    "bspline_matrix",
    "compose",
    "elastic",
    "flip",
    "focus",
    "intensity",
    "match_histogram",
    "quarter_turns",
    "resample",
    "rotate",
    "scale",
    "smooth_field",
    "warp",
]


def compose(*transforms):
    """Make one transform that applies all the given ones, the first first."""

    def transform(image, label, rng):
        for step in transforms:
            image, label = step(image, label, rng)
        return image, label

    return transform
