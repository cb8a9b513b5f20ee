"""The same properties on all stores: memory, SQLite, and real Postgres and Redis servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from llm_assets.clock import SystemClock
from llm_assets.errors import StateUnavailable
from llm_assets.llm.budget import Budget
from llm_assets.llm.databases.sql import SqlDatabase
from llm_assets.llm.databases.sqlite import SqliteDatabase
from llm_assets.llm.ledger import Spending
from llm_assets.llm.limits import Limiter
from llm_assets.llm.models import BudgetConfig, Limits
from llm_assets.llm.pools.bucket import Kind
from llm_assets.llm.pools.exchange import exchange
from llm_assets.llm.pools.values import Client, Return, Want
from llm_assets.llm.providers.base import DimensionReport
from llm_assets.llm.quota.base import QuotaStore
from llm_assets.llm.quota.database import DatabaseQuota
from llm_assets.llm.quota.memory import MemoryQuota
from llm_assets.llm.quota.redis import RedisQuota
from llm_assets.llm.state import State
from llm_assets.llm.waiting import ModelCooling


@pytest.fixture(params=["memory", "sqlite", "postgres", "redis"])
async def stores(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Any, Any]]:
    """Two views of the same state, as two processes would have them."""
    clock = SystemClock()
    if request.param == "memory":
        store = MemoryQuota(clock)
        yield store, store
    elif request.param == "sqlite":
        with ExitStack() as stack:
            path = str(tmp_path / "state.sqlite")
            states = [stack.enter_context(State(SqliteDatabase(path))) for _ in range(2)]
            yield DatabaseQuota(states[0]), DatabaseQuota(states[1])
    elif request.param == "postgres":
        url = request.getfixturevalue("postgres_url")
        with ExitStack() as stack:
            states = [stack.enter_context(State(SqlDatabase(url))) for _ in range(2)]
            await states[0].run(lambda transaction: transaction.execute("DELETE FROM quota").rowcount)
            yield DatabaseQuota(states[0]), DatabaseQuota(states[1])
    else:
        url = request.getfixturevalue("redis_socket")
        pair = RedisQuota(url), RedisQuota(url)
        await pair[0]._redis.flushall()
        yield pair
        for redis in pair:
            await redis.aclose()


def add_one(state: dict[str, Any], now: float) -> int:
    state["n"] = state.get("n", 0) + 1
    return state["n"]


async def test_operations_are_alone_with_the_value(stores: tuple[QuotaStore, QuotaStore]) -> None:
    """Two clients that count to 100 at the same time count every number once."""
    counts = await asyncio.gather(*(stores[i % 2].transact("n", add_one) for i in range(200)))
    assert sorted(counts) == list(range(1, 201))


@pytest.mark.parametrize(
    "value", [[0.1 + 0.2, 1e300, -0.0, 10**30, None, True], "half a pair: \ud800", float("inf")]
)
async def test_what_was_left_is_found(stores: tuple[QuotaStore, QuotaStore], value: Any) -> None:
    """By everybody, to the last bit; a value may hold what a server said, which may be anything."""

    def leave(state: dict[str, Any], now: float) -> None:
        state["left"] = value

    await stores[0].transact("left", leave)
    assert await stores[1].transact("left", lambda state, now: state["left"]) == value


async def test_a_cap_holds_for_all_who_share_it(stores: tuple[QuotaStore, QuotaStore]) -> None:
    """Whoever reserves, together they never hold more than the cap."""
    clock = SystemClock()
    budgets = [
        Budget(
            store,
            BudgetConfig(tokens_per_day=1000),
            run_id=str(number),
            owner=str(number),
            now=clock.now,
        )
        for number, store in enumerate(stores)
    ]
    held = 0

    async def one(number: int) -> None:
        nonlocal held
        budget = budgets[number % 2]
        while (reservation := await budget.reserve(Spending(0, 70))) is None:
            await budget.wait_for_returns(Spending(0, 70))
        held += 70
        assert held <= 1000
        await asyncio.sleep(0)
        held -= 70
        budgets[number % 2].settle(reservation, Spending(0, 7))

    await asyncio.gather(*(one(number) for number in range(60)))
    for budget in budgets:
        await budget.aclose()


async def test_a_bucket_is_shared(stores: tuple[QuotaStore, QuotaStore]) -> None:
    """What one client has taken is gone for the other: of 20 tokens left, 10 and 9 start and no third."""
    limits = Limits(tokens_per_minute=100)

    def turn(name: str, returned: list[Return], wanted: list[Want]) -> Any:
        return lambda state, now: exchange(state, now, Client(id=name), returned, wanted, limits, 0.0)

    (probe,) = (await stores[0].transact("p", turn("a", [], [Want(1, 80)]))).grants
    await stores[0].transact("p", turn("a", [Return(grant=probe)], []))
    first = await stores[0].transact("p", turn("a", [], [Want(1, 10)]))
    second = await stores[1].transact("p", turn("b", [], [Want(1, 9)]))
    third = await stores[1].transact("p", turn("b", [], [Want(1, 10)]))
    assert (len(first.grants), len(second.grants), len(third.grants)) == (1, 1, 0)
    assert third.wait_seconds is not None
    assert third.wait_seconds > 1


async def test_nobody_waits_for_a_client_that_was_turned_away(stores: tuple[QuotaStore, QuotaStore]) -> None:
    """Its large request stood in line when the model was left alone; then it has closed."""
    limits = Limits(tokens_per_minute=6000)
    gone, other = (Limiter(store, Client(id=name)) for store, name in zip(stores, ("a", "b"), strict=True))
    grant = await gone.acquire("p", Want(1, 1000), limits, max_wait_seconds=10)
    gone.settle("p", Return(grant=grant, reports={"tokens": DimensionReport(6000, 1000, 50.0)}))
    waiting = asyncio.create_task(gone.acquire("p", Want(1, 5500), limits, max_wait_seconds=999))
    for _ in range(1000):
        if await stores[1].transact("pool:p", lambda state, now: len(state.get("queue", {}))):
            break
        await asyncio.sleep(0.01)
    for _ in range(5):
        gone.settle("p", Return(grant=grant, failed="x"))
    await gone.report_outage("p", 0.3, "x")
    with pytest.raises(ModelCooling):
        await waiting
    await gone.aclose()
    await asyncio.sleep(0.4)
    await other.acquire("p", Want(1, 10), limits, max_wait_seconds=5)  # RateLimited, were there somebody
    await other.aclose()


async def test_leave_in_hand_does_not_go_before_who_is_more_urgent(
    stores: tuple[QuotaStore, QuotaStore],
) -> None:
    """A backfill at full speed uses up what it has taken ahead, and then waits until the urgent is served."""
    limits, order, at_full_speed = Limits(requests_per_minute=6000), list[str](), asyncio.Event()
    backfill = Limiter(stores[0], Client(id="backfill", priority=-1))
    urgent = Limiter(stores[1], Client(id="urgent", priority=0))
    told: dict[Kind, DimensionReport] = {"requests": DimensionReport(6000, 5999, None)}
    grant = await urgent.acquire("p", Want(1, 0), limits, max_wait_seconds=10)
    urgent.settle("p", Return(grant=grant, reports=told))
    await asyncio.sleep(0.2)

    async def ask(name: str, limiter: Limiter) -> None:
        grant = await limiter.acquire("p", Want(1, 0), limits, max_wait_seconds=60)
        order.append(name)
        limiter.settle("p", Return(grant=grant))

    async def hurry() -> None:
        while True:
            await ask("backfill", backfill)
            if len(order) >= 500:
                at_full_speed.set()
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        hurrying = [group.create_task(hurry()) for _ in range(8)]
        await at_full_speed.wait()
        # More than is left, so the backfill goes on with what it has in hand and no further.
        await urgent.acquire("p", Want(5600, 0), limits, max_wait_seconds=60)
        order.clear()
        await asyncio.gather(*(ask("urgent", urgent) for _ in range(100)))
        served = list(order)
        for task in hurrying:
            task.cancel()
    assert served.count("urgent") == 100
    assert served.count("backfill") <= 30, "of equals every other one would be the backfill's"
    for limiter in (backfill, urgent):
        await limiter.aclose()


async def test_redis_forgets_its_scripts_and_we_go_on(redis_socket: str) -> None:
    """After SCRIPT FLUSH, as after a restart, the next operation loads the script again."""
    store = RedisQuota(redis_socket)
    await store.transact("flush", add_one)
    await store._redis.script_flush()
    assert await store.transact("flush", add_one) == 2
    assert await store._redis.pttl("llm_assets:flush") > 0
    await store.aclose()


async def test_a_redis_that_is_gone_is_a_clear_error(tmp_path: Path) -> None:
    """When the server stays away longer than we are patient, the error says so and names no password."""
    store = RedisQuota(f"unix://user:hidden@{tmp_path}/nobody.sock", patience_seconds=0.0)
    with pytest.raises(StateUnavailable, match="Redis cannot be reached") as caught:
        await store.transact("x", add_one)
    assert "hidden" not in str(caught.value)
    await store.aclose()


async def test_a_state_file_that_cannot_be_opened_is_a_clear_error(tmp_path: Path) -> None:
    """A folder where the file should be: the error names the path."""
    (tmp_path / "state.sqlite").mkdir()
    database = SqliteDatabase(str(tmp_path / "state.sqlite"))
    with pytest.raises(StateUnavailable, match=r"state\.sqlite"), State(database):
        pass
