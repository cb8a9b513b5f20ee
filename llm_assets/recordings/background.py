"""A thread for something that may block, and for which nobody waits when the process ends.

The threads of an executor are waited for, so one that waits for a silent network would hold up a run that
was terminated until the network's own time-outs have passed.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

# To start a thread holds up who starts it, for milliseconds where both have work to do.
_KEPT_SECONDS = 10.0


def in_background(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
    """What the function gives or raises, from another thread. How many there are is up to the caller."""
    future: Future[T] = Future()

    def run() -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            result = function(*args, **kwargs)
        except BaseException as error:  # it belongs to whoever waits for the future
            future.set_exception(error)
        else:
            future.set_result(result)

    _threads.do(run)
    return future


class _Threads:
    """As many as are busy at a time, and those that had something to do a moment ago."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._free = 0
        self._handed_over: SimpleQueue[Callable[[], None]] = SimpleQueue()

    def do(self, run: Callable[[], None]) -> None:
        with self._lock:
            is_one_free = self._free > 0
            self._free -= is_one_free
        if is_one_free:
            self._handed_over.put(run)
        else:
            threading.Thread(
                target=self._work, args=(run,), name="llm-assets-background", daemon=True
            ).start()

    def _work(self, run: Callable[[], None]) -> None:
        while True:
            run()
            del run  # what it holds is not kept for as long as the thread
            with self._lock:
                self._free += 1
            try:
                run = self._handed_over.get(timeout=_KEPT_SECONDS)
            except Empty:
                with self._lock:
                    if self._free:
                        self._free -= 1
                        return
                run = self._handed_over.get()  # nobody counts as free, so it is on its way


_threads = _Threads()


def _forget() -> None:
    """A fork has none of the threads."""
    global _threads
    _threads = _Threads()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
