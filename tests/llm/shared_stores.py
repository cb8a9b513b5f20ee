"""One store as several processes see it, at times that a test makes up: hours pass in milliseconds."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import ExitStack
from itertools import count
from typing import Any, TypeVar

from hypothesis import Phase, settings

from llm_assets.clock import SystemClock
from llm_assets.llm.databases.sql import SqlDatabase
from llm_assets.llm.databases.sqlite import SqliteDatabase
from llm_assets.llm.ledger import NOTHING, Spending
from llm_assets.llm.quota.base import Operation, QuotaStore
from llm_assets.llm.quota.database import DatabaseQuota
from llm_assets.llm.quota.memory import MemoryQuota
from llm_assets.llm.quota.redis import RedisQuota
from llm_assets.llm.state import State

Result = TypeVar("Result")
Do = Callable[[Operation[Any], float, int], Awaitable[Any]]
"""Run an operation on the one value of a scenario, at a time and as seen by a client of that number."""

START = 1_790_000_000.0
"""A moment as stores tell it, in seconds since the epoch: what floats can tell apart there counts."""

# What is found is made small, and not explained: that takes minutes.
_PHASES = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)
on_stores = settings(max_examples=15, deadline=None, phases=_PHASES)
purely = settings(max_examples=250, deadline=None, phases=_PHASES)


def spent_in(state: dict[str, Any], account: str) -> Spending:
    """What an account of the budget's ledger has settled so far."""
    entry = state.get("accounts", {}).get(account)
    return Spending(*entry["spent"]) if entry else NOTHING


class Shared:
    """A store as several processes see it. Every scenario has a value of its own in it."""

    def __init__(self, runner: asyncio.Runner, views: Sequence[QuotaStore]) -> None:
        self._runner = runner
        self._views = views
        self._keys = (f"scenario {number} of {uuid.uuid4()}" for number in count())

    def play(self, scenario: Callable[[Do], Coroutine[Any, Any, Result]]) -> Result:
        key = next(self._keys)

        async def do(operation: Operation[Any], now: float, client: int) -> Any:
            view = self._views[client % len(self._views)]
            return await view.transact(key, lambda state, _: operation(state, now))

        return self._runner.run(scenario(do))


def play_on_a_dict(scenario: Callable[[Do], Coroutine[Any, Any, Result]]) -> Result:
    """The same without any store: what the arithmetic alone says. Nothing in it waits, so no loop runs."""
    state: dict[str, Any] = {}

    async def do(operation: Operation[Any], now: float, client: int) -> Any:
        return operation(state, now)

    try:
        scenario(do).send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("a scenario on a dict has waited for something")


async def open_views(name: str, stack: ExitStack, where: str) -> list[QuotaStore]:
    if name == "memory":
        return [MemoryQuota(SystemClock())]
    if name == "redis":
        return [RedisQuota(where), RedisQuota(where)]
    databases = [SqliteDatabase(where) if name == "sqlite" else SqlDatabase(where) for _ in range(2)]
    return [DatabaseQuota(stack.enter_context(State(database))) for database in databases]
