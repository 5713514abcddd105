"""What is run, kept and left out; no process is started."""

import json
from importlib.metadata import version

import pytest

from lm_eval_cachesteer.errors import ArgumentError, CachesteerError
from lm_eval_cachesteer.study.arms import arms
from lm_eval_cachesteer.study.steps import carry_out, due, plan


@pytest.fixture
def steps(tmp_path):
    return planned(tmp_path)


def planned(folder, tasks=("a",), vectors=("ab",)):
    ways = arms({"pretrained": "m"}, {"vectors": "v"}, None, vectors=list(vectors))
    return plan(ways, tasks, ["a", "a_cot", "b"], folder, ["--limit", "2"])


def writing(ran, failing=None):
    def run(step):
        ran.append(step.arm.name)
        if step.arm.name == failing:
            raise CachesteerError("failed")
        (step.folder / "results.json").write_text("{}")

    return run


def test_each_arm_runs_its_own_tasks_in_its_own_folder(steps, tmp_path):
    assert [step.tasks for step in steps] == [["a"], ["a_cot"], ["a"], ["a_cot"]]
    assert [step.folder.name for step in steps] == [
        "baseline", "CoT_prompt", "cache_steering", "cache_steering-CoT_prompt",
    ]  # fmt: skip
    assert all(step.folder.parent == tmp_path for step in steps)
    assert all(step.command[-2:] == ["--limit", "2"] for step in steps)


def test_what_decides_an_outcome_is_on_disk(steps):
    carry_out(steps, writing([]))
    record = json.loads((steps[2].folder / "command.json").read_text())
    assert record["command"] == steps[2].command
    assert record["vectors"] == ["ab"]
    assert record["versions"]["lm-eval"] == version("lm-eval")
    assert record["finished"] is True


def test_a_study_goes_on_where_it_failed(steps, tmp_path):
    ran = []
    with pytest.raises(CachesteerError, match="failed"):
        carry_out(steps, writing(ran, "cache steering"))
    assert ran == ["baseline", "CoT prompt", "cache steering"]
    again, told = [], []
    outcomes = carry_out(steps, writing(again), told=told.append)
    assert again == ["cache steering", "cache steering + CoT prompt"]
    assert [outcome.state for outcome in outcomes] == ["kept", "kept", "run", "run"]
    assert told == outcomes[:2]
    assert due(planned(tmp_path, vectors=["ac"])) == planned(tmp_path, vectors=["ac"])[2:]
    assert due(steps) == []
    assert due(steps, fresh=True) == steps


def test_an_arm_without_tasks_has_neither_folder_nor_command(tmp_path):
    outcomes = carry_out(planned(tmp_path, tasks=["b"]), writing([]))
    described = [outcome.described() for outcome in outcomes]
    assert [one["state"] for one in described] == ["run", "left out", "run", "left out"]
    assert (described[1]["tasks"], described[1]["folder"], described[1]["command"]) == ([], None, None)
    assert described[0]["command"][:3] == ["lm_eval", "--model", "hf-cachesteer"]
    assert described[0]["folder"] == str(tmp_path / "baseline")


def test_nothing_is_run_if_the_folder_of_any_arm_is_somebody_else_s(steps):
    steps[3].folder.mkdir(parents=True)
    (steps[3].folder / "thesis.tex").write_text("")
    ran = []
    with pytest.raises(ArgumentError, match="no study wrote"):
        carry_out(steps, writing(ran))
    assert ran == []
    assert not steps[0].folder.exists()
