"""The ways of asking, and their command lines."""

import json

from lm_eval_cachesteer.study.arms import COT_SUFFIX, SAMPLING, arms, command, folder_name, tasks_of

COMMON, STEERING = {"pretrained": "m"}, {"vectors": "stepwise", "c_values": 4}
ACTIVATION = {"steer_path": "x.pt"}


def study(**settings):
    return arms(COMMON, STEERING, "\n", **({"activation": ACTIVATION, "vectors": ["ab"]} | settings))


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
    assert [name for name, arm in by_name.items() if arm.vectors] == ["cache steering", "cache steering + CoT prompt"]
    assert len(study(activation=None)) == 4


def test_prompts_without_an_offset_token_say_so():
    (baseline, *_) = arms(COMMON, STEERING, None)
    assert baseline.arguments == {"pretrained": "m", "offset_token": "none"}


def test_sampling_repeats_every_way_over_the_other_generation_arguments():
    both = study(sampled=True, gen_kwargs={"max_gen_toks": 8, "temperature": 1.0})
    assert [arm.gen_kwargs for arm in both[:5]] == [{"max_gen_toks": 8, "temperature": 1.0}] * 5
    assert [arm.gen_kwargs for arm in both[5:]] == [{"max_gen_toks": 8} | SAMPLING] * 5
    assert SAMPLING == {"do_sample": True, "temperature": 0.6, "top_p": 0.9, "top_k": 50}
    assert [arm.sampled for arm in both] == [False] * 5 + [True] * 5
    assert [arm.arguments for arm in both[5:]] == [arm.arguments for arm in both[:5]]
    assert len({folder_name(arm) for arm in both}) == 10


def test_tasks_without_a_variant_are_left_out_of_it():
    plain, prompted, *_ = study()
    known = ["a", "a_cot", "b"]
    assert tasks_of(plain, ["a", "b"], known) == ["a", "b"]
    assert tasks_of(prompted, ["a", "b"], known) == ["a_cot"]


def test_command_lines_are_the_harness_s(tmp_path):
    arm = study(sampled=True)[7]
    words = command(arm, ["a", "b"], tmp_path, ["--limit", "3"])
    options = dict(zip(words[:-3:2], words[1:-3:2], strict=True))
    assert options["--model"] == "hf-cachesteer"
    assert json.loads(options["--model_args"]) == {"pretrained": "m", "vectors": "stepwise", "c_values": 4}
    assert json.loads(options["--gen_kwargs"]) == SAMPLING
    assert (options["--tasks"], options["--output_path"]) == ("a,b", str(tmp_path))
    assert words[-3:] == ["--log_samples", "--limit", "3"]
