"""What a sweep found: the file `sweep.json` that `cachesteer sweep` leaves in its folder."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ResultsError
from ..paths import is_folder, user_path
from ..strict_json import parse_json

NAME = "sweep.json"
MEASURES = ("score", "adherence", "repetition", "looping")

Settings = dict[str, str | int | float]


@dataclass(frozen=True)
class Cell:
    """One combination of settings.

    Attributes:
        settings: Setting -> value.
        split: The documents it was measured on.
        documents: Their number.
        figures: `score`, its interval `low` to `high`, `adherence`, `repetition`, `looping`; None where not measured.
    """

    settings: Settings
    split: str
    documents: int
    figures: dict[str, float | None]


@dataclass(frozen=True)
class Recommendation:
    """The settings a sweep chose.

    Attributes:
        settings: Setting -> value; empty if nothing was recommended.
        score: Their score on the documents they were chosen on.
        held_out: Their score on documents that had no part in the choice.
        gain: The difference of that from the unsteered run, and both ends of its interval.
    """

    settings: Settings
    score: float | None
    held_out: float | None
    gain: tuple[float, float, float] | None

    @classmethod
    def of(cls, found: dict[str, Any]) -> Recommendation:
        """Reads the part `recommended`, of which all may be missing."""
        held_out = found.get("held_out") or {}
        gain = held_out.get("gain")
        return cls(
            _settings(found.get("settings") or {}),
            _number(found.get("score")),
            _number(held_out.get("score")),
            (_finite(gain["difference"]), _finite(gain["low"]), _finite(gain["high"])) if gain else None,
        )


@dataclass(frozen=True)
class Sweep:
    """A grid of settings and how each of them did.

    Attributes:
        path: The file.
        vectors: What was steered with.
        grid: Setting -> its values, in order.
        cells: The combinations measured.
        recommended: What it chose.
    """

    path: Path
    vectors: str
    grid: dict[str, list[Any]]
    cells: list[Cell]
    recommended: Recommendation


def find_sweeps(folders: Sequence[str], left_out: Callable[[ResultsError], None]) -> list[Sweep]:
    """All sweeps in folders and below them.

    Args:
        folders: Where to look.
        left_out: Told of files that are no record of a sweep.
    """
    places = [user_path(folder) for folder in folders]
    sweeps = []
    for file in [file for place in places if is_folder(place) for file in sorted(place.rglob(NAME))]:
        try:
            sweeps.append(_read(file))
        except ResultsError as error:
            left_out(error)
    return sweeps


def _read(file: Path) -> Sweep:
    try:
        content = parse_json(file.read_text(encoding="utf-8"))
        cells = [
            Cell(
                settings=_settings(cell["settings"]),
                split=str(cell.get("split", "")),
                documents=int(_number(cell.get("documents")) or 0),
                figures={name: _number(cell.get(name)) for name in (*MEASURES, "low", "high")},
            )
            for cell in content["cells"]
        ]
        grid = {str(name): [_value(value) for value in values] for name, values in content["grid"].items()}
        recommended = Recommendation.of(content.get("recommended") or {})
        return Sweep(file, str(content["vectors"]), grid, cells, recommended)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ResultsError(
            f"{file} is no record of a sweep ({type(error).__name__}: {error}). Run the sweep again, or leave it out."
        ) from None


def _settings(found: dict[str, Any]) -> Settings:
    return {str(name): _value(value) for name, value in found.items()}


def _value(value: Any) -> str | int | float:
    """A value as it is shown and compared; lists, such as layers, as their text."""
    return value if isinstance(value, str | int | float) else json.dumps(value)


def _number(value: Any) -> float | None:
    return None if value is None else _finite(value)


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is no finite number")
    return number
