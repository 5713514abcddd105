"""The command line `cachesteer`.

Exit codes (docs/command-line.md): 0 done, 1 unexpected failure, 2 wrong usage, 3 bad input, or lm_eval failed (one line
on stderr names the value and the remedy), 130 interrupted. `gate` alone differs: 1 the candidate fails, 2 inconclusive,
3 bad input or wrong usage.
"""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer
from rich.text import Text

from ..errors import CachesteerError, StorageError
from ..files import DISK_IS_FULL
from . import (
    calibrate,
    compare,
    demo,
    extract,
    gate,
    inspect,
    leaderboard,
    prepare,
    report,
    serve,
    study,
    sweep,
    tasks_path,
    vectors,
)
from .interrupts import remembered
from .terminal import terminal

app = typer.Typer(
    name="cachesteer",
    help="KV cache steering: extract vectors, look at them, and run the demo. "
    "Benchmarks run with lm_eval --model hf-cachesteer.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.command("demo")(demo.demo)
app.command("prepare")(prepare.prepare)
app.command("extract")(extract.extract)
app.command("compare")(compare.compare)
app.command("report")(report.report)
app.command("leaderboard")(leaderboard.leaderboard)
app.command("gate", cls=gate.GateCommand)(gate.gate)
app.command("serve")(serve.serve)
app.command("sweep")(sweep.sweep)
app.command("study")(study.study)
app.command("calibrate")(calibrate.calibrate)
app.command("inspect")(inspect.inspect)
app.command("vectors")(vectors.vectors)
app.command("tasks-path")(tasks_path.tasks_path)

COMMANDS = frozenset(command.name for command in app.registered_commands if command.name)

BAD_INPUT, INTERRUPTED = 3, 130


def main() -> NoReturn:
    """Runs the command line; errors a user can cause end in one message, not a traceback."""
    with told_in_one_line():
        _run()
    sys.exit(0)


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """Ends the program with one line on stderr where a user has caused an error, and without one on Ctrl-C."""
    with remembered() as interrupts:
        try:
            yield
        except KeyboardInterrupt:  # where typer does not listen
            sys.exit(INTERRUPTED)
        except Exception as error:
            if interrupts:
                sys.exit(INTERRUPTED)
            if not isinstance(error, CachesteerError):
                raise
            message = Text.assemble(("Error:", "bold red"), f" {error}")  # never read as markup: it may hold a path
            terminal(stderr=True).print(message, soft_wrap=True)
            sys.exit(BAD_INPUT)


def _run() -> None:
    """Runs the command line.

    Raises:
        StorageError: The disk is full behind stdout, or behind a file that a library keeps for a while.
    """
    try:
        try:
            app()
        finally:
            sys.stdout.flush()  # now: what fails when Python ends is told in a traceback
    except OSError as error:
        if error.errno not in (*DISK_IS_FULL, errno.EPIPE):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python tries again as it ends
        if error.errno == errno.EPIPE:  # nobody reads on, as behind `| head`
            sys.exit(1)
        place = error.filename or "Standard output or a temporary file"
        raise StorageError(f"{place} cannot be written ({error.strerror}). Free some space.") from error
