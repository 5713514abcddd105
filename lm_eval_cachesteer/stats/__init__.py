"""Statistics of paired runs. Knows nothing of the harness."""

from .holm import holm
from .paired import PairedDifference, compare_paired

__all__ = ["PairedDifference", "compare_paired", "holm"]
