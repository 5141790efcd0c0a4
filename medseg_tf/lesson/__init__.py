"""What the notebooks share: one switch of scale, a banner, claims with their table, exercises."""

from .core import banner, claim, claims_table, exercise, real, results, scale, source
from .seeds import over_seeds

__all__ = [
    "banner",
    "claim",
    "claims_table",
    "exercise",
    "over_seeds",
    "real",
    "results",
    "scale",
    "source",
]
