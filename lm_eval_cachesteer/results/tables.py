"""Rows as Markdown and CSV."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from ..printable import printable

# What would end a cell or a row, or start HTML or an escape.
_ESCAPED = str.maketrans({"\\": "\\\\", "|": "\\|", "<": "&lt;", "\n": " ", "\r": " "})


def escape_markdown(text: str) -> str:
    """A text as one line of Markdown, within a table or without."""
    return printable(text.translate(_ESCAPED))


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown (GitHub's), one line for each row."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join(f"| {' | '.join(escape_markdown(cell) for cell in cells)} |\n" for cells in lines)


def csv_table(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table as CSV (RFC 4180, lines ended by a line feed); None is an empty cell, control characters are escaped."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(headings)
    writer.writerows([printable(cell) if isinstance(cell, str) else cell for cell in row] for row in rows)
    return text.getvalue()
