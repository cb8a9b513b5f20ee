"""The state that outlives a process and is shared by several: journal, limits and budget.

Whatever the callers of an event loop ask for at the same time is one transaction in a thread (`Commits`), so
a hundred concurrent calls cost one commit, not a hundred. While there is more than one caller, a moment
passes between two transactions, so that there are few of them. An operation sees the state alone, must not
block, and may run more than once before one run of it counts.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from llm_assets.llm.commits import Commits, Job
from llm_assets.llm.databases.base import Database, Transaction

Result = TypeVar("Result")
Item = TypeVar("Item")
_LOG = logging.getLogger(__name__)
# A transaction costs as much as many operations; no answer of a model comes as fast as this. Where the disk
# is slow the next one is larger: for each moment of work the thread rests two.
_GATHER_AT_LEAST_SECONDS = 0.006
_GATHER_AT_MOST_SECONDS = 0.01
_REST_PER_WORK = 2.0
# So many do not wait for more.
_ENOUGH = 64


class State:
    """The state in a database: an async context manager of the event loop that uses it.

    `patience_seconds` is how long a locked or unreachable database is tried again before StateUnavailable,
    when it is opened as well as later. The thread is never waited for without end.
    """

    def __init__(self, database: Database, *, patience_seconds: float = 30.0) -> None:
        self._database = database
        self._commits = Commits(database, patience_seconds, self._wake)
        self._loop = asyncio.get_running_loop()
        self._queued: list[Job] = []
        self._together: dict[Callable[..., Any], Job] = {}
        self._callers = 0
        self._idle = True
        self._gathering: asyncio.TimerHandle | None = None
        # What was handed in last and what still queued, each for as long as it may take.
        self._end_within_seconds = 2 * patience_seconds + 10.0

    async def __aenter__(self) -> State:
        self._commits.start()
        try:
            await asyncio.wrap_future(self._commits.opened)
        except asyncio.CancelledError:
            self._commits.finish()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Everything already handed in is committed first, within bounds."""
        self._finish()
        try:
            async with asyncio.timeout(self._end_within_seconds):
                await asyncio.wrap_future(self._commits.ended)
        except TimeoutError:
            self._warn_unfinished()

    def __enter__(self) -> State:
        """For whoever may keep the event loop waiting."""
        self._commits.start()
        self._commits.opened.result()
        return self

    def show_alive(self, client: str) -> None:
        """Let others know that `client` lives as long as this state is open; may touch the disk."""
        self._database.show_alive(client)

    def __exit__(self, *_: object) -> None:
        self._finish()
        try:
            self._commits.ended.result(self._end_within_seconds)
        except TimeoutError:
            self._warn_unfinished()

    def _finish(self) -> None:
        if self._queued:
            self._commits.put(self._taken())
        self._commits.finish()

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
        self._queued.append(Job(operation, durable, [future]))
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
            job = self._together[operation] = Job(operation, durable, [], [])
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
            self._commits.put(self._taken())
        else:
            self._idle = True

    def _taken(self) -> list[Job]:
        batch, self._queued = self._queued, []
        self._together, self._callers = {}, 0
        return batch

    def _wake(self, batch: list[Job], took_seconds: float) -> None:
        """Wake the callers, with one call from the thread into the event loop."""
        try:
            self._loop.call_soon_threadsafe(self._resolve, batch, took_seconds)
        except RuntimeError:  # the loop is closed: nobody waits any more, and what was committed stays
            return

    def _resolve(self, batch: list[Job], took_seconds: float) -> None:
        for job in batch:
            job.wake()
        # The callers go on first, so that what they ask for next is in the next transaction.
        if sum(len(job.futures) for job in batch) > 1:
            rest = max(_GATHER_AT_LEAST_SECONDS, min(_REST_PER_WORK * took_seconds, _GATHER_AT_MOST_SECONDS))
            self._gathering = self._loop.call_later(rest, self._hand_over)
        else:
            self._loop.call_soon(self._hand_over)
