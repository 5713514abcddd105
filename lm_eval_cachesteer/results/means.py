"""Two runs compared by means over tasks: over each of the harness's groups, and over all tasks."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ..stats import MeanDifference, Pairs, compare_strata, holm
from .figures import reported
from .runs import Run
from .verdicts import Verdict, verdict_of

Weights = Literal["by size", "equal"]


@dataclass(frozen=True)
class ComparedMean:
    """The mean of one metric over several tasks, in two runs.

    Attributes:
        group: The harness's group of these tasks; None for all tasks compared.
        tasks: The tasks.
        filter: The harness's filter the figures come from.
        metric: The metric.
        weights: Whether tasks count by their numbers of documents, or equally.
        matches: Whether the means are the figures that the runs report of the group; None if they report none.
        found: The paired difference, other run minus base.
        higher_is_better: Whether larger is better; None if unknown, or not the same for all tasks.
        adjusted: The p-value after Holm's correction over the means of this filter and metric.
    """

    group: str | None
    tasks: tuple[str, ...]
    filter: str
    metric: str
    weights: Weights
    matches: bool | None
    found: MeanDifference
    higher_is_better: bool | None
    adjusted: float

    @property
    def name(self) -> str:
        """What it is a mean over: "mmlu", "all tasks"."""
        return self.group or "all tasks"

    @property
    def verdict(self) -> Verdict:
        """What the corrected test says, in words."""
        return verdict_of(self.adjusted, self.found.difference, self.higher_is_better)


def compare_means(
    base: Run, other: Run, filter_name: str, metric: str, tasks: Mapping[str, Pairs], higher_is_better: bool | None
) -> list[ComparedMean]:
    """Compares the means over each group that has several of the tasks, and over all tasks if they are no such group.

    Tasks of a group are weighted as the harness does it for the group, by size or equally (`weight_by_size`), as far as
    that can be told: by which of the two the runs' own figures of the group are the means of these tasks. Else, and for
    the mean over all tasks, they count equally. Documents that occur in several tasks are one cluster.

    Args:
        base: The run compared with.
        other: The run compared.
        filter_name: The harness's filter the figures come from.
        metric: The metric.
        tasks: Task -> its figures in both runs; equal names of clusters mean the same cluster in any task.
        higher_is_better: Whether larger is better; None if unknown.

    Returns:
        The groups in the order of the results, then all tasks; p-values corrected (Holm) over these.
    """
    means = []
    for group, members in _groups(base, other, list(tasks)):
        pairs = [tasks[task] for task in members]
        weights, matches = _weights(group, base, other, filter_name, metric, pairs)
        found = compare_strata(pairs, _shares(weights, pairs))
        means.append(
            ComparedMean(
                group, members, filter_name, metric, weights, matches, found, higher_is_better, adjusted=found.p_value
            )
        )
    adjusted = holm([mean.found.p_value for mean in means])
    return [replace(mean, adjusted=p_value) for mean, p_value in zip(means, adjusted, strict=True)]


def _groups(base: Run, other: Run, tasks: Sequence[str]) -> Iterator[tuple[str | None, tuple[str, ...]]]:
    """Each group with those of the tasks that are in it, if they are several; then all of them under no name."""
    children = other.group_subtasks | base.group_subtasks
    is_one_group = False
    for group in children:
        leaves = _leaves(group, children)
        members = tuple(task for task in tasks if task in leaves)
        if len(members) > 1:
            is_one_group |= len(members) == len(tasks)
            yield group, members
    if len(tasks) > 1 and not is_one_group:
        yield None, tuple(tasks)


def _leaves(group: str, children: Mapping[str, Sequence[str]]) -> set[str]:
    """The tasks of a group and of the groups in it."""
    seen, pending = {group}, [group]
    while pending:
        inner = [child for child in children.get(pending.pop(), ()) if child not in seen]
        seen.update(inner)
        pending += inner
    return {name for name in seen if not children.get(name)}


def _weights(
    group: str | None, base: Run, other: Run, filter_name: str, metric: str, pairs: Sequence[Pairs]
) -> tuple[Weights, bool | None]:
    """How the tasks of a group are weighted, and whether that yields the runs' own figures of it."""
    figures = [None if group is None else reported(run, group, metric, filter_name) for run in (base, other)]
    if figures == [None, None]:
        return "equal", None
    choices: tuple[Weights, ...] = ("by size", "equal")  # the harness's default first, in case both do
    for weights in choices:
        shares = _shares(weights, pairs)
        means = [
            sum(share * sum(found) / len(found) for share, found in zip(shares, run, strict=True))
            for run in ([one.first for one in pairs], [one.second for one in pairs])
        ]
        if all(
            figure is None or math.isclose(mean, figure, rel_tol=1e-6, abs_tol=1e-6)
            for mean, figure in zip(means, figures, strict=True)
        ):
            return weights, True
    return "equal", False


def _shares(weights: Weights, pairs: Sequence[Pairs]) -> list[float]:
    """The weight of each task; they add up to 1."""
    sizes = [len(one.first) if weights == "by size" else 1 for one in pairs]
    return [size / sum(sizes) for size in sizes]
