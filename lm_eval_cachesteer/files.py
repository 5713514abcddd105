"""Writing files, and JSON."""

import errno
import json
import math
import os
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import ResultsError, StorageError

# What file systems answer that are full, by bytes, by quota, or by the size of one file.
DISK_IS_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# What file systems answer that cannot do it, or folders that can be written to but not read.
_UNSYNCABLE = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EACCES})


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file, and the folders above it, so that a reader sees the old content or the new one, never a part.

    That holds after a power loss too. A process that is killed can leave `.NAME.*.tmp`, which nobody reads.

    Raises:
        StorageError: The file cannot be written; the old one stays.
    """
    # A name of its own even among processes of one number, as containers have that share a folder.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())  # before the new name: a name must not outlive its content
            temporary.replace(path)
            _sync(path.parent)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{path} {unwritable(error)}") from error


def move_into_place(folder: Path, place: Path) -> None:
    """Gives a finished folder its name so that it is there with all its files or not at all, even after a power loss.

    Args:
        folder: The folder, on the same file system.
        place: Its name; nothing may be there.
    """
    for path in (*folder.rglob("*"), folder):
        _sync(path)
    folder.replace(place)
    _sync(place.parent)


def unwritable(error: OSError) -> str:
    """What is said of a file, after its name: why it cannot be written, and the remedy."""
    remedy = "Free some space, or choose another place" if error.errno in DISK_IS_FULL else "Choose a place of your own"
    return f"cannot be written ({error.strerror or error}). {remedy}."


def json_text(content: Any) -> str:
    """A JSON document; null stands for NaN and infinities, for which JSON has no form."""
    return json.dumps(_finite(content), indent=2, allow_nan=False) + "\n"


@contextmanager
def exclusive(folder: Path, work: str) -> Iterator[None]:
    """Keeps other processes from doing the same work in a folder, which is created if need be.

    Args:
        folder: The folder.
        work: What is done there, for the message: "sweep".

    Raises:
        ResultsError: Another process is at work there, or the folder cannot be written to.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / ".lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise ResultsError(
            f"Another {work} is running in {folder}. Wait for it, or choose another folder with --out."
        ) from None
    except OSError as error:
        raise ResultsError(
            f"Results cannot be kept in {folder} ({error.strerror}). Choose another folder with --out."
        ) from None
    try:
        yield
    finally:
        lock.release()


def _finite(content: Any) -> Any:
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    if isinstance(content, Mapping):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return content


def _sync(path: Path) -> None:
    """Makes a file's content, or the names in a folder, last; Windows has no such call."""
    if sys.platform == "win32":
        return
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _UNSYNCABLE:
            raise
