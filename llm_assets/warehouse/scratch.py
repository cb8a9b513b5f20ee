"""One DuckDB in memory for this process: to begin one takes longer than to write a partition.

It writes and reads Parquet files, and looks into a catalogue or changes it by attaching the file for as long
as that takes. Only for our own SQL: questions of people go to sessions that can do nothing but read.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import duckdb

from llm_assets.warehouse.names import identifier, literal
from llm_assets.warehouse.sessions import Connection, in_memory

# BI tools come with a DuckDB of their own, often an older one: this format every one since 0.10 opens. One
# that is there keeps its own.
_FOR_OLDER_READERS = "(STORAGE_VERSION 'v0.10.2')"


class _Instance:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._process = 0

    def cursor(self) -> Connection:
        with self._lock:
            if self._connection is None or self._process != os.getpid():  # threads do not survive a fork
                # One thread: most of what is done here is smaller than handing it to another would cost.
                self._connection, self._process = in_memory(threads=1), os.getpid()
                # What is scanned here are numbers, times and texts: nothing to find out.
                self._connection.execute("SET GLOBAL pandas_analyze_sample = 0")
            return self._connection.cursor()

    def give_up(self) -> None:
        """Begin a new one next time: a DuckDB that failed fatally answers nothing any more."""
        with self._lock:
            self._connection = None


_instance = _Instance()


@contextmanager
def cursor() -> Generator[Connection]:
    """A session of its own in the process's DuckDB, in UTC."""
    session = _instance.cursor()
    try:
        yield session
    except (duckdb.FatalException, duckdb.InternalException):
        _instance.give_up()
        raise
    finally:
        session.close()


@contextmanager
def opened(file: Path) -> Generator[Connection]:
    """A session in this catalogue, created where it is not there. Afterwards the file is closed."""
    with _attached(file, "" if file.exists() else _FOR_OLDER_READERS) as (session, name):
        yield session
        # Not left to the closing of the file, which says nothing when it fails.
        session.execute(f"CHECKPOINT {name}")


@contextmanager
def looked_into(file: Path) -> Generator[Connection]:
    """A session in this catalogue that cannot change it."""
    with _attached(file, "(READ_ONLY)") as (session, _):
        yield session


@contextmanager
def _attached(file: Path, options: str) -> Generator[tuple[Connection, str]]:
    name = identifier(f"opened {uuid4().hex}")
    with cursor() as session:
        # Statements over a few rows: to think about them takes longer than to carry them out.
        session.execute("PRAGMA disable_optimizer")
        session.execute(f"ATTACH {literal(str(file))} AS {name} {options}")
        try:
            session.execute(f"USE {name}")
            yield session, name
        finally:
            _close(session, name)


def _close(session: Connection, name: str) -> None:
    try:
        session.execute(f"USE memory; DETACH {name}")
    except duckdb.Error:
        _instance.give_up()
