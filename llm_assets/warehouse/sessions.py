"""DuckDB sessions: in UTC, errors translated, and for questions without any way to do more than read."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import duckdb

from llm_assets.errors import WarehouseError
from llm_assets.warehouse.names import identifier, literal

Connection = duckdb.DuckDBPyConnection
T = TypeVar("T")

_MOVED_RETRIES = 5

_NO_ROOM = [os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)]
_NO_ROOM_ADVICE = (
    "\nThe old rows are as they were. Make room there, or set LLM_ASSETS_DUCKDB to a place that has some, "
    "and run again: answers in the journal are not paid for again"
)


class RowsMoved(WarehouseError):
    """Files of a partition were replaced while they were being read."""


def in_memory(**config: Any) -> Connection:
    """An empty session. Times without a zone are UTC, whatever zone the machine is in."""
    connection = duckdb.connect(":memory:", config={"python_enable_replacements": False, **config})
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    return connection


def attached(file: str, name: str) -> Connection:
    """A session on a DuckDB file that it cannot change, under this name."""
    connection = in_memory()
    try:
        connection.execute(f"ATTACH {literal(file)} AS {identifier(name)} (READ_ONLY)")
        connection.execute(f"USE {identifier(name)}")
    except duckdb.Error:
        connection.close()
        raise
    return connection


def lock_down(connection: Connection, readable: Sequence[str]) -> None:
    """No files but those below `readable`, no network, no extensions, and no setting can be changed."""
    folders = ", ".join(map(literal, readable))
    connection.execute(f"SET GLOBAL allowed_directories = [{folders}]")
    connection.execute("SET GLOBAL enable_external_access = false")
    connection.execute("SET GLOBAL lock_configuration = true")


@contextmanager
def transaction(connection: Connection) -> Generator[None]:
    """Everything or nothing: commits at the end, rolls back on any exception."""
    connection.begin()
    try:
        yield
    except BaseException:
        with suppress(duckdb.Error):  # a broken connection has rolled back, and the cause matters more
            connection.rollback()
        raise
    connection.commit()


@contextmanager
def translated(what: str) -> Generator[None]:
    """DuckDB's errors, and those of the file system, as WarehouseError that begins with the database or what
    it is that failed. Where a disk is full it says what to do."""
    try:
        yield
    except (duckdb.Error, OSError) as error:
        advice = _NO_ROOM_ADVICE if any(sign in str(error) for sign in _NO_ROOM) else ""
        raise WarehouseError(f"{what}: {error}{advice}") from error


def retried(read: Callable[[], T]) -> T:
    """Ask again when a partition was replaced between finding its files and reading them."""
    for _ in range(_MOVED_RETRIES):
        with suppress(RowsMoved):
            return read()
    return read()
