"""A leaderboard as text: Markdown, CSV, JSON, and the cells that a terminal shows too."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any

from ..files import json_text
from .leaderboard import Entry
from .tables import csv_table, escape_markdown, markdown_table

LEGEND = (
    "Intervals (95 %) and p-values: paired differences from the baseline, p-values corrected (Holm) over the runs of a "
    "group. Time: of the whole run, all its tasks."
)
_COLUMNS = (
    *("configuration", "date", "documents", "score", "difference", "95 % interval", "p (Holm)", "verdict"),
    *("adherence", "repetition", "looping", "tokens", "time", "steered"),
)


def as_markdown(entries: Sequence[Entry]) -> str:
    """A heading, a table and remarks for each model and task."""
    parts = []
    for title, group in groups(entries):
        parts.append(f"## {escape_markdown(title)}\n\n{escape_markdown(measured(group))}\n\n")
        parts.append(markdown_table(_COLUMNS, [_cells(entry) for entry in group]) + "\n")
        parts += [f"- {escape_markdown(remark)}\n" for remark in remarks(group)]
        parts.append("\n" if remarks(group) else "")
    return "".join(parts) + LEGEND + "\n"


def as_csv(entries: Sequence[Entry]) -> str:
    """One row for each entry, with a column for each style."""
    styles = sorted({style for entry in entries for style in entry.adherence})
    rows = []
    for entry in entries:
        row: dict[str, Any] = {}
        for column, value in asdict(entry).items():
            if column == "paired":
                found = value["found"] if value else {}
                row |= {figure: found.get(figure) for figure in ("low", "high", "p_value")}
                row["p_holm"] = value["adjusted"] if value else None
                row["verdict"] = entry.paired.verdict if entry.paired else None
            elif column == "adherence":
                row |= {f"adherence_{style}": value.get(style) for style in styles}
            else:
                row[column] = "; ".join(value) if column == "remarks" else value
        rows.append(row)
    return csv_table(list(rows[0]) if rows else [], [list(row.values()) for row in rows])


def as_json(entries: Sequence[Entry]) -> str:
    """Every figure."""
    return json_text(described(entries))


def described(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Every figure, as plain data."""
    listed = []
    for entry in entries:
        paired = asdict(entry.paired) | {"verdict": entry.paired.verdict} if entry.paired else None
        listed.append(asdict(entry) | {"paired": paired})
    return listed


def groups(entries: Sequence[Entry]) -> list[tuple[str, list[Entry]]]:
    """The entries of each model and task, under a title."""
    grouped = groupby(entries, key=lambda entry: (entry.model, entry.group))
    return [(f"{model}: {task}", list(group)) for (model, task), group in grouped]


def measured(group: Sequence[Entry]) -> str:
    """What the scores of a group are, and over how many documents."""
    metric, filter_name = group[0].metric, group[0].filter
    score = f"score: {metric}, {filter_name}" if metric else "no score"
    counts = sorted({entry.documents for entry in group if entry.documents is not None})
    return f"{score}; {' or '.join(map(str, counts))} documents" if counts else score


def remarks(group: Sequence[Entry]) -> list[str]:
    """What a reader of a group has to know; without a name where it holds for all that are no baseline."""
    times = Counter(remark for entry in group for remark in entry.remarks)
    compared = sum(not entry.is_baseline for entry in group)
    said = [
        remark if times[remark] == compared else f"{entry.configuration}: {remark}"
        for entry in group
        for remark in entry.remarks
    ]
    return list(dict.fromkeys(said))


def name(entry: Entry) -> str:
    """What sets a run apart."""
    return f"{entry.configuration} (baseline)" if entry.is_baseline else entry.configuration


def date(entry: Entry) -> str:
    """When a run was written, to the second."""
    day, _, time = entry.date.partition("T")
    return f"{day} {time[:8].replace('-', ':')}".strip()


def score(entry: Entry) -> str:
    """The score and its standard error."""
    return shown(entry.score, ".4g") + ("" if entry.stderr is None else f" ±{entry.stderr:.2g}")


def interval(entry: Entry) -> str:
    """The 95 % interval of the difference."""
    return f"{entry.paired.found.low:+.3g} to {entry.paired.found.high:+.3g}" if entry.paired else ""


def p_value(entry: Entry) -> str:
    """The p-value of no difference, corrected over the runs of the group."""
    return f"{entry.paired.adjusted:.3g}" if entry.paired else ""


def adherence(entry: Entry, separator: str = ", ") -> str:
    """The share of responses in each style."""
    return separator.join(f"{style} {share:.3g}" for style, share in entry.adherence.items())


def length(entry: Entry) -> str:
    """Tokens in a response, or words where the task does not count tokens."""
    return shown(entry.words, ".0f", " words") if entry.tokens is None else shown(entry.tokens, ".0f")


def shown(figure: float | None, form: str, unit: str = "") -> str:
    """A figure, or an empty cell."""
    return "" if figure is None else f"{figure:{form}}{unit}"


def _cells(entry: Entry) -> tuple[str, ...]:
    return (
        name(entry),
        date(entry),
        shown(entry.documents, "d"),
        score(entry),
        shown(entry.difference, "+.4g"),
        interval(entry),
        p_value(entry),
        entry.paired.verdict if entry.paired else "",
        adherence(entry),
        shown(entry.repetition, ".3g"),
        shown(entry.looping, ".3g"),
        length(entry),
        shown(entry.seconds, ".0f", " s"),
        "" if entry.requests is None else f"{entry.interventions} of {entry.requests}",
    )
