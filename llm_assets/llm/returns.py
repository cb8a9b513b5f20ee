"""Waiting for money that calls on their way hold: one caller at a time asks whether some has come back.

All of a client lack the same money, so one question answers for all who need as much. Whoever gets some lets
the next one try.
"""

from __future__ import annotations

import asyncio

from llm_assets.llm.ledger import Spending

# Others' reservations come back unheard: how soon to look for them, and how seldom while nothing changes.
_LOOK_AGAIN_SECONDS = 0.1
_LOOK_AGAIN_AT_LEAST_EVERY_SECONDS = 1.0


class Returns:
    """The callers of one client that lack money, in the order they came."""

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Future[None], Spending] = {}
        self._refused: Spending | None = None
        self._times = 0
        self._pause = _LOOK_AGAIN_SECONDS
        self._timer: asyncio.TimerHandle | None = None

    @property
    def times(self) -> int:
        """How often anything has come back; a refusal that was asked for before then says little."""
        return self._times

    def is_refused(self, worst: Spending) -> bool:
        """Whether somebody who waits has just been refused no more than `worst`."""
        return bool(self._waiting) and self._covers(worst)

    def refused(self, worst: Spending, times: int) -> None:
        """The ledger, asked when `times` was this, has too little for `worst`; who needs less may try."""
        if times != self._times:
            return
        known = self._refused or worst
        self._refused = Spending(min(known.nano_usd, worst.nano_usd), min(known.tokens, worst.tokens))
        self._let_one_try()

    def came_back(self) -> None:
        """Something was settled, or is there: the next one tries."""
        self._times += 1
        self._pause = _LOOK_AGAIN_SECONDS
        self._refused = None
        self._let_one_try()

    async def wait(self, worst: Spending) -> None:
        """Until it is worth asking for `worst` again. Whoever is cancelled leaves the turn to the next."""
        if not self._covers(worst):  # something came back while the ledger was asked
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[turn] = worst
        self._look_later()
        try:
            await turn
        except asyncio.CancelledError:
            if self._waiting.pop(turn, None) is None:
                self._let_one_try()
            raise

    def _covers(self, worst: Spending) -> bool:
        least = self._refused
        return least is not None and worst.nano_usd >= least.nano_usd and worst.tokens >= least.tokens

    def _let_one_try(self) -> None:
        for turn, worst in self._waiting.items():
            if not self._covers(worst):
                del self._waiting[turn]
                if not turn.done():
                    turn.set_result(None)
                return

    def _look_later(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._pause, self._look)

    def _look(self) -> None:
        self._timer, self._refused = None, None
        self._pause = min(self._pause * 1.5, _LOOK_AGAIN_AT_LEAST_EVERY_SECONDS)
        self._let_one_try()
        if self._waiting:
            self._look_later()
