"""Checks that compare the candidate with the baseline: not worse by a margin, or better by one."""

import math
from collections.abc import Callable

from ..errors import ArgumentError, ResultsError
from ..results.comparison import compare_runs
from ..stats import PairedDifference
from ..stats.binary import score_interval, spread
from .figures import Figures
from .judging import constant_spread, judge
from .outcomes import Result
from .policy import Check


def judge_margin(
    check: Check, task: str, filter_name: str, base: Figures, candidate: Figures, *, allow_unmatched: bool, seed: int
) -> Result:
    """Compares the runs over one task's documents.

    Args:
        check: The check.
        task: The task.
        filter_name: The filter.
        base: The run compared with.
        candidate: The run judged.
        allow_unmatched: Whether documents that only one run has are left out instead of refused.
        seed: Seed of the bootstrap.

    Raises:
        ResultsError: Documents do not match, or the metric is not a mean over documents.
        ArgumentError: The runs do not say which figures are better, and neither does the check.
    """
    for figures in (base, candidate):
        figures.documents(task, (filter_name, check.metric))
    comparison = compare_runs(
        base.run,
        candidate.run,
        tasks=[task],
        metrics=[check.metric],
        allow_unmatched=True,
        cluster_by=check.cluster_by or None,
        seed=seed,
    )
    (metric,) = (one for one in comparison.metrics if one.filter == filter_name)
    left_out = ""
    for left in comparison.unmatched:
        if not allow_unmatched:
            raise ResultsError(
                f"Task {task!r}: {left.base} documents are only in {base.run.path}, {left.other} only in "
                f"{candidate.run.path}. Run both over the same documents, or set `allow_unmatched: true` in the policy."
            )
        left_out = f"left out: {left.base} documents of the baseline, {left.other} of the candidate"
    better, found = _higher_is_better(check, task, metric.higher_is_better), metric.found
    ends, of_document = _interval(found, better)
    low, high = ends if better else (-ends[1], -ends[0])
    estimate = found.difference if better else -found.difference
    bound = check.limit if check.rule == "better_by" else -check.limit
    judged = judge(estimate, low, high, bound, found.documents, of_document, expected=0.0)
    return Result(
        task,
        check.label(filter_name) + ("" if better else " (lower is better)"),
        judged.outcome,
        "; ".join(filter(None, (judged.remark, left_out))),
        found.first,
        found.second,
        found.difference,
        *ends,
        found.documents,
        judged.needed,
    )


def _interval(found: PairedDifference, better: bool) -> tuple[tuple[float, float], Callable[[float], float]]:
    """95 % interval of the difference, and the spread of an improvement given its true mean."""
    if found.test == "exact McNemar":
        risen, fallen = (found.up, found.down) if better else (found.down, found.up)
        ends = score_interval(found.up, found.down, found.documents)
        return ends, lambda difference: spread(risen, fallen, found.documents, difference)
    # A single cluster has no spread, and its interval no width.
    ends = (found.low, found.high) if found.clusters > 1 else (-math.inf, math.inf)
    return ends, constant_spread(found.standard_error, found.documents)


def _higher_is_better(check: Check, task: str, recorded: bool | None) -> bool:
    if check.direction is not None:
        return check.direction == "higher"
    if recorded is None:
        raise ArgumentError(
            f"Task {task!r}: the harness does not say whether larger {check.metric} is better. Add `direction: higher` "
            "or `direction: lower` to the check."
        )
    return recorded
