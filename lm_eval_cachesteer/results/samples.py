"""Logged samples (`lm_eval --log_samples`): one figure for each document, filter and metric."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import ResultsError
from ..strict_json import parse_json
from .runs import Run

# What the harness writes beside the metrics; older versions do not list the metrics' names.
_NOT_METRICS = frozenset(
    {"doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics", "doc_hash", "prompt_hash",
     "target_hash"}
)  # fmt: skip

# Nothing that is measured is larger; sums and squares of what is must be finite.
_LARGEST = 1e100


@dataclass(frozen=True, order=True)
class Key:
    """What a document is recognized by in another run.

    Attributes:
        document: Its hash.
        target: The hash of its target.
        number: 0 for the first document with these hashes, 1 for the second.
    """

    document: str
    target: str
    number: int = 0


@dataclass
class Record:
    """What a model was asked about one document, and what it answered.

    Attributes:
        requests: The arguments of each request: prompt and generation settings, or prompt and continuation.
        responses: For each request its responses (more than one with `repeats`): texts, or likelihood and greediness.
        target: The right answer.
        answers: Filter -> what it made of each request's responses.
    """

    requests: list[list[Any]]
    responses: list[Any]
    target: str
    answers: dict[str, list[Any]] = field(default_factory=dict)


@dataclass
class Samples:
    """The samples of one task in one run.

    Attributes:
        file: Where they were read.
        figures: (filter, metric) -> document -> figure; metrics that are no numbers are left out.
        documents: What each document holds.
        records: What was asked and answered for each document.
        left_out: Metrics that are not one number for each document, such as those that only aggregate.
    """

    file: Path
    figures: dict[tuple[str, str], dict[Key, float]] = field(default_factory=dict)
    documents: dict[Key, dict[str, Any]] = field(default_factory=dict)
    records: dict[Key, Record] = field(default_factory=dict)
    left_out: set[str] = field(default_factory=set)


def read_samples(run: Run, task: str) -> Samples:
    """Reads the samples of a task.

    Raises:
        ResultsError: There are none, or the file is damaged.
    """
    file = run.sample_files.get(task)
    if file is None:
        raise ResultsError(
            f"{run.path.parent} holds no samples of {task!r} for the run of {run.date}; found: "
            f"{', '.join(run.sample_files) or 'none'}. Run lm_eval with --log_samples."
        )
    samples, seen = Samples(file), Counter[tuple[str, tuple[str, str]]]()
    for number, line in _lines(file):
        try:
            identity = (str(line["doc_hash"]), str(line["target_hash"]))
        except KeyError as missing:
            raise ResultsError(
                f"{file}, line {number}, has no {missing}. Samples of lm_eval 0.4.3 or newer are needed."
            ) from None
        filter_name = str(line.get("filter", "none"))
        key = Key(*identity, seen[filter_name, identity])
        seen[filter_name, identity] += 1
        document = line.get("doc")
        samples.documents.setdefault(key, document if isinstance(document, dict) else {})
        if key not in samples.records:
            samples.records[key] = Record(_requests(line), _listed(line.get("resps")), str(line.get("target", "")))
        samples.records[key].answers[filter_name] = _listed(line.get("filtered_resps"))
        for metric in _metrics(line, f"{file}, line {number}"):
            figure = line.get(metric)
            if isinstance(figure, bool | int | float) and abs(figure) < _LARGEST:
                samples.figures.setdefault((filter_name, metric), {})[key] = float(figure)
            else:
                samples.left_out.add(metric)
    if not samples.documents:
        raise ResultsError(f"{file} is empty. Run the evaluation again with --log_samples.")
    samples.figures = {name: f for name, f in sorted(samples.figures.items()) if name[1] not in samples.left_out}
    return samples


def _metrics(line: dict[str, Any], where: str) -> list[str]:
    """The names of the metrics."""
    named = line.get("metrics") or sorted(line.keys() - _NOT_METRICS)
    if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
        raise ResultsError(
            f"{where}: 'metrics' must be a list of names, found {str(named)[:40]!r}. Run the evaluation again."
        )
    return named


def _requests(line: dict[str, Any]) -> list[list[Any]]:
    """The arguments of each request, which newer versions of the harness write by name and older ones as lists."""
    found = line.get("arguments")
    requests = list(found.values()) if isinstance(found, dict) else _listed(found)
    return [list(one.values()) if isinstance(one, dict) else _listed(one) for one in requests]


def _listed(found: Any) -> list[Any]:
    return found if isinstance(found, list) else []


def _lines(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with file.open(encoding="utf-8") as lines:
            for number, text in enumerate(lines, start=1):
                if text.strip():
                    line = parse_json(text)
                    if not isinstance(line, dict):
                        raise ResultsError(
                            f"{file}, line {number}: a JSON object was expected, found {text[:40]!r}. Run the "
                            "evaluation again."
                        )
                    yield number, line
    except ResultsError:
        raise
    except (OSError, ValueError) as error:
        raise ResultsError(f"{file} is damaged ({error}). Run the evaluation again.") from None
