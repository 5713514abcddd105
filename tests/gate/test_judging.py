import math

import numpy as np
import pytest
from scipy.stats import binom, binomtest, t
from statsmodels.stats.power import TTestPower

from lm_eval_cachesteer.gate.judging import constant_spread, judge, needed_documents
from lm_eval_cachesteer.stats import binary


def of(spread):
    return lambda _: spread


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (0.1, 0.3, "pass"),
        (-0.01, 0.3, "pass"),
        (-0.02, 0.3, "inconclusive"),
        (-0.1, 0.3, "inconclusive"),
        (-0.3, -0.019, "inconclusive"),
        (-0.3, -0.02, "fail"),
        (-0.3, -0.1, "fail"),
    ],
)
def test_the_interval_decides(low, high, outcome):
    assert judge((low + high) / 2, low, high, -0.02, 100, of(1.0)).outcome == outcome


@pytest.mark.parametrize("spread", [0.3, 1.0])
@pytest.mark.parametrize("gap", [0.02, 0.1])
def test_the_number_needed_is_that_of_a_power_analysis(spread, gap):
    """Of one sample of differences, two-sided at 5 %, power 80 %; Student's t asks for about two documents more."""
    expected = TTestPower().solve_power(gap / spread, alpha=0.05, power=0.8, alternative="two-sided")
    assert needed_documents(0.0, -gap, of(spread)) == pytest.approx(expected, abs=2.5)


def test_four_of_five_runs_of_the_needed_size_pass():
    """Normal differences around the one observed; intervals of Student's t, computed here."""
    true, spread, bound = 0.1, 1.0, -0.05
    half = t.ppf(0.975, 99) * spread / 100**0.5
    judged = judge(true, true - half, true + half, bound, 100, constant_spread(spread / 100**0.5, 100))
    assert judged.outcome == "inconclusive"
    assert judged.remark == f"too few documents: 100, about {judged.needed} are needed"
    runs = np.random.default_rng(1).normal(true, spread, (4000, judged.needed))
    halves = t.ppf(0.975, judged.needed - 1) * runs.std(axis=1, ddof=1) / judged.needed**0.5
    assert (runs.mean(axis=1) - halves > bound).mean() == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize(("right", "documents", "ceiling"), [(4, 50, 0.1), (24, 300, 0.1), (60, 300, 0.23)])
def test_four_of_five_shares_of_the_needed_size_lie_below_a_ceiling(right, documents, ceiling):
    """Exact chance that Wilson's upper end lies below it."""
    share = right / documents
    interval = binomtest(right, documents).proportion_ci(method="wilson")
    spread = lambda value: (-value * (1 + value)) ** 0.5  # noqa: E731 - of a share turned negative
    needed = judge(-share, -interval.high, -interval.low, -ceiling, documents, spread).needed
    counts = range(needed + 1)
    below = [binomtest(k, needed).proportion_ci(method="wilson").high < ceiling for k in counts]
    chance = sum(binom.pmf(k, needed, share) for k, holds in zip(counts, below, strict=True) if holds)
    assert chance == pytest.approx(0.8, abs=0.02)


def flips(generator, documents, up, down):
    """How many of the documents rise and fall, with these chances."""
    risen, fallen, _ = generator.multinomial(documents, [up, down, 1 - up - down])
    return int(risen), int(fallen), documents


@pytest.mark.parametrize(("up", "down", "documents"), [(9, 6, 150), (2, 4, 200), (20, 20, 300)])
def test_four_of_five_paired_runs_of_the_needed_size_pass(up, down, documents):
    margin = 0.03
    low, high = binary.score_interval(up, down, documents)
    spread = lambda difference: binary.spread(up, down, documents, difference)  # noqa: E731
    judged = judge((up - down) / documents, low, high, -margin, documents, spread, expected=0.0)
    assert judged.outcome == "inconclusive"
    generator = np.random.default_rng(2)
    runs = [flips(generator, judged.needed, up / documents, down / documents) for _ in range(1000)]
    passed = [binary.score_interval(*run)[0] > -margin for run in runs]
    assert np.mean(passed) == pytest.approx(0.8, abs=0.05)


def test_more_documents_are_needed_than_there_are():
    """A handful of clusters has a wide interval for its spread."""
    assert judge(0.1, -0.5, 0.7, 0.0, 6, of(0.05)).needed == 7


def test_runs_without_a_change_need_no_more_documents_than_their_interval_asks_for():
    """z^2 / (n + z^2) = 0.02 at n = 188.2."""
    low, high = binary.score_interval(0, 0, 40)
    spread = lambda difference: binary.spread(0, 0, 40, difference)  # noqa: E731
    assert judge(0.0, low, high, -0.02, 40, spread, expected=0.0).needed == 189
    assert binary.score_interval(0, 0, 189)[0] > -0.02 > binary.score_interval(0, 0, 188)[0]


def test_a_figure_that_does_not_clear_the_limit_is_planned_for_as_if_that_were_chance():
    judged = judge(-0.03, -0.13, 0.07, -0.02, 100, constant_spread(0.05, 100), expected=0.0)
    assert judged.outcome == "inconclusive"
    assert judged.needed == math.ceil(((1.959964 + 0.841621) * 0.5 / 0.02) ** 2)
    assert f"if that is chance, about {judged.needed} documents are needed instead of 100" in judged.remark


def test_enough_documents_for_a_candidate_that_is_no_worse_are_not_multiplied():
    judged = judge(-0.025, -0.0325, -0.0175, -0.02, 9000, of(0.36), expected=0.0)
    assert (judged.outcome, judged.needed) == ("inconclusive", None)
    assert "9000 documents are enough to clear a candidate that is no worse" in judged.remark


def test_more_documents_do_not_make_a_missing_improvement():
    for estimate in (0.3, 0.5):
        judged = judge(estimate, 0.05, 0.55, 0.5, 40, of(1.0), expected=0.0)
        assert (judged.outcome, judged.needed) == ("inconclusive", None)
        assert "more documents help only if that is chance" in judged.remark


def test_without_an_interval_nothing_is_decided():
    for low, high in ((-math.inf, math.inf), (math.nan, math.nan)):
        judged = judge(0.6, low, high, 0.0, 2, of(1.0))
        assert (judged.outcome, judged.needed) == ("inconclusive", None)
        assert judged.remark == "too few documents for an interval: 2"
