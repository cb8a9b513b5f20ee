"""The state that outlives a process and is shared by several: journal, limits and budget.

One thread owns the connection and commits whatever has queued up in one transaction, so a hundred
concurrent calls cost one commit, not a hundred. While there is more than one caller, a moment passes between
two transactions, so that there are few of them. An operation sees the state alone, must not block, and may
run more than once before one run of it counts.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from llm_assets.errors import StateUnavailable

Result = TypeVar("Result")
Item = TypeVar("Item")
Row = Sequence[Any]
_LOG = logging.getLogger(__name__)
_RETRY_EVERY_SECONDS = 0.05
_OPEN_AGAIN_SECONDS = 0.2
# A transaction costs as much as many operations; no answer of a model comes as fast as this.
_GATHER_SECONDS = 0.002
# So many do not wait for more.
_ENOUGH = 48


class Rows(Protocol):
    """What a statement gave back; the part of it that SQLite's and SQLAlchemy's cursors have in common."""

    @property
    def rowcount(self) -> int: ...
    def fetchone(self) -> Any: ...
    def fetchall(self) -> Sequence[Any]: ...


class Transaction(Protocol):
    """An open transaction. Statements name their parameters `:like_this` and run on every database."""

    def execute(self, statement: str, parameters: Mapping[str, Any] = ...) -> Rows: ...
    def execute_many(self, statement: str, parameters: Sequence[Mapping[str, Any]]) -> None:
        """Run a statement that gives nothing back once for each of `parameters`, of which there is one."""
        ...

    def now(self) -> float:
        """Seconds since the epoch, by the clock that all who share the state have in common."""
        ...

    def is_gone(self, client: str) -> bool:
        """Whether a client is known to be dead before its lease is over. False where that cannot be known."""
        ...


class Database(Protocol):
    """A database that holds the state, used by one thread."""

    name: str

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What it raises, as against what an operation raises."""
        ...

    def is_passing(self, error: Exception) -> bool:
        """Whether it is worth trying again: the database is held by another process, or was out of reach."""
        ...

    def is_committed(self) -> bool:
        """Whether the last transaction was committed although it failed: its answer was lost on the way."""
        ...

    def open(self) -> None:
        """Raises OutOfReach when it is worth trying again, StateUnavailable when it is not."""
        ...

    def transaction(self, *, durable: bool) -> AbstractContextManager[Transaction]: ...
    def show_alive(self, client: str) -> None:
        """Let others know, without a lease, as long as this process lives, where that can be done."""
        ...

    def close(self) -> None: ...


class OutOfReach(StateUnavailable):
    """For every operation, whatever it is, and perhaps only for now."""


@dataclass(slots=True)
class _Job:
    """What one caller waits for: an operation of its own, or its `item` in one that does many together."""

    operation: Callable[..., Any]
    durable: bool
    future: asyncio.Future[Any]
    item: Any = None
    together: bool = False
    result: Any = None


class State:
    """The state in a database: an async context manager of the event loop that uses it.

    `patience_seconds` is how long a locked or unreachable database is tried again before StateUnavailable,
    when it is opened as well as later. The thread is never waited for without end.
    """

    def __init__(self, database: Database, *, patience_seconds: float = 30.0) -> None:
        self._database = database
        self._patience_seconds = patience_seconds
        self._loop = asyncio.get_running_loop()
        self._queued: list[_Job] = []
        self._idle = True
        self._gathering: asyncio.TimerHandle | None = None
        self._batches: queue.SimpleQueue[list[_Job] | None] = queue.SimpleQueue()
        self._opened: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._ended: concurrent.futures.Future[None] = concurrent.futures.Future()
        for future in (self._opened, self._ended):  # whoever stops waiting for them does not cancel them
            future.set_running_or_notify_cancel()
        # What was handed in last and what still queued, each for as long as it may take.
        self._end_within_seconds = 2 * patience_seconds + 10.0

    async def __aenter__(self) -> State:
        self._start()
        try:
            await asyncio.wrap_future(self._opened)
        except asyncio.CancelledError:
            self._batches.put(None)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Everything already handed in is committed first, within bounds."""
        self._finish()
        try:
            async with asyncio.timeout(self._end_within_seconds):
                await asyncio.wrap_future(self._ended)
        except TimeoutError:
            self._warn_unfinished()

    def __enter__(self) -> State:
        """For whoever may keep the event loop waiting."""
        self._start()
        self._opened.result()
        return self

    def show_alive(self, client: str) -> None:
        """Let others know that `client` lives as long as this state is open; may touch the disk."""
        self._database.show_alive(client)

    def __exit__(self, *_: object) -> None:
        self._finish()
        try:
            self._ended.result(self._end_within_seconds)
        except TimeoutError:
            self._warn_unfinished()

    def _start(self) -> None:
        threading.Thread(target=self._work, name="llm-assets-state", daemon=True).start()

    def _finish(self) -> None:
        if self._queued:
            self._batches.put(self._queued)
            self._queued = []
        self._batches.put(None)

    def _warn_unfinished(self) -> None:
        _LOG.warning(
            "%s did not answer for %.0f s and is left as it is; what was written last may be missing in it",
            self._database.name,
            self._end_within_seconds,
        )

    async def run(self, operation: Callable[[Transaction], Result], *, durable: bool = False) -> Result:
        """Run `operation` inside the next transaction and return its result once that is committed.

        `durable` makes the commit survive a power cut, not only the end of the process.
        Raises StateUnavailable when the database stays locked or unreachable. A cancelled caller does not
        undo an operation that is already on its way.
        """
        return await self._queue(_Job(operation, durable, self._loop.create_future()))

    async def run_together(
        self,
        operation: Callable[[Transaction, list[Item]], Sequence[Result]],
        item: Item,
        *,
        durable: bool = False,
    ) -> Result:
        """The same for one item of an operation that does everybody's at once, in the order of the items.

        Within one transaction such operations come after all others.
        """
        return await self._queue(_Job(operation, durable, self._loop.create_future(), item, together=True))

    def _queue(self, job: _Job) -> asyncio.Future[Any]:
        self._queued.append(job)
        if self._idle:  # whatever else this turn of the loop asks for goes into the same transaction
            self._idle = False
            self._loop.call_soon(self._hand_over)
        elif self._gathering is not None and len(self._queued) >= _ENOUGH:
            self._gathering.cancel()
            self._hand_over()
        return job.future

    def _hand_over(self) -> None:
        """Give the thread what has queued up; what comes while it works is the next transaction."""
        self._gathering = None
        if not self._queued:
            self._idle = True
            return
        batch, self._queued = self._queued, []
        self._batches.put(batch)

    def _work(self) -> None:
        """What the thread does: the connection is opened, used and closed in it."""
        try:
            self._open_with_patience()
        except Exception as error:
            self._opened.set_exception(error)
            self._ended.set_result(None)
            return
        self._opened.set_result(None)
        try:
            self._serve()
            self._database.close()
        finally:
            self._ended.set_result(None)

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
            error = self._commit_with_patience(batch)
            if error is None or isinstance(error, OutOfReach) or len(batch) == 1:
                outcomes = [error] * len(batch)
            else:  # one operation is at fault: commit the others without it
                outcomes = [self._commit_with_patience([job]) for job in batch]
            self._wake(batch, outcomes)

    def _commit_with_patience(self, batch: list[_Job]) -> Exception | None:
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
                message = f"{database.name} cannot be used: {_first_line(error)}"
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

    def _wake(self, batch: list[_Job], outcomes: Sequence[Exception | None]) -> None:
        """Wake the callers, with one call into the event loop."""
        try:
            self._loop.call_soon_threadsafe(self._resolve, batch, outcomes)
        except RuntimeError:  # the loop is closed: nobody waits any more, and what was committed stays
            return

    def _resolve(self, batch: list[_Job], outcomes: Sequence[Exception | None]) -> None:
        for job, error in zip(batch, outcomes, strict=True):
            if job.future.done():
                continue
            if error is None:
                job.future.set_result(job.result)
            else:
                job.future.set_exception(error)
        # The callers go on first, so that what they ask for next is in the next transaction.
        if len(batch) > 1:
            self._gathering = self._loop.call_later(_GATHER_SECONDS, self._hand_over)
        else:
            self._loop.call_soon(self._hand_over)


def _do_all(batch: list[_Job], transaction: Transaction) -> None:
    together: dict[Callable[..., Any], list[_Job]] = {}
    for job in batch:
        if job.together:
            together.setdefault(job.operation, []).append(job)
        else:
            job.result = job.operation(transaction)
    for operation, jobs in together.items():
        results = operation(transaction, [job.item for job in jobs])
        for job, result in zip(jobs, results, strict=True):
            job.result = result


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
