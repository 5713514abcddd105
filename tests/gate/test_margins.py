import pytest
from statsmodels.stats.proportion import proportion_confint

from lm_eval_cachesteer.errors import ArgumentError, ResultsError
from lm_eval_cachesteer.gate.figures import Figures
from lm_eval_cachesteer.gate.margins import judge_margin
from lm_eval_cachesteer.gate.policy import Check

from ..results.support import right_and_wrong
from .support import measured, run_of


def judged(tmp_path, base, candidate, check, higher_is_better=None, allow_unmatched=False, filter_name="none"):
    better = {check.metric: True} if higher_is_better is None else higher_is_better
    one, two = (
        Figures(run_of(tmp_path / name, {"arith": samples}, higher_is_better=better))
        for name, samples in (("base", base), ("candidate", candidate))
    )
    return judge_margin(check, "arith", filter_name, one, two, allow_unmatched=allow_unmatched, seed=0)


def not_worse(limit, metric="exact_match", **more):
    return Check(metric, "not_worse_by", limit, **more)


def better(limit, metric="exact_match", **more):
    return Check(metric, "better_by", limit, **more)


# 12 of 40 documents rise, none falls: the score interval is then that of a share, Wilson's.
BASE, RISEN = "1" * 20 + "0" * 20, "1" * 32 + "0" * 8
LOW, HIGH = proportion_confint(12, 40, method="wilson")


def test_a_result_holds_the_paired_figures(tmp_path):
    result = judged(tmp_path, BASE, RISEN, better(0.1))
    assert (result.subject, result.check, result.outcome) == ("arith", "exact_match, better by 0.1", "pass")
    assert (result.baseline, result.candidate, result.documents) == (0.5, 0.8, 40)
    assert (result.difference, result.low, result.high) == pytest.approx((0.3, LOW, HIGH))


@pytest.mark.parametrize(
    ("base", "candidate", "check", "outcome"),
    [
        (BASE, RISEN, better(LOW - 0.001), "pass"),
        (BASE, RISEN, better(LOW + 0.001), "inconclusive"),
        (BASE, RISEN, better(HIGH + 0.001), "fail"),
        (RISEN, BASE, not_worse(HIGH + 0.001), "pass"),
        (RISEN, BASE, not_worse(HIGH - 0.001), "inconclusive"),
        (RISEN, BASE, not_worse(LOW - 0.001), "fail"),
        (RISEN, BASE, better(0.0, direction="lower"), "pass"),
        (BASE, RISEN, not_worse(LOW - 0.001, direction="lower"), "fail"),
    ],
)
def test_outcomes(tmp_path, base, candidate, check, outcome):
    assert judged(tmp_path, base, candidate, check).outcome == outcome


def test_the_harness_says_which_direction_is_good_unless_the_check_does(tmp_path):
    lower = {"exact_match": False}
    result = judged(tmp_path / "1", BASE, RISEN, better(0.1), lower)
    assert (result.outcome, result.check) == ("fail", "exact_match, better by 0.1 (lower is better)")
    assert result.difference == pytest.approx(0.3)
    assert judged(tmp_path / "2", BASE, RISEN, better(0.1, direction="higher"), lower).outcome == "pass"
    with pytest.raises(ArgumentError, match="'arith': the harness does not say whether larger exact_match is better"):
        judged(tmp_path / "3", BASE, RISEN, better(0.1), {"f1": True})


@pytest.mark.parametrize("margin", [0.05, 0.02])
def test_a_metric_to_be_lowered_is_judged_as_its_mirror_image(tmp_path, margin):
    """Once the difference itself clears the limit, once it does not."""
    first, second = "1" * 30 + "0" * 70, "0" * 7 + "1" * 27 + "0" * 66  # 4 rise, 7 fall
    mirrored = [pattern.translate(str.maketrans("01", "10")) for pattern in (first, second)]
    higher = judged(tmp_path / "1", first, second, not_worse(margin))
    lower = judged(tmp_path / "2", *mirrored, not_worse(margin, direction="lower"))
    assert (lower.outcome, lower.needed, lower.remark) == ("inconclusive", higher.needed, higher.remark)
    assert (lower.difference, lower.low, lower.high) == pytest.approx((-higher.difference, -higher.high, -higher.low))
    assert higher.remark.startswith("too few" if margin == 0.05 else "the figure itself")


def test_too_few_documents_say_how_many_are_needed(tmp_path):
    result = judged(tmp_path, BASE, BASE, not_worse(0.02))
    assert result.outcome == "inconclusive"
    assert result.needed > 40
    assert result.remark == f"too few documents: 40, about {result.needed} are needed"


def test_unmatched_documents_are_refused_or_counted(tmp_path):
    more = [*right_and_wrong(RISEN), {"document": "z", "exact_match": 1.0}]
    with pytest.raises(ResultsError, match="'arith': 0 documents are only in .*1 only in .*`allow_unmatched: true`"):
        judged(tmp_path / "1", BASE, more, better(0.1))
    result = judged(tmp_path / "2", BASE, more, better(0.1), allow_unmatched=True)
    assert (result.outcome, result.documents) == ("pass", 40)
    assert result.remark == "left out: 0 documents of the baseline, 1 of the candidate"


def test_each_filter_has_its_own_figures(tmp_path):
    base = [*right_and_wrong(BASE, filter="strict"), *right_and_wrong(BASE, filter="flexible")]
    candidate = [*right_and_wrong(BASE, filter="strict"), *right_and_wrong(RISEN, filter="flexible")]
    result = judged(tmp_path, base, candidate, better(0.1), filter_name="flexible")
    assert (result.difference, result.check) == (pytest.approx(0.3), "exact_match (flexible), better by 0.1")


def test_documents_that_agree_in_a_field_are_one_cluster(tmp_path):
    """Ten texts of four questions each, all four of which rise or none: as uncertain as ten documents."""
    fields = [{"fields": {"text": str(i // 4)}} for i in range(40)]
    base = [sample | field for sample, field in zip(right_and_wrong("0" * 40), fields, strict=True)]
    candidate = [sample | field for sample, field in zip(right_and_wrong("1" * 12 + "0" * 28), fields, strict=True)]
    alone = judged(tmp_path / "1", base, candidate, better(0.1))
    clustered = judged(tmp_path / "2", base, candidate, better(0.1, cluster_by="text"))
    assert (alone.outcome, clustered.outcome) == ("pass", "inconclusive")
    assert clustered.high - clustered.low > 1.5 * (alone.high - alone.low)


def test_one_document_decides_nothing(tmp_path):
    result = judged(tmp_path, measured([0.3]), measured([0.1]), not_worse(0.02, "repetition"), {"repetition": False})
    assert (result.outcome, result.cells()[4]) == ("inconclusive", "")
