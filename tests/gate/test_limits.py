import pytest
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import DescrStatsW

from lm_eval_cachesteer.errors import ResultsError
from lm_eval_cachesteer.gate.figures import Figures
from lm_eval_cachesteer.gate.limits import judge_limit
from lm_eval_cachesteer.gate.policy import Check

from .support import measured, run_of


def judged(tmp_path, samples, rule, limit, metric="exact_match", confident=False, **content):
    base = Figures(run_of(tmp_path / "base", {"arith": "10"}))
    candidate = Figures(run_of(tmp_path / "candidate", {"arith": samples} if samples else {}, **content))
    return judge_limit(Check(metric, rule, limit, confident=confident), "arith", "none", base, candidate, seed=0)


NINE_OF_TEN = "1" * 45 + "0" * 5


@pytest.mark.parametrize(
    ("rule", "limit", "outcome", "remark"),
    [
        ("at_least", 0.9, "pass", ""),
        ("at_least", 0.91, "fail", "0.9 is below 0.91"),
        ("at_most", 0.9, "pass", ""),
        ("at_most", 0.89, "fail", "0.9 is above 0.89"),
    ],
)
def test_the_figure_itself_decides(tmp_path, rule, limit, outcome, remark):
    result = judged(tmp_path, NINE_OF_TEN, rule, limit)
    assert (result.outcome, result.remark) == (outcome, remark)
    assert (result.candidate, result.baseline, result.difference, result.low) == (0.9, 0.5, None, None)


def test_rounding_does_not_cross_a_limit(tmp_path):
    for rule, figure in (("at_most", 0.1 + 0.2), ("at_least", 0.3 - 1e-16)):
        reported = {"results": {"arith": {"exact_match,none": figure}}}
        assert judged(tmp_path / rule, None, rule, 0.3, **reported).outcome == "pass"


def test_a_report_without_samples_will_do_unless_the_limit_is_confident(tmp_path):
    reported = {"results": {"arith": {"exact_match,none": 0.95}}}
    assert judged(tmp_path / "1", None, "at_least", 0.9, **reported).outcome == "pass"
    assert judged(tmp_path / "2", None, "at_least", 0.96, **reported).outcome == "fail"
    with pytest.raises(ResultsError, match="holds no samples of 'arith'.*--log_samples"):
        judged(tmp_path / "3", None, "at_least", 0.9, confident=True, **reported)


def test_a_missing_figure_is_bad_input(tmp_path):
    with pytest.raises(ResultsError, match="no figure of f1, filter none"):
        judged(tmp_path, NINE_OF_TEN, "at_least", 0.9, "f1")


def test_a_confident_limit_of_shares_holds_for_wilsons_interval(tmp_path):
    low, high = proportion_confint(45, 50, method="wilson")
    cases = [
        ("at_least", low - 1e-3, "pass"),
        ("at_least", low + 1e-3, "inconclusive"),
        ("at_least", high + 1e-3, "fail"),
        ("at_most", high + 1e-3, "pass"),
        ("at_most", high - 1e-3, "inconclusive"),
        ("at_most", low - 1e-3, "fail"),
    ]
    for i, (rule, limit, outcome) in enumerate(cases):
        result = judged(tmp_path / str(i), NINE_OF_TEN, rule, limit, confident=True)
        assert (result.outcome, result.low, result.high) == (outcome, pytest.approx(low), pytest.approx(high))


def test_a_ceiling_is_the_mirror_image_of_a_floor(tmp_path):
    floor = judged(tmp_path / "1", NINE_OF_TEN, "at_least", 0.85, confident=True)
    ceiling = judged(tmp_path / "2", "0" * 45 + "1" * 5, "at_most", 0.15, confident=True)
    assert (ceiling.outcome, ceiling.needed) == ("inconclusive", floor.needed)
    assert floor.needed > 200


def test_a_confident_limit_of_other_figures_holds_for_students_interval(tmp_path):
    figures = [(i % 7) / 10 for i in range(300)]
    low, high = DescrStatsW(figures).tconfint_mean()
    result = judged(tmp_path / "1", measured(figures), "at_most", high + 1e-3, "repetition", confident=True)
    assert (result.outcome, result.low, result.high) == ("pass", pytest.approx(low), pytest.approx(high))
    result = judged(tmp_path / "2", measured(figures), "at_most", high - 1e-3, "repetition", confident=True)
    assert (result.outcome, result.documents) == ("inconclusive", 300)


def test_repeats_of_a_document_make_no_limit_surer(tmp_path):
    repeated = [{"document": f"d{i // 5}", "exact_match": float(i // 5 < 45)} for i in range(250)]
    once = judged(tmp_path / "1", NINE_OF_TEN, "at_least", 0.8, confident=True)
    five_times = judged(tmp_path / "2", repeated, "at_least", 0.8, confident=True)
    assert five_times.candidate == once.candidate == 0.9
    assert five_times.high - five_times.low > 0.8 * (once.high - once.low)


def test_one_document_decides_no_confident_limit(tmp_path):
    result = judged(tmp_path, measured([0.05]), "at_most", 0.1, "repetition", confident=True)
    assert result.outcome == "inconclusive"
