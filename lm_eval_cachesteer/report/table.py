"""The leaderboard as the page shows it: what each cell says, and what it is sorted by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..results import listing
from ..results.leaderboard import Entry

Value = str | float | None


class _Column(NamedTuple):
    """A column: its name, what a cell says, and what it is sorted by (by default what it says)."""

    name: str
    text: Callable[[Entry], str]
    value: Callable[[Entry], Value] | None = None


def _score(entry: Entry) -> str:
    return listing.shown(entry.score, ".3f") + listing.shown(entry.stderr, ".3f").replace("0.", " ± 0.", 1)


def _interval(entry: Entry) -> str:
    return f"{entry.paired.found.low:+.3f} to {entry.paired.found.high:+.3f}" if entry.paired else ""


_COLUMNS = (
    _Column("configuration", listing.name),
    _Column("task", lambda entry: entry.task),
    _Column("model", lambda entry: entry.model),
    _Column("documents", lambda entry: listing.shown(entry.documents, "d"), lambda entry: entry.documents),
    _Column("score", _score, lambda entry: entry.score),
    _Column("difference", lambda entry: listing.shown(entry.difference, "+.3f"), lambda entry: entry.difference),
    _Column("95 % interval", _interval, lambda entry: entry.paired.found.low if entry.paired else None),
    _Column("p (Holm)", listing.p_value, lambda entry: entry.paired.adjusted if entry.paired else None),
    _Column("verdict", lambda entry: entry.paired.verdict if entry.paired else ""),
    _Column("adherence", listing.adherence, lambda entry: max(entry.adherence.values(), default=None)),
    _Column("repetition", lambda entry: listing.shown(entry.repetition, ".2f"), lambda entry: entry.repetition),
    _Column("looping", lambda entry: listing.shown(entry.looping, ".2f"), lambda entry: entry.looping),
    _Column("length", listing.length, lambda entry: entry.words if entry.tokens is None else entry.tokens),
    _Column("time", lambda entry: listing.shown(entry.seconds, ".0f", " s"), lambda entry: entry.seconds),
)


def table_data(entries: Sequence[Entry]) -> dict[str, Any]:
    """The leaderboard; columns that say nothing, or the same model in every row, are left out.

    Returns:
        What assets/leaderboard.js shows: `columns` (name, and whether they hold numbers), `rows` of (text, value to
        sort by), and `remarks`.
    """
    shown = [column for column in _COLUMNS if _says_something(column, entries)]
    return {
        "columns": [{"name": column.name, "numeric": column.value is not None} for column in shown],
        "rows": [[[column.text(entry), (column.value or column.text)(entry)] for column in shown] for entry in entries],
        "remarks": [
            f"{title}: {remark}" for title, group in listing.groups(entries) for remark in listing.remarks(group)
        ],
    }


def _says_something(column: _Column, entries: Sequence[Entry]) -> bool:
    texts = {column.text(entry) for entry in entries}
    return len(texts) > 1 if column.name == "model" else any(texts)
