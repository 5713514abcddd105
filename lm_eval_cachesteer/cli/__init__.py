"""The command line `cachesteer`.

Exit codes: 0 success, 1 failure, 2 wrong usage, 3 bad input (the message names the value and the remedy),
130 interrupted. `gate` alone differs: 1 the candidate fails, 2 inconclusive, 3 bad input or wrong usage.
"""

import sys
from typing import NoReturn

import typer
from rich.console import Console
from rich.text import Text

from ..errors import CachesteerError
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
    study,
    sweep,
    tasks_path,
    vectors,
)

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
app.command("sweep")(sweep.sweep)
app.command("study")(study.study)
app.command("calibrate")(calibrate.calibrate)
app.command("inspect")(inspect.inspect)
app.command("vectors")(vectors.vectors)
app.command("tasks-path")(tasks_path.tasks_path)

COMMANDS = frozenset(command.name for command in app.registered_commands if command.name)

BAD_INPUT = 3


def main() -> NoReturn:
    """Runs the command line; errors a user can cause end in one message, not a traceback."""
    try:
        app()
    except CachesteerError as error:
        message = Text.assemble(("Error:", "bold red"), f" {error}")  # never read as markup: it may hold a path
        Console(stderr=True).print(message, soft_wrap=True)
        sys.exit(BAD_INPUT)
    sys.exit(0)
