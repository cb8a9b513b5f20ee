"""Many callers that wait for what others hold of a budget: one of them asks, and all get their turn."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest
from virtual_time import LoopClock, run_virtual

from llm_assets.errors import BudgetExceeded
from llm_assets.llm.budget import Budget
from llm_assets.llm.ledger import Reservation, Spending
from llm_assets.llm.models import BudgetConfig
from llm_assets.llm.quota.base import Operation, Result
from llm_assets.llm.quota.memory import MemoryQuota

CALLERS = 100
WORST = Spending(1_000, 0)
CAP = 100 * WORST.nano_usd


class Asked:
    """A ledger that counts its questions."""

    def __init__(self) -> None:
        self.times = 0
        self._kept = MemoryQuota(LoopClock())

    async def transact(self, key: str, operation: Operation[Result]) -> Result:
        self.times += 1
        await asyncio.sleep(0.001)
        return await self._kept.transact(key, operation)


def opened(ledger: Asked, owner: str) -> Budget:
    config, now = BudgetConfig(usd_per_day=Decimal(CAP) / 10**9), asyncio.get_running_loop().time
    return Budget(ledger, config, run_id="r", owner=owner, now=now)


async def reserved(budget: Budget, worst: Spending) -> Reservation:
    while True:
        await budget.require(worst)
        if (reservation := await budget.reserve(worst)) is not None:
            return reservation
        await budget.wait_for_returns(worst)


async def call(budget: Budget, worst: Spending = WORST, seconds: float = 0.1) -> None:
    reservation = await reserved(budget, worst)
    await asyncio.sleep(seconds)
    budget.settle(reservation, Spending(worst.nano_usd // 100, 0))


def test_one_of_those_who_wait_asks_for_all() -> None:
    """The more seldom the longer nothing changes; then everybody gets what they wait for, without delay."""

    async def scenario() -> None:
        ledger = Asked()
        other, budget = opened(ledger, "other"), opened(ledger, "budget")
        all_of_it = await other.reserve(Spending(CAP, 0))
        assert all_of_it is not None
        waiting = [asyncio.create_task(call(budget)) for _ in range(CALLERS)]
        await asyncio.sleep(1)
        assert 5 < ledger.times < 15
        ledger.times = 0
        await asyncio.sleep(20)
        assert 15 < ledger.times < 25
        other.settle(all_of_it, Spending(0, 0))
        await other.aclose()
        async with asyncio.timeout(2.5):
            await asyncio.gather(*waiting)
        await budget.aclose()

    run_virtual(scenario())


def test_all_hear_at_once_that_nothing_will_come_back() -> None:
    """What a client that was killed held counts as spent in the end, so that nobody is left waiting."""

    async def scenario() -> None:
        ledger = Asked()
        assert await opened(ledger, "killed").reserve(Spending(CAP, 0)) is not None
        budget = opened(ledger, "budget")
        waiting = [asyncio.create_task(call(budget)) for _ in range(CALLERS)]
        async with asyncio.timeout(63):
            ended = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(end, BudgetExceeded) for end in ended)
        assert ledger.times < 80 + 2 * CALLERS

    run_virtual(scenario())


def test_what_calls_of_our_own_free_is_used_at_once() -> None:
    """With money for half of the calls, they go on without a pause, as many as there is money for."""

    async def scenario() -> None:
        ledger, loop = Asked(), asyncio.get_running_loop()
        other, budget = opened(ledger, "other"), opened(ledger, "budget")
        assert await other.reserve(Spending(CAP - 60 * WORST.nano_usd, 0)) is not None
        began = loop.time()
        await asyncio.gather(*(call(budget, seconds=0.5) for _ in range(CALLERS)))
        assert loop.time() - began < 2 * 0.5 + 0.25
        assert ledger.times < 4 * CALLERS

    run_virtual(scenario())


@pytest.mark.parametrize("gone", ["cancelled", "cancelled at its turn"])
def test_whoever_leaves_holds_up_nobody(gone: str) -> None:
    """Neither the one who waits nor the one whose turn it is; and small needs pass by large ones."""

    async def scenario() -> None:
        ledger = Asked()
        budget = opened(ledger, "budget")
        all_of_it = await reserved(budget, Spending(CAP, 0))
        waiting = [asyncio.create_task(call(budget, worst)) for worst in (Spending(CAP, 0), WORST, WORST)]
        await asyncio.sleep(5)
        if gone == "cancelled":
            waiting[1].cancel()
        budget.settle(all_of_it, WORST)
        waiting[1].cancel()
        async with asyncio.timeout(1):
            await waiting[2]
        with pytest.raises(BudgetExceeded):
            await waiting[0]
        assert (await asyncio.gather(waiting[1], return_exceptions=True))[0] is not None
        await budget.aclose()

    run_virtual(scenario())
