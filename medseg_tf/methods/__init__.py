"""Procedures that label or learn without being a network themselves."""

from .calibration import prior_shift
from .thresholds import k_means, multi_otsu, otsu

__all__ = ["k_means", "multi_otsu", "otsu", "prior_shift"]
