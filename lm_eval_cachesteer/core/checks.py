"""What counts as a number where settings are checked: neither True nor False, nor what overflows."""

import sys
from typing import Any, TypeGuard


def is_number(value: Any) -> bool:
    """Whether a value is a finite real number."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and abs(value) <= sys.float_info.max  # a whole number can be larger


def is_whole(value: Any) -> TypeGuard[int]:
    """Whether a value is a whole number."""
    return isinstance(value, int) and not isinstance(value, bool)
