from math import comb

import pytest

from lm_eval_cachesteer.errors import ArgumentError
from lm_eval_cachesteer.stats import compare_paired


def mcnemar(better, worse):
    """Twice the smaller tail of a fair coin, by counting."""
    n, few = better + worse, min(better, worse)
    return min(1.0, 2 * sum(comb(n, k) for k in range(few + 1)) / 2**n)


def test_the_published_flips_of_arc_challenge_are_not_significant():
    """200 items one way and 184 the other, of 1172: p = 0.44 (the paper's own result files)."""
    first = [0.0] * 200 + [1.0] * 184 + [1.0] * 445 + [0.0] * 343
    second = [1.0] * 200 + [0.0] * 184 + [1.0] * 445 + [0.0] * 343
    found = compare_paired(first, second)
    assert found.p_value == pytest.approx(mcnemar(200, 184), rel=1e-9)
    assert round(found.p_value, 2) == 0.44
    assert not found.significant
    assert found.low < 0 < found.high
    assert found.difference == pytest.approx(16 / 1172)


def test_the_interval_is_that_of_the_mean_difference():
    first = [float(i % 7) for i in range(400)]
    second = [value + 1 + (i % 3 - 1) / 2 for i, value in enumerate(first)]
    found = compare_paired(first, second)
    mean = sum(b - a for a, b in zip(first, second, strict=True)) / 400
    deviation = (sum((b - a - mean) ** 2 for a, b in zip(first, second, strict=True)) / 400) ** 0.5
    assert found.difference == pytest.approx(mean)
    assert found.low == pytest.approx(mean - 1.96 * deviation / 20, abs=0.01)
    assert found.high == pytest.approx(mean + 1.96 * deviation / 20, abs=0.01)
    assert found.significant


def test_equal_runs_do_not_differ_and_constant_shifts_are_certain():
    assert compare_paired([0.0, 1.0, 1.0], [0.0, 1.0, 1.0]).p_value == 1.0
    shifted = compare_paired([1.0, 2.0, 5.0], [3.0, 4.0, 7.0])
    assert (shifted.difference, shifted.low, shifted.high, shifted.p_value) == (2.0, 2.0, 2.0, 0.0)


@pytest.mark.parametrize(("first", "second"), [([1.0], [1.0, 2.0]), ([], [])])
def test_runs_over_different_documents_are_refused(first, second):
    with pytest.raises(ArgumentError, match="same documents"):
        compare_paired(first, second)
