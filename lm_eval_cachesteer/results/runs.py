"""Finding runs: the folders that `lm_eval --output_path` writes."""

import glob
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..errors import ResultsError

_RESULTS = re.compile(r"results_(?P<date>.+)\.json$")


@dataclass(frozen=True)
class Run:
    """One run of the harness.

    Attributes:
        path: Its `results_DATE.json`.
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
        return dict(self.content.get("config") or {})

    @cached_property
    def sample_files(self) -> dict[str, Path]:
        """Task -> its logged samples."""
        suffix = f"_{self.date}.jsonl"
        files = self.path.parent.glob(f"samples_*{glob.escape(suffix)}")
        return {file.name.removeprefix("samples_").removesuffix(suffix): file for file in sorted(files)}

    def higher_is_better(self, task: str, metric: str) -> bool | None:
        """Whether larger figures of a metric are better; None if the run does not say."""
        known = (self.content.get("higher_is_better") or {}).get(task) or {}
        better = known.get(metric)
        return better if isinstance(better, bool) else None


def find_runs(places: Sequence[str]) -> list[Run]:
    """All runs at some places, oldest first.

    Args:
        places: Results files, folders (searched with all below), or glob patterns of either.

    Raises:
        ResultsError: A place holds no results, or they cannot be read.
    """
    files: dict[Path, None] = {}
    for place in places:
        found = [file for path in _paths(place) for file in _results_files(path)]
        if not found:
            raise ResultsError(
                f"No results at {place!r}. Give the folder that was named in `lm_eval --output_path`, a "
                "results_*.json file, or a pattern of them."
            )
        files |= dict.fromkeys(found)
    return sorted((_read(file) for file in files), key=lambda run: (run.date, str(run.path)))


def find_run(place: str) -> Run:
    """The newest run at a place.

    Raises:
        ResultsError: As in `find_runs`.
    """
    return find_runs([place])[-1]


def _paths(place: str) -> list[Path]:
    path = Path(place).expanduser()
    if path.exists():
        return [path]
    return [Path(found) for found in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207 - absolute patterns


def _results_files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(file for file in path.rglob("results_*.json") if file.is_file())
    return [path] if _RESULTS.search(path.name) else []


def _read(file: Path) -> Run:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ResultsError(
            f"{file} cannot be read ({error}). Run the evaluation again, or leave this file out."
        ) from None
    if not isinstance(content, dict) or not isinstance(content.get("results"), dict):
        raise ResultsError(f"{file} holds no results of lm_eval: a mapping with the key 'results' was expected.")
    return Run(file, content)
