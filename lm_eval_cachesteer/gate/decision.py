"""From a policy and two runs to a decision."""

from dataclasses import replace

from ..errors import ResultsError
from ..results.runs import Run
from .agreement import differences, shortened
from .figures import Figures, plain_tasks
from .limits import judge_limit
from .margins import judge_margin
from .outcomes import Decision, Result
from .policy import Check, Policy
from .steering import judge_steering


def decide(base: Run, candidate: Run, policy: Policy, seed: int = 0) -> Decision:
    """Judges a candidate run.

    Whether steered runs were steered is checked whatever the policy says.

    Args:
        base: The run compared with.
        candidate: The run judged.
        policy: What it must keep to.
        seed: Seed of the bootstrap.

    Raises:
        ResultsError: The runs lack what the policy asks about, or are one run.
        ArgumentError: The policy leaves open which figures are better.
    """
    if base.path.resolve() == candidate.path.resolve():
        raise ResultsError(f"Baseline and candidate are the same run, {base.path}. Name two folders.")
    steering = [judge_steering("baseline", base), judge_steering("candidate", candidate)]
    results = [result for result in steering if result is not None]
    results += [_agreement(aspect, base, candidate) for aspect in policy.same]
    one, two = Figures(base), Figures(candidate)
    for check in policy.checks:
        for task in _tasks(check, one, two):
            filter_name = _filter(check, task, one, two)
            if check.is_margin:
                unmatched = policy.allow_unmatched
                result = judge_margin(check, task, filter_name, one, two, allow_unmatched=unmatched, seed=seed)
            else:
                result = judge_limit(check, task, filter_name, one, two, seed=seed)
            results.append(_suspecting_percent(result, check, two, filter_name))
    return Decision(base, candidate, tuple(results))


def _agreement(aspect: str, base: Run, candidate: Run) -> Result:
    found = differences(aspect, base, candidate)
    return Result("runs", f"same {aspect}", "fail" if found else "pass", shortened(found))


def _tasks(check: Check, base: Figures, candidate: Figures) -> list[str]:
    """The task of a check; without one every task that has the metric in either run, so that none drops out unseen."""
    if check.task:
        return [check.task]
    found = [
        task
        for task in dict.fromkeys((*plain_tasks(base.run), *plain_tasks(candidate.run)))
        if any(_has(figures, task, check) for figures in (base, candidate))
    ]
    if not found:
        raise ResultsError(
            f"No task of {candidate.run.path} has the metric {check.metric!r}"
            f"{f' under the filter {check.filter!r}' if check.filter else ''}. Correct the policy."
        )
    return found


def _has(figures: Figures, task: str, check: Check) -> bool:
    filters = figures.filters(task, check.metric)
    return check.filter in filters if check.filter else bool(filters)


def _filter(check: Check, task: str, base: Figures, candidate: Figures) -> str:
    """The filter of a check in one task, which every run the check looks at must have."""
    chosen = check.filter
    for figures in (candidate, base) if check.is_margin else (candidate,):
        filters = figures.filters(task, check.metric)
        if not filters or (chosen and chosen not in filters):
            raise ResultsError(
                f"Task {task!r}: {figures.run.path} has no {check.metric!r}"
                f"{f' under the filter {chosen!r}' if chosen else ''}; it has {_known(figures, task)}. Run the task "
                "again, or correct the policy."
            )
        if not chosen and len(filters) > 1:
            raise ResultsError(
                f"Task {task!r}: {check.metric!r} is there under the filters {', '.join(filters)}. Name one with "
                "`filter:` in the policy."
            )
        chosen = chosen or filters[0]
    return chosen


def _suspecting_percent(result: Result, check: Check, candidate: Figures, filter_name: str) -> Result:
    """Points out a limit that figures between 0 and 1 cannot cross: it was probably meant in per cent."""
    if check.limit <= 1 or not candidate.are_shares(result.subject, (filter_name, check.metric)):
        return result
    doubt = f"all figures lie between 0 and 1: was {check.limit / 100:g} meant?"
    return replace(result, remark="; ".join(filter(None, (result.remark, doubt))))


def _known(figures: Figures, task: str) -> str:
    known = set(figures.reported(task))
    if task in figures.run.sample_files:
        known |= set(figures.samples(task).figures)
    return ", ".join(f"{metric} ({name})" for name, metric in sorted(known)) or f"no figure of {task}"
