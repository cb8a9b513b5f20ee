"""Who goes when: order, priorities, oversize requests, cancellation and time-outs of the limiter."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_time import LoopClock, run_virtual

from llm_assets.errors import RateLimited, RequestTooLarge
from llm_assets.llm.limits import Limiter
from llm_assets.llm.models import Limits
from llm_assets.llm.pools.values import Client, Return, Want
from llm_assets.llm.providers.base import DimensionReport
from llm_assets.llm.quota.base import Operation, Result
from llm_assets.llm.quota.memory import MemoryQuota
from llm_assets.llm.waiting import ModelCooling

LIMITS = Limits(requests_per_minute=60, tokens_per_minute=6000)


def full_bucket() -> dict[str, DimensionReport]:
    return {"requests": DimensionReport(60, 59, 1), "tokens": DimensionReport(6000, 5990, 1)}


async def known_limiter(store: MemoryQuota, client: Client | None = None) -> Limiter:
    """A limiter that has seen one answer, so that it knows its buckets to be full."""
    limiter = Limiter(store, client or Client(id="a"))
    grant = await limiter.acquire("m", Want(1, 10), LIMITS, max_wait_seconds=10)
    limiter.settle("m", Return(grant=grant, reports=full_bucket()))  # type: ignore[arg-type]
    await asyncio.sleep(1)
    return limiter


@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.integers(1, 5500), min_size=1, max_size=40))
def test_never_more_than_the_limit_in_any_window_and_in_order(sizes: list[int]) -> None:
    """Whatever the sizes: no window holds more than the bucket's arithmetic; first in, first out."""

    async def scenario() -> None:
        limiter = await known_limiter(MemoryQuota(LoopClock()))
        loop = asyncio.get_running_loop()
        starts: list[tuple[float, int, int]] = []

        async def one(number: int, tokens: int) -> None:
            await limiter.acquire("m", Want(1, tokens), LIMITS, max_wait_seconds=99_999)
            starts.append((loop.time(), tokens, number))

        async with asyncio.TaskGroup() as group:
            for number, tokens in enumerate(sizes):
                group.create_task(one(number, tokens))
        assert [number for _, _, number in starts] == sorted(number for _, _, number in starts)
        for first in range(len(starts)):
            for last in range(first, len(starts)):
                seconds = starts[last][0] - starts[first][0]
                tokens = sum(size for _, size, _ in starts[first : last + 1])
                assert tokens <= 6000 + seconds * 100 + 1e-3
                assert last - first + 1 <= 60 + seconds * 1 + 1e-3

    run_virtual(scenario())


@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.integers(1, 5500), min_size=2, max_size=30))
def test_waits_are_no_longer_than_needed(sizes: list[int]) -> None:
    """The last of many requests starts when the arithmetic allows, give or take the clock slack."""

    async def scenario() -> None:
        limiter = await known_limiter(MemoryQuota(LoopClock()))
        loop = asyncio.get_running_loop()
        started = loop.time()
        async with asyncio.TaskGroup() as group:
            for tokens in sizes:
                group.create_task(limiter.acquire("m", Want(1, tokens), LIMITS, max_wait_seconds=99_999))
        needed = max((sum(sizes) - 5990) / 100, (len(sizes) - 59) / 1, 0.0)
        assert loop.time() - started <= needed + 1.0

    run_virtual(scenario())


def test_a_request_larger_than_the_limit_fails_at_once() -> None:
    """No wait would ever be enough, so nobody waits, and those behind it go on."""

    async def scenario() -> None:
        limiter = await known_limiter(MemoryQuota(LoopClock()))
        too_large = limiter.acquire("m", Want(1, 7000), LIMITS, max_wait_seconds=100)
        small = limiter.acquire("m", Want(1, 10), LIMITS, max_wait_seconds=100)
        results = await asyncio.gather(too_large, small, return_exceptions=True)
        assert isinstance(results[0], RequestTooLarge)
        assert "7,000" in str(results[0])
        assert "6,000" in str(results[0])
        assert not isinstance(results[1], BaseException)

    run_virtual(scenario())


def test_a_wait_beyond_the_deadline_fails_at_once() -> None:
    """A caller that cannot be served in time is told now, with the time it would take."""

    async def scenario() -> None:
        limiter = await known_limiter(MemoryQuota(LoopClock()))
        await limiter.acquire("m", Want(1, 5900), LIMITS, max_wait_seconds=10)
        before = asyncio.get_running_loop().time()
        with pytest.raises(RateLimited, match="no quota left for another"):
            await limiter.acquire("m", Want(1, 5000), LIMITS, max_wait_seconds=10)
        assert asyncio.get_running_loop().time() - before < 0.1

    run_virtual(scenario())


def test_a_daily_run_goes_before_a_backfill() -> None:
    """Of two clients that wait, the one with the higher priority is served first."""

    async def scenario() -> None:
        store = MemoryQuota(LoopClock())
        backfill = await known_limiter(store, Client(id="backfill", priority=-1))
        daily = Limiter(store, Client(id="daily", priority=0))
        await backfill.acquire("m", Want(1, 5900), LIMITS, max_wait_seconds=10)
        order: list[str] = []

        async def one(name: str, limiter: Limiter) -> None:
            await limiter.acquire("m", Want(1, 500), LIMITS, max_wait_seconds=9_999)
            order.append(name)

        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(one("backfill", backfill))
            await asyncio.sleep(0.01)
            for _ in range(3):
                group.create_task(one("daily", daily))
        assert order == ["daily"] * 3 + ["backfill"] * 3

    run_virtual(scenario())


def test_a_cancelled_caller_leaves_the_line() -> None:
    """Whoever gives up takes nothing from those behind."""

    async def scenario() -> None:
        limiter = await known_limiter(MemoryQuota(LoopClock()))
        await limiter.acquire("m", Want(1, 5900), LIMITS, max_wait_seconds=10)
        large = asyncio.create_task(limiter.acquire("m", Want(1, 5000), LIMITS, max_wait_seconds=999))
        small = asyncio.create_task(limiter.acquire("m", Want(1, 100), LIMITS, max_wait_seconds=999))
        await asyncio.sleep(0.5)
        large.cancel()
        before = asyncio.get_running_loop().time()
        await small
        assert asyncio.get_running_loop().time() - before < 60

    run_virtual(scenario())


def test_retry_after_pauses_the_model_and_not_the_program() -> None:
    """A pause the server asked for holds its model; another model goes on."""

    async def scenario() -> None:
        limiter = await known_limiter(MemoryQuota(LoopClock()))
        loop = asyncio.get_running_loop()
        grant = await limiter.acquire("m", Want(1, 10), LIMITS, max_wait_seconds=99)
        limiter.settle(
            "m",
            Return(grant=grant, refused=True, pause_seconds=7.0, reports=full_bucket()),  # type: ignore[arg-type]
        )
        await asyncio.sleep(0.2)
        before = loop.time()
        await limiter.acquire("other", Want(1, 10), LIMITS, max_wait_seconds=99)
        assert loop.time() - before < 0.01
        await limiter.acquire("m", Want(1, 10), LIMITS, max_wait_seconds=99)
        assert 6.5 < loop.time() - before < 7.5

    run_virtual(scenario())


def test_a_model_that_keeps_failing_cools_down_for_everybody() -> None:
    """After a row of failures every client is told to leave the model alone, until the time is over."""

    async def scenario() -> None:
        store = MemoryQuota(LoopClock())
        limiter = await known_limiter(store)
        for _ in range(5):
            grant = await limiter.acquire("m", Want(1, 10), LIMITS, max_wait_seconds=99)
            limiter.settle("m", Return(grant=grant, failed="HTTP 500"))
        assert await limiter.report_outage("m", 60.0, "HTTP 500") is not None
        other = Limiter(store, Client(id="b"))
        with pytest.raises(ModelCooling, match="HTTP 500"):
            await other.acquire("m", Want(1, 10), LIMITS, max_wait_seconds=99)
        await asyncio.sleep(60)
        await other.acquire("m", Want(1, 10), LIMITS, max_wait_seconds=99)

    run_virtual(scenario())


def test_a_client_that_died_gives_its_place_back() -> None:
    """A place in the queue lapses when its owner does not show up."""

    async def scenario() -> None:
        store = MemoryQuota(LoopClock())
        limiter = await known_limiter(store)
        await limiter.acquire("m", Want(1, 5900), LIMITS, max_wait_seconds=10)
        dying = Limiter(store, Client(id="dying", priority=5))
        task = asyncio.create_task(dying.acquire("m", Want(1, 3000), LIMITS, max_wait_seconds=999))
        await asyncio.sleep(0.1)
        dying._lines["m"]._stop_timer()  # as if the process were gone: it never asks again
        before = asyncio.get_running_loop().time()
        await limiter.acquire("m", Want(1, 1000), LIMITS, max_wait_seconds=999)
        assert asyncio.get_running_loop().time() - before < 40
        task.cancel()

    run_virtual(scenario())


def test_what_a_request_did_not_use_comes_back() -> None:
    """Where a provider charges what was generated, the rest of the estimate is free again at once."""

    async def scenario() -> None:
        limiter = await known_limiter(MemoryQuota(LoopClock()))
        loop = asyncio.get_running_loop()
        grant = await limiter.acquire("m", Want(1, 5900), LIMITS, max_wait_seconds=10)
        limiter.settle("m", Return(grant=grant, tokens=1000))
        before = loop.time()
        await limiter.acquire("m", Want(1, 4800), LIMITS, max_wait_seconds=99)
        assert loop.time() - before < 2

    run_virtual(scenario())


def test_what_another_client_did_not_use_is_found_before_the_time() -> None:
    """Who was told a long wait, and has nothing under way that would tell, looks in now and then. Seldom."""

    async def scenario() -> None:
        store, loop, asked = MemoryQuota(LoopClock()), asyncio.get_running_loop(), list[float]()
        one, other = await known_limiter(store), Limiter(store, Client(id="b"))
        grant = await one.acquire("m", Want(1, 5900), LIMITS, max_wait_seconds=10)
        transact = store.transact

        async def counted(key: str, operation: Operation[Result]) -> Result:
            asked.append(loop.time())
            return await transact(key, operation)

        store.transact = counted  # type: ignore[method-assign]
        began = loop.time()
        waiting = asyncio.create_task(other.acquire("m", Want(1, 5500), LIMITS, max_wait_seconds=99))
        await asyncio.sleep(1)
        one.settle("m", Return(grant=grant, tokens=10))
        await waiting
        assert loop.time() - began < 30, "it was told almost a minute"
        await other.acquire("m", Want(1, 5500), LIMITS, max_wait_seconds=99)
        assert len(asked) < 20

    run_virtual(scenario())


def test_of_different_limits_the_smaller_holds_and_is_said_once() -> None:
    """Two processes that were configured differently do not overwrite each other in turns."""

    async def scenario() -> None:
        store, said = MemoryQuota(LoopClock()), list[str]()
        strict = Limiter(store, Client(id="strict"))
        loose = Limiter(store, Client(id="loose"), warn=said.append)
        small, large = Limits(requests_per_minute=60), Limits(requests_per_minute=600)
        for _ in range(10):
            for limiter, limits in ((strict, small), (loose, large)):
                grant = await limiter.acquire("m", Want(1, 0), limits, max_wait_seconds=99)
                limiter.settle("m", Return(grant=grant))
                await asyncio.sleep(0.1)
                (bucket,) = store._values["pool:m"]["buckets"].values()
                assert bucket[0] == 60
        assert said == [
            "m: requests_per_minute is configured as 600 here and as 60 in another process that runs; "
            "the smaller holds for all"
        ]
        await asyncio.sleep(120)  # the strict one is gone
        await loose.acquire("m", Want(1, 0), large, max_wait_seconds=99)
        (bucket,) = store._values["pool:m"]["buckets"].values()
        assert bucket[0] == 600

    run_virtual(scenario())
