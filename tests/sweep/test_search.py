import subprocess
import sys

import pytest

from lm_eval_cachesteer.errors import ResultsError
from lm_eval_cachesteer.sweep.grid import cells, parse_axis
from lm_eval_cachesteer.sweep.ledger import Ledger
from lm_eval_cachesteer.sweep.search import DEVELOPMENT, HELD_OUT, sweep

from .support import FakeEvaluator, outcome_of

SETTINGS = cells([parse_axis("c_values=0.5:3:0.5")])


class Interrupted(Exception):
    """Stands for whatever ends a sweep."""


class Interrupting(FakeEvaluator):
    """Fails at its n-th evaluation."""

    def __init__(self, after):
        super().__init__()
        self.after = after

    def evaluate(self, setting, split):
        if len(self.evaluated) == self.after:
            raise Interrupted
        return super().evaluate(setting, split)


def test_the_chosen_and_the_unsteered_setting_are_checked_on_held_out_documents(tmp_path):
    evaluator = FakeEvaluator()
    found = sweep(SETTINGS, evaluator, Ledger(tmp_path))
    chosen = dict(found.recommended.settings)
    tried = [({}, DEVELOPMENT), *((setting, DEVELOPMENT) for setting in SETTINGS)]
    assert evaluator.evaluated == [*tried, ({}, HELD_OUT), (chosen, HELD_OUT)]
    assert [cell.settings for cell in found.cells] == SETTINGS
    assert found.unsteered.scores == outcome_of({}, DEVELOPMENT)["scores"]
    assert found.recommended.scores == outcome_of(chosen, DEVELOPMENT)["scores"]
    assert found.held_out.scores == outcome_of(chosen, HELD_OUT)["scores"]
    means = {split: sum(outcome_of({}, split)["scores"].values()) / 40 for split in (DEVELOPMENT, HELD_OUT)}
    assert found.gain.difference == pytest.approx(found.recommended.score - means[DEVELOPMENT])
    assert found.held_out_gain.difference == pytest.approx(found.held_out.score - means[HELD_OUT])


def test_a_sweep_goes_on_where_it_was(tmp_path):
    first, second, third = Interrupting(after=4), FakeEvaluator(), FakeEvaluator()
    with pytest.raises(Interrupted):
        sweep(SETTINGS, first, Ledger(tmp_path))
    told = []
    resumed = sweep(SETTINGS, second, Ledger(tmp_path), lambda setting, tried: told.append((dict(setting), tried)))
    assert first.evaluated == [({}, DEVELOPMENT), *((setting, DEVELOPMENT) for setting in SETTINGS[:3])]
    assert second.evaluated[:3] == [(setting, DEVELOPMENT) for setting in SETTINGS[3:]]
    assert [tried for _, tried in told] == [False] * 4 + [True] * 5
    assert sweep(SETTINGS, third, Ledger(tmp_path)) == resumed
    assert third.evaluated == []


def test_a_larger_grid_tries_what_is_new(tmp_path):
    sweep(SETTINGS, FakeEvaluator(), Ledger(tmp_path))
    evaluator = FakeEvaluator()
    sweep([*SETTINGS, {"c_values": 9.0}], evaluator, Ledger(tmp_path))
    assert evaluator.evaluated[0] == ({"c_values": 9.0}, DEVELOPMENT)
    assert all(split == HELD_OUT for _, split in evaluator.evaluated[1:])


def test_another_identity_is_tried_anew(tmp_path):
    sweep(SETTINGS, FakeEvaluator("1"), Ledger(tmp_path))
    evaluator = FakeEvaluator("2")
    sweep(SETTINGS, evaluator, Ledger(tmp_path))
    assert len(evaluator.evaluated) == len(SETTINGS) + 3


def test_a_damaged_cell_stops_the_sweep_and_is_named(tmp_path):
    ledger, evaluator = Ledger(tmp_path), FakeEvaluator()
    sweep(SETTINGS, evaluator, ledger)
    path = ledger.path(evaluator.identity(SETTINGS[2], DEVELOPMENT))
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(ResultsError, match=path.name):
        sweep(SETTINGS, evaluator, ledger)


def test_neither_torch_nor_the_harness_is_imported():
    code = "import sys, lm_eval_cachesteer.sweep.search; print({'torch', 'transformers', 'lm_eval'} & set(sys.modules))"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert finished.stdout == "set()\n"
