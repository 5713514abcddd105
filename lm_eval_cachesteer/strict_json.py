"""JSON of files that may come from anywhere, read so that what uses it need not fear depth and size."""

import json
import re
from collections import Counter
from typing import Any

_DEEPEST = 100
# Enough for the exponents of a float; more cannot be a float, nor, beyond Python's own limit, be printed.
_MOST_DIGITS = 300
_HALF_OF_A_PAIR = re.compile(r"\\u[dD][89a-fA-F]")


def parse_json(text: str, *, strict: bool = False) -> Any:
    """Reads a JSON document.

    Args:
        text: The document.
        strict: Whether to refuse a key that occurs twice in one object, which else loses its first value, and texts
            with half of a surrogate pair, for which UTF-8 and tokenizers have no form.

    Raises:
        ValueError: It is malformed or nested too deeply, or holds a whole number of hundreds of digits.
    """
    try:
        value = json.loads(text, parse_int=_whole, object_pairs_hook=_once if strict else None)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if text.count("[") + text.count("{") > _DEEPEST and _depth(value) > _DEEPEST:
        raise ValueError("nested too deeply")
    if strict and _HALF_OF_A_PAIR.search(text):
        _check_letters(value)
    return value


def _whole(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"a whole number of {len(digits)} digits")
    return int(digits)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        ((name, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"the key {name!r} is there twice")
    return found


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level:
        level = [
            part
            for one in level
            if isinstance(one, dict | list)
            for part in (one.values() if isinstance(one, dict) else one)
        ]
        depth += 1
    return depth


def _check_letters(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"half of a surrogate pair: {error.object[error.start : error.end]!r}") from None
