"""Many things at once with bounded memory: a concurrent map that reads its input only as fast as it goes.

Results come as they finish, not in order. Whoever stops reading, or is cancelled, cancels what is under
way and waits until it has cleaned up.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, TypeVar

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
    Close the iterator (`contextlib.aclosing`) when leaving it early.
    """
    slots = asyncio.Semaphore(concurrency)
    running: set[asyncio.Task[Result]] = set()
    finished: asyncio.Queue[asyncio.Task[Any]] = asyncio.Queue()

    async def feed() -> None:
        source = _aiter(items)
        while True:
            await slots.acquire()
            try:
                item = await anext(source)
            except StopAsyncIteration:
                return
            task = asyncio.create_task(_as_coroutine(function, item))
            running.add(task)
            task.add_done_callback(finished.put_nowait)

    feeder = asyncio.create_task(feed())
    feeder.add_done_callback(finished.put_nowait)
    try:
        while running or not feeder.done() or not finished.empty():
            task = await finished.get()
            if task is feeder:
                feeder.result()
                continue
            running.discard(task)
            slots.release()
            yield task.result()
    finally:
        await _cancel({feeder, *running})


async def _cancel(tasks: set[asyncio.Task[Any]]) -> None:
    """Cancel and wait until everything has cleaned up."""
    under_way = [task for task in tasks if not task.done()]
    for task in under_way:
        task.cancel()
    if under_way:
        await asyncio.wait(under_way)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # one error is raised; the others that came with it are not news


async def _as_coroutine(function: Callable[[Item], Awaitable[Result]], item: Item) -> Result:
    return await function(item)


async def _aiter(items: Iterable[Item] | AsyncIterable[Item]) -> AsyncIterator[Item]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item
