"""Connections to the DuckDB file: a writer has it alone and briefly, readers share it.

What a reader would get wrong: DuckDB refuses a second process while one writes, and its own way of
trying again starves. So whoever opens the file stands in line at a lock file beside it first. A reader
holds its place only until the file is open; a writer keeps it to the end.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

import duckdb
from filelock import FileLock, Timeout
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random

from llm_assets.errors import WarehouseError, WarehouseLocked, WarehouseMissing

Connection = duckdb.DuckDBPyConnection

LOCK_TIMEOUT_SECONDS = 60.0

_LOCK_POLL_SECONDS = 0.02
_BUSY = ("could not set lock", "different configuration than existing", "being used by another process")
_HOLDER = re.compile(r"held in (?P<program>.+?) \(PID (?P<pid>\d+)\)")

# No files but the database itself, no network, no extensions to load, and no view of the calling
# program's data frames. All readings of one process share one DuckDB instance, so they are opened alike.
_READING: dict[str, str | bool | int | float | list[str]] = {"enable_external_access": "false"}
_securing = threading.Lock()


@contextmanager
def writing(path: str, lock_timeout_seconds: float = LOCK_TIMEOUT_SECONDS) -> Generator[Connection]:
    """The file for one writer, created if need be, with all of its changes in one transaction.

    Leaving normally commits; any exception rolls back. Raises WarehouseLocked when others hold the file
    for longer than `lock_timeout_seconds`, WarehouseError when it cannot be opened or written.
    """
    deadline = time.monotonic() + lock_timeout_seconds
    with _turn(path, lock_timeout_seconds):
        _create_if_missing(path)
        connection = _open(path, lambda: duckdb.connect(path), deadline, lock_timeout_seconds)
        try:
            with _translated(path), _transaction(connection):
                # Times without a zone are read as UTC, whatever zone the machine is in.
                connection.execute("SET TimeZone = 'UTC'")
                yield connection
        finally:
            connection.close()


@contextmanager
def reading(path: str, lock_timeout_seconds: float = LOCK_TIMEOUT_SECONDS) -> Generator[Connection]:
    """A connection that can read the tables and nothing else: no writes, no files, no network.

    This is the one way to read; what stands behind it may become a published copy. While it is open,
    writers of other processes wait, so leave it soon. Raises WarehouseMissing when nothing has been
    written yet, WarehouseLocked when a writer holds the file for longer than `lock_timeout_seconds`.
    """
    if not Path(path).exists():
        raise WarehouseMissing(
            f"nothing has been written to {path} yet: run `llm-assets demo` or materialize a partition"
        )
    deadline = time.monotonic() + lock_timeout_seconds
    with _turn(path, lock_timeout_seconds) if _can_lock(path) else nullcontext():
        connection = _open(path, lambda: _connect_reading(path), deadline, lock_timeout_seconds)
    try:
        with _translated(path):
            yield connection
    finally:
        connection.close()


def _connect_reading(path: str) -> Connection:
    connection = duckdb.connect(path, read_only=True, config=_READING)
    with _securing:
        # The settings below are the instance's: when another reading of this process has made and
        # locked them, they hold here too. The zone cannot be set on opening, before ICU is loaded.
        if not _fetch_value(connection, "SELECT current_setting('lock_configuration')"):
            connection.execute("SET GLOBAL TimeZone = 'UTC'")
            connection.execute("SET GLOBAL lock_configuration = true")
    return connection


def _fetch_value(connection: Connection, sql: str) -> object:
    row = connection.execute(sql).fetchone()
    return row[0] if row else None


@contextmanager
def _turn(path: str, lock_timeout_seconds: float) -> Generator[None]:
    lock = FileLock(f"{path}.lock", timeout=lock_timeout_seconds, poll_interval=_LOCK_POLL_SECONDS)
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise WarehouseLocked(
            f"{path} was being written by other runs for {lock_timeout_seconds:g} s (they hold {path}.lock): "
            "run again when they are done"
        ) from error
    except OSError as error:
        raise WarehouseError(f"{path} cannot be written: {error}") from error
    try:
        yield
    finally:
        lock.release()


def _can_lock(path: str) -> bool:
    """A reader of files it may not change has no lock file to take; nobody can write there either."""
    lock = Path(f"{path}.lock")
    return os.access(lock if lock.exists() else lock.parent, os.W_OK)


def _create_if_missing(path: str) -> None:
    """A new file appears whole: a process killed while DuckDB creates one leaves a file nobody can open."""
    if Path(path).exists():
        return
    draft = f"{path}.new"
    try:
        Path(draft).unlink(missing_ok=True)
        duckdb.connect(draft).close()
        os.replace(draft, path)
    except (duckdb.Error, OSError) as error:
        raise WarehouseError(f"{path} cannot be created: {error}") from error


def _open(
    path: str, connect: Callable[[], Connection], deadline: float, lock_timeout_seconds: float
) -> Connection:
    attempts = Retrying(
        stop=stop_after_delay(max(deadline - time.monotonic(), 0.0)),
        wait=wait_random(0.01, 0.05),
        retry=retry_if_exception(_is_busy),
        reraise=True,
    )
    try:
        return attempts(connect)
    except duckdb.Error as error:
        if _is_busy(error):
            raise WarehouseLocked(_locked_message(path, str(error), lock_timeout_seconds)) from error
        raise WarehouseError(f"{path} cannot be opened: {error}") from error


def _is_busy(error: BaseException) -> bool:
    return isinstance(error, duckdb.Error) and any(text in str(error).lower() for text in _BUSY)


def _locked_message(path: str, duckdb_message: str, lock_timeout_seconds: float) -> str:
    holder = _HOLDER.search(duckdb_message)
    who = f"process {holder['pid']} ({holder['program']})" if holder else "another connection of this program"
    return (
        f"{path} is held open by {who} and was not released within {lock_timeout_seconds:g} s. Usually that "
        "is a DuckDB shell, a notebook or a BI tool: close its connection, then run again"
    )


@contextmanager
def _transaction(connection: Connection) -> Generator[None]:
    connection.begin()
    try:
        yield
    except BaseException:
        with suppress(duckdb.Error):  # a broken connection has rolled back, and the cause matters more
            connection.rollback()
        raise
    connection.commit()


@contextmanager
def _translated(path: str) -> Generator[None]:
    try:
        yield
    except duckdb.Error as error:
        raise WarehouseError(f"{path}: {error}") from error
