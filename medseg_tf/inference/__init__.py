"""From a trained network and a case to labels on the case's own grid."""

from .objects import instances, largest_component
from .predict import normalization, probabilities, segment
from .sizes import size_multiple

__all__ = [
    "instances",
    "largest_component",
    "normalization",
    "probabilities",
    "segment",
    "size_multiple",
]
