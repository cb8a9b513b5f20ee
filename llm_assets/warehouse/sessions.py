"""DuckDB sessions: in UTC, errors translated, and for questions without any way to do more than read."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from typing import TypeVar

import duckdb

from llm_assets.errors import WarehouseError
from llm_assets.warehouse.names import identifier, literal

Connection = duckdb.DuckDBPyConnection
T = TypeVar("T")

_MOVED_RETRIES = 5


class RowsMoved(WarehouseError):
    """Files of a partition were replaced while they were being read."""


def in_memory() -> Connection:
    """An empty session. Times without a zone are UTC, whatever zone the machine is in."""
    connection = duckdb.connect(":memory:", config={"python_enable_replacements": False})
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
def translated(path: str) -> Generator[None]:
    """DuckDB's errors, and those of the file system, as WarehouseError that names the database."""
    try:
        yield
    except (duckdb.Error, OSError) as error:
        raise WarehouseError(f"{path}: {error}") from error


def retried(read: Callable[[], T]) -> T:
    """Ask again when a partition was replaced between finding its files and reading them."""
    for _ in range(_MOVED_RETRIES):
        with suppress(RowsMoved):
            return read()
    return read()
