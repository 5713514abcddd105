"""`cachesteer compare`: are runs different, and how sure is that?"""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from .output import AsJson, print_json
from .terminal import terminal

if TYPE_CHECKING:
    from ..results.comparison import Comparison
    from ..stats import MeanDifference, PairedDifference

_COLORS = {"better": "green", "worse": "red", "different": "yellow"}


def compare(
    base: Annotated[str, typer.Argument(help="The run compared with: an output folder, a results file, or a pattern.")],
    others: Annotated[list[str], typer.Argument(help="Runs to compare, named likewise.")],
    task: Annotated[list[str] | None, typer.Option(help="Only this task (repeatable). Default: all in common.")] = None,
    metric: Annotated[
        list[str] | None, typer.Option(help="Only this metric (repeatable). Default: those that score answers.")
    ] = None,
    cluster_by: Annotated[
        str | None, typer.Option(help="A field of the documents; those that agree in it are one cluster, in any task.")
    ] = None,
    allow_unmatched: Annotated[
        bool, typer.Option("--allow-unmatched", help="Leave out documents that only one run has, and count them.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Compare runs document by document: paired differences, intervals, tests, and a verdict in words.

    Reads what `lm_eval --output_path FOLDER --log_samples` writes, from any backend. Where a folder holds several runs,
    the newest is taken.

    Example: cachesteer compare runs/baseline runs/stepwise
    """
    from ..results.comparison import compare_runs
    from ..results.runs import find_run, find_runs

    first = find_run(base)
    runs = [run for other in others for run in (find_runs([other]) if _is_pattern(other) else [find_run(other)])]
    comparisons = [
        compare_runs(
            first,
            run,
            tasks=task or (),
            metrics=metric or (),
            allow_unmatched=allow_unmatched,
            cluster_by=cluster_by,
            seed=seed,
        )
        for run in runs
    ]
    if as_json:
        print_json([_described(comparison) for comparison in comparisons])
    else:
        for comparison in comparisons:
            _print(comparison)


def _is_pattern(place: str) -> bool:
    return any(sign in place for sign in "*?[")


def _described(comparison: "Comparison") -> dict[str, Any]:
    return {
        "base": str(comparison.base.path),
        "other": str(comparison.other.path),
        "metrics": [
            asdict(one)
            | {
                "verdict": one.verdict,
                "found": asdict(one.found)
                | {
                    "detectable": one.found.detectable,
                    "few": one.found.few,
                    "is_contradictory": one.found.is_contradictory,
                },
            }
            for one in comparison.metrics
        ],
        "means": [
            asdict(mean)
            | {"verdict": mean.verdict, "found": asdict(mean.found) | {"detectable": mean.found.detectable}}
            for mean in comparison.means
        ],
        "unmatched": [asdict(left) for left in comparison.unmatched],
        "without_figures": comparison.without_figures,
    }


def _print(comparison: "Comparison") -> None:
    from ..results.remarks import remarks

    console = terminal()
    table = Table(
        "task", "metric", "n", "base", "other", "difference", "95 % interval", "up/down", "p (Holm)", "verdict",
        title=Text(f"{comparison.base.path}\nagainst {comparison.other.path}"), title_justify="left",
    )  # fmt: skip
    for one in comparison.metrics:
        found = one.found
        table.add_row(
            Text(one.task),
            Text(f"{one.metric}, {one.filter}"),
            str(found.documents),
            *_figures(found),
            f"{found.up}/{found.down}",
            f"{one.adjusted:.3g}",
            _colored(one.verdict),
        )
    if comparison.means:
        table.add_section()
    for mean in comparison.means:
        table.add_row(
            Text(f"{mean.name}: mean of {len(mean.tasks)} tasks, weights {mean.weights}"),
            Text(f"{mean.metric}, {mean.filter}"),
            str(mean.found.documents),
            *_figures(mean.found),
            "",
            f"{mean.adjusted:.3g}",
            _colored(mean.verdict),
        )
    console.print(table)
    for line in remarks(comparison):
        console.print(line, highlight=False, markup=False)


def _figures(found: "PairedDifference | MeanDifference") -> tuple[str, str, str, str]:
    return (
        f"{found.first:.4g}",
        f"{found.second:.4g}",
        f"{found.difference:+.4g}",
        f"{found.low:+.4g} to {found.high:+.4g}",
    )


def _colored(verdict: str) -> Text:
    return Text(verdict, style=_COLORS.get(verdict, ""))
