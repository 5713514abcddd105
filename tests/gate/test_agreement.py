import pytest

from lm_eval_cachesteer.errors import ResultsError
from lm_eval_cachesteer.gate.agreement import ASPECTS, differences, shortened

from .support import STEERING, run_of

SEEDS = {"random_seed": 0, "numpy_seed": 1234, "torch_seed": 1234, "fewshot_seed": 1234}
CONTENT = {
    "config": {"model": "hf-cachesteer", "model_dtype": "float32", "model_sha": "abc", "steering": STEERING} | SEEDS,
    "versions": {"arith": 1.0},
    "task_hashes": {"arith": "aa"},
    "configs": {"arith": {"generation_kwargs": {"max_gen_toks": 128}}},
}


def two_runs(tmp_path, other, tasks=("arith",)):
    base = run_of(tmp_path / "base", dict.fromkeys(tasks, "10"), **CONTENT)
    return base, run_of(tmp_path / "other", {"arith": "10"}, **other)


def with_config(**changes):
    return CONTENT | {"config": CONTENT["config"] | changes}


def with_steering(**changes):
    return with_config(steering=STEERING | changes)


def test_equal_runs_agree_in_everything(tmp_path):
    base, other = two_runs(tmp_path, CONTENT)
    assert {aspect: differences(aspect, base, other) for aspect in ASPECTS} == {aspect: [] for aspect in ASPECTS}


TERM = STEERING["vectors"][0]


@pytest.mark.parametrize(
    ("aspect", "other", "found"),
    [
        ("model", with_steering(model="Llama"), ["name: 'SmolLM2' against 'Llama'"]),
        ("model", with_config(model_dtype="bfloat16"), ["model_dtype: 'float32' against 'bfloat16'"]),
        ("steering", with_steering(vectors=[TERM | {"c_values": 6.0}]), ["vectors.0.c_values: 5.0 against 6.0"]),
        ("steering", with_steering(vectors=[TERM | {"sha256": "1"}]), ["vectors.0.sha256: '97f2' against '1'"]),
        ("steering", with_steering(layers=[1, 2, 3]), ["layers.2: nothing against 3"]),
        ("fingerprint", with_steering(fingerprint="f2"), ["fingerprint: 'f1' against 'f2'"]),
        ("task_versions", CONTENT | {"versions": {"arith": 2.0}}, ["arith: 1.0 against 2.0"]),
        ("prompts", CONTENT | {"task_hashes": {"arith": "bb"}}, ["arith: 'aa' against 'bb'"]),
        (
            "generation",
            CONTENT | {"configs": {"arith": {"generation_kwargs": {"max_gen_toks": 256}}}},
            ["arith.max_gen_toks: 128 against 256"],
        ),
        ("seeds", with_config(torch_seed=1), ["torch_seed: 1234 against 1"]),
    ],
)
def test_what_differs_is_named(tmp_path, aspect, other, found):
    assert differences(aspect, *two_runs(tmp_path, other)) == found


def test_where_vectors_lie_what_was_counted_and_with_which_versions_is_no_part_of_the_steering(tmp_path):
    other = with_steering(vectors=[TERM | {"name": "/elsewhere/v.safetensors"}], counts={}, versions={}, fingerprint="")
    assert differences("steering", *two_runs(tmp_path, other)) == []


def test_a_setting_that_is_none_equals_one_that_an_older_version_did_not_record(tmp_path):
    assert differences("steering", *two_runs(tmp_path, with_steering(answer_prompt=None))) == []


def test_an_unsteered_baseline_differs_from_a_steered_candidate(tmp_path):
    base, other = two_runs(tmp_path, with_steering(vectors=[], layers=[]))
    assert "vectors.0.sha256: '97f2' against nothing" in differences("steering", base, other)


def test_details_of_the_weights_count_where_both_backends_record_them(tmp_path):
    vllm = {"config": {"model": "vllm", "model_args": {"pretrained": "SmolLM2"}, "model_sha": "abd"}}
    assert differences("model", *two_runs(tmp_path, vllm)) == ["model_sha: 'abc' against 'abd'"]


def test_tasks_that_only_one_run_has_do_not_count(tmp_path):
    assert differences("task_versions", *two_runs(tmp_path, CONTENT, tasks=("arith",))) == []
    base = run_of(tmp_path / "two", {"arith": "1", "logic": "1"}, **CONTENT | {"versions": {"arith": 1.0, "logic": 3}})
    assert differences("task_versions", base, run_of(tmp_path / "one", {"arith": "1"}, **CONTENT)) == []
    other = run_of(tmp_path / "none", {"words": "1"}, **CONTENT)
    with pytest.raises(ResultsError, match="no task in common"):
        differences("task_versions", base, other)


@pytest.mark.parametrize("aspect", [aspect for aspect in ASPECTS if aspect != "model"])
def test_what_a_run_does_not_record_cannot_be_compared(tmp_path, aspect):
    base, other = two_runs(tmp_path, {})
    with pytest.raises(ResultsError, match=f"same: {aspect}: .*other.* does not record it; .* take '{aspect}' out"):
        differences(aspect, base, other)


def test_many_differences_are_cut_to_one_line():
    assert shortened(["a", "b", "c", "d", "e"]) == "a; b; c; and 2 more"
    assert shortened(["a", "b", "c"]) == "a; b; c"
