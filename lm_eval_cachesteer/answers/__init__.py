"""Which answer a response gives. Knows nothing of the harness."""

from .choice import extract_choice
from .expressions import extract_expression, same_expression
from .extraction import Extraction
from .number import canonical_number, extract_number

__all__ = [
    "Extraction",
    "canonical_number",
    "extract_choice",
    "extract_expression",
    "extract_number",
    "same_expression",
]
