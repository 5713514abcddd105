import json

import pytest

from lm_eval_cachesteer.report.sweeps import find_sweeps
from lm_eval_cachesteer.stats import compare_paired
from lm_eval_cachesteer.sweep.grid import cells, parse_axis
from lm_eval_cachesteer.sweep.ledger import Ledger
from lm_eval_cachesteer.sweep.search import sweep
from lm_eval_cachesteer.sweep.summary import described

from .support import DOCUMENTS, FakeEvaluator, outcome_of


@pytest.fixture
def written(tmp_path):
    axes = [parse_axis("c_values=0.5:3:0.5"), parse_axis("heads=all,5")]
    found = sweep(cells(axes), FakeEvaluator(), Ledger(tmp_path / "cells"))
    content = described("0.5*stepwise", ["arith", "logic"], axes, found)
    (tmp_path / "sweep.json").write_text(json.dumps(content))
    return tmp_path, axes, found, content


def test_the_report_reads_back_what_was_found(written):
    folder, axes, found, _ = written
    (read,) = find_sweeps([str(folder)], pytest.fail)
    assert read.vectors == "0.5*stepwise"
    assert read.grid == {"c_values": [0.5, 1.0, 1.5, 2.0, 2.5, 3.0], "heads": ["all", 5]}
    assert [one.settings for one in read.cells] == cells(axes)
    for one in read.cells:
        outcome = outcome_of(one.settings, "development")
        assert (one.split, one.documents) == ("development", DOCUMENTS)
        assert one.figures["score"] == pytest.approx(sum(outcome["scores"].values()) / DOCUMENTS)
        assert one.figures["low"] < one.figures["score"] < one.figures["high"]
        assert one.figures["adherence"] == pytest.approx(0.1 * one.settings["c_values"])
        assert one.figures["repetition"] is None
    chosen, gain = read.recommended, found.held_out_gain
    assert chosen.settings == found.recommended.settings
    assert (chosen.score, chosen.held_out) == (found.recommended.score, found.held_out.score)
    assert chosen.gain == (gain.difference, gain.low, gain.high)


def test_the_recommended_setting_is_recorded_with_both_gains(written):
    *_, found, content = written
    chosen = content["recommended"]
    for record, split in ((chosen, "development"), (chosen["held_out"], "held_out")):
        base, steered = outcome_of({}, split)["scores"], outcome_of(found.recommended.settings, split)["scores"]
        expected = compare_paired([base[name] for name in sorted(base)], [steered[name] for name in sorted(base)])
        assert record["split"] == split
        assert record["score"] == pytest.approx(sum(steered.values()) / DOCUMENTS)
        gain = record["gain"]
        assert gain["difference"] == pytest.approx(record["score"] - sum(base.values()) / DOCUMENTS)
        assert (gain["low"], gain["high"], gain["p_value"]) == (expected.low, expected.high, expected.p_value)
    assert content["unsteered"]["settings"] == {}
    assert content["unsteered"]["split"] == "development"
    assert content["tasks"] == ["arith", "logic"]
    assert "smallest edit" in content["rule"]


def test_of_a_draw_only_the_values_drawn_are_kept(tmp_path):
    axes = [parse_axis("c_values=1:10000:1"), parse_axis("heads=all,5")]
    settings = [{"c_values": 9000.0, "heads": 5}, {"c_values": 3.0, "heads": 5}]
    found = sweep(settings, FakeEvaluator(), Ledger(tmp_path))
    assert described("v", ["t"], axes, found)["grid"] == {"c_values": [3.0, 9000.0], "heads": [5]}
