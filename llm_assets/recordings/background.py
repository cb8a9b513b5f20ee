"""A thread for something that may block, and for which nobody waits when the process ends.

The threads of an executor are waited for, so one that waits for a silent network would hold up a run that
was terminated until the network's own time-outs have passed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def in_background(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
    """What the function gives or raises, from a thread of its own. How many there are is up to the caller."""
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

    threading.Thread(target=run, name="llm-assets-background", daemon=True).start()
    return future
