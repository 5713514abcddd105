import pytest

from lm_eval_cachesteer.gate.steering import judge_steering

from .support import run_of, steered


def counts(**kinds):
    names = ("requests", "interventions", "not_steered")
    return {kind: dict(zip(names, numbers, strict=True)) for kind, numbers in kinds.items()}


@pytest.mark.parametrize(
    ("changes", "outcome", "remark"),
    [
        ({}, "pass", "50 prompts were steered"),
        ({"counts": counts(generate_until=(50, 48, 2))}, "fail", "2 generate_until prompts could not be steered"),
        ({"counts": counts(generate_until=(50, 0, 0))}, "fail", "none of 50 generate_until requests was steered"),
        (
            {"counts": counts(generate_until=(50, 50, 0), loglikelihood=(9, 0, 0))},
            "fail",
            "none of 9 loglikelihood requests was steered",
        ),
        (
            {"counts": counts(generate_until=(50, 50, 0), loglikelihood=(9, 0, 0)), "steer_loglikelihood": False},
            "pass",
            "50 prompts were steered",
        ),
        (
            {"counts": counts(loglikelihood=(9, 0, 0)), "steer_loglikelihood": False},
            "fail",
            "no request that should be steered reached the model",
        ),
        ({"counts": counts(generate_until=(0, 0, 0))}, "fail", "run without --use_cache"),
        ({"counts": {}}, "fail", "run without --use_cache"),
    ],
)
def test_a_steered_run_must_have_steered_what_it_should(tmp_path, changes, outcome, remark):
    result = judge_steering("candidate", run_of(tmp_path, {"arith": "10"}, **steered(**changes)))
    assert (result.outcome, result.check) == (outcome, "candidate steered")
    assert remark in result.remark


def test_runs_without_vectors_and_of_other_backends_have_nothing_to_check(tmp_path):
    assert judge_steering("baseline", run_of(tmp_path / "1", {"arith": "10"}, **steered(vectors=[]))) is None
    assert judge_steering("baseline", run_of(tmp_path / "2", {"arith": "10"}, config={"model": "vllm"})) is None
