"""Where an asset's thread meets the event loop: a terminated run stops in about a second, cleaned up.

Dagster ends a run by raising a BaseException in the main thread. Raised inside a running event loop it
kills coroutines without a CancelledError, so nothing is cleaned up; waited for with `gather` it can be
swallowed. So the loop has a thread of its own, and the asset's thread only waits, in short steps, for
an interrupt to get through on every platform.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import threading
from collections.abc import Coroutine
from concurrent import futures
from typing import Any, Generic, TypeVar

T = TypeVar("T")
logger = logging.getLogger(__name__)

POLL_SECONDS = 0.1
# The client waits a second for answers that are on their way; that, and closing, has to fit in.
GRACE_SECONDS = 2.5


def run_coroutine(
    coroutine: Coroutine[Any, Any, T],
    *,
    grace_seconds: float = GRACE_SECONDS,
    poll_seconds: float = POLL_SECONDS,
) -> T:
    """Run a coroutine to its end in a loop of its own and return its result or raise its error.

    An exception raised in the calling thread meanwhile (an interrupt) cancels the coroutine, waits up
    to `grace_seconds` for it to clean up, and goes on. Works inside a thread that has a running loop.
    """
    loop_thread = _LoopThread(coroutine)
    try:
        loop_thread.start()
        return loop_thread.wait(poll_seconds)
    except BaseException:
        loop_thread.cancel_and_drain(grace_seconds)
        raise


class _LoopThread(Generic[T]):
    """One thread, one event loop, one coroutine."""

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self._coroutine = coroutine
        self._result: futures.Future[T] = futures.Future()
        self._started: futures.Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = futures.Future()
        context = contextvars.copy_context()
        # A daemon: a coroutine that will not stop must not keep the process from ending.
        self._thread = threading.Thread(
            target=context.run, args=(self._main,), name="llm-assets-event-loop", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def wait(self, poll_seconds: float) -> T:
        while not self._result.done():
            # Not `result(timeout)`: a TimeoutError of the coroutine itself would look the same.
            futures.wait([self._result], timeout=poll_seconds)
        self._thread.join()
        return self._result.result()

    def cancel_and_drain(self, grace_seconds: float) -> None:
        if not self._thread.is_alive():
            return
        # The loop may close, or not have opened yet, just now: then there is nothing to cancel.
        with contextlib.suppress(RuntimeError, TimeoutError):
            loop, task = self._started.result(timeout=grace_seconds)
            loop.call_soon_threadsafe(task.cancel)
        self._thread.join(grace_seconds)
        if self._thread.is_alive():
            logger.warning("Work in flight did not stop within %.1f s and is left behind.", grace_seconds)

    def _main(self) -> None:
        try:
            with asyncio.Runner() as runner:
                result = runner.run(self._announced())
        except BaseException as error:
            self._result.set_exception(error)
        else:
            self._result.set_result(result)

    async def _announced(self) -> T:
        task = asyncio.current_task()
        assert task is not None
        self._started.set_result((asyncio.get_running_loop(), task))
        return await self._coroutine
