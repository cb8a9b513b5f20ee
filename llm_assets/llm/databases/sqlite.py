"""The state in a SQLite file, in WAL mode, so that the processes of one machine share it."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from filelock import BaseFileLock, FileLock, Timeout

from llm_assets.errors import StateUnavailable
from llm_assets.llm.databases.base import PARAMETER, OutOfReach, Rows

# Answers lie in the order they came. In the order of their keys, which are hashes, each would rewrite
# another page of the file: three times the time.
_SCHEMA = """
PRAGMA user_version = 1;
CREATE TABLE IF NOT EXISTS quota (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS answers (
    id INTEGER PRIMARY KEY, key BLOB NOT NULL, subject TEXT, endpoint TEXT NOT NULL, provider TEXT NOT NULL,
    model TEXT NOT NULL, run_id TEXT NOT NULL, cost_usd REAL, entry TEXT NOT NULL, created_at REAL NOT NULL,
    hits INTEGER NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS answers_key ON answers (key);
CREATE INDEX IF NOT EXISTS answers_subject ON answers (subject, created_at) WHERE subject IS NOT NULL;
CREATE TABLE IF NOT EXISTS intents (
    key BLOB NOT NULL, owner TEXT NOT NULL, endpoint TEXT NOT NULL, provider TEXT NOT NULL,
    model TEXT NOT NULL, run_id TEXT NOT NULL, started_at REAL NOT NULL, PRIMARY KEY (key, owner)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS clients (owner TEXT PRIMARY KEY, alive_until REAL NOT NULL) WITHOUT ROWID;
"""
_VERSION = 1
# What SQLite keeps beside the file while it is open.
_LOGS = ("-wal", "-shm")
_LOG = logging.getLogger(__name__)
_PASSING = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL)
_NOTHING: Mapping[str, Any] = {}


class SqliteDatabase:
    """A file, or `:memory:`. A file that another process holds is waited for inside SQLite itself."""

    errors: tuple[type[Exception], ...] = (sqlite3.Error,)

    def __init__(self, path: str, *, busy_seconds: float = 5.0) -> None:
        self.name = f"the state file {path}"
        # One file has one name, whatever links lead to it and wherever the process goes: locks lie beside it.
        self._path = path if path == ":memory:" else os.path.realpath(path)
        self._busy_seconds = busy_seconds
        self._connection: sqlite3.Connection | None = None
        self._synchronous = ""
        self._alive: BaseFileLock | None = None
        self._identity: tuple[int, int] | None = None
        self._logs: dict[str, tuple[int, int] | None] = {}

    def is_passing(self, error: Exception) -> bool:
        code = getattr(error, "sqlite_errorcode", None)
        return code is not None and code & 0xFF in _PASSING  # the lower byte of an extended code is the kind

    def is_committed(self) -> bool:
        return False  # nothing is lost on the way from a file

    def open(self) -> None:
        """Raises StateUnavailable when there can be no such file, or a newer version has written it.

        Raises OutOfReach while another process holds it.
        """
        try:
            self._connection = self._connected()
        except (sqlite3.Error, OSError) as error:
            kind = OutOfReach if self.is_passing(error) else StateUnavailable
            raise kind(f"{self.name} cannot be opened: {error}") from error
        self._identity = self._found()
        self._logs = {ending: self._found(ending) for ending in _LOGS}

    def _connected(self) -> sqlite3.Connection:
        if self._path != ":memory:":
            Path(self._path).parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(
            self._path, timeout=self._busy_seconds, isolation_level=None, check_same_thread=False
        )
        try:
            problem = _problem(connection)
            if problem is not None:
                raise StateUnavailable(f"{self.name} {problem}")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(_SCHEMA)
        except BaseException:
            connection.close()
            raise
        return connection

    def _found(self, ending: str = "") -> tuple[int, int] | None:
        """Which file lies under the name now."""
        if self._path == ":memory:":
            return None
        try:
            status = os.stat(self._path + ending)
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino

    def _follow_the_file(self) -> None:
        """A file that was deleted or replaced under our hands takes everything and keeps nothing.

        What this process still sees of it goes into the file that lies there now, made anew if need be.
        """
        if self._found() == self._identity:
            return
        lost, self._synchronous = self._connection, ""
        assert lost is not None
        is_gone = self._found() is None
        for ending, ours in self._logs.items():  # the lost file's must not pass for the new one's
            if is_gone or self._found(ending) == ours:
                Path(f"{self._path}{ending}").unlink(missing_ok=True)
        self.open()
        _LOG.warning(
            "%s was deleted or replaced while it was in use; what this process has seen of it is written "
            "again. Delete it only while nothing runs.",
            self.name,
        )
        assert self._connection is not None
        _copy(lost, self._connection)
        lost.close()

    def close(self) -> None:
        if self._connection is not None:
            self._follow_the_file()
        if self._alive is not None:
            self._alive.release()
            Path(self._alive.lock_file).unlink(missing_ok=True)
            self._alive = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def transaction(self, *, durable: bool) -> Generator[SqliteDatabase]:
        self._follow_the_file()
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

    def execute_many(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        assert self._connection is not None
        self._connection.executemany(_by_position(statement), rows)

    def show_alive(self, client: str) -> None:
        """Hold a lock that the operating system takes back when the process ends, however it ends."""
        if self._path == ":memory:":
            return
        # Taken by the event loop's thread and given back by the one that closes the file.
        self._alive = FileLock(self._lock_path(client), thread_local=False)
        self._alive.acquire(timeout=0)

    def is_gone(self, client: str) -> bool:
        path = self._lock_path(client)
        if not path.exists():  # it is made before anybody hears of the client, and goes with it
            return True
        try:
            with FileLock(path, timeout=0):
                path.unlink(missing_ok=True)
        except Timeout:
            return False
        return True

    def _lock_path(self, client: str) -> Path:
        folder = Path(f"{self._path}.clients")
        folder.mkdir(exist_ok=True)
        return folder / f"{client}.lock"

    def now(self) -> float:
        return time.time()


@cache
def _by_position(statement: str) -> str:
    """With places instead of names: to look a name up takes about as long as to write its value."""
    return PARAMETER.sub("?", statement)


def _copy(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """What the target does not have yet."""
    target.execute("BEGIN IMMEDIATE")
    try:
        for table, columns in _TABLES.items():
            rows = source.execute(f"SELECT {columns} FROM {table}")  # noqa: S608 - names of ours
            places = ", ".join("?" * (columns.count(",") + 1))
            target.executemany(
                f"INSERT INTO {table} ({columns}) VALUES ({places}) ON CONFLICT DO NOTHING",  # noqa: S608
                rows,
            )
        target.execute("COMMIT")
    except BaseException:
        if target.in_transaction:
            target.rollback()
        raise


_TABLES = {
    "answers": "key, subject, endpoint, provider, model, run_id, cost_usd, entry, created_at, hits",
    "intents": "key, owner, endpoint, provider, model, run_id, started_at",
    "clients": "owner, alive_until",
    "quota": "key, value",
}


def _problem(connection: sqlite3.Connection) -> str | None:
    """Why a file is none of ours to write to."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if tables and "quota" not in tables:
        return "belongs to another program"
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return "was written by a newer version of llm-assets; upgrade" if version > _VERSION else None
