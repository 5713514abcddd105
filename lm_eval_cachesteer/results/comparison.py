"""Two runs compared: documents joined by their hashes, figures compared in pairs."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace

from ..errors import ResultsError
from ..stats import PairedDifference, Pairs, compare_paired, holm
from .figures import is_mean, reported
from .means import ComparedMean, compare_means
from .runs import Run
from .samples import Key, Samples, read_samples
from .verdicts import Verdict, verdict_of

__all__ = [
    "SCORES",
    "Comparison",
    "MetricComparison",
    "Unmatched",
    "Verdict",
    "compare_runs",
    "pair_figures",
    "verdict_of",
]

# Metrics that say whether an answer is right; what is compared if nothing else is asked for.
SCORES = frozenset(
    (
        *("acc", "acc_norm", "acc_bytes", "exact_match", "em", "f1", "pass@1", "mc1", "mc2"),
        *("bleu", "chrf", "rouge1", "rougeL", "prompt_level_strict_acc"),
    )
)


@dataclass(frozen=True)
class MetricComparison:
    """One metric of one task in two runs.

    Attributes:
        task: The task.
        filter: The harness's filter the figures come from.
        metric: The metric.
        found: The paired difference, other run minus base.
        higher_is_better: Whether larger is better; None if unknown, or if the runs contradict each other.
        adjusted: The p-value after Holm's correction over the tasks compared.
        shared: Number of documents that both runs have, with or without a figure of this metric.
        is_mean: Whether the runs report the mean of these figures; if not, `higher_is_better` is None.
    """

    task: str
    filter: str
    metric: str
    found: PairedDifference
    higher_is_better: bool | None
    adjusted: float
    shared: int
    is_mean: bool = True

    @property
    def verdict(self) -> Verdict:
        """What the corrected test says, in words."""
        return verdict_of(self.adjusted, self.found.difference, self.higher_is_better)


@dataclass(frozen=True)
class Unmatched:
    """Documents of one task that only one of the runs has."""

    task: str
    base: int
    other: int


@dataclass(frozen=True)
class Comparison:
    """Two runs compared.

    Attributes:
        base: The run compared with.
        other: The run compared.
        metrics: One entry for each task, filter and metric.
        unmatched: Tasks whose documents were not the same in both runs.
        without_figures: Tasks left out, as their metrics only aggregate and no document has a figure of its own.
        means: Means over tasks, of each filter and metric that several tasks have.
    """

    base: Run
    other: Run
    metrics: list[MetricComparison]
    unmatched: list[Unmatched]
    without_figures: list[str] = field(default_factory=list)
    means: list[ComparedMean] = field(default_factory=list)


def compare_runs(
    base: Run,
    other: Run,
    *,
    tasks: Sequence[str] = (),
    metrics: Sequence[str] = (),
    allow_unmatched: bool = False,
    cluster_by: str | None = None,
    seed: int = 0,
) -> Comparison:
    """Compares two runs task by task, and by means over tasks.

    Args:
        base: The run compared with.
        other: The run compared.
        tasks: Tasks to compare; by default all that both runs have.
        metrics: Metrics to compare; by default those that say whether an answer is right, or all if there are none.
        allow_unmatched: Whether documents that only one run has are left out instead of refused.
        cluster_by: A field of the documents; those that agree in it count as one cluster, for means over tasks also
            across tasks. By default, equal documents do.
        seed: Seed of the bootstrap.

    Raises:
        ResultsError: The runs have no task, no document or no metric in common, or documents do not match.
    """
    shared = [task for task in base.sample_files if task in other.sample_files]
    missing = [task for task in tasks if task not in shared]
    if missing or not shared:
        raise ResultsError(
            f"The runs do not both hold samples of {', '.join(missing) or 'any task'}. {base.path}: "
            f"{', '.join(base.sample_files) or 'none'}; {other.path}: {', '.join(other.sample_files) or 'none'}. "
            "Run the same tasks with --log_samples."
        )
    compared: list[MetricComparison] = []
    paired: dict[tuple[str, str], dict[str, Pairs]] = {}
    unmatched = []
    without_figures = []
    for task in dict.fromkeys(tasks or shared):
        one, two = read_samples(base, task), read_samples(other, task)
        if not (tasks or one.figures or two.figures):
            without_figures.append(task)
            continue
        left = _unmatched(task, one, two)
        if left is not None:
            unmatched.append(left)
            if not allow_unmatched:
                raise ResultsError(_unmatched_message(left, one, two))
        for name in _chosen(task, one, two, metrics):
            pairs = pair_figures(one, two, *name, cluster_by=cluster_by)
            paired.setdefault(name, {})[task] = pairs
            compared.append(_compared(base, other, task, name, pairs, (one, two), seed))
    if not compared:
        raise ResultsError(
            f"Nothing to compare: {', '.join(without_figures)} have no metric that is one number for each document. "
            "Run a task that has one, such as acc or exact_match."
        )
    means = [
        mean
        for name, pairs_of in paired.items()
        for mean in compare_means(base, other, *name, pairs_of, _common_direction(compared, name))
    ]
    return Comparison(base, other, _corrected(compared), unmatched, without_figures, means)


def pair_figures(one: Samples, two: Samples, filter_name: str, metric: str, *, cluster_by: str | None = None) -> Pairs:
    """The figures of one metric, of the documents that both runs have figures of.

    Args:
        one: Samples of the run compared with.
        two: Samples of the run compared; their task may have another name, if its documents are the same.
        filter_name: The harness's filter.
        metric: A metric that both have under this filter.
        cluster_by: A field of the documents; those that agree in it count as one cluster. By default, equal documents
            do.

    Raises:
        ResultsError: A document has no such field.
    """
    first, second = one.figures[filter_name, metric], two.figures[filter_name, metric]
    keys = sorted(first.keys() & second.keys())
    return Pairs([first[key] for key in keys], [second[key] for key in keys], _clusters(keys, one, cluster_by))


def _compared(
    base: Run, other: Run, task: str, name: tuple[str, str], pairs: Pairs, samples: tuple[Samples, Samples], seed: int
) -> MetricComparison:
    filter_name, metric = name
    found = compare_paired(*pairs, seed=seed)
    averaged = all(
        is_mean(reported(run, task, metric, filter_name), logged.figures[name].values())
        for run, logged in zip((base, other), samples, strict=True)
    )
    directions = {run.higher_is_better(task, metric) for run in (base, other)} - {None}
    better = directions.pop() if averaged and len(directions) == 1 else None
    shared = len(samples[0].documents.keys() & samples[1].documents.keys())
    return MetricComparison(task, filter_name, metric, found, better, found.p_value, shared, averaged)


def _common_direction(compared: Sequence[MetricComparison], name: tuple[str, str]) -> bool | None:
    """Which figures are better in all tasks; None if that differs, or is unknown for one."""
    directions = {one.higher_is_better for one in compared if (one.filter, one.metric) == name}
    return directions.pop() if len(directions) == 1 else None


def _unmatched(task: str, one: Samples, two: Samples) -> Unmatched | None:
    """How many documents only one has; None if there are none."""
    keys = one.documents.keys() & two.documents.keys()
    left = Unmatched(task, len(one.documents) - len(keys), len(two.documents) - len(keys))
    if not keys:
        raise ResultsError(
            f"{one.file} and {two.file} have no document in common. Compare runs of one version of the task."
        )
    return left if left.base or left.other else None


def _unmatched_message(left: Unmatched, one: Samples, two: Samples) -> str:
    return (
        f"Task {left.task!r}: {left.base} documents are only in {one.file}, {left.other} only in {two.file}. Run both "
        "over the same documents, or compare those in common with --allow-unmatched."
    )


def _chosen(task: str, one: Samples, two: Samples, metrics: Sequence[str]) -> list[tuple[str, str]]:
    """(filter, metric) to compare."""
    shared = [name for name, figures in one.figures.items() if figures.keys() & two.figures.get(name, {}).keys()]
    wanted = set(metrics) or (SCORES & {metric for _, metric in shared}) or {metric for _, metric in shared}
    chosen = [name for name in shared if name[1] in wanted]
    if not chosen:
        raise ResultsError(
            f"Task {task!r}: no metric {' or '.join(sorted(wanted)) or 'at all'} in both runs; in common: "
            f"{', '.join(sorted({metric for _, metric in shared})) or 'none'}."
        )
    return chosen


def _clusters(keys: Sequence[Key], samples: Samples, cluster_by: str | None) -> list[Hashable]:
    """What each document shares with those it does not stand apart from: its hash, or a field."""
    if cluster_by is None:
        return [key.document for key in keys]
    for key in keys:
        if cluster_by not in samples.documents[key]:
            raise ResultsError(
                f"{samples.file}: a document has no field {cluster_by!r}; it has "
                f"{', '.join(map(repr, samples.documents[key]))}."
            )
    return [str(samples.documents[key][cluster_by]) for key in keys]


def _corrected(compared: Sequence[MetricComparison]) -> list[MetricComparison]:
    """Holm's correction over the tasks, apart for each filter and metric."""
    name: Callable[[MetricComparison], tuple[str, str]] = lambda one: (one.filter, one.metric)  # noqa: E731
    adjusted: dict[int, float] = {}
    for family in dict.fromkeys(map(name, compared)):
        places = [i for i, one in enumerate(compared) if name(one) == family]
        adjusted |= zip(places, holm([compared[i].found.p_value for i in places]), strict=True)
    return [replace(one, adjusted=adjusted[i]) for i, one in enumerate(compared)]
