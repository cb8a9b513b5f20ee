"""An interrupt reaches the asset's thread at once, and the coroutine still cleans up."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import signal
import threading
import time

import pytest

from llm_assets.orchestration.event_loop import run_coroutine


async def _give(value: str) -> str:
    await asyncio.sleep(0)
    return value


async def _fail(error: Exception) -> None:
    await asyncio.sleep(0)
    raise error


async def _never_ends(done: list[str]) -> None:
    """Interrupt the process from inside, then wait for ever; note the clean-up."""
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_clean_up_slowly(done))
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        done.append("outer")


async def _clean_up_slowly(done: list[str]) -> None:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        for _ in range(3):
            await asyncio.sleep(0)
        done.append("inner")
        raise


def test_the_result_comes_back() -> None:
    """What the coroutine returns is returned."""
    assert run_coroutine(_give("insight")) == "insight"


@pytest.mark.parametrize("error", [ValueError("bad"), TimeoutError("slow"), asyncio.CancelledError()])
def test_its_error_is_raised_as_it_is(error: Exception) -> None:
    """A TimeoutError of the coroutine is not mistaken for the waiting itself."""
    with pytest.raises(type(error)) as caught:
        run_coroutine(_fail(error))
    assert caught.value is error or isinstance(error, asyncio.CancelledError)


def test_an_interrupt_cancels_and_waits_for_the_clean_up() -> None:
    """A KeyboardInterrupt in the waiting thread comes out after every coroutine has cleaned up, and then."""
    done: list[str] = []
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_coroutine(_never_ends(done), grace_seconds=600, poll_seconds=0.02)
    assert done == ["inner", "outer"]
    assert time.monotonic() - started < 60


def test_a_coroutine_that_will_not_stop_is_left_behind(caplog: pytest.LogCaptureFixture) -> None:
    """The grace is bounded: the interrupt goes on without the stubborn coroutine, and says so."""
    release: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def stubborn() -> None:
        free = asyncio.Event()
        release.append((asyncio.get_running_loop(), free))
        os.kill(os.getpid(), signal.SIGINT)
        while not free.is_set():
            try:
                await free.wait()
            except asyncio.CancelledError:
                continue

    with caplog.at_level(logging.WARNING), pytest.raises(KeyboardInterrupt):
        run_coroutine(stubborn(), grace_seconds=0.05, poll_seconds=0.02)
    assert "did not stop" in caplog.text
    loop, free = release[0]
    loop.call_soon_threadsafe(free.set)


async def test_it_works_inside_a_running_loop() -> None:
    """A notebook or an async test has a loop already; that is no obstacle."""
    assert run_coroutine(_give("nested")) == "nested"


def test_context_variables_come_along() -> None:
    """What a caller has set in its context is seen by the coroutine."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    variable.set("set")

    async def read() -> str:
        return variable.get()

    assert run_coroutine(read()) == "set"


def test_no_thread_remains() -> None:
    """After the result, the loop's thread is gone."""
    before = set(threading.enumerate())
    run_coroutine(_give("x"))
    assert set(threading.enumerate()) <= before
