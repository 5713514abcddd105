"""What a study does, arm by arm."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from .arms import Arm, command, folder_name, tasks_of
from .record import begin, check_own, finish, is_finished

_VERSIONED = ("lm-eval-cachesteer", "lm-eval", "torch", "transformers")

State = Literal["run", "kept", "left out"]


@dataclass(frozen=True)
class Step:
    """One arm of a study.

    Attributes:
        arm: The arm.
        tasks: The tasks it runs; none if no task has its variant.
        folder: Where its results go.
        command: What follows `lm_eval` on the command line.
    """

    arm: Arm
    tasks: list[str]
    folder: Path
    command: list[str]

    @property
    def identity(self) -> dict[str, Any]:
        """What decides its outcome: command line, content of the vectors, versions."""
        return {
            "command": self.command,
            "vectors": list(self.arm.vectors),
            "versions": {package: version(package) for package in _VERSIONED},
        }


@dataclass(frozen=True)
class Outcome:
    """What became of an arm.

    Attributes:
        step: The arm and its command.
        state: "run" just now, "kept" from before, or "left out" for want of tasks.
    """

    step: Step
    state: State

    def described(self) -> dict[str, Any]:
        """As plain data; without tasks there is neither folder nor command."""
        step, there = self.step, self.state != "left out"
        return {
            "name": step.arm.name,
            "state": self.state,
            "sampled": step.arm.sampled,
            "tasks": step.tasks,
            "folder": str(step.folder) if there else None,
            "command": ["lm_eval", *step.command] if there else None,
        }


def plan(
    arms: Sequence[Arm], tasks: Sequence[str], known: Collection[str], folder: Path, options: Sequence[str] = ()
) -> list[Step]:
    """The steps of a study.

    Args:
        arms: The arms.
        tasks: The study's tasks.
        known: All tasks of the harness.
        folder: The study's folder.
        options: Options of lm_eval for all arms.
    """
    names, steps = set(known), []
    for arm in arms:
        present, own = tasks_of(arm, tasks, names), folder / folder_name(arm)
        steps.append(Step(arm, present, own, command(arm, present, own, options)))
    return steps


def due(steps: Sequence[Step], fresh: bool = False) -> list[Step]:
    """The steps that must be run.

    Args:
        steps: All steps.
        fresh: Whether to run finished ones again.

    Raises:
        ArgumentError: The folder of one holds something else, which would be lost.
    """
    found = [step for step in steps if step.tasks and (fresh or not is_finished(step.folder, step.identity))]
    for step in found:
        check_own(step.folder)
    return found


def carry_out(
    steps: Sequence[Step],
    run: Callable[[Step], None],
    *,
    fresh: bool = False,
    told: Callable[[Outcome], None] = lambda _: None,
) -> list[Outcome]:
    """Runs what is due; each arm is kept as soon as it is finished.

    Args:
        steps: The steps.
        run: Runs one; it is finished if nothing is raised.
        fresh: Whether to run finished ones again.
        told: Told of each arm that is not run.

    Raises:
        ArgumentError: As in `due`, before anything is run.
    """
    to_run, outcomes = due(steps, fresh), []
    for step in steps:
        state: State = "run" if step in to_run else "kept" if step.tasks else "left out"
        outcomes.append(Outcome(step, state))
        if state != "run":
            told(outcomes[-1])
            continue
        begin(step.folder, step.identity)
        run(step)
        finish(step.folder, step.identity)
    return outcomes
