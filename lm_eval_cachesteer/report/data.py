"""From result folders to all that the page shows, as plain data."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from ..errors import ResultsError
from ..results.leaderboard import Entry, leaderboard
from ..results.runs import Run, find_runs
from .charts import difference_charts, distribution_charts
from .figure import Chart
from .groups import read_groups
from .heatmaps import sweep_charts
from .samples import browser_data
from .sweeps import Recommendation, Sweep, find_sweeps
from .table import table_data
from .theme import PALETTE


def report_data(
    places: Sequence[str], metric: str | None = None, max_samples: int = 20_000, seed: int = 0
) -> dict[str, Any]:
    """Reads runs and sweeps.

    Args:
        places: Result folders, searched with all below.
        metric: What scores the runs, as in `leaderboard`.
        max_samples: The most pairs of answers to show; of more, a random choice is taken.
        seed: Seed of that choice.

    Returns:
        What the page shows: `summary`, `runs` (how many), `leaderboard`, `differences`, `distributions`, `sweeps`,
        `browser`, `remarks` (what could not be read), and `colors`, from light to dark.

    Raises:
        ResultsError: There is neither a run with figures nor a sweep, or no run has the metric.
    """
    remarks: list[str] = []

    def left_out(error: ResultsError) -> None:
        remarks.append(str(error))

    runs = find_runs(places, left_out)
    sweeps = find_sweeps(places, left_out)
    if not runs and not sweeps:
        raise ResultsError(remarks[0])
    entries = leaderboard(runs, metric=metric, left_out=left_out) if runs else []
    groups = read_groups(runs, entries, left_out)
    return {
        "summary": _summary(runs, sweeps, entries),
        "runs": len(runs),
        "leaderboard": table_data(entries),
        "differences": difference_charts(entries),
        "distributions": distribution_charts(groups),
        "sweeps": [_described(sweep) for sweep in sweeps],
        "browser": browser_data(groups, max_samples, seed),
        "remarks": remarks,
        "colors": dict(PALETTE.values()),
    }


def _summary(runs: Sequence[Run], sweeps: Sequence[Sweep], entries: Sequence[Entry]) -> str:
    """What the report is about, in a line."""
    days = sorted(run.date[:10] for run in runs)
    parts = [
        _counted(len(runs), "run"),
        _counted(len(sweeps), "sweep"),
        _named({entry.model for entry in entries}, "model"),
        _named({entry.task for entry in entries}, "task"),
        " to ".join(dict.fromkeys([*days[:1], *days[-1:]])),
    ]
    return " · ".join(part for part in parts if part)


def _named(names: Collection[str], kind: str) -> str:
    return "".join(names) if len(names) == 1 else _counted(len(names), kind)


def _counted(number: int, kind: str) -> str:
    return "" if not number else f"{number} {kind}" if number == 1 else f"{number} {kind}s"


def _described(sweep: Sweep) -> dict[str, Any]:
    """A sweep: its plots, and what it recommends in words."""
    charts: list[Chart] = sweep_charts(sweep)
    return {
        "title": f"{sweep.vectors} · {sweep.path.parent.name}",
        "charts": charts,
        "recommended": _advice(sweep.recommended),
    }


def _advice(found: Recommendation) -> str:
    if not found.settings:
        return "The sweep recommends nothing."
    chosen = ", ".join(f"{name} {value}" for name, value in found.settings.items())
    parts = [f"Recommended (framed or starred): {chosen}"]
    if found.score is not None:
        parts.append(f"score {found.score:.3f}")
    if found.held_out is not None:
        parts.append(f"on held-out documents {found.held_out:.3f}")
    if found.gain is not None:
        difference, low, high = found.gain
        parts.append(f"there {difference:+.3f} ({low:+.3f} to {high:+.3f}) from unsteered")
    return "; ".join(parts) + "."
