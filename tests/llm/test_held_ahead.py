"""What a client holds of a budget ahead of its calls: worth a few of them, and enough not to wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from virtual_time import LoopClock, run_virtual

from llm_assets.llm.budget import Budget
from llm_assets.llm.ledger import Reservation, Spending
from llm_assets.llm.models import BudgetConfig
from llm_assets.llm.quota.base import Operation, Result
from llm_assets.llm.quota.memory import MemoryQuota

CALLERS = 64
WORST, COST = Spending(1000, 10), Spending(60, 3)
FEW = 2 * 16
"""Calls whose worst case may be held ahead: twice what is aimed at, for two questions may be under way and
several calls end at once."""


class FarAway:
    """A ledger that takes its time: a store across a network, or on a slow disk."""

    def __init__(self, seconds: float) -> None:
        self.kept = MemoryQuota(LoopClock())
        self.asked = 0
        self._seconds = seconds

    async def transact(self, key: str, operation: Operation[Result]) -> Result:
        self.asked += 1
        await asyncio.sleep(self._seconds / 2)
        result = await self.kept.transact(key, operation)
        await asyncio.sleep(self._seconds / 2)
        return result

    def counted(self) -> Spending:
        """What of the day's cap is gone if every client is killed now: spent, or held by one of them."""
        (account,) = (
            account
            for name, account in self.kept._values["budget"]["accounts"].items()
            if name.startswith("day:")
        )
        parts = [account["spent"], *account["held"].values()]
        return Spending(sum(part[0] for part in parts), sum(part[1] for part in parts))


@dataclass
class Calls:
    """Those of one client, and what they have cost or may still cost."""

    budget: Budget
    spent: int = 0
    on_the_wire: int = 0
    waits: list[float] = field(default_factory=list[float])

    @asynccontextmanager
    async def call(self, worst: Spending, cost: Spending) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        # As soon as it waits for the ledger, that may hold it.
        self.on_the_wire += worst.nano_usd
        reservation = await self._reserved(worst)
        self.waits.append(loop.time() - began)
        yield
        self.on_the_wire -= worst.nano_usd
        self.spent += cost.nano_usd
        self.budget.settle(reservation, cost)

    async def _reserved(self, worst: Spending) -> Reservation:
        if self.budget.can_reserve_now(worst):
            return self.budget.reserve_now(worst)
        while True:
            await self.budget.require(worst)
            if (reservation := await self.budget.reserve(worst)) is not None:
                return reservation
            await self.budget.wait_for_returns(worst)


def opened(store: FarAway, usd_per_day: Decimal) -> Calls:
    now = asyncio.get_running_loop().time
    return Calls(Budget(store, BudgetConfig(usd_per_day=usd_per_day), run_id="r", owner="a", now=now))


@pytest.mark.parametrize("usd_per_day", [Decimal(1), Decimal("0.001")], ids=["ample", "scarce"])
def test_a_kill_at_any_moment_loses_what_a_few_calls_may_cost(usd_per_day: Decimal) -> None:
    """Beyond what was on the wire, as long as calls go on: looked at thousands of times, not only by luck."""

    async def scenario() -> None:
        store, chance, lost = FarAway(0.004), Random(1), list[int]()
        calls = opened(store, usd_per_day)

        async def caller() -> None:
            for _ in range(60):
                async with calls.call(WORST, COST):
                    await asyncio.sleep(chance.expovariate(10))
                    lost.append(store.counted().nano_usd - calls.spent - calls.on_the_wire)

        callers = [asyncio.create_task(caller()) for _ in range(CALLERS)]
        await asyncio.wait(callers, return_when=asyncio.FIRST_COMPLETED)
        assert len(lost) > 1000
        assert max(lost) <= FEW * WORST.nano_usd, max(lost) / WORST.nano_usd
        await asyncio.gather(*callers)
        await calls.budget.aclose()
        assert store.counted().nano_usd == calls.spent

    run_virtual(scenario())


def test_calls_do_not_wait_for_a_ledger_that_is_far_away() -> None:
    """It takes a fiftieth of a second, calls take a tenth and hardly any longer, and it is asked seldom."""

    async def scenario() -> None:
        store = FarAway(0.02)
        calls, loop = opened(store, Decimal(1)), asyncio.get_running_loop()

        async def caller() -> None:
            for _ in range(100):
                async with calls.call(WORST, COST):
                    await asyncio.sleep(0.1)

        began = loop.time()
        await asyncio.gather(*(caller() for _ in range(CALLERS)))
        assert loop.time() - began < 1.05 * 100 * 0.1
        assert sum(wait > 0 for wait in calls.waits) < 0.05 * len(calls.waits)
        assert store.asked < 0.1 * len(calls.waits)
        await calls.budget.aclose()

    run_virtual(scenario())


def test_all_who_come_at_once_are_served_by_two_questions() -> None:
    """The first of them asks for itself, the next one for all others."""

    async def scenario() -> None:
        store = FarAway(0.02)
        calls = opened(store, Decimal(1))

        async def caller() -> None:
            async with calls.call(WORST, COST):
                await asyncio.sleep(1)

        await asyncio.gather(*(caller() for _ in range(200)))
        assert max(calls.waits) == pytest.approx(0.04)
        await calls.budget.aclose()

    run_virtual(scenario())


def test_what_a_call_did_not_cost_is_for_others_where_little_is_left() -> None:
    """A busy client does not keep what comes back to itself, so that another one has to wait for its end."""

    async def scenario() -> None:
        store = FarAway(0.002)
        busy = opened(store, Decimal(20 * WORST.nano_usd) / 10**9)
        other = Calls(
            Budget(
                store,
                BudgetConfig(usd_per_day=Decimal(20 * WORST.nano_usd) / 10**9),
                run_id="r",
                owner="b",
                now=asyncio.get_running_loop().time,
            )
        )

        async def caller() -> None:
            for _ in range(20):
                async with busy.call(WORST, Spending(1, 1)):
                    await asyncio.sleep(0.1)
                await asyncio.sleep(0.1)

        callers = [asyncio.create_task(caller()) for _ in range(32)]
        await asyncio.sleep(0.5)
        async with asyncio.timeout(1), other.call(WORST, COST):
            pass
        assert not any(task.done() for task in callers)
        await asyncio.gather(*callers)
        await busy.budget.aclose()
        await other.budget.aclose()

    run_virtual(scenario())


sizes = some.lists(
    some.tuples(some.integers(1, 5000), some.floats(0, 1.5), some.floats(0, 0.3)), min_size=1, max_size=60
)


@settings(max_examples=60, deadline=None)
@given(calls=sizes, cap=some.integers(1, 10**6), store_seconds=some.sampled_from([0.0, 0.003, 0.08]))
def test_in_the_end_the_ledger_counts_what_was_spent(
    calls: list[tuple[int, float, float]], cap: int, store_seconds: float
) -> None:
    """Whatever calls may cost and did cost, more than it could have been too: nothing stays held."""

    async def scenario() -> None:
        store = FarAway(store_seconds)
        all_calls = opened(store, Decimal(cap) / 10**9)

        async def one(worst: int, share: float, seconds: float) -> None:
            async with all_calls.call(Spending(worst, 1), Spending(int(worst * share), 1)):
                await asyncio.sleep(seconds)

        ended: list[Any] = await asyncio.gather(*(one(*call) for call in calls), return_exceptions=True)
        await all_calls.budget.aclose()
        if any(end is None for end in ended):
            assert store.counted().nano_usd == all_calls.spent

    run_virtual(scenario())
