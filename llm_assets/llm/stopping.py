"""Stopping a program as a person or a scheduler does it: Ctrl-C or SIGTERM, and nothing paid for is lost."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def stop_on_sigterm() -> Generator[None]:
    """Let SIGTERM do what Ctrl-C does: cancel the task that entered this, so that clients close in order.

    Schedulers, containers and `kill` send SIGTERM, and Python ends at once on it: answers that are on their
    way would be paid for and lost. The task ends with CancelledError. Where a loop takes no signal handlers
    (Windows, or a thread that is not the main one) nothing changes.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    try:
        loop.add_signal_handler(signal.SIGTERM, task.cancel)
    except (NotImplementedError, RuntimeError, ValueError):
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
