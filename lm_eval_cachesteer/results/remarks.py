"""What a reader of a comparison has to know beside its figures."""

from collections.abc import Iterator

from ..stats import FEW_CHANGES, FEW_DOCUMENTS, MeanDifference, PairedDifference
from .comparison import Comparison, MetricComparison
from .means import ComparedMean


def remarks(comparison: Comparison) -> list[str]:
    """Remarks, one line each, those on verdicts first."""
    found: list[str] = []
    for one in comparison.metrics:
        found += _of_metric(f"{one.task}, {_measured(one)}", one)
    few = sorted({one.task for one in comparison.metrics if one.found.few})
    if few:
        found.append(
            f"Fewer than {FEW_DOCUMENTS} independent documents in {', '.join(few)}: normal approximations are weak "
            "there, so tests and intervals are those for small samples."
        )
    for mean in comparison.means:
        found += _of_mean(f"{mean.name}, {_measured(mean)}", mean)
    found += [
        f"{left.task}: {left.base} documents only in the base run, {left.other} only in the other were left out."
        for left in comparison.unmatched
    ]
    found += [
        f"{task} was left out: none of its metrics is one number for each document."
        for task in comparison.without_figures
    ]
    return found


def _measured(one: MetricComparison | ComparedMean) -> str:
    return one.metric if one.filter == "none" else f"{one.metric}, {one.filter}"


def _of_metric(name: str, one: MetricComparison) -> Iterator[str]:
    found = one.found
    if one.verdict == "no significant difference" and found.detectable:
        yield _unnoticed(name, found.detectable)
    if found.is_contradictory:
        yield _contradiction(name, found)
    if not one.is_mean:
        yield (
            f"{name}: the runs report something else than the mean of the documents' figures that are compared here, "
            "so which direction is better is not known."
        )
    if found.documents < one.shared:
        yield f"{name}: {found.documents} of {one.shared} documents have a figure in both runs."
    if found.clusters < found.documents:
        yield f"{name}: {found.documents} documents in {found.clusters} clusters."


def _of_mean(name: str, mean: ComparedMean) -> Iterator[str]:
    found = mean.found
    if mean.verdict == "no significant difference" and found.detectable:
        yield _unnoticed(name, found.detectable)
    if found.is_contradictory:
        yield _contradiction(name, found)
    if found.changed < FEW_CHANGES:
        yield (
            f"{name}: {found.changed} of {found.clusters} documents changed; for so few, the interval of a mean over "
            "tasks may be too narrow."
        )
    if mean.matches is False:
        yield f"{name}: tasks count equally, as the runs' own figure is no mean of the documents compared here."
    if found.clusters < found.documents:
        yield f"{name}: {found.documents} documents in {found.clusters} clusters, across tasks."


def _unnoticed(name: str, detectable: float) -> str:
    return f"{name}: with this many documents, a true difference below {detectable:.3g} mostly goes unnoticed."


def _contradiction(name: str, found: PairedDifference | MeanDifference) -> str:
    holds = "holds" if found.low <= 0 <= found.high else "leaves out"
    return f"{name}: the interval {holds} 0, but p is {found.p_value:.3g} ({found.test}); the verdict follows p."
