"""Which option of a multiple-choice question a response settles on."""

from .ladder import extract_choice

__all__ = ["extract_choice"]
