"""The folders of this package: shipped tasks and vectors, and the user's cache."""

import os
from pathlib import Path

import platformdirs

from ..paths import user_path

_PACKAGE = Path(__file__).resolve().parents[1]


def tasks_folder() -> Path:
    """Folder of the shipped lm_eval tasks."""
    return _shipped("tasks")


def vectors_folder() -> Path:
    """Folder of the shipped vectors, with `contrast/` (the sets they were made from) in it."""
    return _shipped("vectors")


def contrast_folder() -> Path:
    """Folder of the shipped contrast sets."""
    return vectors_folder() / "contrast"


def cache_folder() -> Path:
    """The user's cache: `CACHESTEER_CACHE`, or the platform's cache folder."""
    chosen = os.environ.get("CACHESTEER_CACHE")
    return user_path(chosen) if chosen else Path(platformdirs.user_cache_dir("lm_eval_cachesteer"))


def cached_vectors_folder() -> Path:
    """Folder of the vectors that `cachesteer extract` keeps, one folder for each model."""
    return cache_folder() / "vectors"


def _shipped(name: str) -> Path:
    """Wheels carry the folder inside the package; a checkout has it beside the package."""
    checkout = _PACKAGE.parent
    if (checkout / "pyproject.toml").is_file() and (checkout / name).is_dir():
        return checkout / name
    return _PACKAGE / name
