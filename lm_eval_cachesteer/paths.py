"""What a user's words mean as paths. Words that cannot be one, being too long for a name, simply name no file."""

from collections.abc import Callable
from pathlib import Path


def user_path(text: str) -> Path:
    """A path as a shell reads it; `~nobody` stays as it is where there is no such user."""
    try:
        return Path(text).expanduser()
    except (RuntimeError, ValueError):
        return Path(text)


def exists(path: Path) -> bool:
    """Whether there is anything that can be seen under a name."""
    return _asked(path.exists)


def is_file(path: Path) -> bool:
    """Whether there is a regular file."""
    return _asked(path.is_file)


def is_folder(path: Path) -> bool:
    """Whether there is a folder."""
    return _asked(path.is_dir)


def _asked(question: Callable[[], bool]) -> bool:
    try:
        return question()
    except (OSError, ValueError):
        return False
