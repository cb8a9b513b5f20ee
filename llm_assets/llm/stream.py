"""Many things at once with bounded memory: a concurrent map that reads its input only as fast as it goes.

Results come as they finish, not in order. Whoever stops reading, or is cancelled, cancels what is under
way and waits until it has cleaned up.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Iterator,
)
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


async def stream(
    function: Callable[[Item], Awaitable[Result]],
    items: Iterable[Item] | AsyncIterable[Item],
    *,
    concurrency: int,
) -> AsyncGenerator[Result]:
    """Apply `function` to every item, at most `concurrency` at a time, yielding results as they finish.

    The first exception of `function` or of the input cancels the rest, waits for it and is raised.
    Close the iterator (`contextlib.aclosing`) when leaving it early. An input that is a generator is closed
    when this stops.
    """
    work = _Work(function, items, concurrency)
    try:
        while work.has_one_at_hand() or await work.has_results():
            yield work.take()
    finally:
        await work.stop()


class _Work(Generic[Item, Result]):
    """Workers that take the next item as soon as they are free and its result would have a place.

    A worker for every item at a time, not a task for every item: a task costs as much as the rest of this.
    """

    def __init__(
        self,
        function: Callable[[Item], Awaitable[Result]],
        items: Iterable[Item] | AsyncIterable[Item],
        concurrency: int,
    ) -> None:
        self._results: deque[Result] = deque()
        # What is under way and what nobody has taken yet, together, are at most this many.
        self._free_slots = concurrency
        self._waiting_for_slots: deque[asyncio.Future[None]] = deque()
        self._function = function
        self._slow: AsyncIterator[Item] | None = aiter(items) if isinstance(items, AsyncIterable) else None
        self._quick: Iterator[Item] | None = None if isinstance(items, AsyncIterable) else iter(items)
        self._reading = asyncio.Lock()
        self._at_end = False
        self._error: BaseException | None = None
        self._loop = asyncio.get_running_loop()
        self._reader: asyncio.Future[None] | None = None
        self._workers: set[asyncio.Task[None]] = set()
        self._idle = 0
        self._most = concurrency
        self._add_worker()

    def has_one_at_hand(self) -> bool:
        """Whether a result can be taken without a wait, as most can."""
        return bool(self._results) and self._error is None

    async def has_results(self) -> bool:
        """Wait for a result; False when there will be none any more. Raises what a worker raised."""
        while True:
            if self._error is not None:
                raise self._error
            if self._results:
                return True
            if not self._workers:
                return False
            self._reader = self._loop.create_future()
            await self._reader

    def take(self) -> Result:
        """The next result. Its place is for another one now."""
        slot = self._waiting_for_slots.popleft() if self._waiting_for_slots else None
        if slot is None or slot.done():  # done: its worker was cancelled
            self._free_slots += 1
        else:
            slot.set_result(None)
        return self._results.popleft()

    async def stop(self) -> None:
        """Cancel what is under way and wait until it has cleaned up; then the input cleans up."""
        for worker in self._workers:
            worker.cancel()
        if self._workers:
            await asyncio.wait(set(self._workers))
        if isinstance(self._quick, Generator):
            self._quick.close()
        elif isinstance(self._slow, AsyncGenerator):
            await self._slow.aclose()

    def _add_worker(self) -> None:
        worker = self._loop.create_task(self._work())
        self._workers.add(worker)
        worker.add_done_callback(self._finish)

    def _finish(self, worker: asyncio.Task[None]) -> None:
        self._workers.discard(worker)
        if not worker.cancelled() and (error := worker.exception()) is not None:
            self._error = self._error or error  # the others that come with it are not news
        self._tell_reader()

    def _tell_reader(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def _work(self) -> None:
        while True:
            if self._free_slots:
                self._free_slots -= 1
            else:
                await self._slot()
            self._idle += 1
            item = await self._read() if self._quick is None else next(self._quick, _END)
            if isinstance(item, _End):
                return
            self._idle -= 1
            if not self._idle and len(self._workers) < self._most:
                self._add_worker()
            result = await self._function(item)
            if not self._results:  # else it is on its way to be told
                self._tell_reader()
            self._results.append(result)

    def _slot(self) -> asyncio.Future[None]:
        slot: asyncio.Future[None] = self._loop.create_future()
        self._waiting_for_slots.append(slot)
        return slot

    async def _read(self) -> Item | _End:
        """The next item, for one worker at a time: most iterators bear no more."""
        assert self._slow is not None
        async with self._reading:
            if self._at_end:
                return _END
            try:
                return await anext(self._slow)
            except StopAsyncIteration:
                self._at_end = True
                return _END


class _End:
    """What comes after the last item."""


_END = _End()
