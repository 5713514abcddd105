"""The settings to try."""

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
# More would take months, or were not meant.
MOST_CELLS = 10_000
_MOST_VALUES = 10_000
_NUMBER = re.compile(r"[+-]?([0-9]{1,40}(\.[0-9]{0,40})?|\.[0-9]{1,40})(e[+-]?[0-9]{1,2})?", re.IGNORECASE)

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


def size(axes: Sequence[Axis]) -> int:
    """Number of combinations."""
    return math.prod(len(axis.values) for axis in axes)


def cells(axes: Sequence[Axis]) -> list[Setting]:
    """Every combination, the last axis changing fastest.

    Raises:
        ArgumentError: Two axes have the same name, or there are more than `MOST_CELLS` combinations.
    """
    _check_names(axes)
    if size(axes) > MOST_CELLS:
        raise ArgumentError(
            f"--grid asks for {size(axes)} settings; at most {MOST_CELLS} can be tried. Give fewer values, or try some "
            "of them, drawn at random, with --random N."
        )
    return [_cell(axes, number) for number in range(size(axes))]


def draw(axes: Sequence[Axis], count: int, seed: int) -> list[Setting]:
    """A random part of the combinations, each at most once; a seed draws the same ones again, and more extend them.

    The combinations are not listed: there may be any number of them.

    Source: random search (Bergstra and Bengio 2012).

    Args:
        axes: The grid.
        count: How many; all, if there are fewer.
        seed: Seed of the draw.

    Raises:
        ArgumentError: Two axes have the same name, or more than `MOST_CELLS` are to be drawn.
    """
    _check_names(axes)
    total = size(axes)
    if min(count, total) > MOST_CELLS:
        raise ArgumentError(f"--random {count} is too many: at most {MOST_CELLS} settings can be tried.")
    generator = random.Random(seed)  # noqa: S311 - a sample, no secret
    moved: dict[int, int] = {}  # the shuffle of Fisher and Yates, of which only what has moved is kept
    drawn = []
    for place in range(min(count, total)):
        other = generator.randrange(place, total)
        drawn.append(moved.get(other, other))
        moved[other] = moved.get(place, place)
    return [_cell(axes, number) for number in sorted(drawn)]


def _check_names(axes: Sequence[Axis]) -> None:
    names = [axis.name for axis in axes]
    repeated = {name for name in names if names.count(name) > 1}
    if repeated:
        raise ArgumentError(f"--grid names {', '.join(sorted(repeated))} twice. List all values in one --grid.")


def _cell(axes: Sequence[Axis], number: int) -> Setting:
    """The combination of this number, the last axis changing fastest."""
    setting: Setting = {}
    for axis in reversed(axes):
        number, place = divmod(number, len(axis.values))
        setting[axis.name] = axis.values[place]
    return dict(reversed(setting.items()))


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
