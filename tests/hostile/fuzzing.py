"""What is fuzzed, and the runner: the same cases every time in the tests, new ones in `tools/fuzz.py`."""

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st

from lm_eval_cachesteer.errors import VectorFileError
from lm_eval_cachesteer.sources import resolve
from lm_eval_cachesteer.stats import bootstrap

from .support import file_of
from .targets import arguments, contrast, output, policies, responses, results, vectors


@dataclass(frozen=True)
class Target:
    """An input, and what must hold for it.

    Attributes:
        name: What is fuzzed.
        cases: Draws a case.
        check: Puts a case to the code, in a folder of its own; raises if the property does not hold.
        share: How many of 2,000 cases are its.
    """

    name: str
    cases: st.SearchStrategy[Any]
    check: Callable[[Any, Path], None]
    share: int


TARGETS = (
    Target("vector files", vectors.CASES, vectors.check, 500),
    Target("contrast sets", contrast.CASES, contrast.check, 200),
    Target("policies", policies.CASES, policies.check, 240),
    Target("model arguments", arguments.ARGUMENTS, arguments.check_arguments, 240),
    Target("vector expressions", arguments.EXPRESSIONS, arguments.check_expression, 160),
    Target("grids", arguments.AXES, arguments.check_axes, 160),
    Target("results", results.RUNS, results.check, 200),
    Target("reports", results.REPORTS, results.check_report, 40),
    Target("answers", st.tuples(responses.TEXTS, responses.OPTIONS), responses.check_answers, 140),
    Target("style metrics", responses.TEXTS, responses.check_measures, 60),
    Target("terminal output", output.CASES, output.check, 60),
)


def fuzz(
    target: Target,
    count: int,
    folder: Path,
    *,
    seed: int | None = None,
    on_case: Callable[[Any], None] = lambda _: None,
) -> None:
    """Puts cases to a target; a case that fails is made as small as can be.

    Args:
        target: The target.
        count: How many cases.
        folder: An empty folder.
        seed: Seed of the draw; None for the same cases every time.
        on_case: Told of each case before it is put; of the smallest that fails last.

    Raises:
        BaseException: What the smallest failing case raised.
    """

    def put(case: Any) -> None:
        on_case(case)
        target.check(case, folder / "inside")
        assert not list((folder / "outside").iterdir()), "something was written to the current folder"

    settings = hypothesis.settings(
        max_examples=count,
        derandomize=seed is None,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )
    test = settings(hypothesis.given(target.cases)(put))
    with _apart(folder):
        (test if seed is None else hypothesis.seed(seed)(test))()


@contextlib.contextmanager
def _apart(folder: Path) -> Iterator[None]:
    """Stands in an empty folder, with a cache of its own, few resamples, and a hub that has nothing."""
    known = folder / "cache" / "vectors" / "tiny-llama"
    for place in (folder / "inside", folder / "outside", known):
        place.mkdir(parents=True, exist_ok=True)
    (known / "mine.safetensors").write_bytes(file_of())
    here, cache = Path.cwd(), os.environ.get("CACHESTEER_CACHE")
    resamples, download = bootstrap.RESAMPLES, resolve._download
    os.environ["CACHESTEER_CACHE"] = str(folder / "cache")
    bootstrap.RESAMPLES, resolve._download = 100, _nothing_on_the_hub
    os.chdir(folder / "outside")
    try:
        yield
    finally:
        os.chdir(here)
        bootstrap.RESAMPLES, resolve._download = resamples, download
        os.environ.pop("CACHESTEER_CACHE")
        if cache is not None:
            os.environ["CACHESTEER_CACHE"] = cache


def _nothing_on_the_hub(repository: str, file: str, _: str | None) -> Path:
    """Stands for the download; what is asked for must not lead out of the hub's folders."""
    parts = [*repository.split("/"), *file.split("/")]
    assert repository.count("/") == 1
    assert not any(part in ("", ".", "..") or "\\" in part for part in parts), parts
    raise VectorFileError(f"{repository}:{file} could not be fetched from the hub. There is none.")
