"""From the samples that the harness logs to one score for each document."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np

from ..errors import ArgumentError
from ..results.comparison import SCORES

Sample = Mapping[str, Any]


def scores_of(
    task: str, samples: Sequence[Sample], better: Mapping[str, bool], metric: str | None = None
) -> dict[str, float]:
    """Document -> score, larger is better.

    Args:
        task: The task.
        samples: Its samples, of all filters.
        better: Metric -> whether larger is better.
        metric: "metric" or "metric,filter" to score by; None for the first one that says whether an answer is right.

    Raises:
        ArgumentError: The task does not report the metric as one number for each document.
    """
    name, filter_name = _chosen(task, samples, metric)
    sign = -1.0 if better.get(name) is False else 1.0
    seen: Counter[str] = Counter()
    scores = {}
    for sample in samples:
        if sample["filter"] == filter_name:
            document = f"{task} {sample['doc_hash']} {sample['target_hash']}"
            scores[f"{document} {seen[document]}"] = sign * float(sample[name])
            seen[document] += 1
    return scores


def figures_of(samples: Sequence[Sample], metric: str) -> list[float]:
    """A metric's figure of each sample that has one; none if any is no number."""
    found = [sample[metric] for sample in samples if metric in sample]
    return [float(figure) for figure in found] if all(map(_is_number, found)) else []


def _chosen(task: str, samples: Sequence[Sample], metric: str | None) -> tuple[str, str]:
    """Metric and filter to score by; metrics that are no numbers, such as those that only aggregate, are left out."""
    reported = dict.fromkeys((name, str(sample["filter"])) for sample in samples for name in sample["metrics"])
    no_numbers = {name for sample in samples for name in sample["metrics"] if not _is_number(sample.get(name))}
    numbers = [names for names in reported if names[0] not in no_numbers]
    asked, _, asked_filter = (metric or "").partition(",")
    for name, filter_name in numbers:
        if (name == asked if asked else name in SCORES) and asked_filter in ("", filter_name):
            return name, filter_name
    wanted = f"{metric} as one number for each document" if metric else "whether an answer is right"
    remedy = f"Choose with --metric: {', '.join(map(','.join, numbers))}." if numbers else "Choose another task."
    raise ArgumentError(f"Task {task!r} does not report {wanted}. {remedy}")


def _is_number(figure: Any) -> bool:
    return isinstance(figure, Real | np.bool_) and math.isfinite(figure)
