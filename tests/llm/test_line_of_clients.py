"""Several clients in line for one pool: where there is enough for all, nobody is let through one by one."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest
from virtual_time import LoopClock, run_virtual

from llm_assets.llm.databases.sqlite import SqliteDatabase
from llm_assets.llm.limits import Limiter
from llm_assets.llm.models import Limits
from llm_assets.llm.pools.exchange import exchange
from llm_assets.llm.pools.values import Client, Grant, Return, Turn, Want
from llm_assets.llm.providers.base import DimensionReport
from llm_assets.llm.quota.base import Operation, Result
from llm_assets.llm.quota.database import DatabaseQuota
from llm_assets.llm.quota.memory import MemoryQuota
from llm_assets.llm.state import State

LIMIT = 60_000
LIMITS = Limits(requests_per_minute=LIMIT)
ONE = Want(1, 0)
HANGS_AFTER_SECONDS = 120.0


def told(remaining: float) -> dict[str, DimensionReport]:
    return {"requests": DimensionReport(LIMIT, remaining, None)}


class Slow(MemoryQuota):
    """A store that takes a moment for each question, and counts them."""

    def __init__(self) -> None:
        super().__init__(LoopClock())
        self.asked = 0

    async def transact(self, key: str, operation: Operation[Result]) -> Result:
        self.asked += 1
        result = await super().transact(key, operation)
        await asyncio.sleep(0.003)
        return result


Begin = Callable[[Limiter], Awaitable[None]]


async def together(limiter: Limiter) -> None:
    """Nothing is known yet: the first answer, which all wait for, tells that there is enough."""
    grant = await limiter.acquire("m", ONE, LIMITS, max_wait_seconds=99)
    first = Return(grant=grant, reports=told(LIMIT - 1))  # type: ignore[arg-type]
    asyncio.get_running_loop().call_later(0.3, limiter.settle, "m", first)


async def _after_an_answer(limiter: Limiter, refused: Return) -> None:
    known, other = [await limiter.acquire("m", ONE, LIMITS, max_wait_seconds=99) for _ in range(2)]
    limiter.settle("m", Return(grant=known, reports=told(LIMIT - 1)))  # type: ignore[arg-type]
    await asyncio.sleep(0.2)
    limiter.settle("m", refused._replace(grant=other))
    await asyncio.sleep(0.1)


async def refused(limiter: Limiter) -> None:
    """There is nothing left but what comes in from now on: a thousand requests a second."""
    await _after_an_answer(limiter, Return(grant=None, refused=True, refused_kind="requests"))


async def paused(limiter: Limiter) -> None:
    """There is enough, but the server wants to be left alone for a while."""
    await _after_an_answer(limiter, Return(grant=None, refused=True, refused_kind="tokens", pause_seconds=2))


@pytest.mark.parametrize("clients", [2, 5])
@pytest.mark.parametrize("begin", [together, refused, paused])
def test_clients_that_had_to_wait_together_go_together(begin: Begin, clients: int) -> None:
    """Each exchange with the store lets many through, and all are through when the quota allows it."""
    concurrency, each = 50, 1000

    async def scenario() -> None:
        store, loop = Slow(), asyncio.get_running_loop()
        limiters = [Limiter(store, Client(id=str(number))) for number in range(clients)]
        await begin(limiters[0])
        asked, began = store.asked, loop.time()

        async def ask(limiter: Limiter) -> None:
            for _ in range(each // concurrency):
                grant = await limiter.acquire("m", ONE, LIMITS, max_wait_seconds=999)
                await asyncio.sleep(0.02)
                limiter.settle("m", Return(grant=grant))

        async with asyncio.TaskGroup() as group:
            for limiter in limiters:
                for _ in range(concurrency):
                    group.create_task(ask(limiter))
        if begin is refused:  # the whole of what comes in is used
            assert loop.time() - began < 1 + clients * each / (LIMIT / 60)
        else:
            assert loop.time() - began < 3
            assert store.asked - asked < clients * each / 8

    run_virtual(scenario())


def known_pool(level: float) -> dict[str, object]:
    """The state of a pool that holds `level`."""
    state: dict[str, object] = {}
    (grant,) = ask_at(state, 0.0, "first", 1).grants
    exchange(state, 0.0, Client(id="first"), [Return(grant=grant, reports=told(level))], [], LIMITS, 0.0)  # type: ignore[arg-type]
    return state


def ask_at(state: dict[str, object], now: float, name: str, wants: int, priority: int = 0) -> Turn:
    client = Client(id=name, priority=priority)
    return exchange(state, 1e9 + now, client, [], [ONE] * wants, LIMITS, 0.0)


def test_equals_pass_who_comes_late_and_leave_what_he_wants() -> None:
    """There is enough for both: who comes takes the rest, and the first want of the other is left."""
    state = known_pool(0)
    first, second = ask_at(state, 0.0, "a", 50), ask_at(state, 0.0, "b", 50)
    assert (first.grants, second.grants) == ([], [])
    assert second.wait_seconds is not None
    late = max(second.wait_seconds, 0.6)  # the refill of a doubtful half second is kept back
    passed = ask_at(state, late, "b", 50)
    assert len(passed.grants) > 10
    assert len(ask_at(state, late, "a", 1).grants) == 1


def test_the_less_urgent_do_not_pass() -> None:
    """However much there is: what is more urgent has stood in line, and comes for it in a moment."""
    state = known_pool(0)
    urgent, other = ask_at(state, 0.0, "urgent", 50, priority=1), ask_at(state, 0.0, "other", 50)
    assert (urgent.grants, other.grants) == ([], [])
    late = (urgent.wait_seconds or 0.0) + 0.4
    assert ask_at(state, late, "other", 50).grants == []
    assert len(ask_at(state, late, "urgent", 50, priority=1).grants) == 50
    assert len(ask_at(state, late, "other", 50).grants) > 10


def test_equals_take_turns_where_the_quota_is_used_up() -> None:
    """Whoever has been let through stands in line again behind those who wait."""

    async def scenario() -> None:
        store, limits = MemoryQuota(LoopClock()), Limits(requests_per_minute=600)
        granted = [0, 0, 0, 0]
        limiters = [Limiter(store, Client(id=str(number))) for number in range(4)]

        first = await limiters[0].acquire("m", ONE, limits, max_wait_seconds=99)
        empty = {"requests": DimensionReport(600, 0, None)}
        limiters[0].settle("m", Return(grant=first, reports=empty))  # type: ignore[arg-type]

        async def ask(number: int) -> None:
            while True:
                grant: Grant = await limiters[number].acquire("m", ONE, limits, max_wait_seconds=999)
                granted[number] += 1
                limiters[number].settle("m", Return(grant=grant))

        tasks = [asyncio.create_task(ask(number)) for number in range(4) for _ in range(20)]
        await asyncio.sleep(60)
        for task in tasks:
            task.cancel()
        assert sum(granted) > 580
        assert max(granted) - min(granted) <= 5

    run_virtual(scenario())


# ------------------------------------------------------------------------------- processes

# Waits for a line, asks for leave many times, and writes how often it was granted, and how often it asked.
WORKER = """
import asyncio, json, sys
from llm_assets.llm.databases.sqlite import SqliteDatabase
from llm_assets.llm.limits import Limiter
from llm_assets.llm.models import Limits
from llm_assets.llm.pools.values import Client, Return, Want
from llm_assets.llm.quota.database import DatabaseQuota
from llm_assets.llm.state import State

class Counted(DatabaseQuota):
    asked = 0

    async def transact(self, key, operation):
        self.asked += 1
        return await super().transact(key, operation)

async def main(path, name, limit, concurrency, each):
    granted = 0
    with State(SqliteDatabase(path)) as state:
        store = Counted(state)
        limiter = Limiter(store, Client(id=name))

        async def ask():
            nonlocal granted
            for _ in range(each):
                limits = Limits(requests_per_minute=limit)
                grant = await limiter.acquire("m", Want(1, 0), limits, max_wait_seconds=999)
                granted += 1
                await asyncio.sleep(0.01)
                limiter.settle("m", Return(grant=grant))

        print("ready", flush=True)
        sys.stdin.readline()
        await asyncio.gather(*(ask() for _ in range(concurrency)))
        await limiter.aclose()
    print(json.dumps([granted, store.asked]), flush=True)

asyncio.run(main(*json.loads(sys.argv[1])))
"""


async def _end(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()


async def test_processes_that_were_paused_together_do_not_go_one_by_one(tmp_path: Path) -> None:
    """Of a quota that is free an exchange with the file gets many requests through, whoever came first."""
    path, concurrency, each = str(tmp_path / "state.sqlite"), 40, 15
    pipe = asyncio.subprocess.PIPE
    async with AsyncExitStack() as stack, asyncio.timeout(HANGS_AFTER_SECONDS):
        processes: list[asyncio.subprocess.Process] = []
        for name in ("one", "another", "third"):
            given = json.dumps([path, name, LIMIT, concurrency, each])
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", WORKER, given), stdin=pipe, stdout=pipe
            )
            stack.push_async_callback(_end, process)
            processes.append(process)
        for process in processes:
            assert process.stdout is not None
            assert await process.stdout.readline() == b"ready\n"
        with State(SqliteDatabase(path)) as state:
            limiter = Limiter(DatabaseQuota(state), Client(id="first"))
            await paused(limiter)
            for process in processes:
                assert process.stdin is not None
                process.stdin.write(b"\n")
            for process in processes:
                written, _ = await process.communicate()
                granted, asked = json.loads(written)
                assert granted == concurrency * each
                assert asked < granted / 3
            await limiter.aclose()
