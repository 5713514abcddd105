"""The settings to try."""

import itertools
import math
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ..errors import ArgumentError

NUMBERS = ("c_keys", "c_values")
WHOLE_NUMBERS = ("heads", "position")
TEXTS = ("vectors", "layers")
EXAMPLES = "c_values=2:10:2 (from 2 to 10 in steps of 2), c_keys=0,0.1,0.3 or layers=1-,10-20"
_MOST_VALUES = 10_000
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]{1,2})?", re.IGNORECASE)

Setting = dict[str, Any]


@dataclass(frozen=True)
class Axis:
    """One steering argument and the values to try.

    Attributes:
        name: The argument.
        values: Its values, in the order given, each once.
    """

    name: str
    values: tuple[float | int | str, ...]


def parse_axis(text: str) -> Axis:
    """Reads `NAME=VALUES`; values are separated by commas, `FIRST:LAST:STEP` is a range with both ends.

    Raises:
        ArgumentError: The argument is unknown, or a value is malformed.
    """
    name, equals, values = text.partition("=")
    known = (*NUMBERS, *WHOLE_NUMBERS, *TEXTS)
    if not equals or name not in known or not values:
        raise ArgumentError(f"--grid {text!r} is not understood. Allowed: {', '.join(known)}; for example {EXAMPLES}.")
    found: list[float | int | str] = []
    for part in values.split(","):
        if name in TEXTS or (name == "heads" and part == "all"):
            found.append(part)
        else:
            found += [_number(name, number, text) for number in _range(part, text)]
    return Axis(name, tuple(dict.fromkeys(found)))


def cells(axes: Sequence[Axis]) -> list[Setting]:
    """Every combination, the last axis changing fastest.

    Raises:
        ArgumentError: Two axes have the same name.
    """
    names = [axis.name for axis in axes]
    repeated = {name for name in names if names.count(name) > 1}
    if repeated:
        raise ArgumentError(f"--grid names {', '.join(sorted(repeated))} twice. List all values in one --grid.")
    return [dict(zip(names, values, strict=True)) for values in itertools.product(*(axis.values for axis in axes))]


def draw(settings: Sequence[Setting], count: int, seed: int) -> list[Setting]:
    """A random part of the settings, each at most once; a seed draws the same ones again, and more of them extend it.

    Source: random search (Bergstra and Bengio 2012).
    """
    order = list(range(len(settings)))
    random.Random(seed).shuffle(order)  # noqa: S311 - a sample, no secret
    return [settings[i] for i in sorted(order[:count])]


def _range(part: str, text: str) -> list[Decimal]:
    pieces = part.split(":")
    numbers = [Decimal(piece) for piece in pieces if _NUMBER.fullmatch(piece)]
    if len(numbers) != len(pieces) or len(numbers) not in (1, 3):
        raise ArgumentError(f"--grid {text!r}: {part!r} is neither a number nor FIRST:LAST:STEP. Try {EXAMPLES}.")
    if len(numbers) == 1:
        return numbers
    first, last, step = numbers
    count = math.floor((last - first) / step) + 1 if step else 0
    if not 1 <= count <= _MOST_VALUES:
        raise ArgumentError(
            f"--grid {text!r}: {part!r} holds {max(0, count)} values; 1 to {_MOST_VALUES} were expected. The step must "
            "lead from the first number to the last."
        )
    return [first + step * i for i in range(count)]


def _number(name: str, number: Decimal, text: str) -> float | int:
    if name in NUMBERS:
        return float(number)
    if number != int(number):
        raise ArgumentError(f"--grid {text!r}: {name} must be a whole number, got {number}.")
    return int(number)
