"""Runs that stand side by side, with their samples and the figures of each document."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

from ..errors import ResultsError
from ..metrics import ADHERENCE, repeated_ngram_share
from ..results.leaderboard import Entry
from ..results.runs import Run
from ..results.samples import Key, Samples, read_samples
from .records import texts_of

# Measured here where a task does not report them; a run's styles are added.
_MEASURES: dict[str, Callable[[str], float]] = {
    "words": lambda text: len(text.split()),
    "repetition": repeated_ngram_share,
}

Row = list[float | None]


@dataclass(frozen=True)
class Side:
    """One run of a group.

    Attributes:
        entry: Its line of the leaderboard.
        samples: Its samples of the group's task.
        styles: The styles it was steered towards, as far as there is a rule for them.
    """

    entry: Entry
    samples: Samples
    styles: tuple[str, ...]


@dataclass(frozen=True)
class Group:
    """Runs of one model over the documents of one task.

    Attributes:
        model: The language model.
        task: The task.
        sides: The runs that logged samples, best first.
    """

    model: str
    task: str
    sides: tuple[Side, ...]

    @property
    def base(self) -> Side | None:
        """The run the others are compared with; None if it logged no samples or there is none."""
        return next((side for side in self.sides if side.entry.is_baseline), None)

    @cached_property
    def columns(self) -> list[tuple[str, str]]:
        """(filter, metric) of each figure of a document; the filter is "" for what is measured here."""
        score = self._score
        reported = {name for side in self.sides for name in side.samples.figures}
        ordered = sorted(reported, key=lambda name: (name != score, name))
        missing = [name for name in self._measures if name not in {metric for _, metric in reported}]
        return ordered + [("", name) for name in missing]

    @property
    def labels(self) -> list[str]:
        """What the columns are called: the metric, with its filter where several filters have it."""
        metrics = [metric for _, metric in self.columns]
        return [f"{metric}, {name}" if metrics.count(metric) > 1 else metric for name, metric in self.columns]

    @property
    def score(self) -> int | None:
        """The column that says whether answers are right."""
        return self.columns.index(self._score) if self._score in self.columns else None

    @property
    def styles(self) -> dict[str, int]:
        """Style -> its column."""
        return {metric: i for i, (_, metric) in enumerate(self.columns) if metric in ADHERENCE}

    @cached_property
    def rows(self) -> list[dict[Key, Row]]:
        """For each side, the figures of each document, in the order of `columns`."""
        return [self._rows(side) for side in self.sides]

    def values(self, side: int, metric: str) -> list[float]:
        """The figures of one metric in one run, of whichever filter has it."""
        column = next((i for i, (_, name) in enumerate(self.columns) if name == metric), None)
        if column is None:
            return []
        return [figure for row in self.rows[side].values() if (figure := row[column]) is not None]

    @property
    def _score(self) -> tuple[str, str]:
        entry = (self.base or self.sides[0]).entry
        return (entry.filter or "", entry.metric or "")

    @cached_property
    def _measures(self) -> dict[str, Callable[[str], float]]:
        if not any(texts_of(record) for side in self.sides for record in list(side.samples.records.values())[:1]):
            return {}
        return _MEASURES | {style: ADHERENCE[style] for side in self.sides for style in side.styles}

    def _rows(self, side: Side) -> dict[Key, Row]:
        columns = [side.samples.figures.get(name, {}) for name in self.columns]
        rows = {key: [figures.get(key) for figures in columns] for key in side.samples.records}
        for i, (filter_name, metric) in enumerate(self.columns):
            if not filter_name:
                for key, record in side.samples.records.items():
                    texts = texts_of(record)
                    rows[key][i] = fmean(float(self._measures[metric](text)) for text in texts) if texts else None
        return rows


def read_groups(runs: Sequence[Run], entries: Sequence[Entry], left_out: Callable[[ResultsError], None]) -> list[Group]:
    """Reads the samples of all runs that logged some.

    Args:
        runs: The runs.
        entries: Their leaderboard; its order is kept.
        left_out: Told of samples that are damaged.
    """
    by_path = {str(run.path): run for run in runs}
    groups: dict[tuple[str, str], list[Side]] = {}
    for entry in entries:
        run = by_path[entry.path]
        if entry.task in run.sample_files:
            try:
                side = Side(entry, read_samples(run, entry.task), _styles(run))
            except ResultsError as error:
                left_out(error)
            else:
                groups.setdefault((entry.model, entry.group), []).append(side)
    return [Group(model, task, tuple(sides)) for (model, task), sides in groups.items()]


def _styles(run: Run) -> tuple[str, ...]:
    named = [name for term in run.steering.get("vectors") or () for name in (term.get("kind"), term.get("name"))]
    return tuple(dict.fromkeys(name for name in named if name in ADHERENCE))
