"""Several runs of a task against one baseline."""

from collections.abc import Sequence
from dataclasses import replace

from ..errors import ResultsError
from ..stats import compare_paired, holm
from .comparison import MetricComparison, pair_figures
from .figures import TaskFigures, is_mean
from .samples import Samples, read_samples


def differences(
    base: TaskFigures, others: Sequence[TaskFigures], score: str, higher_is_better: bool | None
) -> dict[TaskFigures, MetricComparison | ResultsError]:
    """Compares runs with a baseline, document by document; p-values are corrected (Holm) over the runs.

    Args:
        base: The baseline; its task may have another name, if the documents are the same.
        others: The runs.
        score: The "metric,filter" to compare.
        higher_is_better: Whether larger is better; None if unknown.

    Returns:
        For each run its comparison, or why it cannot be compared.
    """
    found: dict[TaskFigures, MetricComparison | ResultsError] = {}
    first: Samples | None = None
    for one in others:
        try:
            first = first or _samples(base, "the baseline", score)
            found[one] = _compared(one.task, first, _samples(one, "this run", score), score, higher_is_better)
        except ResultsError as error:
            found[one] = error
    compared = {one: known for one, known in found.items() if isinstance(known, MetricComparison)}
    adjusted = holm([known.found.p_value for known in compared.values()])
    corrected = zip(compared.items(), adjusted, strict=True)
    return found | {one: replace(known, adjusted=p_value) for (one, known), p_value in corrected}


def _samples(one: TaskFigures, name: str, score: str) -> Samples:
    if one.is_group:
        raise ResultsError("a mean over tasks; `cachesteer compare` has one.")
    if one.task not in one.run.sample_files:
        raise ResultsError(f"{name} has no samples; run lm_eval with --log_samples.")
    samples = read_samples(one.run, one.task)
    metric, _, filter_name = score.partition(",")
    figures = samples.figures.get((filter_name, metric))
    if figures and not is_mean(one.values.get(score), figures.values()):
        raise ResultsError(f"{metric} is not the mean of the documents' figures of {name}.")
    return samples


def _compared(
    task: str, first: Samples, second: Samples, score: str, higher_is_better: bool | None
) -> MetricComparison:
    metric, _, filter_name = score.partition(",")
    one, two = (samples.figures.get((filter_name, metric)) for samples in (first, second))
    if one is None or two is None:
        raise ResultsError(f"{metric} is not one number for each document.")
    if one.keys() != two.keys():
        raise ResultsError("other documents than the baseline's.")
    found = compare_paired(*pair_figures(first, second, filter_name, metric))
    return MetricComparison(task, filter_name, metric, found, higher_is_better, found.p_value, len(first.documents))
