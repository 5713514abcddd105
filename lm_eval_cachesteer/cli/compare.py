"""`cachesteer compare`: are runs different, and how sure is that?"""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from ..results.comparison import Comparison

_COLORS = {"better": "green", "worse": "red", "different": "yellow"}


def compare(
    base: Annotated[str, typer.Argument(help="The run compared with: an output folder, a results file, or a pattern.")],
    others: Annotated[list[str], typer.Argument(help="Runs to compare, named likewise.")],
    task: Annotated[list[str] | None, typer.Option(help="Only this task (repeatable). Default: all in common.")] = None,
    metric: Annotated[
        list[str] | None, typer.Option(help="Only this metric (repeatable). Default: those that score answers.")
    ] = None,
    cluster_by: Annotated[
        str | None, typer.Option(help="A field of the documents; those that agree in it are one cluster.")
    ] = None,
    allow_unmatched: Annotated[
        bool, typer.Option("--allow-unmatched", help="Leave out documents that only one run has, and count them.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
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
        print(json.dumps([_described(comparison) for comparison in comparisons], indent=2))
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
                "found": asdict(one.found) | {"detectable": one.found.detectable, "few": one.found.few},
            }
            for one in comparison.metrics
        ],
        "overall": [asdict(one) | {"verdict": one.verdict} for one in comparison.overall],
        "unmatched": [asdict(left) for left in comparison.unmatched],
        "without_figures": comparison.without_figures,
    }


def _print(comparison: "Comparison") -> None:
    console = Console()
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
            f"{found.first:.4g}",
            f"{found.second:.4g}",
            f"{found.difference:+.4g}",
            f"{found.low:+.4g} to {found.high:+.4g}",
            f"{found.up}/{found.down}",
            f"{one.adjusted:.3g}",
            _colored(one.verdict),
        )
    for mean in comparison.overall:
        table.add_section()
        table.add_row(
            f"mean of {mean.tasks} tasks",
            Text(f"{mean.metric}, {mean.filter}"),
            "",
            f"{mean.first:.4g}",
            f"{mean.second:.4g}",
            f"{mean.difference:+.4g}",
            f"{mean.low:+.4g} to {mean.high:+.4g}",
            "",
            f"{mean.p_value:.3g}",
            _colored(mean.verdict),
        )
    console.print(table)
    for line in _remarks(comparison):
        console.print(line, highlight=False, markup=False)


def _colored(verdict: str) -> Text:
    return Text(verdict, style=_COLORS.get(verdict, ""))


def _remarks(comparison: "Comparison") -> list[str]:
    """What a reader of the table has to know."""
    remarks = [
        f"{one.task}, {one.metric}: with this many documents, a true difference below "
        f"{one.found.detectable:.3g} mostly goes unnoticed."
        for one in comparison.metrics
        if one.verdict == "no significant difference" and one.found.detectable
    ]
    few = sorted({one.task for one in comparison.metrics if one.found.few})
    if few:
        remarks.append(
            f"Fewer than 200 independent documents in {', '.join(few)}: normal approximations are weak there, so "
            "tests and intervals are those for small samples."
        )
    clustered = [one for one in comparison.metrics if one.found.clusters < one.found.documents]
    remarks += [
        f"{one.task}, {one.metric}: {one.found.documents} documents in {one.found.clusters} clusters."
        for one in clustered
    ]
    remarks += [
        f"{left.task}: {left.base} documents only in the base run, {left.other} only in the other were left out."
        for left in comparison.unmatched
    ]
    remarks += [
        f"{task} was left out: none of its metrics is one number for each document."
        for task in comparison.without_figures
    ]
    return remarks
