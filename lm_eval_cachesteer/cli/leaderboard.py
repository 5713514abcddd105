"""`cachesteer leaderboard`: all runs of a folder, beside their baselines."""

import io
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..errors import CachesteerError
from .output import AsJson, write_file
from .terminal import terminal

if TYPE_CHECKING:
    from ..results.leaderboard import Entry

Format = Literal["table", "markdown", "csv", "json"]

_SUFFIXES: dict[str, Format] = {".txt": "table", ".md": "markdown", ".csv": "csv", ".json": "json"}
_COLORS = {"better": "green", "worse": "red", "different": "yellow"}
# Of tables that go to no terminal.
_WIDTH = 120


def leaderboard(
    folders: Annotated[list[str], typer.Argument(help="Output folders, results files, or patterns; all runs below.")],
    task: Annotated[
        list[str] | None, typer.Option(help="Only this task and its CoT-prompt variant (repeatable). Default: all.")
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(help="What scores the runs: a metric, or metric,filter. Default: the task's first such metric."),
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(help="The run to compare with. Default: the newest unsteered one of each task.")
    ] = None,
    form: Annotated[
        Format | None, typer.Option("--format", help="How to write it. Default: as --output is named, else table.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Write to this file: .md, .csv, .json or .txt.")] = None,
    as_json: AsJson = False,
) -> None:
    """List every run, by model and task: accuracy, difference from the baseline, style, repetition, tokens, time.

    Reads what `lm_eval --output_path FOLDER --log_samples` writes, from any backend. Without samples, differences have
    no interval. Files that cannot be read are named and left out.

    Example: cachesteer leaderboard runs

    Example: cachesteer leaderboard runs --task cachesteer_gsm8k --output leaderboard.md
    """
    from ..results.leaderboard import leaderboard as list_runs
    from ..results.runs import find_run, find_runs

    chosen = _chosen_format(form, output, as_json)
    entries = list_runs(
        find_runs(folders, left_out),
        tasks=task or (),
        metric=metric,
        baseline=find_run(baseline) if baseline else None,
        left_out=left_out,
    )
    if output is not None:
        write_file("--output", output, _text(entries, chosen).encode())
    if as_json:
        sys.stdout.write(_text(entries, "json"))
    elif output is None and chosen == "table":
        show(entries)
    elif output is None:
        sys.stdout.write(_text(entries, chosen))


def show(entries: Sequence["Entry"]) -> None:
    """Prints the tables, as wide as the terminal."""
    _print(entries, terminal() if sys.stdout.isatty() or "COLUMNS" in os.environ else terminal(width=_WIDTH))


def left_out(error: CachesteerError) -> None:
    """Tells what cannot be read."""
    terminal(stderr=True).print(Text(f"Left out: {error}"), soft_wrap=True)


def _chosen_format(form: Format | None, output: Path | None, as_json: bool) -> Format:
    """The format of the file, or, without one, of stdout."""
    if output is None:
        if as_json and form not in (None, "json"):
            raise typer.BadParameter(f"--json and --format {form} contradict each other. Leave one of them out.")
        return "json" if as_json else form or "table"
    if form or output.suffix in _SUFFIXES:
        return form or _SUFFIXES[output.suffix]
    if as_json:
        return "json"
    raise typer.BadParameter(f"{output} does not end in {', '.join(_SUFFIXES)}. Add --format.")


def _text(entries: Sequence["Entry"], form: Format) -> str:
    from ..results import listing

    if form == "table":
        text = io.StringIO()
        _print(entries, terminal(file=text, width=_WIDTH))
        return text.getvalue()
    return {"markdown": listing.as_markdown, "csv": listing.as_csv, "json": listing.as_json}[form](entries)


def _print(entries: Sequence["Entry"], console: Console) -> None:
    from ..results import listing

    for title, group in listing.groups(entries):
        runs = Counter(entry.configuration for entry in group)
        again = [f"\n{listing.date(entry)}" if runs[entry.configuration] > 1 else "" for entry in group]
        columns: dict[str, list[Text]] = {
            "configuration": [Text(listing.name(entry) + date) for entry, date in zip(group, again, strict=True)],
            "score": [Text(listing.score(entry)) for entry in group],
            "difference": [_difference(entry) for entry in group],
            "p": [Text(listing.p_value(entry)) for entry in group],
            "style": [Text(listing.adherence(entry, "\n")) for entry in group],
            "repetition": [Text(listing.shown(entry.repetition, ".3g")) for entry in group],
            "tokens": [Text(listing.length(entry)) for entry in group],
            "time": [Text(listing.shown(entry.seconds, ".0f", " s")) for entry in group],
        }
        table = Table()
        filled = {heading: cells for heading, cells in columns.items() if any(cell.plain for cell in cells)}
        for heading in filled:
            table.add_column(heading, overflow="fold")
        for row in zip(*filled.values(), strict=True):
            table.add_row(*row)
        console.print(Text(f"{title}\n{listing.measured(group)}", style="bold"), table)
        for remark in listing.remarks(group):
            console.print(Text(remark))
        console.print()
    console.print(Text(f"{listing.LEGEND} n.s.: no significant difference."))


def _difference(entry: "Entry") -> Text:
    """The difference and its verdict, above the interval."""
    from ..results import listing

    difference = listing.shown(entry.difference, "+.4g")
    if entry.paired is None:
        return Text(difference)
    verdict = entry.paired.verdict
    style = _COLORS.get(verdict)
    return Text.assemble(difference, " ", (verdict, style) if style else "n.s.", "\n", listing.interval(entry))
