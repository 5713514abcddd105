"""Two runs compared: documents joined by their hashes, figures compared in pairs."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from scipy.stats import norm

from ..errors import ResultsError
from ..stats import SIGNIFICANCE, PairedDifference, compare_paired, holm
from .runs import Run
from .samples import Key, Samples, read_samples

# Metrics that say whether an answer is right; what is compared if nothing else is asked for.
SCORES = frozenset(
    (
        *("acc", "acc_norm", "acc_bytes", "exact_match", "em", "f1", "pass@1", "mc1", "mc2"),
        *("bleu", "chrf", "rouge1", "rougeL", "prompt_level_strict_acc"),
    )
)

Verdict = Literal["better", "worse", "no significant difference", "different"]


def verdict_of(p_value: float, difference: float, higher_is_better: bool | None) -> Verdict:
    """What a test says, in words.

    Args:
        p_value: Its p-value, corrected where several are made.
        difference: What was found.
        higher_is_better: Whether larger figures are better; None if unknown.
    """
    if p_value >= SIGNIFICANCE:
        return "no significant difference"
    if higher_is_better is None:
        return "different"
    return "better" if (difference > 0) == higher_is_better else "worse"


@dataclass(frozen=True)
class MetricComparison:
    """One metric of one task in two runs.

    Attributes:
        task: The task.
        filter: The harness's filter the figures come from.
        metric: The metric.
        found: The paired difference, other run minus base.
        higher_is_better: Whether larger is better; None if unknown.
        adjusted: The p-value after Holm's correction over the tasks compared.
    """

    task: str
    filter: str
    metric: str
    found: PairedDifference
    higher_is_better: bool | None
    adjusted: float

    @property
    def verdict(self) -> Verdict:
        """What the corrected test says, in words."""
        return verdict_of(self.adjusted, self.found.difference, self.higher_is_better)


@dataclass(frozen=True)
class Overall:
    """The mean over tasks, each task counting the same.

    Attributes:
        filter: The filter.
        metric: The metric.
        tasks: Number of tasks.
        first: Mean of the base run's scores.
        second: Mean of the other run's scores.
        difference: `second - first`.
        low: Lower end of its 95 % interval, from the tasks' standard errors.
        high: Its upper end.
        p_value: Two-sided p-value of no difference (normal).
        higher_is_better: Whether larger is better; None if unknown.
    """

    filter: str
    metric: str
    tasks: int
    first: float
    second: float
    difference: float
    low: float
    high: float
    p_value: float
    higher_is_better: bool | None

    @classmethod
    def of(cls, family: Sequence[MetricComparison]) -> Overall:
        """Combines tasks, whose documents are independent."""
        tasks, found = len(family), [one.found for one in family]
        difference = sum(one.difference for one in found) / tasks
        error = math.sqrt(sum(one.standard_error**2 for one in found)) / tasks
        half = float(norm.ppf(1 - SIGNIFICANCE / 2)) * error
        return cls(
            family[0].filter,
            family[0].metric,
            tasks,
            sum(one.first for one in found) / tasks,
            sum(one.second for one in found) / tasks,
            difference,
            difference - half,
            difference + half,
            2 * float(norm.sf(abs(difference) / error)) if error else float(difference == 0),
            family[0].higher_is_better,
        )

    @property
    def verdict(self) -> Verdict:
        """What the test says, in words."""
        return verdict_of(self.p_value, self.difference, self.higher_is_better)


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
    """

    base: Run
    other: Run
    metrics: list[MetricComparison]
    unmatched: list[Unmatched]
    without_figures: list[str] = field(default_factory=list)

    @property
    def overall(self) -> list[Overall]:
        """The mean over tasks of each filter and metric that several tasks have."""
        families: dict[tuple[str, str], list[MetricComparison]] = {}
        for one in self.metrics:
            families.setdefault((one.filter, one.metric), []).append(one)
        return [Overall.of(family) for family in families.values() if len(family) > 1]


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
    """Compares two runs task by task.

    Args:
        base: The run compared with.
        other: The run compared.
        tasks: Tasks to compare; by default all that both runs have.
        metrics: Metrics to compare; by default those that say whether an answer is right, or all if there are none.
        allow_unmatched: Whether documents that only one run has are left out instead of refused.
        cluster_by: A field of the documents; those that agree in it count as one cluster.
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
    unmatched = []
    without_figures = []
    for task in tasks or shared:
        one, two = read_samples(base, task), read_samples(other, task)
        if not (tasks or one.figures or two.figures):
            without_figures.append(task)
            continue
        left = _unmatched(task, one, two)
        if left is not None:
            unmatched.append(left)
            if not allow_unmatched:
                raise ResultsError(_unmatched_message(left, one, two))
        for filter_name, metric in _chosen(task, one, two, metrics):
            found = compare_figures(one, two, filter_name, metric, cluster_by=cluster_by, seed=seed)
            better = other.higher_is_better(task, metric)
            compared.append(MetricComparison(task, filter_name, metric, found, better, found.p_value))
    if not compared:
        raise ResultsError(
            f"Nothing to compare: {', '.join(without_figures)} have no metric that is one number for each document. "
            "Run a task that has one, such as acc or exact_match."
        )
    return Comparison(base, other, _corrected(compared), unmatched, without_figures)


def compare_figures(
    one: Samples, two: Samples, filter_name: str, metric: str, *, cluster_by: str | None = None, seed: int = 0
) -> PairedDifference:
    """Compares one metric over the documents that both runs have figures of, second minus first.

    Args:
        one: Samples of the run compared with.
        two: Samples of the run compared; their task may have another name, if its documents are the same.
        filter_name: The harness's filter.
        metric: A metric that both have under this filter.
        cluster_by: A field of the documents; those that agree in it count as one cluster.
        seed: Seed of the bootstrap.
    """
    first, second = one.figures[filter_name, metric], two.figures[filter_name, metric]
    keys = sorted(first.keys() & second.keys())
    return compare_paired(
        [first[key] for key in keys],
        [second[key] for key in keys],
        clusters=_clusters(keys, one, cluster_by),
        seed=seed,
    )


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


def _clusters(keys: Sequence[Key], samples: Samples, cluster_by: str | None) -> list[Hashable] | None:
    """What the documents have in common; None if each stands alone."""
    if cluster_by is None:
        return [(key.document, key.target) for key in keys] if any(key.number for key in keys) else None
    documents: Iterable[dict[str, Any]] = (samples.documents[key] for key in keys)
    clusters: list[Hashable] = []
    for document in documents:
        if cluster_by not in document:
            raise ResultsError(
                f"{samples.file}: a document has no field {cluster_by!r}; it has {', '.join(map(repr, document))}."
            )
        clusters.append(str(document[cluster_by]))
    return clusters


def _corrected(compared: Sequence[MetricComparison]) -> list[MetricComparison]:
    """Holm's correction over the tasks, apart for each filter and metric."""
    name: Callable[[MetricComparison], tuple[str, str]] = lambda one: (one.filter, one.metric)  # noqa: E731
    adjusted: dict[int, float] = {}
    for family in dict.fromkeys(map(name, compared)):
        places = [i for i, one in enumerate(compared) if name(one) == family]
        adjusted |= zip(places, holm([compared[i].found.p_value for i in places]), strict=True)
    return [replace(one, adjusted=adjusted[i]) for i, one in enumerate(compared)]
