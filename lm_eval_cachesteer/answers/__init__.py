"""Which answer a response gives. Knows nothing of the harness."""

from .choices import Extraction, extract_choice

__all__ = ["Extraction", "extract_choice"]
