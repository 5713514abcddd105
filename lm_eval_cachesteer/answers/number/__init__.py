"""Which number a response to a word problem settles on."""

from .ladder import canonical_number, extract_number

__all__ = ["canonical_number", "extract_number"]
