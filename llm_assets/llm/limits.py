"""What may start now: the limits of all pools, for one client and one event loop."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from llm_assets.llm.metrics import QuotaUse
from llm_assets.llm.models import Limits
from llm_assets.llm.pools.exchange import exchange
from llm_assets.llm.pools.values import Client, Grant, Return, Turn, Want
from llm_assets.llm.quota.base import QuotaStore
from llm_assets.llm.waiting import Line, ModelCooling


class Limiter:
    """Leave to send, by pool. Made inside the event loop that uses it; close it to hand everything back."""

    def __init__(
        self,
        store: QuotaStore,
        client: Client,
        *,
        headroom: float = 0.0,
        warn: Callable[[str], None] = lambda message: None,
    ) -> None:
        self._store = store
        self._warn = warn
        self._warned: set[tuple[str, str]] = set()
        self._client = client
        self._headroom = headroom
        self._lines: dict[str, Line] = {}

    async def acquire(
        self,
        pool: str,
        want: Want,
        limits: Limits | None = None,
        *,
        max_wait_seconds: float,
        first: bool = False,
    ) -> Grant:
        """Wait until `want` may start. `first` goes to the front: a request that has waited before.

        Raises RequestTooLarge when it can never start, RateLimited when it cannot start within
        `max_wait_seconds`, ModelCooling while the breaker is open, StateUnavailable when the shared
        state is gone.
        """
        line = self._lines.get(pool)
        if line is None:
            ask = partial(self._exchange, pool, limits)
            line = self._lines[pool] = Line(pool, ask, self._client.lease_seconds)
        return await line.wait(want, max_wait_seconds, first)

    def take_now(self, pool: str, want: Want) -> Grant | None:
        """Leave to send at once; None when it takes a wait, or a question to the store, to know."""
        line = self._lines.get(pool)
        return None if line is None else line.take_now(want)

    def settle(self, pool: str, returned: Return) -> None:
        """Hand back a grant with what became of its request. Never waits."""
        self._lines[pool].hand_in(returned)

    async def report_outage(self, pool: str, cool_down_seconds: float, reason: str) -> ModelCooling | None:
        """A request ran out of attempts. The model cools down if nothing has worked lately: whether it does.

        Raises StateUnavailable when the shared state is gone.
        """
        return await self._lines[pool].report(
            Return(grant=None, answered=False, failed=reason, cool_down_seconds=cool_down_seconds)
        )

    def is_flowing(self, pool: str) -> bool:
        """Whether a request would most likely start at once: nobody waits, and lately nobody had to."""
        line = self._lines.get(pool)
        return line is not None and line.is_flowing

    def used(self) -> dict[str, QuotaUse]:
        """By pool and limit: what was charged since this limiter was made, by all who share the pool."""
        return {
            f"{pool} {name}": use for pool, line in self._lines.items() for name, use in line.used().items()
        }

    async def aclose(self) -> None:
        for line in self._lines.values():
            await line.aclose()

    async def _exchange(
        self,
        pool: str,
        limits: Limits | None,
        returned: list[Return],
        wanted: list[Want],
        ahead: Want | None,
    ) -> Turn:
        operation = partial(
            exchange,
            client=self._client,
            returned=returned,
            wanted=wanted,
            limits=limits,
            headroom=self._headroom,
            ahead=ahead,
        )
        turn = await self._store.transact(f"pool:{pool}", operation)
        if turn.overruled is not None and (pool, turn.overruled[0]) not in self._warned:
            self._say_overruled(pool, *turn.overruled)
        return turn

    def _say_overruled(self, pool: str, name: str, ours: float, theirs: float) -> None:
        self._warned.add((pool, name))
        self._warn(
            f"{pool}: {name} is configured as {ours:,.0f} here and as {theirs:,.0f} in another process that "
            "runs; the smaller holds for all"
        )
