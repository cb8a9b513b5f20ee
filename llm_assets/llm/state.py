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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from llm_assets.errors import StateUnavailable
from llm_assets.llm.databases.base import Database, OutOfReach, Transaction

Result = TypeVar("Result")
Item = TypeVar("Item")
_LOG = logging.getLogger(__name__)
_RETRY_EVERY_SECONDS = 0.05
_OPEN_AGAIN_SECONDS = 0.2
# A transaction costs as much as many operations; no answer of a model comes as fast as this. Where the disk
# is slow the next one is larger: for each moment of work the thread rests two.
_GATHER_AT_LEAST_SECONDS = 0.002
_GATHER_AT_MOST_SECONDS = 0.01
_REST_PER_WORK = 2.0
# So many do not wait for more.
_ENOUGH = 48


@dataclass(slots=True)
class _Job:
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

    def alone(self) -> list[_Job]:
        """The same for each caller by itself."""
        if self.items is None:
            return [self]
        return [
            _Job(self.operation, self.durable, [future], [item])
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
        self._together: dict[Callable[..., Any], _Job] = {}
        self._callers = 0
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
            self._batches.put(self._taken())
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
        future: asyncio.Future[Result] = self._loop.create_future()
        self._queued.append(_Job(operation, durable, [future]))
        self._hand_over_soon()
        return await future

    def run_together(
        self,
        operation: Callable[[Transaction, list[Item]], Sequence[Result | Exception]],
        item: Item,
        *,
        durable: bool = False,
    ) -> asyncio.Future[Result]:
        """The same for one item of an operation that does everybody's at once, in the order of the items.

        Where it gives an error instead of a result, that is raised for this item alone.
        Within one transaction such operations come after all others.
        """
        job = self._together.get(operation)
        if job is None:
            job = self._together[operation] = _Job(operation, durable, [], [])
            self._queued.append(job)
        assert job.items is not None
        future: asyncio.Future[Result] = self._loop.create_future()
        job.items.append(item)
        job.futures.append(future)
        self._hand_over_soon()
        return future

    def _hand_over_soon(self) -> None:
        self._callers += 1
        if self._idle:  # whatever else this turn of the loop asks for goes into the same transaction
            self._idle = False
            self._loop.call_soon(self._hand_over)
        elif self._callers >= _ENOUGH and self._gathering is not None:
            self._gathering.cancel()
            self._hand_over()

    def _hand_over(self) -> None:
        """Give the thread what has queued up; what comes while it works is the next transaction."""
        self._gathering = None
        if self._queued:
            self._batches.put(self._taken())
        else:
            self._idle = True

    def _taken(self) -> list[_Job]:
        batch, self._queued = self._queued, []
        self._together, self._callers = {}, 0
        return batch

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
            self._wake(batch, time.monotonic() - started)

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

    def _wake(self, batch: list[_Job], took_seconds: float) -> None:
        """Wake the callers, with one call into the event loop."""
        try:
            self._loop.call_soon_threadsafe(self._resolve, batch, took_seconds)
        except RuntimeError:  # the loop is closed: nobody waits any more, and what was committed stays
            return

    def _resolve(self, batch: list[_Job], took_seconds: float) -> None:
        for job in batch:
            job.wake()
        # The callers go on first, so that what they ask for next is in the next transaction.
        if sum(len(job.futures) for job in batch) > 1:
            rest = max(_GATHER_AT_LEAST_SECONDS, min(_REST_PER_WORK * took_seconds, _GATHER_AT_MOST_SECONDS))
            self._gathering = self._loop.call_later(rest, self._hand_over)
        else:
            self._loop.call_soon(self._hand_over)


def _do_all(batch: list[_Job], transaction: Transaction) -> None:
    for job in batch:
        if job.items is None:
            job.run(transaction)
    for job in batch:
        if job.items is not None:
            job.run(transaction)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
