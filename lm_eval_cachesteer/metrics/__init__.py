"""Measures of a response: does it keep to a style, and does it repeat itself."""

from .repetition import compression_ratio, is_looping, repeated_ngram_share
from .response import MEASURES, measure_response
from .style import ADHERENCE, REASONING_FORMS, is_stepwise

__all__ = [
    "ADHERENCE",
    "MEASURES",
    "REASONING_FORMS",
    "compression_ratio",
    "is_looping",
    "is_stepwise",
    "measure_response",
    "repeated_ngram_share",
]
