"""Strategies that several targets share: nasty texts and numbers, edits of bytes, changed parts of plain data."""

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

from hypothesis import strategies as st

NASTY_TEXTS = (
    *("", " ", "\n", "\x00", "\x1b[31m", "\u202e", "\u2028", "..", "../..", "/", "~", "~nobody/x", "[bold]", "[/]"),
    *("<script>", "|", "%s", "{}", "nan", "inf", "-inf", "1e999", "none", "None", "null", "true", "-", "+", "*", ","),
    *("9" * 400, "9" * 5000, "\u0661\u0662", "\u00b2", "x" * 300, "\U0001f680", "\ud83d", '"', "\\", "\\n"),
)
NASTY_NUMBERS = (
    *(0, -1, 1, 2**31, 2**63, 10**18, 10**299, -0.0, 0.5, 1e-320, 1e99, 1e300, math.nan, math.inf, -math.inf),
)
TEXTS = st.sampled_from(NASTY_TEXTS) | st.text(max_size=12)
SCALARS = st.none() | st.booleans() | st.sampled_from(NASTY_NUMBERS) | st.integers(-3, 40) | TEXTS
_KEYS = st.sampled_from(("name", "role", "content", "a", "")) | st.text(max_size=4)
JSON_VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=6,
)
RAW_JSON = st.sampled_from(
    ("[" * 2000 + "]" * 2000, "9" * 5000, '"\\ud800"', '{"a":1,"a":2}', "NaN", "-Infinity", "1e999", "'x'", "{", "")
)

Edit = tuple[str, int, int]
"""What, where, and a byte that says how."""

_KINDS = st.sampled_from(("flip", "set", "cut", "insert", "double", "token"))
EDITS = st.lists(st.tuples(_KINDS, st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1, max_size=5)


def edited(content: bytes, edits: Sequence[Edit], tokens: Sequence[bytes]) -> bytes:
    """A content with some edits made.

    Args:
        content: Bytes.
        edits: The edits.
        tokens: What can be put in anywhere.
    """
    found = bytearray(content)
    for kind, where, byte in edits:
        place = where % (len(found) + 1)
        if kind == "token":
            found[place:place] = tokens[byte % len(tokens)]
        elif kind == "insert":
            found[place:place] = bytes([byte]) * (1 + where % 3)
        elif kind == "cut":
            del found[place : place + 1 + byte]
        elif kind == "double":
            found[place:place] = found[place : place + byte]
        elif place < len(found):
            found[place] = byte if kind == "set" else found[place] ^ (1 << byte % 8)
    return bytes(found)


Change = tuple[int, Any]
"""The number of a part of plain data, and what to put there; `...` takes it out."""


def changes_of(values: st.SearchStrategy[Any], most: int = 3) -> st.SearchStrategy[list[Change]]:
    """Which parts of plain data to replace by what."""
    return st.lists(st.tuples(st.integers(0, 1 << 16), values | st.just(...)), max_size=most)


def replaced(value: Any, changes: Sequence[Change]) -> Any:
    """A copy of plain data with some parts changed."""
    content = json.loads(json.dumps(value))
    for number, new in changes:
        places = list(_places(content))
        if not places:
            break
        holder, key = places[number % len(places)]
        if new is ...:
            del holder[key]
        else:
            holder[key] = new
    return content


def texts_of(tokens: Sequence[str], most: int = 12) -> st.SearchStrategy[str]:
    """Tokens in any order, with other texts between."""
    return st.lists(st.sampled_from(tokens) | TEXTS, max_size=most).map("".join)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every part of plain data, as what holds it and under which key."""
    if isinstance(value, dict | list):
        for key, part in list(value.items() if isinstance(value, dict) else enumerate(value)):
            yield value, key
            yield from _places(part)
