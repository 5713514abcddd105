"""What commands write: with --json one JSON document on stdout, all else on stderr; and files."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from ..errors import ArgumentError, StorageError
from ..files import json_text, unwritable, write_atomically
from .terminal import terminal

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document; progress and remarks go to stderr.")]


def print_json(content: Any) -> None:
    """Prints a JSON document, see `json_text`."""
    sys.stdout.write(json_text(content))


def console(as_json: bool) -> Console:
    """Where a command talks to its user."""
    return terminal(stderr=as_json)


@contextmanager
def kept_clean(as_json: bool) -> Iterator[None]:
    """Sends what libraries and task files print to stderr, where stdout must hold JSON alone."""
    with redirect_stdout(sys.stderr if as_json else sys.stdout):
        yield


def write_file(option: str, path: Path, content: bytes) -> None:
    """Writes a file that the user named, and the folders above it.

    Args:
        option: The option it was named by.
        path: The file.
        content: What it shall hold.

    Raises:
        ArgumentError: It cannot be written.
    """
    with chosen_by(option):
        write_atomically(path, content)


@contextmanager
def chosen_by(option: str) -> Iterator[None]:
    """Names what chooses the place of a file that cannot be written: an option, or an environment variable.

    Raises:
        ArgumentError: It cannot.
    """
    try:
        yield
    except StorageError as error:
        raise ArgumentError(f"{option} {error}") from None


def check_folder(option: str, folder: Path, named: Path | None = None) -> None:
    """Checks, before long work, that files can be written to a folder; makes it.

    Args:
        option: The option that names it, or a file in it.
        folder: The folder.
        named: The file in it that is named.

    Raises:
        ArgumentError: They cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(None, "Permission denied")
    except OSError as error:
        raise ArgumentError(f"{option} {named or folder} {unwritable(error)}") from None


def check_vector_file(out: Path) -> None:
    """Checks, before long work, that --out can hold vectors; makes the folders above it.

    Raises:
        ArgumentError: It cannot.
    """
    if out.suffix != ".safetensors":
        raise ArgumentError(f"--out {out} must end in .safetensors.")
    if out.is_dir():
        raise ArgumentError(f"--out {out} is a folder. Name a file.")
    check_folder("--out", out.parent, out)
