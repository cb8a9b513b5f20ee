"""Leave taken ahead: few questions to the store, the limit kept, and nothing held where it is in the way."""

from __future__ import annotations

import asyncio
from typing import Any

from virtual_time import LoopClock, run_virtual

from llm_assets.llm.limits import Limiter
from llm_assets.llm.models import Limits
from llm_assets.llm.pools.values import Client, Return, Want
from llm_assets.llm.providers.base import DimensionReport
from llm_assets.llm.quota.base import Operation, Result
from llm_assets.llm.quota.memory import MemoryQuota

LIMIT = 60_000
LIMITS = Limits(requests_per_minute=LIMIT, tokens_per_minute=100 * LIMIT)


class Counted(MemoryQuota):
    """A store that counts the questions and shows what it holds."""

    def __init__(self) -> None:
        super().__init__(LoopClock())
        self.asked = 0
        self.state: dict[str, Any] = {}

    async def transact(self, key: str, operation: Operation[Result]) -> Result:
        def look(state: dict[str, Any], now: float) -> Result:
            self.state = state
            return operation(state, now)

        self.asked += 1
        return await super().transact(key, look)

    def level(self) -> float:
        return self.state["buckets"]["requests_per_minute"][2]


async def full_pool(store: Counted, name: str = "a", priority: int = 0) -> Limiter:
    limiter = Limiter(store, Client(id=name, priority=priority))
    grant = await limiter.acquire("m", Want(1, 10), LIMITS, max_wait_seconds=10)
    full = {
        "requests": DimensionReport(LIMIT, LIMIT - 1, None),
        "tokens": DimensionReport(100 * LIMIT, 100 * LIMIT - 10, None),
    }
    limiter.settle("m", Return(grant=grant, reports=full))  # type: ignore[arg-type]
    await asyncio.sleep(1)
    return limiter


async def ask(limiter: Limiter, times: int, pause_seconds: float) -> None:
    for _ in range(times):
        grant = await limiter.acquire("m", Want(1, 10), LIMITS, max_wait_seconds=60)
        limiter.settle("m", Return(grant=grant))
        await asyncio.sleep(pause_seconds)


def test_far_from_the_limit_most_requests_do_not_ask_the_store() -> None:
    async def scenario() -> None:
        store = Counted()
        limiter = await full_pool(store)
        asked = store.asked
        await ask(limiter, 2000, 0.001)
        assert store.asked - asked < 200

    run_virtual(scenario())


def test_each_request_is_charged_once_and_what_is_not_used_goes_back() -> None:
    async def scenario() -> None:
        store = Counted()
        limiter = await full_pool(store)
        before = limiter.used()["m requests_per_minute"].charged
        await ask(limiter, 1000, 0.0005)
        await asyncio.sleep(1)
        assert limiter.used()["m requests_per_minute"].charged - before == 1000
        assert not store.state["flight"]
        await limiter.aclose()

    run_virtual(scenario())


def test_a_refusal_ends_what_was_taken_ahead() -> None:
    """A server that wants to be left alone is left alone, also by requests that have leave already."""

    async def scenario() -> None:
        store = Counted()
        limiter = await full_pool(store)
        await ask(limiter, 500, 0.001)
        loop = asyncio.get_running_loop()
        grant = await limiter.acquire("m", Want(1, 10), LIMITS, max_wait_seconds=10)
        limiter.settle("m", Return(grant=grant, refused=True, pause_seconds=3.0))
        refused_at = loop.time()
        await limiter.acquire("m", Want(1, 10), LIMITS, max_wait_seconds=10)
        assert loop.time() - refused_at >= 3.0

    run_virtual(scenario())


def test_what_was_taken_ahead_does_not_overtake_who_waits() -> None:
    """Once it has lapsed: behind another client each request stands in line."""

    async def scenario() -> None:
        store = Counted()
        one, other = await full_pool(store, "a"), Limiter(store, Client(id="b"))
        await ask(one, 300, 0.001)
        await one.acquire("m", Want(1, 50 * LIMIT), LIMITS, max_wait_seconds=10)
        waiting = asyncio.create_task(other.acquire("m", Want(1, 90 * LIMIT), LIMITS, max_wait_seconds=60))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        await ask(one, 1, 0.0)
        assert waiting.done()

    run_virtual(scenario())


def test_a_backfill_with_leave_in_hand_does_not_starve_an_urgent_run() -> None:
    """Once the urgent one has to wait, the backfill sends for a tenth of a second more, and then nothing."""

    async def scenario() -> None:
        store, loop = Counted(), asyncio.get_running_loop()
        urgent = await full_pool(store, "urgent", priority=0)
        backfill = Limiter(store, Client(id="backfill", priority=-1))
        started, nearly_empty = list[float](), asyncio.Event()

        async def hurry() -> None:
            while True:
                grant = await backfill.acquire("m", Want(1, 10), LIMITS, max_wait_seconds=999)
                started.append(loop.time())
                if store.level() <= LIMIT / 10:
                    nearly_empty.set()
                await asyncio.sleep(0.0004)
                backfill.settle("m", Return(grant=grant))

        async with asyncio.TaskGroup() as group:
            hurrying = [group.create_task(hurry()) for _ in range(4)]
            await nearly_empty.wait()
            assert len(started) > 1000
            waits_from = loop.time()
            # As much as is there, so that nothing is left for anybody else.
            await urgent.acquire("m", Want(int(store.level()) + 1000, 10), LIMITS, max_wait_seconds=999)
            assert loop.time() - waits_from > 0.5
            late = [moment for moment in started if moment > waits_from + 0.101]
            assert late == []
            for task in hurrying:
                task.cancel()

    run_virtual(scenario())
