"""From a trained network and a case to labels on the case's own grid."""

from .objects import choose_cut, instances, largest_component
from .predict import normalization, probabilities, segment, segment_objects
from .sizes import size_multiple
from .windows import by_windows

__all__ = [
    "by_windows",
    "choose_cut",
    "instances",
    "largest_component",
    "normalization",
    "probabilities",
    "segment",
    "segment_objects",
    "size_multiple",
]
