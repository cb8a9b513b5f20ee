"""The thread that owns the connection to the state's database, and commits what it is handed.

Each batch is one transaction. A database that is locked or out of reach is tried again. Where one operation
is at fault, the others of its batch are committed without it.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from llm_assets.errors import StateUnavailable
from llm_assets.llm.databases.base import Database, OutOfReach, Transaction

_RETRY_EVERY_SECONDS = 0.05
_OPEN_AGAIN_SECONDS = 0.2
# As SQLite and Postgres say it.
_NO_ROOM = ("disk is full", "No space left on device", "Disk quota exceeded")


@dataclass(slots=True)
class Job:
    """An operation and who waits for it: one caller, or one for each of the `items` it does together."""

    operation: Callable[..., Any]
    durable: bool
    futures: list[asyncio.Future[Any]]
    items: list[Any] | None = None
    results: Sequence[Any] = ()
    error: Exception | None = None

    def run(self, transaction: Transaction) -> None:
        if self.items is None:
            self.results = [self.operation(transaction)]
        else:
            self.results = self.operation(transaction, self.items)

    def alone(self) -> list[Job]:
        """The same for each caller by itself."""
        if self.items is None:
            return [self]
        return [
            Job(self.operation, self.durable, [future], [item])
            for future, item in zip(self.futures, self.items, strict=True)
        ]

    def wake(self) -> None:
        if self.error is not None:
            for future in self.futures:
                if not future.done():
                    future.set_exception(self.error)
            return
        for future, result in zip(self.futures, self.results, strict=True):
            if future.done():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)


class Commits:
    """A thread for one database. In it, `tell` is called with each batch that is done and how long it took.

    `opened` ends when the database is open, or cannot be, and `ended` when the thread does. A database is
    tried again for `patience_seconds`.
    """

    def __init__(
        self, database: Database, patience_seconds: float, tell: Callable[[list[Job], float], None]
    ) -> None:
        self._database = database
        self._patience_seconds = patience_seconds
        self._tell = tell
        self._batches: queue.SimpleQueue[list[Job] | None] = queue.SimpleQueue()
        self.opened: concurrent.futures.Future[None] = concurrent.futures.Future()
        self.ended: concurrent.futures.Future[None] = concurrent.futures.Future()
        for future in (self.opened, self.ended):  # whoever stops waiting for them does not cancel them
            future.set_running_or_notify_cancel()

    def start(self) -> None:
        threading.Thread(target=self._work, name="llm-assets-state", daemon=True).start()

    def put(self, batch: list[Job]) -> None:
        self._batches.put(batch)

    def finish(self) -> None:
        """What was put before is committed, then the thread ends."""
        self._batches.put(None)

    def _work(self) -> None:
        """What the thread does: the connection is opened, used and closed in it."""
        try:
            self._open_with_patience()
        except Exception as error:
            self.opened.set_exception(error)
            self.ended.set_result(None)
            return
        self.opened.set_result(None)
        try:
            self._serve()
            self._database.close()
        finally:
            self.ended.set_result(None)

    def _open_with_patience(self) -> None:
        give_up_at = time.monotonic() + self._patience_seconds
        while True:
            try:
                return self._database.open()
            except OutOfReach:
                if time.monotonic() >= give_up_at or not self._batches.empty():
                    raise
                time.sleep(_OPEN_AGAIN_SECONDS)

    def _serve(self) -> None:
        while (batch := self._batches.get()) is not None:
            started = time.monotonic()
            error = self._commit_with_patience(batch)
            alone = [one for job in batch for one in job.alone()] if error is not None else []
            if len(alone) > 1 and not isinstance(error, OutOfReach):
                batch = alone  # one operation is at fault: commit the others without it
                for job in batch:
                    job.error = self._commit_with_patience([job])
            else:
                for job in batch:
                    job.error = error
            self._tell(batch, time.monotonic() - started)

    def _commit_with_patience(self, batch: list[Job]) -> Exception | None:
        """Commit the batch, trying again while the database is out of reach; the error that remains."""
        database, give_up_at = self._database, time.monotonic() + self._patience_seconds
        durable, failed = any(job.durable for job in batch), False
        while True:
            try:
                if failed and database.is_committed():
                    return None
                with database.transaction(durable=durable) as transaction:
                    _do_all(batch, transaction)
            except database.errors as error:
                message = f"{database.name} cannot be used: {_first_line(error)}{_advice(error)}"
                if not database.is_passing(error):
                    return StateUnavailable(message)
                if time.monotonic() >= give_up_at:
                    return OutOfReach(message)
                failed = True
                time.sleep(_RETRY_EVERY_SECONDS)
            except Exception as error:  # an operation's own fault, for whoever handed it in
                return error
            else:
                return None


def _do_all(batch: list[Job], transaction: Transaction) -> None:
    for job in batch:
        if job.items is None:
            job.run(transaction)
    for job in batch:
        if job.items is not None:
            job.run(transaction)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _advice(error: Exception) -> str:
    if not any(sign in str(error) for sign in _NO_ROOM):
        return ""
    return ". Make room on its disk and run again: answers in the journal are not paid for again"
