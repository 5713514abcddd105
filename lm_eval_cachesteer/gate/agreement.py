"""What two runs can be required to agree in."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import ResultsError
from ..results.runs import Run
from .figures import plain_tasks

_SEEDS = ("random_seed", "numpy_seed", "torch_seed", "fewshot_seed")
_MODEL_DETAILS = ("model_revision", "model_sha", "model_dtype")
# What decides the edit; the rest of a term is where its file was found and what the file says of itself.
_TERM = ("sha256", "weight", "c_keys", "c_values")
_NOT_SETTINGS = frozenset(("vectors", "versions", "model", "fingerprint", "counts"))
_DIFFERENCES_SHOWN = 3


@dataclass(frozen=True)
class Aspect:
    """Something that runs record about how they were made.

    Attributes:
        read: What a run records of it, given the run it is compared with; empty if nothing.
        recorded_by: How to get it recorded, for the message when it is missing.
    """

    read: Callable[[Run, Run], Mapping[str, Any]]
    recorded_by: str


def _model(run: Run, other: Run) -> dict[str, Any]:
    """Name; revision, hash and type of the weights where both record them, which not every backend does."""
    details = [key for key in _MODEL_DETAILS if key in run.config and key in other.config]
    return {"name": run.model} | {key: run.config[key] for key in details} if run.model else {}


def _steering(run: Run, _: Run) -> dict[str, Any]:
    if not run.steering:
        return {}
    terms = [{key: term.get(key) for key in _TERM} for term in run.steering.get("vectors", ())]
    return {key: value for key, value in run.steering.items() if key not in _NOT_SETTINGS} | {"vectors": terms}


def _fingerprint(run: Run, _: Run) -> dict[str, Any]:
    return {key: value for key, value in run.steering.items() if key == "fingerprint" and value}


def _seeds(run: Run, _: Run) -> dict[str, Any]:
    return {key: run.config[key] for key in _SEEDS if key in run.config}


def _of_tasks(key: str) -> Callable[[Run, Run], Mapping[str, Any]]:
    """What a section of the results says about the tasks that both runs have; nothing if it misses one."""

    def read(run: Run, other: Run) -> dict[str, Any]:
        found = {task: run.of_task(key, task) for task in _shared_tasks(run, other)}
        return {} if None in found.values() else found

    return read


def _generation(run: Run, other: Run) -> dict[str, Any]:
    configs = _of_tasks("configs")(run, other)
    if not all(isinstance(config, dict) for config in configs.values()):
        return {}
    return {task: config.get("generation_kwargs") for task, config in configs.items()}


def _shared_tasks(run: Run, other: Run) -> list[str]:
    shared = sorted(set(plain_tasks(run)) & set(plain_tasks(other)))
    if not shared:
        raise ResultsError(f"{run.path} and {other.path} have no task in common. Run the same tasks.")
    return shared


ASPECTS: Mapping[str, Aspect] = {
    "model": Aspect(_model, "the harness does, for every backend"),
    "steering": Aspect(_steering, "`--model hf-cachesteer` does"),
    "fingerprint": Aspect(_fingerprint, "`--model hf-cachesteer` does"),
    "task_versions": Aspect(_of_tasks("versions"), "the harness does, for every task"),
    "prompts": Aspect(_of_tasks("task_hashes"), "the harness does with --log_samples"),
    "generation": Aspect(_generation, "the harness does, for every task"),
    "seeds": Aspect(_seeds, "the harness does since 0.4.3"),
}


def differences(aspect: str, base: Run, candidate: Run) -> list[str]:
    """In what runs differ: "vectors.0.c_values: 5.0 against 6.0".

    Args:
        aspect: One of `ASPECTS`.
        base: The run compared with.
        candidate: The run compared.

    Raises:
        ResultsError: A run does not record it.
    """
    found = []
    for run, other in ((base, candidate), (candidate, base)):
        recorded = ASPECTS[aspect].read(run, other)
        if not recorded:
            raise ResultsError(
                f"same: {aspect}: {run.path} does not record it; {ASPECTS[aspect].recorded_by}. Run it so, or take "
                f"{aspect!r} out of `same`."
            )
        found.append(dict(_leaves(recorded)))
    one, two = found
    return [
        f"{place}: {_shown(one, place)} against {_shown(two, place)}"
        for place in one | two
        if one.get(place) != two.get(place)
    ]


def shortened(found: list[str]) -> str:
    """The first few differences, as one line."""
    more = len(found) - _DIFFERENCES_SHOWN
    return "; ".join(found[:_DIFFERENCES_SHOWN]) + (f"; and {more} more" if more > 0 else "")


def _leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Everything in nested mappings and lists, by place; empty ones count as values."""
    if not value or not isinstance(value, Mapping | list):
        yield place, value
        return
    for key, part in value.items() if isinstance(value, Mapping) else enumerate(value):
        yield from _leaves(part, f"{place}.{key}" if place else str(key))


def _shown(leaves: Mapping[str, Any], place: str) -> str:
    text = repr(leaves[place]) if place in leaves else "nothing"
    return text if len(text) <= 24 else f"{text[:20]}..."
