import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import binom

from lm_eval_cachesteer.stats.binary import score_interval, spread


def test_the_published_interval_of_airway_hyperresponsiveness():
    """Fagerland, Lydersen and Laake 2014: 21 children, 1 and 7 changed; Tango's interval is -0.517 to -0.026."""
    low, high = score_interval(1, 7, 21)
    assert (round(low, 3), round(high, 3)) == (-0.517, -0.026)
    assert score_interval(7, 1, 21) == pytest.approx((-high, -low))


def most_likely_spread(up, down, documents, difference):
    """By maximizing the likelihood of the flips under a true difference, numerically."""
    same = documents - up - down

    def cost(fall):
        return -(up * np.log(fall + difference) + down * np.log(fall) + same * np.log(1 - 2 * fall - difference))

    limits = (max(0, -difference) + 1e-12, (1 - difference) / 2 - 1e-12)
    fall = minimize_scalar(cost, bounds=limits, method="bounded", options={"xatol": 1e-12}).x
    return (2 * fall + difference - difference**2) ** 0.5


@pytest.mark.parametrize(("up", "down", "documents"), [(12, 3, 40), (3, 12, 200), (1, 1, 50), (40, 60, 1000)])
def test_the_score_test_is_just_not_rejected_at_both_ends(up, down, documents):
    for end in score_interval(up, down, documents):
        sure = most_likely_spread(up, down, documents, end)
        assert spread(up, down, documents, end) == pytest.approx(sure, rel=1e-4)
        assert abs(up - down - documents * end) / (sure * documents**0.5) == pytest.approx(1.959964, rel=1e-4)


def test_the_spread_at_the_difference_itself_is_the_one_observed():
    changes = np.array([1.0] * 9 + [-1.0] * 6 + [0.0] * 135)
    assert spread(9, 6, 150, changes.mean()) == pytest.approx(changes.std())


def test_runs_without_a_change_leave_room_that_shrinks_with_documents():
    """(n difference)^2 = 1.96^2 n |difference| (1 - |difference|) at both ends."""
    for documents in (1, 40, 1000):
        end = 1.959964**2 / (documents + 1.959964**2)
        assert score_interval(0, 0, documents) == pytest.approx((-end, end), rel=1e-5)


def test_runs_in_which_everything_changed():
    """Half of the rest falls, so that (1 - low)^2 = 1.96^2 (1 - low^2) / n."""
    low = (30 - 1.959964**2) / (30 + 1.959964**2)
    assert score_interval(30, 0, 30) == pytest.approx((low, 1.0))
    assert score_interval(0, 30, 30) == pytest.approx((-1.0, -low))


@pytest.mark.parametrize(
    ("documents", "up", "margin"),
    [(50, 0.0, 0.1), (50, 0.04, 0.1), (200, 0.0, 0.02), (200, 0.01, 0.02), (200, 0.05, 0.05), (400, 0.0, 0.02)],
)
def test_a_loss_of_the_whole_margin_passes_in_one_run_of_forty_at_most(documents, up, margin):
    """Exact, over all numbers of flips: the Wald interval passes up to 12 % of such runs."""
    down, passed = up + margin, 0.0
    for fallen in range(documents + 1):
        chance = binom.pmf(fallen, documents, down)
        if chance < 1e-6:
            continue
        for risen in range(documents - fallen + 1):
            both = chance * binom.pmf(risen, documents - fallen, up / (1 - down))
            if both > 1e-7 and score_interval(risen, fallen, documents)[0] > -margin:
                passed += both
    assert passed <= 0.025 + 1e-4


def coverage(documents, up, down):
    """How often the interval holds the true difference: exact, over all numbers of flips."""
    covered = 0.0
    for fallen in range(documents + 1):
        chance = binom.pmf(fallen, documents, down)
        for risen in range(documents - fallen + 1):
            both = chance * binom.pmf(risen, documents - fallen, up / (1 - down)) if chance > 1e-7 else 0.0
            if both > 1e-7:
                low, high = score_interval(risen, fallen, documents)
                covered += both * (low <= up - down <= high)
    return covered


@pytest.mark.parametrize(
    ("documents", "up", "down"),
    [
        *((20, 0.25, 0.25), (20, 0.6, 0.2), (60, 0.25, 0.25), (60, 0.1, 0.1), (60, 0.3, 0.1), (60, 0.1, 0.02)),
        *((60, 0.9, 0.05), (250, 0.02, 0.02), (250, 0.3, 0.1), (250, 0.1, 0.02), (250, 0.05, 0.0)),
    ],
)
def test_the_interval_holds_the_true_difference_in_95_percent_of_runs(documents, up, down):
    assert coverage(documents, up, down) == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize(("documents", "up", "down"), [(20, 0.02, 0.02), (20, 0.05, 0.0), (60, 0.01, 0.0)])
def test_the_interval_holds_it_more_often_where_hardly_any_document_changes(documents, up, down):
    """Student's t holds it in 64 % of runs of 20 documents of which 5 % rise."""
    assert coverage(documents, up, down) > 0.97
