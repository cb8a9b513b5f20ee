"""The budget's arithmetic: whatever happens in whatever order, no cap is passed."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shared_stores import spent_in
from virtual_time import LoopClock, run_virtual

from llm_assets.errors import BudgetExceeded, RequestTooDear
from llm_assets.llm.budget import Budget
from llm_assets.llm.ledger import Reservation, Spending
from llm_assets.llm.models import BudgetConfig
from llm_assets.llm.quota.memory import MemoryQuota


def make_budget(store: MemoryQuota, owner: str = "a", run_id: str = "r", **config: object) -> Budget:
    loop = asyncio.get_running_loop()
    return Budget(store, BudgetConfig.model_validate(config), run_id=run_id, owner=owner, now=loop.time)


async def hold(budget: Budget, worst: Spending) -> Reservation:
    """Reserve as a call does: waiting while only calls on the wire stand in the way."""
    while True:
        await budget.require(worst)
        reservation = await budget.reserve(worst)
        if reservation is not None:
            return reservation
        await budget.wait_for_returns(worst)


calls = st.lists(st.tuples(st.integers(1, 100), st.floats(0, 1), st.floats(0, 5)), min_size=1, max_size=60)


@settings(max_examples=50, deadline=None)
@given(calls=calls, cap=st.integers(1, 2000))
def test_no_mix_of_calls_passes_the_cap(calls: list[tuple[int, float, float]], cap: int) -> None:
    """Many calls of several owners at once: what is settled and what is held never add up to more."""

    async def scenario() -> None:
        store = MemoryQuota(LoopClock())
        budgets = [
            make_budget(store, owner=name, run_id=name, usd_per_day=Decimal(cap) / 10**9) for name in "abc"
        ]

        async def one(number: int, worst: int, share: float, seconds: float) -> None:
            budget = budgets[number % 3]
            try:
                reservation = await hold(budget, Spending(worst, 0))
            except (BudgetExceeded, RequestTooDear):
                return
            check()
            await asyncio.sleep(seconds)
            budget.settle(reservation, Spending(int(worst * share), 0))
            await asyncio.sleep(0)
            check()

        def check() -> None:
            for account in store._values.get("budget", {"accounts": {}})["accounts"].values():
                held = sum(entry[0] for entry in account["held"].values())
                assert account["spent"][0] + held <= cap

        await asyncio.gather(*(one(number, *call) for number, call in enumerate(calls)))
        for budget in budgets:
            await budget.aclose()
        for account in store._values.get("budget", {"accounts": {}})["accounts"].values():
            assert account["held"] == {}

    run_virtual(scenario())


def test_what_everybody_spent_of_the_day_is_told() -> None:
    """Of the run its own spending, of the day that of all runs, whether they have caps or not."""

    async def scenario() -> None:
        store = MemoryQuota(LoopClock())
        mine = make_budget(store, owner="a", run_id="mine", usd_per_run=1, usd_per_day=5)
        other = make_budget(store, owner="b", run_id="other")
        for budget, amount in ((mine, 200_000_000), (other, 500_000_000)):
            if budget.has_caps:
                budget.settle(await hold(budget, Spending(amount, 0)), Spending(amount, 0))
            else:
                budget.record(Spending(amount, 0))
                await budget.flush()
        assert await mine.spent_usd() == {"run": Decimal("0.2"), "day": Decimal("0.7")}
        assert await other.spent_usd() == {}
        await mine.aclose()
        await other.aclose()

    run_virtual(scenario())


def test_a_call_waits_while_reservations_may_come_back() -> None:
    """What is only reserved is not spent: the next call waits for it instead of giving up."""

    async def scenario() -> None:
        budget = make_budget(MemoryQuota(LoopClock()), usd_per_run="0.00001")
        first = await hold(budget, Spending(9_000, 0))
        second = asyncio.create_task(hold(budget, Spending(5_000, 0)))
        await asyncio.sleep(3)
        assert not second.done()
        budget.settle(first, Spending(1_000, 0))
        assert (await second).amount.nano_usd == 5_000

    run_virtual(scenario())


def test_the_message_says_which_cap_and_what_is_spent() -> None:
    """Whoever is stopped by the budget learns the cap, the figures and what to do."""

    async def scenario() -> None:
        budget = make_budget(MemoryQuota(LoopClock()), tokens_per_run=100)
        first = await hold(budget, Spending(0, 80))
        budget.settle(first, Spending(0, 80))
        with pytest.raises(
            BudgetExceeded, match=r"tokens_per_run of 100 tokens has 80 tokens spent.*30 tokens"
        ):
            await hold(budget, Spending(0, 30))

    run_virtual(scenario())


def test_a_new_day_begins_a_new_account() -> None:
    """The cap per day counts anew at midnight of the configured time zone, while the process runs."""

    async def scenario() -> None:
        budget = make_budget(MemoryQuota(LoopClock()), tokens_per_day=100)
        budget.settle(await hold(budget, Spending(0, 100)), Spending(0, 100))
        with pytest.raises(BudgetExceeded):
            await hold(budget, Spending(0, 1))
        await asyncio.sleep(86_400)
        budget.settle(await hold(budget, Spending(0, 100)), Spending(0, 100))

    run_virtual(scenario())


def test_what_a_dead_process_held_counts_as_spent() -> None:
    """Its calls may have been billed. So after the lease nobody waits for it, and nobody spends it again."""

    async def scenario() -> None:
        store = MemoryQuota(LoopClock())
        dead = make_budget(store, owner="dead", tokens_per_run=100)
        await hold(dead, Spending(0, 90))
        alive = make_budget(store, owner="alive", tokens_per_run=100)
        waiting = asyncio.create_task(hold(alive, Spending(0, 50)))
        await asyncio.sleep(10)
        assert not waiting.done()
        await asyncio.sleep(61)
        with pytest.raises(BudgetExceeded, match="90 tokens spent"):
            await waiting
        assert await hold(alive, Spending(0, 10))

    run_virtual(scenario())


def test_a_process_that_only_seemed_dead_is_corrected() -> None:
    """What it held was counted as spent; when it shows up again, what its call really cost counts."""

    async def scenario() -> None:
        store = MemoryQuota(LoopClock())
        slow = make_budget(store, owner="slow", tokens_per_run=100)
        held = await hold(slow, Spending(0, 90))
        await asyncio.sleep(100)
        other = make_budget(store, owner="other", tokens_per_run=100)
        with pytest.raises(BudgetExceeded):
            await hold(other, Spending(0, 50))
        slow.settle(held, Spending(0, 20))
        await slow.flush()
        assert spent_in(store._values["budget"], "run:r").tokens == 20
        assert await hold(other, Spending(0, 50))

    run_virtual(scenario())


def test_what_is_held_ahead_is_no_obstacle_for_others() -> None:
    """A client holds a little for its next calls, little near a cap, and gives it back when it is idle."""

    async def scenario() -> None:
        store = MemoryQuota(LoopClock())
        busy = make_budget(store, owner="busy", tokens_per_run=10_000)
        other = make_budget(store, owner="other", tokens_per_run=10_000)
        for _ in range(100):
            busy.settle(await hold(busy, Spending(0, 50)), Spending(0, 50))
        assert (await hold(other, Spending(0, 4_000))).amount.tokens == 4_000
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await hold(other, Spending(0, 1_001))
        assert (await hold(other, Spending(0, 1_000))).amount.tokens == 1_000
        await busy.aclose()
        await other.aclose()

    run_virtual(scenario())


def test_a_cancelled_caller_leaves_nothing_held() -> None:
    """A caller that is cancelled while the ledger is asked holds nothing afterwards."""

    async def scenario() -> None:
        store = MemoryQuota(LoopClock())
        budget = make_budget(store, tokens_per_run=100)
        caller = asyncio.create_task(hold(budget, Spending(0, 60)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        caller.cancel()
        await asyncio.wait([caller])
        await asyncio.sleep(1)
        assert store._values["budget"]["accounts"]["run:r"]["held"] == {}
        assert await hold(budget, Spending(0, 100))

    run_virtual(scenario())


def test_warns_once_near_the_cap() -> None:
    """At 80% of a cap one warning says so, and not again for every call."""

    async def scenario() -> None:
        said: list[str] = []
        loop = asyncio.get_running_loop()
        config = BudgetConfig(tokens_per_run=100)
        store = MemoryQuota(LoopClock())
        budget = Budget(store, config, run_id="r", owner="a", now=loop.time, warn=said.append)
        for _ in range(9):
            budget.settle(await hold(budget, Spending(0, 10)), Spending(0, 10))
        assert len(said) == 1
        assert "tokens_per_run" in said[0]
        await budget.flush()
        assert spent_in(store._values["budget"], "run:r").tokens == 90

    run_virtual(scenario())
