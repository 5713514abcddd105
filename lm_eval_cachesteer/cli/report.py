"""`cachesteer report`: one page to look at runs."""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ..errors import ArgumentError


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
) -> None:
    """Make one HTML file of many runs: leaderboard, plots, and every answer beside the unsteered one.

    Reads what `lm_eval --output_path FOLDER --log_samples` writes, from any backend, and the sweeps below. The file
    needs no network and no server.

    Example: cachesteer report runs -o report.html
    """
    from ..files import write_atomically
    from ..report.data import report_data
    from ..report.figure import require_plotly
    from ..report.page import render

    require_plotly()
    data = report_data(folders, metric, samples, seed)
    content = render(data, title)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(out, content)
    except OSError as error:
        raise ArgumentError(
            f"--out {out} cannot be written ({error.strerror}). Name a file in a folder of your own."
        ) from None
    console = Console(stderr=True)
    for remark in data["remarks"]:
        console.print(f"Left out: {remark}", highlight=False, markup=False, soft_wrap=True)
    shown, of = len(data["browser"]["samples"]), data["browser"]["of"]
    counted = f"{shown} samples" if shown == of else f"{shown} of {of} samples"
    print(f"{out}: {data['summary']}, {counted}, {len(content) / 1e6:.1f} MB")
    if show:
        webbrowser.open(out.resolve().as_uri())
