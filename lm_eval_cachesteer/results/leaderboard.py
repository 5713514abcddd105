"""Every run beside the baseline of its model and task."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from ..errors import ResultsError
from .comparison import SCORES, MetricComparison
from .configuration import configurations, plain_task
from .differences import differences
from .figures import TaskFigures, number, task_figures
from .runs import Run, leave_out


@dataclass(frozen=True)
class Entry:
    """One task of one run.

    Attributes:
        model: The language model.
        group: The task whose runs stand side by side: `task`, or the plain task of a CoT-prompt variant.
        task: The run's own name of the task.
        configuration: What was steered, and what else sets the run apart in its group.
        path: The run's results file.
        date: When it was written.
        is_baseline: Whether the other runs of the group are compared with this one.
        documents: Number of documents; None if unknown.
        metric: The metric that scores the run, the same in the whole group; None if there is none.
        filter: The harness's filter it comes from.
        score: Its value.
        stderr: Its standard error.
        difference: `score` minus the baseline's.
        paired: The same document by document, corrected over the runs of the group; None where that is impossible.
        adherence: Style -> share of responses that keep to it, for the styles the run was steered towards; an unsteered
            run shows those of its group.
        repetition: Share of repeated 4-grams.
        looping: Share of responses that loop.
        tokens: Tokens in a response.
        words: Words in a response.
        seconds: Duration of the whole run, all its tasks.
        requests: Requests of the whole run that hf-cachesteer answered.
        interventions: Prompts of the whole run that were steered.
        remarks: What a reader of these figures has to know.
    """

    model: str
    group: str
    task: str
    configuration: str
    path: str
    date: str
    is_baseline: bool
    documents: int | None
    metric: str | None
    filter: str | None
    score: float | None
    stderr: float | None
    difference: float | None
    paired: MetricComparison | None
    adherence: dict[str, float]
    repetition: float | None
    looping: float | None
    tokens: float | None
    words: float | None
    seconds: float | None
    requests: int | None
    interventions: int | None
    remarks: tuple[str, ...]


def leaderboard(
    runs: Sequence[Run],
    *,
    tasks: Sequence[str] = (),
    metric: str | None = None,
    baseline: Run | None = None,
    left_out: Callable[[ResultsError], None] | None = None,
) -> list[Entry]:
    """Lists the runs of each model and task, best score first.

    CoT-prompt variants stand beside the plain task, where it was run. The baseline of such a group is its newest
    unsteered run of the plain task.

    Args:
        runs: The runs, oldest first.
        tasks: Tasks to list, with their CoT-prompt variants; by default all.
        metric: What scores the runs, "metric" or "metric,filter"; by default the task's first that says whether an
            answer is right.
        baseline: The run to compare with, in the groups it has a part in.
        left_out: Told of each run without figures, which is then left out; by default that is an error.

    Raises:
        ResultsError: There is nothing to list, no run has the metric, or the baseline has none of the tasks.
    """
    given = {run.path.resolve(): run for run in (*runs, *([baseline] if baseline else ()))}
    found = _figures(given.values(), left_out)
    listed = [one for one in found if not tasks or one.task in tasks or plain_task(one.task) in tasks]
    if not listed:
        raise ResultsError(
            f"No run has figures of {' or '.join(tasks) or 'any task'}; found: "
            f"{', '.join(sorted({one.task for one in found})) or 'none'}. Give folders of `lm_eval --output_path`."
        )
    if metric and not any(_is_named(name, metric) for one in listed for name in one.values):
        known = sorted({name for one in listed for name in one.values if "_stderr," not in name})
        raise ResultsError(f"No run has the metric {metric!r}; found: {'; '.join(known)}.")
    chosen = given[baseline.path.resolve()] if baseline else None
    if chosen and not any(one.run is chosen for one in listed):
        raise ResultsError(f"The baseline {chosen.path} has no figures of {' or '.join(tasks) or 'any task'}.")
    grouped = sorted(_groups(listed).items())
    return [entry for (_, task), group in grouped for entry in _entries(task, group, metric, chosen)]


def _figures(runs: Iterable[Run], left_out: Callable[[ResultsError], None] | None) -> list[TaskFigures]:
    found = []
    for run in runs:
        figures = task_figures(run)
        found += figures
        if not figures:
            error = ResultsError(f"{run.path} holds no figure named 'metric,filter', as lm_eval names them.")
            leave_out(error, left_out)
    return found


def _groups(listed: Sequence[TaskFigures]) -> dict[tuple[str, str], list[TaskFigures]]:
    """(model, task) -> runs; CoT-prompt variants belong to the plain task, if that model ran it."""
    known = {(one.run.model, one.task) for one in listed}
    groups: dict[tuple[str, str], list[TaskFigures]] = {}
    for one in listed:
        plain = (one.run.model, plain_task(one.task))
        groups.setdefault(plain if plain in known else (one.run.model, one.task), []).append(one)
    return groups


def _entries(task: str, group: Sequence[TaskFigures], wanted: str | None, chosen: Run | None) -> list[Entry]:
    """The runs of one model and task."""
    base = _baseline(task, group, chosen)
    score = _score(group if base is None else [base, *group], wanted)
    metric = score.partition(",")[0]
    better = next((known for one in group if (known := one.run.higher_is_better(one.task, metric)) is not None), None)
    others = [one for one in group if one is not base and score in one.values]
    found = differences(base, others, score, better) if base and score in base.values else {}
    styles = list(dict.fromkeys(style for one in group for style in one.styles))
    entries = []
    for one, configuration in zip(group, configurations(group, task), strict=True):
        entry = _entry(task, one, configuration, score, one.styles if one.run.is_steered else styles)
        if base is None:
            entry = replace(entry, remarks=(*entry.remarks, "no baseline: no unsteered run of this model and task"))
        elif one in found:
            paired, difference = found[one], one.values[score] - base.values[score]
            if isinstance(paired, ResultsError):
                entry = replace(entry, difference=difference, remarks=(*entry.remarks, f"no interval: {paired}"))
            else:
                entry = replace(entry, difference=difference, paired=paired)
        entries.append(replace(entry, is_baseline=one is base))
    sign = 1 if better is False else -1
    return sorted(entries, key=lambda entry: math.inf if entry.score is None else sign * entry.score)


def _baseline(task: str, group: Sequence[TaskFigures], chosen: Run | None) -> TaskFigures | None:
    named = [one for one in group if one.run is chosen]
    unsteered = [one for one in group if one.task == task and not one.run.is_steered]
    return max(named or unsteered, key=lambda one: (one.task == task, one.run.date), default=None)


def _score(group: Sequence[TaskFigures], wanted: str | None) -> str:
    """The first "metric,filter" that is wanted, or says whether an answer is right; "" if there is none."""
    names = [name for one in group for name in one.values]
    if wanted:
        return next((name for name in names if _is_named(name, wanted)), "")
    return next((name for name in names if name.partition(",")[0] in SCORES), "")


def _is_named(name: str, wanted: str) -> bool:
    return wanted in (name, name.partition(",")[0])


def _entry(task: str, one: TaskFigures, configuration: str, score: str, styles: Sequence[str]) -> Entry:
    """What a run says by itself."""
    run, (metric, _, filter_name) = one.run, score.partition(",")
    counts = [count for count in (run.steering.get("counts") or {}).values() if isinstance(count, dict)]
    requests, interventions = (sum(count.get(name, 0) for count in counts) for name in ("requests", "interventions"))
    remarks = []
    if score and score not in one.values:
        remarks.append(f"no {metric}, {filter_name} in this run")
    if run.is_steered and interventions < requests:
        remarks.append(f"{requests - interventions} of {requests} requests of this run were not steered")
    return Entry(
        model=run.model,
        group=task,
        task=one.task,
        configuration=configuration,
        path=str(run.path),
        date=run.date,
        is_baseline=False,
        documents=one.documents,
        metric=metric or None,
        filter=filter_name or None,
        score=one.values.get(score),
        stderr=one.values.get(f"{metric}_stderr,{filter_name}"),
        difference=None,
        paired=None,
        adherence={style: share for style in styles if (share := one.of(style)) is not None},
        repetition=one.of("repetition"),
        looping=one.of("looping"),
        tokens=one.of("tokens"),
        words=one.of("words"),
        seconds=number(run.content.get("total_evaluation_time_seconds")),
        requests=requests if counts else None,
        interventions=interventions if counts else None,
        remarks=tuple(remarks),
    )
