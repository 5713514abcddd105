"""Finding runs: the folders that `lm_eval --output_path` writes."""

import glob
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..errors import ResultsError
from ..paths import exists, is_file, is_folder, user_path
from ..strict_json import parse_json

# `--output_path FOLDER` makes FOLDER/.../results_DATE.json, `--output_path NAME.json` makes NAME_DATE.json.
_DATED = r".+(?=_\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d(?:\.\d+)?\.json$)"
_RESULTS = re.compile(rf"(?:{_DATED}|results)_(?P<date>.+)\.json$")
# What the harness itself defines as better when lower: `register_metric` in lm_eval/api/metrics.py, 0.4.9 to 0.4.13.
LOWER_IS_BETTER = frozenset({"bits_per_byte", "brier_score", "byte_perplexity", "perplexity", "ter", "word_perplexity"})


@dataclass(frozen=True)
class Run:
    """One run of the harness.

    Attributes:
        path: Its `results_DATE.json`, or `NAME_DATE.json` for `--output_path NAME.json`.
        content: What that file holds.
    """

    path: Path
    content: dict[str, Any]

    @property
    def date(self) -> str:
        """The date in the file's name, the same for the run's samples."""
        found = _RESULTS.search(self.path.name)
        return found["date"] if found else ""

    @property
    def config(self) -> dict[str, Any]:
        """How the harness was called; `config.steering` says what was steered."""
        return _mapping(self.content.get("config"))

    @property
    def steering(self) -> dict[str, Any]:
        """What hf-cachesteer recorded about its steering; empty for other backends."""
        return _mapping(self.config.get("steering"))

    @property
    def model_args(self) -> dict[str, Any]:
        """The `--model_args` of the run."""
        arguments = self.config.get("model_args")
        if isinstance(arguments, str):  # as older versions of the harness wrote them
            arguments = dict(part.split("=", 1) for part in arguments.split(",") if "=" in part)
        return _mapping(arguments)

    @property
    def model(self) -> str:
        """The language model's name, the same for its steered and unsteered runs on any backend."""
        # Before what hf-cachesteer records: that is shorter than what other backends are given for the same folder.
        named = (self.model_args.get("pretrained"), self.steering.get("model"), self.content.get("model_name"))
        return next((str(name) for name in named if name), str(self.config.get("model", "")))

    @property
    def is_steered(self) -> bool:
        """Whether the run was steered, by us or by the harness's `steered` model."""
        return bool(self.steering.get("vectors")) or self.config.get("model") == "steered"

    @property
    def label(self) -> str:
        """What was steered, in a few words: "unsteered", "stepwise, c_values 5"."""
        if not self.is_steered:
            return "unsteered"
        terms = [
            ", ".join([_weighted(term), *(f"{c} {term[c]:g}" for c in ("c_keys", "c_values") if term.get(c))])
            for term in self.steering.get("vectors", ())
        ]
        return " + ".join(terms) or "activation steering"

    @cached_property
    def sample_files(self) -> dict[str, Path]:
        """Task -> its logged samples."""
        suffix = f"_{self.date}.jsonl"
        files = filter(is_file, sorted(self.path.parent.glob(f"samples_*{glob.escape(suffix)}")))
        return {file.name.removeprefix("samples_").removesuffix(suffix): file for file in files}

    @property
    def group_subtasks(self) -> dict[str, list[str]]:
        """Group -> its tasks and the groups in it; older versions of the harness list single tasks too, with none."""
        listed = _mapping(self.content.get("group_subtasks"))
        return {group: list(map(str, names)) for group, names in listed.items() if isinstance(names, list)}

    def of_task(self, part: str, task: str) -> Any:
        """What a part of the results, such as "n-shot", says about a task; None if nothing."""
        return _mapping(self.content.get(part)).get(task)

    def higher_is_better(self, task: str, metric: str) -> bool | None:
        """Whether larger figures of a metric are better; None if neither the run nor the harness says."""
        better = _mapping(self.of_task("higher_is_better", task)).get(metric)
        if isinstance(better, bool):
            return better
        return False if metric in LOWER_IS_BETTER else None


def find_runs(places: Sequence[str], left_out: Callable[[ResultsError], None] | None = None) -> list[Run]:
    """All runs at some places, oldest first.

    Args:
        places: Results files, folders (searched with all below), or glob patterns of either.
        left_out: Told of each place without results and each file that cannot be read, which are then left out; by
            default they are errors.

    Raises:
        ResultsError: A place holds no results, or they cannot be read, and `left_out` is not given.
    """
    files: dict[Path, None] = {}
    runs = []
    for place in places:
        found = [file for path in _paths(place) for file in _results_files(path)]
        files |= dict.fromkeys(found)
        if not found:
            leave_out(
                ResultsError(
                    f"No results at {place!r}. Give the folder that was named in `lm_eval --output_path`, a "
                    "results_*.json file, or a pattern of them."
                ),
                left_out,
            )
    for file in files:
        try:
            runs.append(_read(file))
        except ResultsError as error:
            leave_out(error, left_out)
    return sorted(runs, key=lambda run: (run.date, str(run.path)))


def find_run(place: str) -> Run:
    """The newest run at a place.

    Raises:
        ResultsError: As in `find_runs`.
    """
    return find_runs([place])[-1]


def leave_out(error: ResultsError, left_out: Callable[[ResultsError], None] | None) -> None:
    """Tells of something left out, or raises the error if nobody is there to be told."""
    if left_out is None:
        raise error
    left_out(error)


def _mapping(found: Any) -> dict[str, Any]:
    """A part of the results, or nothing: versions of the harness differ in what they write."""
    return dict(found) if isinstance(found, dict) else {}


def _weighted(term: dict[str, Any]) -> str:
    """The name of a term of a sum of vectors, with its weight as in `vectors=0.5*name`."""
    name, weight = str(term.get("name")), term.get("weight")
    return name if weight in (None, 1) else f"{weight:g}*{name}"


def _paths(place: str) -> list[Path]:
    path = user_path(place)
    if exists(path):
        return [path]
    return [Path(found) for found in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207 - absolute patterns


def _results_files(path: Path) -> list[Path]:
    if is_folder(path):
        return sorted(file for file in path.rglob("*_*.json") if _RESULTS.match(file.name) and is_file(file))
    return [path] if _RESULTS.search(path.name) and is_file(path) else []


def _read(file: Path) -> Run:
    try:
        content = parse_json(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ResultsError(
            f"{file} cannot be read ({error}). Run the evaluation again, or leave this file out."
        ) from None
    if not isinstance(content, dict) or not isinstance(content.get("results"), dict):
        raise ResultsError(
            f"{file} holds no results of lm_eval: a mapping with the key 'results' was expected. Leave this file out."
        )
    run = Run(file, content)
    for part, value in _malformed(run.steering):
        raise ResultsError(
            f"{file}: {part} of the steering is {str(value)[:60]!r}, which hf-cachesteer does not write. Run the "
            "evaluation again, or leave this file out."
        )
    return run


def _malformed(steering: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Parts of what is recorded about steering that are not what they should be; all of them may be missing."""
    terms, counts = steering.get("vectors", []), steering.get("counts", {})
    if not isinstance(terms, list) or not all(isinstance(term, dict) for term in terms):
        yield "vectors", terms
        return
    for term in terms:
        texts = {name: term[name] for name in ("name", "kind") if term.get(name) is not None}
        numbers = {name: term[name] for name in ("weight", "c_keys", "c_values") if term.get(name) is not None}
        yield from ((name, value) for name, value in texts.items() if not isinstance(value, str))
        yield from ((name, value) for name, value in numbers.items() if not _is_finite(value))
    if not isinstance(counts, dict) or not all(isinstance(count, dict) for count in counts.values()):
        yield "counts", counts
        return
    for count in counts.values():
        known = {name: count[name] for name in ("requests", "interventions", "not_steered") if name in count}
        yield from ((name, value) for name, value in known.items() if type(value) is not int or value < 0)


def _is_finite(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)
