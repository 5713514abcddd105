"""Plots of sweeps: heat maps over the first two settings, one for each combination of the others."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from .figure import Chart, axis, base_layout, chart, escaped
from .sweeps import MEASURES, Cell, Settings, Sweep
from .theme import LIGHT


def sweep_charts(sweep: Sweep) -> list[Chart]:
    """The plots of a sweep; every measure that was taken has its own, named by `measure`.

    Settings with one value are left out; if a single one is left, it is drawn as a line.
    """
    varied = [name for name, values in sweep.grid.items() if len(values) > 1] or list(sweep.grid)[:1]
    if not varied:
        return []
    charts = []
    for measure in MEASURES:
        known = [figure for cell in sweep.cells if (figure := cell.figures[measure]) is not None]
        if known:
            for title, fixed, cells in _facets(sweep, varied[2:]):
                if len(varied) == 1:
                    drawn = _line(sweep, measure, varied[0], cells)
                else:
                    drawn = _heat_map(sweep, measure, (varied[0], varied[1]), cells, fixed, (min(known), max(known)))
                charts.append(drawn | {"title": measure, "caption": title})
    return charts


def _facets(sweep: Sweep, names: Sequence[str]) -> Iterator[tuple[str, Settings, list[Cell]]]:
    """The cells of each split and combination of values, with a title, in the grid's order."""
    splits = list(dict.fromkeys(cell.split for cell in sweep.cells))
    facets: dict[tuple[int, ...], list[Cell]] = {}
    for cell in sweep.cells:
        if all(cell.settings.get(name) in sweep.grid[name] for name in names):
            place = (splits.index(cell.split), *(sweep.grid[name].index(cell.settings[name]) for name in names))
            facets.setdefault(place, []).append(cell)
    for (split, *values), cells in sorted(facets.items()):
        fixed = {name: sweep.grid[name][value] for name, value in zip(names, values, strict=True)}
        yield ", ".join([splits[split], *(f"{name} {value}" for name, value in fixed.items())]), fixed, cells


def _heat_map(
    sweep: Sweep,
    measure: str,
    axes: tuple[str, str],
    cells: Sequence[Cell],
    fixed: Settings,
    span: tuple[float, float],
) -> Chart:
    across, down = axes
    found = {(cell.settings.get(across), cell.settings.get(down)): cell for cell in cells}
    grid = [[found.get((column, line)) for column in sweep.grid[across]] for line in sweep.grid[down]]
    told = [[_told(cell, measure) for cell in line] for line in grid]
    trace = {
        "type": "heatmap",
        "x": [escaped(value) for value in sweep.grid[across]],
        "y": [escaped(value) for value in sweep.grid[down]],
        "z": [[cell.figures[measure] if cell else None for cell in line] for line in grid],
        "zmin": span[0],
        "zmax": span[1],
        "colorscale": [[0, LIGHT["raised"]], [1, LIGHT["heat"]]],
        "showscale": False,
        "xgap": 3,
        "ygap": 3,
        "hovertext": told,
        "hoverinfo": "text",
        "texttemplate": "%{z:.3f}",
        "textfont": {"color": LIGHT["ink"]},
    }
    layout = base_layout(90 + 48 * len(grid)) | {
        "xaxis": axis(across, type="category", showgrid=False),
        "yaxis": axis(down, type="category", showgrid=False),
    }
    chosen = sweep.recommended.settings
    places = [sweep.grid[name].index(chosen[name]) for name in axes if chosen.get(name) in sweep.grid[name]]
    if _has(chosen, fixed) and len(places) == len(axes) and (chosen[across], chosen[down]) in found:
        x, y = places
        frame = {"x0": x - 0.5, "x1": x + 0.5, "y0": y - 0.5, "y1": y + 0.5}
        layout["shapes"] = [{"type": "rect", "line": {"color": LIGHT["worse"], "width": 3}} | frame]
    return chart("", "", [trace], layout, f"{measure} by {across} and {down}. {'; '.join(itertools.chain(*told))}.")


def _line(sweep: Sweep, measure: str, across: str, cells: Sequence[Cell]) -> Chart:
    by_value = {cell.settings.get(across): cell for cell in cells}
    known = [by_value[value] for value in sweep.grid[across] if value in by_value]
    known = [cell for cell in known if cell.figures[measure] is not None]
    chosen = [_has(sweep.recommended.settings, {across: cell.settings[across]}) for cell in known]
    trace: dict[str, Any] = {
        "type": "scatter",
        "mode": "lines+markers",
        "x": [escaped(cell.settings[across]) for cell in known],
        "y": [cell.figures[measure] for cell in known],
        "line": {"color": LIGHT["accent"], "width": 2},
        "marker": {
            "opacity": 1,
            "size": [15 if is_chosen else 8 for is_chosen in chosen],
            "symbol": ["star" if is_chosen else "circle" for is_chosen in chosen],
            "color": [LIGHT["worse" if is_chosen else "accent"] for is_chosen in chosen],
        },
        "hovertext": [_told(cell, measure) for cell in known],
        "hoverinfo": "text",
    }
    if measure == "score":
        trace["error_y"] = {
            "array": [_reach(cell, "high") for cell in known],
            "arrayminus": [_reach(cell, "low") for cell in known],
            "color": LIGHT["accent"],
            "thickness": 1.5,
            "width": 4,
        }
    layout = base_layout(320) | {"xaxis": axis(across, type="category"), "yaxis": axis(measure)}
    told = "; ".join(_told(cell, measure) for cell in known)
    return chart("", "", [trace], layout, f"{measure} by {across}. {told}.")


def _has(settings: Settings, fixed: Settings) -> bool:
    return all(name in settings and settings[name] == value for name, value in fixed.items())


def _reach(cell: Cell, end: str) -> float | None:
    """How far the interval of the score reaches from it; None if it has none."""
    figure, score = cell.figures[end], cell.figures["score"]
    return None if figure is None or score is None else abs(figure - score)


def _told(cell: Cell | None, measure: str) -> str:
    """A cell in words."""
    if cell is None or (figure := cell.figures[measure]) is None:
        return "not measured"
    settings = ", ".join(escaped(f"{name} {value}") for name, value in cell.settings.items())
    low, high = cell.figures["low"], cell.figures["high"]
    interval = f" ({low:.3f} to {high:.3f})" if measure == "score" and low is not None and high is not None else ""
    return f"{settings}: {measure} {figure:.3f}{interval}, {cell.documents} documents"
