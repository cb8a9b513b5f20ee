"""The SQLite file that processes of one machine share: journal, limits and budget.

One thread owns the connection and commits whatever has queued up in one transaction, so a hundred
concurrent calls cost one commit, not a hundred. Operations see the database alone and must not block.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from llm_assets.errors import StateUnavailable

Result = TypeVar("Result")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS quota (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS journal (
    key BLOB PRIMARY KEY, subject TEXT, endpoint TEXT NOT NULL, provider TEXT NOT NULL,
    model TEXT NOT NULL, run_id TEXT NOT NULL, entry TEXT NOT NULL, created_at REAL NOT NULL,
    hits INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS journal_subject ON journal (subject, created_at);
CREATE INDEX IF NOT EXISTS journal_created ON journal (created_at);
CREATE TABLE IF NOT EXISTS intents (
    key BLOB PRIMARY KEY, endpoint TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL,
    run_id TEXT NOT NULL, owner TEXT NOT NULL, started_at REAL NOT NULL
) WITHOUT ROWID;
"""


@dataclass(slots=True)
class _Job:
    operation: Callable[[sqlite3.Connection], Any]
    durable: bool
    future: asyncio.Future[Any]
    result: Any = None


class StateFile:
    """The file's one connection: a context manager of the event loop that uses it. `path` may be `:memory:`.

    `patience_seconds` is how long a locked or failing file is tried again before StateUnavailable.
    """

    def __init__(self, path: str, *, patience_seconds: float = 30.0) -> None:
        self.path = path
        self._patience_seconds = patience_seconds
        self._loop = asyncio.get_running_loop()
        self._queued: list[_Job] = []
        self._idle = True
        self._batches: queue.SimpleQueue[list[_Job] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._connection: sqlite3.Connection | None = None
        self._synchronous = ""

    def __enter__(self) -> StateFile:
        self._connection = self._open()
        self._thread = threading.Thread(target=self._work, name="llm-assets-state", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Everything already handed in is committed first."""
        if self._thread is not None:
            if self._queued:
                self._batches.put(self._queued)
            self._batches.put(None)
            self._thread.join()
            self._thread = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def run(
        self, operation: Callable[[sqlite3.Connection], Result], *, durable: bool = False
    ) -> Result:
        """Run `operation` inside the next transaction and return its result once that is committed.

        `durable` makes the commit survive a power cut, not only the end of the process.
        Raises StateUnavailable when the file stays locked or unusable. A cancelled caller does not
        undo an operation that is already on its way.
        """
        future: asyncio.Future[Result] = self._loop.create_future()
        self._queued.append(_Job(operation, durable, future))
        if self._idle:  # whatever else this turn of the loop asks for goes into the same transaction
            self._idle = False
            self._loop.call_soon(self._hand_over)
        return await future

    def _hand_over(self) -> None:
        """Give the thread what has queued up; what comes while it works is the next transaction."""
        if not self._queued:
            self._idle = True
            return
        batch, self._queued = self._queued, []
        self._batches.put(batch)

    def _open(self) -> sqlite3.Connection:
        try:
            if self.path != ":memory:":
                Path(self.path).parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(
                self.path, timeout=self._patience_seconds, isolation_level=None, check_same_thread=False
            )
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(_SCHEMA)
        except (sqlite3.Error, OSError) as error:
            raise StateUnavailable(f"the state file {self.path} cannot be opened: {error}") from error
        return connection

    def _work(self) -> None:
        while (batch := self._batches.get()) is not None:
            self._settle(batch)

    def _settle(self, batch: list[_Job]) -> None:
        """Commit a batch; when one operation is at fault, commit the others without it."""
        error = self._commit_with_patience(batch)
        if error is None or isinstance(error, StateUnavailable) or len(batch) == 1:
            self._finish(batch, error)
            return
        for job in batch:
            self._finish([job], self._commit_with_patience([job]))

    def _commit_with_patience(self, batch: list[_Job]) -> Exception | None:
        """Commit the batch, trying again while the file is locked; the error that remains, if any."""
        give_up_at = time.monotonic() + self._patience_seconds
        while True:
            try:
                self._commit(batch)
            except sqlite3.OperationalError as error:
                self._roll_back()
                if time.monotonic() >= give_up_at:
                    return StateUnavailable(f"the state file {self.path} cannot be used: {error}")
                time.sleep(0.05)
            except Exception as error:  # an operation's own fault, for whoever handed it in
                self._roll_back()
                return error
            else:
                return None

    def _commit(self, batch: list[_Job]) -> None:
        connection = self._connection
        assert connection is not None
        synchronous = "FULL" if any(job.durable for job in batch) else "NORMAL"
        if synchronous != self._synchronous:
            connection.execute(f"PRAGMA synchronous = {synchronous}")
            self._synchronous = synchronous
        connection.execute("BEGIN IMMEDIATE")
        for job in batch:
            job.result = job.operation(connection)
        connection.execute("COMMIT")

    def _roll_back(self) -> None:
        assert self._connection is not None
        if self._connection.in_transaction:
            self._connection.rollback()

    def _finish(self, batch: list[_Job], error: Exception | None) -> None:
        """Wake the callers, with one call into the event loop."""
        try:
            self._loop.call_soon_threadsafe(self._resolve, batch, error)
        except RuntimeError:  # the loop is closed: nobody waits any more, and what was committed stays
            return

    def _resolve(self, batch: list[_Job], error: Exception | None) -> None:
        for job in batch:
            if job.future.done():
                continue
            if error is None:
                job.future.set_result(job.result)
            else:
                job.future.set_exception(error)
        # The callers go on first, so that what they ask for next is in the next transaction.
        self._loop.call_soon(self._hand_over)
