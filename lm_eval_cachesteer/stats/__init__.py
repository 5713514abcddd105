"""Statistics of paired runs. Knows nothing of the harness."""

from .holm import holm
from .paired import SIGNIFICANCE, PairedDifference, compare_paired

__all__ = ["SIGNIFICANCE", "PairedDifference", "compare_paired", "holm"]
