import subprocess
import sys

import pytest

from lm_eval_cachesteer.errors import ResultsError
from lm_eval_cachesteer.gate.decision import decide
from lm_eval_cachesteer.gate.policy import Check, Policy

from ..results.support import right_and_wrong
from .support import measured, run_of, steered

BASE, RISEN = "1" * 20 + "0" * 20, "1" * 32 + "0" * 8
PASSES, FAILS = Check("exact_match", "at_least", 0.7), Check("exact_match", "at_least", 0.9)
OPEN = Check("exact_match", "better_by", 0.3)


def two_runs(tmp_path, base=None, candidate=None, **content):
    return (
        run_of(tmp_path / "base", base or {"arith": BASE}),
        run_of(tmp_path / "candidate", candidate or {"arith": RISEN}, **content),
    )


@pytest.mark.parametrize(
    ("checks", "outcome", "exit_code", "headline"),
    [
        ((PASSES,), "pass", 0, "pass: 1 pass"),
        ((PASSES, OPEN), "inconclusive", 2, "inconclusive: 1 pass, 1 inconclusive"),
        ((OPEN, FAILS, PASSES), "fail", 1, "fail: 1 pass, 1 fail, 1 inconclusive"),
    ],
)
def test_the_worst_check_decides(tmp_path, checks, outcome, exit_code, headline):
    decision = decide(*two_runs(tmp_path), Policy(checks=checks))
    assert (decision.outcome, decision.exit_code, decision.headline) == (outcome, exit_code, headline)
    assert decision.described()["outcome"] == outcome


def test_a_run_that_silently_steered_nothing_fails_whatever_the_policy_says(tmp_path):
    nothing = steered(counts={"generate_until": {"requests": 40, "interventions": 0, "not_steered": 0}})
    decision = decide(*two_runs(tmp_path, **nothing), Policy(checks=(PASSES,)))
    assert [(result.check, result.outcome) for result in decision.results] == [
        ("candidate steered", "fail"),
        ("exact_match, at least 0.7", "pass"),
    ]


def test_what_must_agree_and_does_not_fails(tmp_path):
    base = run_of(tmp_path / "base", {"arith": BASE}, **steered())
    candidate = run_of(tmp_path / "candidate", {"arith": RISEN}, **steered(fingerprint="f2"))
    decision = decide(base, candidate, Policy(same=("model", "fingerprint")))
    assert [(result.check, result.outcome, result.remark) for result in decision.results[2:]] == [
        ("same model", "pass", ""),
        ("same fingerprint", "fail", "fingerprint: 'f1' against 'f2'"),
    ]


def test_a_check_without_a_task_covers_every_task_with_the_metric(tmp_path):
    tasks = {"arith": BASE, "logic": BASE, "open": measured([0.1, 0.2])}
    decision = decide(*two_runs(tmp_path, tasks, tasks), Policy(checks=(FAILS,)))
    assert [result.subject for result in decision.results] == ["arith", "logic"]


def test_a_task_that_the_candidate_dropped_is_not_passed_over(tmp_path):
    runs = two_runs(tmp_path, {"arith": BASE, "logic": BASE})
    for check in (PASSES, OPEN):
        with pytest.raises(
            ResultsError, match="'logic': .*candidate.* has no 'exact_match'; it has no figure of logic"
        ):
            decide(*runs, Policy(checks=(check,)))


def test_only_margins_need_the_task_in_the_baseline(tmp_path):
    runs = two_runs(tmp_path, candidate={"arith": RISEN, "logic": RISEN})
    decision = decide(*runs, Policy(checks=(PASSES,)))
    assert [(result.subject, result.baseline) for result in decision.results] == [("arith", 0.5), ("logic", None)]
    with pytest.raises(ResultsError, match="'logic': .*base.* has no 'exact_match'"):
        decide(*runs, Policy(checks=(OPEN,)))


def test_a_metric_under_several_filters_needs_one_named(tmp_path):
    samples = [*right_and_wrong(RISEN, filter="strict"), *right_and_wrong(RISEN, filter="flexible")]
    runs = two_runs(tmp_path, {"arith": samples}, {"arith": samples})
    with pytest.raises(ResultsError, match="'exact_match' is there under the filters flexible, strict.*`filter:`"):
        decide(*runs, Policy(checks=(PASSES,)))
    named = Check("exact_match", "at_least", 0.7, filter="strict")
    assert decide(*runs, Policy(checks=(named,))).results[0].check == "exact_match (strict), at least 0.7"
    with pytest.raises(ResultsError, match="no 'exact_match' under the filter 'lax'; it has exact_match .flexible., "):
        decide(*runs, Policy(checks=(Check("exact_match", "at_least", 0.7, task="arith", filter="lax"),)))


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (Check("f1", "at_least", 0.7), "No task of .*candidate.* has the metric 'f1'"),
        (Check("acc", "at_least", 0.7, task="arith"), "'arith': .* has no 'acc'; it has exact_match .none."),
        (Check("acc", "at_least", 0.7, task="logic"), "'logic': .* it has no figure of logic"),
    ],
)
def test_what_the_runs_do_not_have_is_bad_input(tmp_path, check, message):
    with pytest.raises(ResultsError, match=message):
        decide(*two_runs(tmp_path), Policy(checks=(check,)))


@pytest.mark.parametrize("rule", ["not_worse_by", "at_most"])
def test_a_limit_that_looks_like_per_cent_is_pointed_out(tmp_path, rule):
    decision = decide(*two_runs(tmp_path), Policy(checks=(Check("exact_match", rule, 2.0),)))
    assert decision.results[0].remark == "all figures lie between 0 and 1: was 0.02 meant?"


def test_judging_needs_neither_torch_nor_the_harness():
    code = (
        "import sys; from lm_eval_cachesteer.gate import decision, junit, policy, summary; "
        "print({'torch', 'transformers', 'lm_eval'} & set(sys.modules))"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert finished.stdout.strip() == "set()", finished.stderr


def test_a_run_is_not_compared_with_itself(tmp_path):
    base, _ = two_runs(tmp_path)
    with pytest.raises(ResultsError, match="are the same run"):
        decide(base, base, Policy(checks=(PASSES,)))
