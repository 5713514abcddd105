"""What the results of a run say about one task."""

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from .runs import Run


@dataclass(frozen=True, eq=False)
class TaskFigures:
    """The figures of one task, or group of tasks, in one run.

    Attributes:
        run: The run.
        task: The task.
        values: "metric,filter" -> figure, in the order of the task's author.
    """

    run: Run
    task: str
    values: dict[str, float]

    def of(self, metric: str) -> float | None:
        """A metric's figure under the first filter that has it; None if there is none."""
        return next((value for name, value in self.values.items() if name.partition(",")[0] == metric), None)

    @property
    def documents(self) -> int | None:
        """Number of documents; None if the run does not say."""
        counted = self.run.of_task("n-samples", self.task)
        number = counted.get("effective") if isinstance(counted, dict) else None
        return number if isinstance(number, int) else None

    @property
    def is_group(self) -> bool:
        """Whether this is a mean over several tasks."""
        return bool(self.run.of_task("group_subtasks", self.task))

    @property
    def styles(self) -> list[str]:
        """The styles the run was steered towards, as far as the task measures them."""
        named = [(str(term.get("kind")), str(term.get("name"))) for term in self.run.steering.get("vectors") or ()]
        found = (next((name for name in names if self.of(name) is not None), None) for names in named)
        return list(dict.fromkeys(style for style in found if style is not None))


def task_figures(run: Run) -> list[TaskFigures]:
    """The tasks, and groups of tasks, that a run has figures of."""
    rows = {task: row for task, row in run.content["results"].items() if isinstance(row, dict)}
    found = []
    for task, row in rows.items():
        numbers = {name: number(value) for name, value in row.items() if "," in name}
        values = {name: value for name, value in numbers.items() if value is not None}
        if values:
            found.append(TaskFigures(run, task, values))
    return found


def reported(run: Run, task: str, metric: str, filter_name: str) -> float | None:
    """What a run reports of a task, or of a group of tasks; None if nothing."""
    row = run.of_task("results", task)
    return number(row.get(f"{metric},{filter_name}")) if isinstance(row, dict) else None


def is_mean(figure: float | None, documents: Collection[float]) -> bool:
    """Whether a reported figure is the mean of the documents' figures; true where none is reported.

    It is not where they say something else: the documents of `perplexity` have log-likelihoods.
    """
    return figure is None or math.isclose(figure, math.fsum(documents) / len(documents), rel_tol=1e-4, abs_tol=1e-6)


def number(found: Any) -> float | None:
    """A finite number, also one written as text; None for anything else."""
    try:
        value = float(found)
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None
