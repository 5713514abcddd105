"""An interval against a bound: does it hold, does it not, or how many documents would tell?"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from scipy.stats import norm

from ..stats.paired import CONFIDENCE, POWER
from .outcomes import Outcome

_Z = float(norm.ppf((1 + CONFIDENCE) / 2))
_Z_POWER = float(norm.ppf(POWER))


@dataclass(frozen=True)
class Judgement:
    """What an interval says about a bound.

    Attributes:
        outcome: "pass" if all of the interval lies above the bound, "fail" if none of it does.
        needed: If inconclusive, how many documents would do; None if their number is not what is missing.
        remark: The same in words; "" for a pass.
    """

    outcome: Outcome
    needed: int | None = None
    remark: str = ""


def judge(
    estimate: float,
    low: float,
    high: float,
    bound: float,
    documents: int,
    spread: Callable[[float], float],
    expected: float | None = None,
) -> Judgement:
    """Judges an estimate whose larger values are better.

    Args:
        estimate: The estimate.
        low: Lower end of its 95 % interval.
        high: Its upper end.
        bound: What it must lie above.
        documents: Documents it comes from.
        spread: Standard deviation of one document's figure, given the true value.
        expected: The true value to plan for if the estimate itself is not above the bound; None if there is none.
    """
    if not math.isfinite(high - low):
        return Judgement("inconclusive", None, f"too few documents for an interval: {documents}")
    if low > bound:
        return Judgement("pass")
    if high <= bound:
        return Judgement("fail", None, "the whole interval is on the wrong side of the limit")
    if estimate > bound:
        needed = max(documents + 1, needed_documents(estimate, bound, spread))
        return Judgement("inconclusive", needed, f"too few documents: {documents}, about {needed} are needed")
    beyond = "the figure itself does not clear the limit"
    if expected is None or expected <= bound:
        return Judgement("inconclusive", None, f"{beyond}; more documents help only if that is chance")
    needed = needed_documents(expected, bound, spread)
    if needed <= documents:
        remark = f"{beyond}, though {documents} documents are enough to clear a candidate that is no worse"
        return Judgement("inconclusive", None, remark)
    remark = f"{beyond}; if that is chance, about {needed} documents are needed instead of {documents}"
    return Judgement("inconclusive", needed, remark)


def needed_documents(true: float, bound: float, spread: Callable[[float], float]) -> int:
    """How many documents pass in 80 % of runs, if `true` is the true value.

    The sample size of a non-inferiority comparison in pairs, n = ((z_0.975 + z_0.8) sd / gap)^2 (Julious 2004, "Sample
    sizes for clinical trials with normal data"; Miller 2024, arXiv 2411.00640, section 5, for evaluations). For figures
    of 0 and 1 the standard deviation depends on the mean, so that the first quantile goes with that at the bound, as in
    the score test, and the second with that at the true value.

    Args:
        true: The true value.
        bound: What the interval must lie above; below `true`.
        spread: Standard deviation of one document's figure, given the true value.
    """
    return math.ceil(((_Z * spread(bound) + _Z_POWER * spread(true)) / (true - bound)) ** 2)


def constant_spread(standard_error: float, documents: int) -> Callable[[float], float]:
    """The spread that a standard error tells, whatever the true value; clusters count as they do there."""
    return lambda _: standard_error * math.sqrt(documents)
