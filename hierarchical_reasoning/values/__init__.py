"""What a place in a search is worth, and how sure that is.

Light to import: torch, numpy and scikit-learn are loaded by `learned`, `fitting` and the encoders when they are used.
"""

from hierarchical_reasoning.values.base import UNKNOWN, Estimate, Place, ValueEstimator
from hierarchical_reasoning.values.calibration import Bin, Calibration
from hierarchical_reasoning.values.disagreement import Disagreement, disagreement
from hierarchical_reasoning.values.settings import HEAD_KINDS, HeadKind, HeadSettings

__all__ = [
    "HEAD_KINDS",
    "UNKNOWN",
    "Bin",
    "Calibration",
    "Disagreement",
    "Estimate",
    "HeadKind",
    "HeadSettings",
    "Place",
    "ValueEstimator",
    "disagreement",
]
