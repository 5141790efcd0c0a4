"""From a trained network and a case to labels on the case's own grid."""

from .objects import instances
from .predict import probabilities, segment
from .sizes import size_multiple

__all__ = ["instances", "probabilities", "segment", "size_multiple"]
