"""The ways of asking, their command lines, and what is kept."""

import json
from pathlib import Path

import pytest

from lm_eval_cachesteer.errors import ArgumentError
from lm_eval_cachesteer.study import COT_SUFFIX, SAMPLING, Record, arms, command, tasks_of

COMMON, STEERING = {"pretrained": "m"}, {"vectors": "stepwise", "c_values": 4}
KNOWN = ["a", "a_cot", "b"]


def study(sampled=False, activation=True):
    return arms(COMMON, STEERING, "\n", {"steer_path": "x.pt"} if activation else None, sampled)


def test_the_paper_s_ways_of_asking():
    by_name = {arm.name: arm for arm in study()}
    assert list(by_name) == [
        "baseline", "CoT prompt", "cache steering", "cache steering + CoT prompt", "activation steering",
    ]  # fmt: skip
    assert by_name["baseline"].arguments == {"pretrained": "m", "offset_token": "\n"}  # the steered runs' prompts
    assert by_name["cache steering"].arguments == {"pretrained": "m", "vectors": "stepwise", "c_values": 4}
    assert (by_name["activation steering"].model, by_name["activation steering"].arguments) == (
        "steered",
        {"pretrained": "m", "steer_path": "x.pt"},
    )
    assert [name for name, arm in by_name.items() if arm.suffix == COT_SUFFIX] == [
        "CoT prompt", "cache steering + CoT prompt",
    ]  # fmt: skip
    assert len(study(activation=False)) == 4


def test_sampling_repeats_every_way():
    both = study(sampled=True)
    assert [arm.gen_kwargs for arm in both] == [{}] * 5 + [SAMPLING] * 5
    assert len({Record(Path()).folder_of(arm) for arm in both}) == 10


def test_tasks_without_a_variant_are_left_out_of_it():
    plain, prompted, *_ = study()
    assert tasks_of(plain, ["a", "b"], KNOWN) == ["a", "b"]
    assert tasks_of(prompted, ["a", "b"], KNOWN) == ["a_cot"]
    with pytest.raises(ArgumentError, match="'c'"):
        tasks_of(plain, ["a", "c"], KNOWN)


def test_command_lines_are_the_harness_s(tmp_path):
    arm = study(sampled=True)[7]
    words = command(arm, ["a", "b"], tmp_path, ["--limit", "3"])
    options = dict(zip(words[:-3:2], words[1:-3:2], strict=True))
    assert options["--model"] == "hf-cachesteer"
    assert json.loads(options["--model_args"]) == {"pretrained": "m", "vectors": "stepwise", "c_values": 4}
    assert json.loads(options["--gen_kwargs"]) == SAMPLING
    assert options["--tasks"] == "a,b"
    assert words[-3:] == ["--log_samples", "--limit", "3"]


def test_an_arm_is_finished_only_with_the_same_command(tmp_path):
    record, (arm, other, *_) = Record(tmp_path), study()
    record.folder_of(arm).mkdir(parents=True)
    assert not record.is_finished(arm, ["--tasks", "a"])
    record.finish(arm, ["--tasks", "a"])
    assert record.is_finished(arm, ["--tasks", "a"])
    assert not record.is_finished(arm, ["--tasks", "b"])
    assert not record.is_finished(other, ["--tasks", "a"])
    (record.folder_of(arm) / "command.json").write_text("{ cut o")
    assert not record.is_finished(arm, ["--tasks", "a"])
