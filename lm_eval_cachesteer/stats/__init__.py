"""Statistics of paired runs. Knows nothing of the harness."""

from .holm import holm
from .paired import FEW_DOCUMENTS, SIGNIFICANCE, PairedDifference, Pairs, compare_paired
from .signs import FEW_CHANGES
from .strata import MeanDifference, compare_strata

__all__ = [
    "FEW_CHANGES",
    "FEW_DOCUMENTS",
    "SIGNIFICANCE",
    "MeanDifference",
    "PairedDifference",
    "Pairs",
    "compare_paired",
    "compare_strata",
    "holm",
]
