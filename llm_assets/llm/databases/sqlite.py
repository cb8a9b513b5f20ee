"""The state in a SQLite file, in WAL mode, so that the processes of one machine share it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llm_assets.errors import StateUnavailable
from llm_assets.llm.state import Rows

_SCHEMA = """
CREATE TABLE IF NOT EXISTS quota (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS journal (
    key TEXT PRIMARY KEY, subject TEXT, endpoint TEXT NOT NULL, provider TEXT NOT NULL,
    model TEXT NOT NULL, run_id TEXT NOT NULL, entry TEXT NOT NULL, created_at REAL NOT NULL,
    hits INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS journal_subject ON journal (subject, created_at);
CREATE INDEX IF NOT EXISTS journal_created ON journal (created_at);
CREATE TABLE IF NOT EXISTS intents (
    key TEXT PRIMARY KEY, endpoint TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL,
    run_id TEXT NOT NULL, owner TEXT NOT NULL, started_at REAL NOT NULL
) WITHOUT ROWID;
"""
_NOTHING: Mapping[str, Any] = {}


class SqliteDatabase:
    """A file, or `:memory:`. A file that another process holds is waited for inside SQLite itself."""

    busy_errors: tuple[type[Exception], ...] = (sqlite3.OperationalError,)

    def __init__(self, path: str, *, busy_seconds: float = 5.0) -> None:
        self.name = f"the state file {path}"
        self._path = path
        self._busy_seconds = busy_seconds
        self._connection: sqlite3.Connection | None = None
        self._synchronous = ""

    def open(self) -> None:
        """Raises StateUnavailable when there can be no such file."""
        try:
            if self._path != ":memory:":
                Path(self._path).parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(
                self._path, timeout=self._busy_seconds, isolation_level=None, check_same_thread=False
            )
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(_SCHEMA)
        except (sqlite3.Error, OSError) as error:
            raise StateUnavailable(f"{self.name} cannot be opened: {error}") from error
        self._connection = connection

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def transaction(self, *, durable: bool) -> Generator[SqliteDatabase]:
        connection = self._connection
        assert connection is not None
        synchronous = "FULL" if durable else "NORMAL"
        if synchronous != self._synchronous:
            connection.execute(f"PRAGMA synchronous = {synchronous}")
            self._synchronous = synchronous
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield self
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.rollback()
            raise

    def execute(self, statement: str, parameters: Mapping[str, Any] = _NOTHING) -> Rows:
        assert self._connection is not None
        return self._connection.execute(statement, parameters)

    def now(self) -> float:
        return time.time()
