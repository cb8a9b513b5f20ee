"""Workers that are kept from one use to the next."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from llm_assets.recordings.spare_workers import SpareWorkers
from llm_assets.recordings.worker_pool import WorkerPool

AMPLE_SECONDS = 60.0
MEMORY_BYTES = 1 << 29


@dataclass(frozen=True)
class WhoAreYou:
    """The worker's process."""

    def run(self) -> Iterator[int]:
        yield os.getpid()


@dataclass(frozen=True)
class Crash:
    def run(self) -> Iterator[int]:
        yield os.getpid()
        os.abort()


@pytest.fixture
def spares() -> Iterator[SpareWorkers]:
    spares = SpareWorkers(seconds=AMPLE_SECONDS)
    yield spares
    spares.clear()


def asked(spares: SpareWorkers, memory_bytes: int = MEMORY_BYTES, *, keeps: bool = True) -> int:
    """Which process does a job, in an event loop of its own."""

    async def ask() -> int:
        pool = WorkerPool(1, memory_bytes, spares, spares if keeps else None)
        try:
            (process,) = [each async for each in pool.results(WhoAreYou(), AMPLE_SECONDS)]
            return process
        finally:
            await pool.close()

    return asyncio.run(ask())


def is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def until(condition: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + AMPLE_SECONDS
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.01)


def test_a_worker_serves_one_event_loop_after_another(spares: SpareWorkers) -> None:
    """The steps of a run have a loop each, and start no processes of their own."""
    first = asked(spares)
    assert [asked(spares), asked(spares)] == [first, first]


def test_the_last_step_that_needs_workers_ends_them(spares: SpareWorkers) -> None:
    """What it took over does not lie about while others need the memory."""
    first = asked(spares)
    assert asked(spares, keeps=False) == first
    assert not is_there(first)
    assert asked(spares) != first


def test_one_that_was_started_ahead_does_the_first_job(spares: SpareWorkers) -> None:
    """Who needs it waits no longer than until it has come up."""
    spares.begin(MEMORY_BYTES)
    ahead = spares.take(MEMORY_BYTES)
    assert ahead is not None
    spares.keep(ahead, MEMORY_BYTES)
    asked(spares)
    assert spares.take(MEMORY_BYTES) is ahead
    ahead.end()


def test_one_that_was_started_ahead_and_died_is_replaced(spares: SpareWorkers) -> None:
    """It is nobody's fault, and nobody waits for it."""
    spares.begin(MEMORY_BYTES)
    ahead = spares.take(MEMORY_BYTES)
    assert ahead is not None
    ahead.end()
    ahead.wait()
    spares.keep(ahead, MEMORY_BYTES)
    assert asked(spares)


def test_one_with_other_bounds_is_another(spares: SpareWorkers) -> None:
    """What a process may take is bound when it starts."""
    assert asked(spares) != asked(spares, MEMORY_BYTES * 2)


def test_one_that_died_meanwhile_is_replaced(spares: SpareWorkers) -> None:
    """Nobody is handed a worker that is gone."""
    first = asked(spares)
    os.kill(first, 9)
    os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
    assert asked(spares) != first


def test_nobody_comes_so_it_is_ended() -> None:
    """An idle project holds no processes."""
    first = asked(SpareWorkers(seconds=0.05))
    until(lambda: not is_there(first))


def test_no_more_are_kept_than_wanted() -> None:
    first = asked(SpareWorkers(most=0))
    assert not is_there(first)


async def test_one_that_is_at_work_is_ended_not_kept(spares: SpareWorkers) -> None:
    """It is at an unknown point: the next one would get its answers."""
    pool = WorkerPool(1, MEMORY_BYTES, spares, spares)
    results = pool.results(Crash(), AMPLE_SECONDS)
    process = await anext(results)
    await pool.close()
    await results.aclose()
    until(lambda: not is_there(process))
    assert spares.take(MEMORY_BYTES) is None
