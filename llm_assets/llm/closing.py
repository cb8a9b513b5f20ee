"""What becomes of calls that are under way when a client closes, and of answers that come too late.

Whoever waits to send is turned away. What was sent may be billed, so its answer is waited for, within bounds.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

from llm_assets.llm.services import Services, Tally

# A wait that is over before anybody wonders needs no words.
_SILENT_SECONDS = 5.0
# However soon the next call is overdue, it is looked for no sooner.
_LOOK_AGAIN_SECONDS = 0.02


class CallsUnderWay:
    """The calls of one client, by the task that each of them runs in."""

    def __init__(self) -> None:
        self._tallies: dict[asyncio.Task[Any], Tally] = {}
        self._turned_away: set[asyncio.Task[Any]] = set()
        self._last_ended = asyncio.Event()

    def begin(self, task: asyncio.Task[Any], tally: Tally) -> None:
        self._tallies[task] = tally

    def end(self, task: asyncio.Task[Any]) -> None:
        del self._tallies[task]
        self._turned_away.discard(task)
        self._last_ended.set()

    def turn_away_who_waits(self) -> None:
        for task, tally in self._tallies.items():
            if not tally.on_the_wire:
                self._turned_away.add(task)
                task.cancel()

    def is_turned_away(self, task: asyncio.Task[Any], cancelled_before: int) -> bool:
        """Whether a cancellation came from `turn_away_who_waits` and from nobody else."""
        return task in self._turned_away and task.uncancel() <= cancelled_before

    async def ended(self) -> None:
        """Wait for all of them: they hand back what they held."""
        while self._tallies:
            self._last_ended.clear()
            await self._last_ended.wait()


def give_up_what_is_overdue(services: Services) -> float:
    """A server that is silent, or answers drop by drop, may take longer than anybody waits.

    Returns in how many seconds to look again: when the next may be overdue, with those sent from now on.
    """
    now = services.clock.now()
    next_at = now + services.config.retry.deadline_seconds
    for exchange in services.on_the_wire.values():
        if now >= exchange.give_up_at:
            exchange.give_up_at = math.inf  # once: it still has to settle
            exchange.task.cancel()
        next_at = min(next_at, exchange.give_up_at)
    return max(next_at - now, _LOOK_AGAIN_SECONDS)


async def drain(services: Services, seconds: float, warn: Callable[[str], None], *, say_so: bool) -> None:
    """Let exchanges that were sent finish and reach the journal; cancel those that take too long."""
    late = {exchange.task for exchange in services.on_the_wire.values()}
    if not late:
        return
    if say_so and seconds > _SILENT_SECONDS:
        warn(
            f"waiting up to {seconds:.0f} s for {len(late)} answers on their way, which may be billed; "
            "interrupt again to give them up"
        )
    try:
        _, late = await asyncio.wait(late, timeout=seconds)
    finally:
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)
            warn(
                f"{len(late)} requests on their way were given up and may be billed; "
                "`llm-assets journal intents` lists them"
            )
