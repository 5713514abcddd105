"""Measures of a response: does it keep to a style, and does it repeat itself."""

from .repetition import is_looping, repeated_ngram_share
from .style import is_stepwise

__all__ = ["is_looping", "is_stepwise", "repeated_ngram_share"]
