import json

import pytest

from lm_eval_cachesteer.report.heatmaps import sweep_charts
from lm_eval_cachesteer.report.sweeps import find_sweeps

from .support import write_sweep


def sweep_of(folder):
    (sweep,) = find_sweeps([str(folder)], pytest.fail)
    return sweep


def cell(score, **settings):
    measured = {"score": score, "low": score - 0.1, "high": score + 0.1, "adherence": None, "repetition": None}
    return {"settings": settings, "split": "development", "documents": 9} | measured


def test_a_sweep_is_a_heat_map_with_its_recommended_cell_framed(tmp_path):
    write_sweep(tmp_path / "deep" / "sweep")
    score, adherence = sweep_charts(sweep_of(tmp_path))  # repetition was not measured
    (trace,) = score["data"]
    assert (score["title"], adherence["title"]) == ("score", "adherence")
    assert trace["z"] == [[0.4, 0.7], [0.3, 0.5]]  # rows: layers 1- and 8-; columns: c_values 2 and 4
    assert (trace["zmin"], trace["zmax"]) == (0.3, 0.7)
    assert trace["hovertext"][0][1] == "c_values 4, layers 1-: score 0.700 (0.600 to 0.800), 40 documents"
    (frame,) = score["layout"]["shapes"]
    assert (frame["x0"], frame["x1"], frame["y0"], frame["y1"]) == (0.5, 1.5, -0.5, 0.5)
    assert "c_values 4, layers 1-: score 0.700" in score["description"]


def test_further_settings_give_one_heat_map_each(tmp_path):
    grid = {"c_values": [1, 2], "layers": ["1-", "8-"], "heads": ["all", 2], "position": [-1]}
    cells = [
        cell(0.1 * c + 0.01 * i, c_values=c, layers=layers, heads=heads, position=-1)
        for i, heads in enumerate(("all", 2))
        for c in (1, 2)
        for layers in ("1-", "8-")
    ]
    chosen = {"settings": {"c_values": 2, "layers": "8-", "heads": 2, "position": -1}}
    write_sweep(tmp_path, grid=grid, cells=cells, recommended=chosen)
    charts = sweep_charts(sweep_of(tmp_path))
    assert [chart["caption"] for chart in charts] == ["development, heads all", "development, heads 2"]
    assert [chart["data"][0]["z"][0][0] for chart in charts] == pytest.approx([0.1, 0.11])
    assert [chart["data"][0][end] for chart in charts for end in ("zmin", "zmax")] == pytest.approx([0.1, 0.21] * 2)
    assert ["shapes" in chart["layout"] for chart in charts] == [False, True]


def test_the_cells_decide_how_many_plots_there_are_not_the_size_of_the_grid(tmp_path):
    """Of a random search through a large space few combinations were tried."""
    names = [f"s{i}" for i in range(9)]
    grid = {name: list(range(50)) for name in names}
    cells = [cell(0.1 * i, **dict.fromkeys(names, 49 - i)) for i in range(3)]
    write_sweep(tmp_path, grid=grid, cells=cells, recommended={"settings": {}})
    captions = [chart["caption"] for chart in sweep_charts(sweep_of(tmp_path))]
    assert captions == ["development, " + ", ".join(f"{name} {value}" for name in names[2:]) for value in (47, 48, 49)]


def test_a_single_setting_is_a_line_with_intervals(tmp_path):
    cells = [cell(0.4, c_values=2, layers="1-"), cell(0.7, c_values=4, layers="1-")]
    write_sweep(tmp_path, grid={"c_values": [2, 4], "layers": ["1-"]}, cells=cells)
    (chart,) = sweep_charts(sweep_of(tmp_path))
    (trace,) = chart["data"]
    assert (trace["x"], trace["y"]) == (["2", "4"], [0.4, 0.7])
    assert trace["error_y"]["array"] == pytest.approx([0.1, 0.1])
    assert trace["marker"]["symbol"] == ["circle", "star"]


def test_cells_that_were_not_measured_stay_empty(tmp_path):
    grid = {"c_values": [1, 2], "layers": ["1-", [4, 9]]}
    cells = [cell(0.5, c_values=1, layers="1-"), cell(0.6, c_values=2, layers=[4, 9])]
    write_sweep(tmp_path, grid=grid, cells=cells, recommended={})
    (chart,) = sweep_charts(sweep_of(tmp_path))
    (trace,) = chart["data"]
    assert trace["z"] == [[0.5, None], [None, 0.6]]
    assert trace["y"] == ["1-", "[4, 9]"]
    assert trace["hovertext"][0][1] == "not measured"


def test_names_are_escaped(tmp_path):
    grid = {"<b>c</b>": [1, 2], "layers": ["<i>1</i>", "8-"]}
    cells = [cell(0.5, **{"<b>c</b>": c, "layers": layers}) for c in (1, 2) for layers in grid["layers"]]
    write_sweep(tmp_path, grid=grid, cells=cells, recommended={})
    text = json.dumps(sweep_charts(sweep_of(tmp_path))[0]["data"] + [sweep_charts(sweep_of(tmp_path))[0]["layout"]])
    assert "&lt;i&gt;1&lt;/i&gt;" in text
    assert "<i>" not in text
    assert "<b>" not in text


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"vectors": "v", "grid": {}}', '{"vectors": "v", "grid": [], "cells": []}']
)
def test_damaged_sweeps_are_told_by_name_and_left_out(tmp_path, content):
    (tmp_path / "sweep.json").write_text(content)
    told = []
    assert find_sweeps([str(tmp_path)], told.append) == []
    assert "sweep.json is no record of a sweep" in str(told[0])
