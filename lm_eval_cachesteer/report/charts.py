"""Plots about runs: how they differ from the baseline, and how their responses are distributed."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..results.comparison import MetricComparison
from ..results.leaderboard import Entry
from .figure import Chart, Rows, axis, chart
from .groups import Group
from .theme import LIGHT

# A distribution is drawn from this many quantiles, so that the page stays small whatever the number of documents.
_QUANTILES = 201
_DISTRIBUTIONS = {"words": "words in a response", "repetition": "share of repeated 4-grams"}
# Verdict -> symbol and colour, so that neither carries the meaning alone.
_MARKS = {"better": ("triangle-up", "accent"), "worse": ("triangle-down", "worse"), "different": ("diamond", "ink")}
_NO_MARK = ("circle-open", "muted")


def difference_charts(entries: Sequence[Entry]) -> list[Chart]:
    """For each model and metric, the difference of every run from its baseline, with interval and verdict in words."""
    families: dict[tuple[str, str], list[tuple[Entry, MetricComparison]]] = {}
    for entry in entries:
        if entry.paired is not None:
            families.setdefault((entry.model, entry.paired.metric), []).append((entry, entry.paired))
    return [_differences(model, metric, family) for (model, metric), family in families.items()]


def distribution_charts(groups: Sequence[Group]) -> list[Chart]:
    """For each group, how words and repetition of the responses are distributed in every run."""
    charts = []
    for group in groups:
        for metric, meaning in _DISTRIBUTIONS.items():
            values = [group.values(side, metric) for side in range(len(group.sides))]
            if any(values):
                charts.append(_violins(group, metric, meaning, values))
    return charts


def _differences(model: str, metric: str, family: Sequence[tuple[Entry, MetricComparison]]) -> Chart:
    rows, points, spoken = Rows(), [], []
    for task, of_task in itertools.groupby(family, key=lambda one: one[0].group):
        rows.heading(task)
        for entry, paired in of_task:
            found = paired.found
            told = f"{found.difference:+.3f} ({found.low:+.3f} to {found.high:+.3f})"
            spoken.append(f"{task}, {entry.configuration}: {told}, {paired.verdict}")
            points.append(_interval(paired, rows.row(16, entry.configuration, told, paired.verdict)))
    reach = max(max(abs(paired.found.low), abs(paired.found.high)) for _, paired in family) * 1.06 or 1.0
    horizontal = axis(
        f"difference in {metric}, with 95 % interval",
        range=[-reach, reach],
        zeroline=True,
        zerolinecolor=LIGHT["muted"],
        zerolinewidth=1.5,
    )
    said = f"Differences in {metric} from the baseline. {'; '.join(spoken)}."
    return chart(f"{metric} · {model}", f"Difference in {metric}", points, rows.layout(horizontal), said)


def _interval(paired: MetricComparison, place: float) -> dict[str, Any]:
    found = paired.found
    symbol, color = _MARKS.get(paired.verdict, _NO_MARK)
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [found.difference],
        "y": [place],
        "error_x": {
            "array": [found.high - found.difference],
            "arrayminus": [found.difference - found.low],
            "color": LIGHT[color],
            "thickness": 2,
            "width": 5,
        },
        "marker": {"color": LIGHT[color], "symbol": symbol, "size": 11, "line": {"color": LIGHT[color], "width": 2}},
        "hoverinfo": "skip",
    }


def _violins(group: Group, metric: str, meaning: str, values: Sequence[Sequence[float]]) -> Chart:
    rows, violins, spoken = Rows(), [], []
    form = ".0f" if metric == "words" else ".2f"
    for side, found in zip(group.sides, values, strict=True):
        if found:
            told = f"median {np.median(found):{form}}, mean {np.mean(found):{form}}"
            spoken.append(f"{side.entry.configuration}: {told}")
            place = rows.row(48, side.entry.configuration, told)
            violins.append(_violin(found, place, is_baseline=side.entry.is_baseline))
    end = 1.0 if metric == "repetition" else max(map(max, filter(None, values))) * 1.04 or 1.0
    said = f"{group.task}, {meaning}. {'; '.join(spoken)}."
    title, layout = f"{group.task} · {group.model}", rows.layout(axis(meaning, range=[0, end]))
    return chart(title, meaning.capitalize(), violins, layout, said)


def _violin(values: Sequence[float], place: float, *, is_baseline: bool) -> dict[str, Any]:
    return {
        "type": "violin",
        "orientation": "h",
        "x": np.quantile(values, np.linspace(0, 1, _QUANTILES)).round(4).tolist(),
        "y0": place,
        "width": 48,
        "points": False,
        "spanmode": "hard",
        "box": {"visible": True, "width": 0.2, "fillcolor": LIGHT["paper"]},
        "line": {"color": LIGHT["muted" if is_baseline else "accent"], "width": 1.5},
        "fillcolor": LIGHT["line" if is_baseline else "tint"],
        "hoverinfo": "skip",
    }
