"""The tasks that the harness knows."""

from collections.abc import Sequence

from lm_eval.tasks import TaskManager

from ..errors import ArgumentError


def names_of(tasks: str) -> list[str]:
    """The names in a list separated by commas, as --tasks takes it."""
    return [name.strip() for name in tasks.split(",") if name.strip()]


def manager_of(tasks: Sequence[str]) -> TaskManager:
    """The harness's task manager, if it knows the tasks; loads no model.

    Raises:
        ArgumentError: A task is unknown, or none is named.
    """
    if not tasks:
        raise ArgumentError("No task is named. `lm_eval ls tasks` lists all.")
    manager = TaskManager()
    unknown = [name for name in tasks if name not in manager.all_tasks]
    if unknown:
        raise ArgumentError(f"Unknown task {', '.join(map(repr, unknown))}. `lm_eval ls tasks` lists all.")
    return manager
