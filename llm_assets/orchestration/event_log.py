"""Dagster's event log in SQLite files, held open while a run lasts.

Dagster opens and closes such a file for each event, and who closes a SQLite file as the last one carries its
log over and removes it: five flushes to the disk for a row. While somebody else has the file open it is one.
Nothing is read or written through these connections, and nothing is kept less surely. A log that is anywhere
else, such as in Postgres, is left alone.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import dagster as dg

_OF_ALL_RUNS = "index"


class OpenFiles:
    """The files of a run's events, and of the events of assets in all runs."""

    def __init__(self) -> None:
        self._connections: list[sqlite3.Connection] = []

    def open(self, instance: dg.DagsterInstance, run_id: str) -> None:
        """What cannot be opened stays closed: it costs time and nothing else."""
        path_of: Any = getattr(instance.event_log_storage, "path_for_shard", None)
        for shard in (_OF_ALL_RUNS, run_id) if path_of else ():
            try:
                self._connections.append(_opened(Path(path_of(shard))))
            except sqlite3.Error:
                continue

    def close(self) -> None:
        while self._connections:
            self._connections.pop().close()


def _opened(path: Path) -> sqlite3.Connection:
    """A file that is not there is not made; it counts as open once something was read."""
    address = f"{path.absolute().as_uri()}?mode=rw"
    connection = sqlite3.connect(address, uri=True, timeout=0, check_same_thread=False)
    try:
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.Error:
        connection.close()
        raise
    return connection
