"""Which arms of a study are finished: each leaves in its folder what decided its outcome."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import ArgumentError
from ..files import json_text, write_atomically
from ..strict_json import parse_json

NAME = "command.json"


def is_finished(folder: Path, identity: Mapping[str, Any]) -> bool:
    """Whether a folder holds the results of this very run, finished.

    Args:
        folder: The folder of an arm.
        identity: What decides the outcome, as plain data.
    """
    try:
        found = parse_json((folder / NAME).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    return bool(found == {**identity, "finished": True})


def check_own(folder: Path) -> None:
    """Checks that nothing is lost if a folder is cleared.

    Raises:
        ArgumentError: It holds what no study wrote.
    """
    foreign = folder.exists() and not (folder / NAME).is_file()
    if folder.is_dir():
        foreign = foreign and not all(map(_is_half_written, folder.iterdir()))
    if foreign:
        raise ArgumentError(f"{folder} holds files that no study wrote. Choose another folder with --out.")


def begin(folder: Path, identity: Mapping[str, Any]) -> None:
    """Marks a folder as that of a run, and clears what an interrupted or different run left in it."""
    _write(folder, identity, finished=False)  # first, so that what is cleared only in part is still known as ours
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != NAME:
            path.unlink()


def finish(folder: Path, identity: Mapping[str, Any]) -> None:
    """Notes that a run has come to its end."""
    _write(folder, identity, finished=True)


def _write(folder: Path, identity: Mapping[str, Any], *, finished: bool) -> None:
    write_atomically(folder / NAME, json_text({**identity, "finished": finished}).encode())


def _is_half_written(path: Path) -> bool:
    return path.name.startswith(f".{NAME}.") and path.suffix == ".tmp"
