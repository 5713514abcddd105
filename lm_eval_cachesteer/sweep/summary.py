"""What a sweep found as plain data: `sweep.json`, which `cachesteer report` draws."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ..stats import compare_paired
from .choice import RULE, Cell
from .grid import Axis
from .search import DEVELOPMENT, HELD_OUT, Found


def described(vectors: str, tasks: Sequence[str], axes: Sequence[Axis], found: Found) -> dict[str, Any]:
    """The cells, the chosen one, and how it does on documents that had no part in the choice.

    Args:
        vectors: Vector expression.
        tasks: The tasks.
        axes: The grid; of a draw from it, only values that were drawn are kept.
        found: What the sweep found.
    """
    return {
        "vectors": vectors,
        "tasks": list(tasks),
        "grid": tried(axes, found.cells),
        "rule": RULE,
        "unsteered": _cell(found.unsteered, DEVELOPMENT),
        "cells": [_cell(cell, DEVELOPMENT) for cell in found.cells],
        "recommended": _cell(found.recommended, DEVELOPMENT)
        | {
            "gain": asdict(found.gain),
            "held_out": _cell(found.held_out, HELD_OUT) | {"gain": asdict(found.held_out_gain)},
        },
    }


def tried(axes: Sequence[Axis], cells: Sequence[Cell]) -> dict[str, list[float | int | str]]:
    """The values of each axis that some cell has, in the order of the axis."""
    used = {axis.name: {cell.settings[axis.name] for cell in cells} for axis in axes}
    return {axis.name: [value for value in axis.values if value in used[axis.name]] for axis in axes}


def _cell(cell: Cell, split: str) -> dict[str, Any]:
    figures = list(cell.scores.values())
    spread = compare_paired([0.0] * len(figures), figures)  # the interval of a mean is that of its difference from 0
    return {
        "settings": dict(cell.settings),
        "split": split,
        "documents": len(figures),
        "score": cell.score,
        "low": spread.low,
        "high": spread.high,
        "size": cell.size,
        **{name: cell.measures.get(name) for name in ("adherence", "repetition", "looping")},
    }
