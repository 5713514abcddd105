"""Finished cells on disk: each in a file of its own, under a name that follows from everything that decides it."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import ResultsError
from ..files import exclusive, write_atomically
from ..strict_json import parse_json


class Ledger:
    """The cells of one folder.

    Args:
        folder: Where they lie; created at the first entry.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, identity: Mapping[str, Any]) -> Path:
        """The file of a cell."""
        text = json.dumps(identity, sort_keys=True, ensure_ascii=False)
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:40]}.json"

    def get(self, identity: Mapping[str, Any]) -> dict[str, Any] | None:
        """What was found for a cell; None if it has not been finished.

        Raises:
            ResultsError: Its file is damaged.
        """
        path = self.path(identity)
        try:
            content = parse_json(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise ResultsError(f"{path} cannot be read ({error}). Remove it; its cell is run again.") from None
        if not isinstance(content, dict) or content.get("identity") != json.loads(json.dumps(identity)):
            raise ResultsError(f"{path} does not hold the cell it is named after. Remove it; its cell is run again.")
        if not isinstance(content.get("outcome"), dict):
            raise ResultsError(f"{path} holds no outcome. Remove it; its cell is run again.")
        return dict(content["outcome"])

    def put(self, identity: Mapping[str, Any], outcome: Mapping[str, Any]) -> None:
        """Keeps a finished cell: wholly, or, if the process or the power ends here, not at all.

        Raises:
            StorageError: It cannot be written.
        """
        content = json.dumps({"identity": identity, "outcome": outcome}, ensure_ascii=False)
        write_atomically(self.path(identity), content.encode())

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes from running the same cells; clears what a killed one left half-written.

        Raises:
            ResultsError: Another process works in this folder, or it cannot be written to.
        """
        with exclusive(self.folder, "sweep"):
            for left in self.folder.glob(".*.tmp"):
                left.unlink()
            yield
