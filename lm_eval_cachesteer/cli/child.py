"""lm_eval as a process of its own."""

import shlex
import subprocess
import sys
from collections.abc import Sequence

from rich.text import Text

from ..errors import CachesteerError
from .output import console


def run_lm_eval(name: str, words: Sequence[str], as_json: bool) -> None:
    """Shows the command line of a run, and runs it.

    Args:
        name: What the run is called.
        words: What follows `lm_eval`.
        as_json: Whether what it prints must not go to our stdout.

    Raises:
        CachesteerError: It failed.
    """
    shown = Text.assemble("\n", (name, "bold"), f"\n$ lm_eval {shlex.join(words)}")  # text: it may hold brackets
    console(as_json).print(shown, soft_wrap=True)
    sys.stdout.flush()  # before the other process writes
    # As `lm_eval` does with the start-up hook, and where that is switched off.
    command = [sys.executable, "-m", "lm_eval_cachesteer", *words]
    finished = subprocess.run(command, check=False, stdout=sys.stderr if as_json else None)  # noqa: S603 - ours
    if finished.returncode:
        raise CachesteerError(f"{name}: lm_eval ended with exit code {finished.returncode}; its message is above.")
