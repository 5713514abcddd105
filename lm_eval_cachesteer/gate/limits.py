"""Floors and ceilings of the candidate's own figures."""

import math
from collections.abc import Callable

from scipy.stats import binomtest

from ..errors import ResultsError
from ..stats import compare_paired
from .figures import Figures, Name
from .judging import constant_spread, judge
from .outcomes import Result
from .policy import Check

# A mean of 0.1 in floating point is still at most 0.1.
_ROUNDING = 1e-9


def judge_limit(check: Check, task: str, filter_name: str, base: Figures, candidate: Figures, *, seed: int) -> Result:
    """Judges the candidate's figure: as it stands, or by its 95 % interval for a confident check.

    Args:
        check: The check.
        task: The task.
        filter_name: The filter.
        base: The run compared with; its figure is only shown.
        candidate: The run judged.
        seed: Seed of the bootstrap.

    Raises:
        ResultsError: The candidate has no such figure, or a confident check has no documents.
    """
    name = (filter_name, check.metric)
    figure = candidate.mean(task, name)
    if figure is None:
        raise ResultsError(
            f"Task {task!r}: {candidate.run.path} has no figure of {check.metric}, filter {filter_name}. Name another "
            "metric in the policy, or run with --log_samples."
        )
    label = check.label(filter_name)
    sign = 1 if check.rule == "at_least" else -1
    if not check.confident:
        holds = sign * (figure - check.limit) >= -_ROUNDING
        remark = "" if holds else f"{figure:.4g} is {'below' if sign > 0 else 'above'} {check.limit:g}"
        return Result(task, label, "pass" if holds else "fail", remark, base.mean(task, name), figure)
    documents, ends, spread = _interval(candidate, task, name, seed)
    low, high = ends if sign > 0 else (-ends[1], -ends[0])
    judged = judge(sign * figure, low, high, sign * check.limit, documents, lambda value: spread(sign * value))
    return Result(
        task,
        label,
        judged.outcome,
        judged.remark,
        base.mean(task, name),
        figure,
        None,
        *ends,
        documents,
        judged.needed,
    )


def _interval(
    figures: Figures, task: str, name: Name, seed: int
) -> tuple[int, tuple[float, float], Callable[[float], float]]:
    """Documents, 95 % interval of their mean, and the spread of one given the true mean.

    The interval is Wilson's for 0 and 1, else that of a difference from zero.
    """
    found = figures.documents(task, name)
    values = list(found.values())
    if not any(key.number for key in found) and set(values) <= {0.0, 1.0}:
        share = binomtest(int(sum(values)), len(values)).proportion_ci(method="wilson")
        return len(values), (float(share.low), float(share.high)), _spread_of_share
    clusters = [(key.document, key.target) for key in found]
    mean = compare_paired([0.0] * len(values), values, clusters, seed)
    # A single cluster has no spread, and its interval no width.
    ends = (mean.low, mean.high) if mean.clusters > 1 else (-math.inf, math.inf)
    return len(values), ends, constant_spread(mean.standard_error, len(values))


def _spread_of_share(share: float) -> float:
    return math.sqrt(max(0.0, share * (1 - share)))
