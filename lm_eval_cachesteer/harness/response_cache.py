"""Binding the harness's response cache to one steering fingerprint.

`--use_cache FILE` keys responses by the request alone, so a baseline and a steered run that share a file would
return each other's answers. The fingerprint is kept in a table of its own inside the same SQLite file.
"""

import sqlite3
from contextlib import closing
from typing import Any

from ..errors import ResponseCacheError

_TABLE = "cachesteer_fingerprint"


def bind_response_cache(responses: Any, fingerprint: str) -> None:
    """Claims a new cache file for a fingerprint, or checks that it is already claimed for it.

    Args:
        responses: The harness's open cache (`sqlitedict.SqliteDict`).
        fingerprint: The steering fingerprint of this run.

    Raises:
        ResponseCacheError: The file holds responses of a run with another fingerprint, or of unknown origin.
    """
    with closing(sqlite3.connect(responses.filename, timeout=60)) as connection, connection:
        connection.execute(f"CREATE TABLE IF NOT EXISTS {_TABLE} (fingerprint TEXT NOT NULL)")
        row = connection.execute(f"SELECT fingerprint FROM {_TABLE}").fetchone()  # noqa: S608 - a constant
        if row is None and len(responses) == 0:
            connection.execute(f"INSERT INTO {_TABLE} VALUES (?)", (fingerprint,))  # noqa: S608
            return
    bound = "a run of another model" if row is None else f"steering fingerprint {row[0][:12]}"
    if row is None or row[0] != fingerprint:
        raise ResponseCacheError(
            f"The response cache {responses.filename} holds answers of {bound}, this run has steering fingerprint "
            f"{fingerprint[:12]}: it would return answers that were steered otherwise. Give each configuration its "
            "own --use_cache file, or delete this one."
        )
