"""`cachesteer report`: one page to look at runs."""

import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ..printable import printable
from .output import AsJson, print_json, write_file
from .terminal import terminal


def report(
    folders: Annotated[list[str], typer.Argument(help="Result folders, searched with all below; or patterns.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="HTML file to write.")] = Path("report.html"),
    title: Annotated[str, typer.Option(help="Heading of the page.")] = "Steering report",
    metric: Annotated[
        str | None, typer.Option(help="What scores the runs; by default what says whether an answer is right.")
    ] = None,
    samples: Annotated[int, typer.Option(min=0, help="The most samples to show; of more, a random choice.")] = 20_000,
    seed: Annotated[int, typer.Option(help="Seed of that choice.")] = 0,
    show: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make one HTML file of many runs: leaderboard, plots, and every answer beside the unsteered one.

    Reads what `lm_eval --output_path FOLDER --log_samples` writes, from any backend, and the sweeps below. The file
    needs no network and no server.

    Example: cachesteer report runs -o report.html
    """
    written = write_report(folders, out, title=title, metric=metric, samples=samples, seed=seed)
    if as_json:
        print_json(written)
    else:
        print(printable(told(written)))
    if show:
        webbrowser.open(out.resolve().as_uri())


def write_report(
    folders: Sequence[str],
    out: Path,
    *,
    title: str = "Steering report",
    metric: str | None = None,
    samples: int = 20_000,
    seed: int = 0,
) -> dict[str, Any]:
    """Writes the page, and tells on stderr what was left out.

    Args:
        folders: Result folders.
        out: The file.
        title: Its heading.
        metric: What scores the runs.
        samples: The most samples to show.
        seed: Seed of the choice among more.

    Returns:
        What is in it: `path`, `bytes`, `summary`, number of `runs`, `sweeps` and `samples`,
        `samples_of` how many there were, `remarks`.

    Raises:
        ArgumentError: plotly is not installed, or the file cannot be written.
        ResultsError: As in `report_data`.
    """
    from ..report.data import report_data
    from ..report.figure import require_plotly
    from ..report.page import render

    require_plotly()
    data = report_data(folders, metric, samples, seed)
    content = render(data, title)
    write_file("--out", out, content)
    console = terminal(stderr=True)
    for remark in data["remarks"]:
        console.print(f"Left out: {remark}", highlight=False, markup=False, soft_wrap=True)
    return {
        "path": str(out),
        "bytes": len(content),
        "summary": data["summary"],
        "runs": data["runs"],
        "sweeps": len(data["sweeps"]),
        "samples": len(data["browser"]["samples"]),
        "samples_of": data["browser"]["of"],
        "remarks": data["remarks"],
    }


def told(written: dict[str, Any]) -> str:
    """What `write_report` returned, in a line."""
    shown, of = written["samples"], written["samples_of"]
    counted = f"{shown} samples" if shown == of else f"{shown} of {of} samples"
    return f"{written['path']}: {written['summary']}, {counted}, {written['bytes'] / 1e6:.1f} MB"
