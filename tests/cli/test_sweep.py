"""`cachesteer sweep`, as a user runs it: what is refused, and a whole sweep of the tiny llama."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from lm_eval_cachesteer.errors import ArgumentError
from lm_eval_cachesteer.harness import backend
from lm_eval_cachesteer.harness.arguments import SteeringArguments
from lm_eval_cachesteer.sweep import evaluation

CACHESTEER = str(Path(sys.executable).parent / "cachesteer")
TASK = "cachesteer_offline_choice"


@pytest.fixture
def sweep(cachesteer, only_shipped_tasks):
    """Runs the command in this process; returns exit code, standard output and standard error."""
    return lambda *arguments: cachesteer("sweep", *arguments)


def refused(*_, **__):
    raise AssertionError("must not be called")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--grid", "c_value=1"], "--grid 'c_value=1' is not understood. Allowed: c_keys, c_values"),
        (["--grid", "c_values=1", "--grid", "c_values=2"], "--grid names c_values twice."),
        (["--grid", "c_values=1:0:1"], "The step must lead from the first number to the last."),
        (["--grid", "layers=1-,"], "layers='' is not allowed. Allowed: N (one layer)"),
        (["--grid", "c_values=1", "--tasks", "no_such_task"], "Unknown task 'no_such_task'. `lm_eval ls tasks`"),
        (["--grid", "c_values=1", "--tasks", ","], "No task is named. `lm_eval ls tasks` lists all."),
        (["--grid", "c_values=1", "--model-args", "position=first"], "position='first' is not allowed."),
        (["--grid", "c_values=1", "--vectors", "none"], "c_values given without vectors"),
        (["--grid", "c_values=1", "--grid", "vectors=stepwise,nothing"], "No vectors are known as 'nothing'"),
        (["--grid", "c_values=1:101:1", "--grid", "c_keys=1:100:1"], "--grid asks for 10100 settings; at most 10000"),
        (["--grid", "c_values=1:10000:1", "--grid", "c_keys=1:9:1", "--random", "10001"], "--random 10001 is too many"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_3_before_the_model_is_loaded(
    sweep, monkeypatch, tmp_path, options, message
):
    monkeypatch.setattr(backend, "CacheSteerLM", refused)
    code, out, error = sweep("--vectors", "stepwise", "--tasks", TASK, "--out", tmp_path / "out", *options)
    assert code == 3
    assert out == ""
    assert error.startswith("Error: ")
    assert error.count("\n") == 1
    assert message in error
    assert not (tmp_path / "out").exists()


@pytest.fixture
def options(llama_folder, vectors_file, tmp_path):
    return [
        *("--pretrained", llama_folder, "--vectors", vectors_file, "--model-args", "max_length=1024,device=cpu"),
        *("--tasks", TASK, "--grid", "c_values=1,4", "--limit", 4, "--gen-kwargs", "max_gen_toks=4"),
        *("--no-chat-template", "--out", tmp_path),
    ]


def cells_below(folder):
    return {path.name: path.stat().st_mtime_ns for path in (folder / "cells").glob("*.json")}


def test_a_sweep_is_resumed_by_another_process_and_tries_what_has_changed(sweep, options, tmp_path, monkeypatch):
    first = subprocess.run(
        [CACHESTEER, "sweep", *map(str, options), "--json"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONHASHSEED": "1", "COLUMNS": "200"},
    )
    assert first.returncode == 0, first.stderr[-3000:]
    content = json.loads((tmp_path / "sweep.json").read_text())
    assert json.loads(first.stdout) == content
    assert content["tasks"] == [TASK]
    assert content["grid"] == {"c_values": [1.0, 4.0]}
    assert [cell["settings"] for cell in content["cells"]] == [{"c_values": 1.0}, {"c_values": 4.0}]
    one, four = content["cells"]
    assert four["size"] == pytest.approx(4 * one["size"])
    assert one["size"] > content["unsteered"]["size"] == 0.0
    chosen = content["recommended"]
    assert chosen["settings"] in ({"c_values": 1.0}, {"c_values": 4.0})
    assert (chosen["documents"], chosen["held_out"]["documents"]) == (2, 2)
    assert chosen["held_out"]["split"] == "held_out"
    assert {"difference", "low", "high"} <= chosen["held_out"]["gain"].keys()
    kept = cells_below(tmp_path)
    assert len(kept) == 2 + 1 + 2  # the cells, the unsteered one, and both held-out ones
    documents = [json.loads((tmp_path / "cells" / name).read_text())["identity"]["documents"][TASK] for name in kept]
    assert sorted(map(len, documents)) == [2] * 5
    assert len({number for numbers in documents for number in numbers}) == 4  # no document is on both sides

    evaluate = evaluation.simple_evaluate
    monkeypatch.setattr(evaluation, "simple_evaluate", refused)
    code, out, error = sweep(*options)
    assert code == 0, error
    assert cells_below(tmp_path) == kept
    assert json.loads((tmp_path / "sweep.json").read_text()) == content
    assert "Score on the development documents" in " ".join(out.split())
    assert "Held out, 2 documents" in out
    assert str(tmp_path / "sweep.json") in out

    tried = []
    monkeypatch.setattr(evaluation, "simple_evaluate", lambda **given: tried.append(given) or evaluate(**given))
    assert sweep(*options, "--grid", "layers=2-")[0] == 0
    assert len(tried) == 3  # without the unsteered cells, which no grid changes
    for changed in (["--seed", 1], ["--gen-kwargs", "max_gen_toks=5"]):
        tried.clear()
        assert sweep(*options, *changed)[0] == 0
        assert len(tried) == 5
    assert cells_below(tmp_path).items() >= kept.items()


def test_a_model_without_a_chat_template_is_named_before_the_first_cell():
    untemplated = SimpleNamespace(tokenizer=SimpleNamespace(chat_template=None))
    with pytest.raises(ArgumentError, match="has no chat template. Add --no-chat-template."):
        evaluation.HarnessEvaluator(untemplated, SteeringArguments(), evaluation.Work([TASK], chat=True))
