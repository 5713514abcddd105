"""The data of the sample browser: what the unsteered and the other runs answered, joined document by document."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ..results.samples import Key
from .groups import Group, Row
from .records import answers_of, choices_of, prompt_of, shared_start, target_of, texts_of, title_of

Outcome = Literal["flipped right", "flipped wrong", "both right", "both wrong", "no score"]


def outcome(base: float | None, other: float | None, higher_is_better: bool = True) -> Outcome:
    """What became of one answer.

    A score that is a share, such as the mean over repeats, flips when it changes, and counts as right from one half on.

    Args:
        base: Its score in the unsteered run; None if there is none.
        other: Its score in the other run.
        higher_is_better: Whether a larger score is better.
    """
    if base is None or other is None:
        return "no score"
    if base == other:
        return "both right" if (base >= 0.5) == higher_is_better else "both wrong"
    return "flipped right" if (other > base) == higher_is_better else "flipped wrong"


@dataclass(frozen=True)
class _Pair:
    """A document in two runs of a group, all by their places."""

    group: int
    base: int
    other: int
    key: Key


def browser_data(groups: Sequence[Group], limit: int, seed: int = 0) -> dict[str, Any]:
    """Joins every run with the baseline of its group.

    Args:
        groups: The runs.
        limit: The most pairs to keep; of more, a random choice is taken.
        seed: Seed of that choice.

    Returns:
        What assets/samples.js shows, every text once: `groups`, `sides` (runs), `comparisons` (pairs of sides),
        `texts`, `records` (what one run answered to one document), `samples` (pairs of records), `of` (how many pairs
        there were), and `seed`.
    """
    pairs = list(_pairs(groups))
    total = len(pairs)
    if total > limit:
        pairs = [pairs[i] for i in sorted(random.Random(seed).sample(range(total), limit))]  # noqa: S311 - no secret
    page = _Page(groups)
    for pair in pairs:
        page.add(pair)
    return page.content() | {"of": total, "seed": seed}


def _pairs(groups: Sequence[Group]) -> Iterator[_Pair]:
    for number, group in enumerate(groups):
        if group.base is None:
            continue
        base = group.sides.index(group.base)
        for other, side in enumerate(group.sides):
            if other != base:
                shared = side.samples.records
                yield from (_Pair(number, base, other, key) for key in group.base.samples.records if key in shared)


@dataclass
class _Page:
    """Numbers everything once and writes down what the numbers mean."""

    groups: Sequence[Group]
    texts: dict[str, int] = field(default_factory=dict)
    sides: dict[tuple[int, int], int] = field(default_factory=dict)
    starts: list[str] = field(default_factory=list)
    comparisons: dict[tuple[int, int], int] = field(default_factory=dict)
    numbers: dict[tuple[int, Key], int] = field(default_factory=dict)
    records: list[dict[str, Any]] = field(default_factory=list)
    samples: list[dict[str, Any]] = field(default_factory=list)

    def add(self, pair: _Pair) -> None:
        group = self.groups[pair.group]
        base, other = (self._record(pair.group, side, pair.key) for side in (pair.base, pair.other))
        sides = self.records[base]["side"], self.records[other]["side"]
        samples = group.sides[pair.base].samples
        rows = [group.rows[side][pair.key] for side in (pair.base, pair.other)]
        start = self.starts[sides[0]]
        record = samples.records[pair.key]
        self.samples.append(
            {
                "comparison": self.comparisons.setdefault(sides, len(self.comparisons)),
                "title": self._text(title_of(samples.documents[pair.key], prompt_of(record)[len(start) :])),
                "target": self._text(target_of(record)),
                "base": base,
                "other": other,
                "outcome": _outcome(group, *rows),
            }
        )

    def content(self) -> dict[str, Any]:
        return {
            "groups": [
                {
                    "model": group.model,
                    "task": group.task,
                    "figures": group.labels,
                    "score": group.score,
                    "styles": group.styles,
                }
                for group in self.groups
            ],
            "sides": [
                {"group": group, "name": self.groups[group].sides[side].entry.configuration, "start": start}
                for (group, side), start in zip(self.sides, self.starts, strict=True)
            ],
            "comparisons": [{"base": base, "other": other} for base, other in self.comparisons],
            "texts": list(self.texts),
            "records": self.records,
            "samples": self.samples,
        }

    def _text(self, text: str) -> int:
        return self.texts.setdefault(text, len(self.texts))

    def _side(self, group: int, side: int) -> int:
        number = self.sides.setdefault((group, side), len(self.sides))
        if number == len(self.starts):
            records = self.groups[group].sides[side].samples.records.values()
            self.starts.append(shared_start([prompt_of(record) for record in records]))
        return number

    def _record(self, group: int, side: int, key: Key) -> int:
        number = self._side(group, side)
        if (number, key) not in self.numbers:
            self.numbers[number, key] = len(self.records)
            record = self.groups[group].sides[side].samples.records[key]
            content: dict[str, Any] = {
                "side": number,
                "prompt": self._text(prompt_of(record)[len(self.starts[number]) :]),
                "responses": [self._text(text) for text in texts_of(record)],
                "figures": [figure and round(figure, 6) for figure in self.groups[group].rows[side][key]],
            }
            if answers := answers_of(record):
                content["answers"] = {name: [self._text(one) for one in found] for name, found in answers.items()}
            if choices := choices_of(record):
                content["choices"] = [
                    [
                        self._text(choice.text),
                        None if choice.likelihood is None else round(choice.likelihood, 4),
                        choice.greedy,
                    ]
                    for choice in choices
                ]
            self.records.append(content)
        return self.numbers[number, key]


def _outcome(group: Group, base: Row, other: Row) -> Outcome:
    if group.score is None:
        return "no score"
    paired = next((side.entry.paired for side in group.sides if side.entry.paired), None)
    better = paired is None or paired.higher_is_better is not False
    return outcome(base[group.score], other[group.score], better)
