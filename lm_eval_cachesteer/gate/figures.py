"""What a run reports, and what it logged of each document."""

import math
from dataclasses import dataclass, field

from ..errors import ResultsError
from ..results.figures import task_figures
from ..results.runs import Run
from ..results.samples import Key, Samples, read_samples

Name = tuple[str, str]
"""(filter, metric)"""


def plain_tasks(run: Run) -> list[str]:
    """The tasks of a run, without its groups."""
    return [task for task in run.content["results"] if not run.of_task("group_subtasks", task)]


@dataclass
class Figures:
    """The figures of one run; samples are read when first asked for.

    Attributes:
        run: The run.
    """

    run: Run
    _samples: dict[str, Samples] = field(default_factory=dict, init=False, repr=False)

    def reported(self, task: str) -> dict[Name, float]:
        """What the harness aggregated for a task or a group, without standard errors."""
        found: dict[Name, float] = {}
        for one in task_figures(self.run):
            for name, value in one.values.items() if one.task == task else ():
                metric, _, filter_name = name.partition(",")
                if not metric.endswith("_stderr"):
                    found[filter_name, metric] = value
        return found

    def samples(self, task: str) -> Samples:
        """The task's logged samples.

        Raises:
            ResultsError: There are none, or they are damaged.
        """
        if task not in self._samples:
            self._samples[task] = read_samples(self.run, task)
        return self._samples[task]

    def filters(self, task: str, metric: str) -> list[str]:
        """Under which filters a task has a metric, reported or logged."""
        found = [name for name, known in self.reported(task) if known == metric]
        if not found and task in self.run.sample_files:
            found = [name for name, known in self.samples(task).figures if known == metric]
        return sorted(found)

    def mean(self, task: str, name: Name) -> float | None:
        """The figure of a task: the harness's, else the mean over its documents; None if there is neither."""
        reported = self.reported(task).get(name)
        if reported is None and task in self.run.sample_files:
            figures = self.samples(task).figures.get(name)
            return math.fsum(figures.values()) / len(figures) if figures else None
        return reported

    def are_shares(self, task: str, name: Name) -> bool:
        """Whether all logged figures of a metric lie between 0 and 1; False if none are logged."""
        figures = self.samples(task).figures.get(name, {}) if task in self.run.sample_files else {}
        return bool(figures) and all(0 <= figure <= 1 for figure in figures.values())

    def documents(self, task: str, name: Name) -> dict[Key, float]:
        """The figure of each document.

        Raises:
            ResultsError: None are logged, or the reported figure is not their mean, so that they say nothing of it.
        """
        samples = self.samples(task)
        figures = samples.figures.get(name)
        if not figures:
            raise ResultsError(
                f"{samples.file} holds no {name[1]} (filter {name[0]}) that is one number for each document. Use "
                "at_least or at_most without `confident`, which need no documents."
            )
        reported, mean = self.reported(task).get(name), math.fsum(figures.values()) / len(figures)
        if reported is not None and not math.isclose(reported, mean, rel_tol=1e-4, abs_tol=1e-6):
            raise ResultsError(
                f"Task {task!r}: {name[1]} is reported as {reported:g}, but its documents average to {mean:g}: it is "
                "not their mean, so no interval follows from them. Use at_least or at_most without `confident`."
            )
        return figures
