"""The command line in this process: what it prints, and how it ends."""

import sys
from typing import NamedTuple

import pytest
from lm_eval.tasks import TaskManager

from lm_eval_cachesteer.cli import main
from lm_eval_cachesteer.harness import manager
from lm_eval_cachesteer.sources.folders import tasks_folder


class Finished(NamedTuple):
    """A command that has ended.

    Attributes:
        code: Exit code.
        out: Standard output.
        error: Standard error.
    """

    code: int
    out: str
    error: str


@pytest.fixture
def cachesteer(monkeypatch, capsys):
    """Runs a command as a user would; returns `Finished`."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["cachesteer", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return Finished(ended.value.code or 0, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def shipped_tasks():
    return TaskManager(include_path=str(tasks_folder()), include_defaults=False)


@pytest.fixture
def only_shipped_tasks(monkeypatch, shipped_tasks):
    """Lets the harness know our tasks alone: reading all of its own takes seconds."""
    monkeypatch.setattr(manager, "TaskManager", lambda: shipped_tasks)
