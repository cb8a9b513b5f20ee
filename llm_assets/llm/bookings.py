"""The way to the budget's ledger: what was settled is handed in once, whatever becomes of a question.

What fails is handed in again under the same number, for nobody knows whether it arrived. What is under way
is waited for even where whoever asked is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

from llm_assets.llm.ledger import NOTHING, Answer, Cap, Settled, Settlements, Spending, book
from llm_assets.llm.quota.base import QuotaStore

_KEY = "budget"
Result = TypeVar("Result")


class Bookings:
    """What one client, `owner`, says to the ledger in `store`. `booked_at` is when it last did.

    `spent` is what each account had spent then, and `is_near_a_cap` that less was left than the client held.
    What is added to `settled` is handed in with the next question.
    """

    def __init__(
        self, store: QuotaStore, *, owner: str, lease_seconds: float, now: Callable[[], float]
    ) -> None:
        self.booked_at = 0.0
        self.spent = dict[str, Spending]()
        self.is_near_a_cap = True
        self._store = store
        self._owner = owner
        self._lease_seconds = lease_seconds
        self._now = now
        self.settled = Settlements()
        self._unconfirmed: list[Settled] = []
        self._batch = 0
        self._under_way: set[asyncio.Task[Any]] = set()

    def __bool__(self) -> bool:
        """Whether anything that was settled is not in the ledger yet."""
        return bool(self.settled or self._unconfirmed)

    def show_alive(self) -> asyncio.Task[Answer]:
        """Hand in what was settled and ask nothing."""
        return self.in_background(self._transact((), (), None, NOTHING))

    def ask(
        self, accounts: tuple[str, ...], caps: tuple[Cap, ...], worst: Spending, spare: Spending
    ) -> asyncio.Task[Answer]:
        """Hand in what was settled, and ask whether `worst` may be spent; hold it in `accounts`, with up to
        `spare` more. Raises StateUnavailable when the store is out of reach."""
        return self.in_background(self._transact(accounts, caps, worst, spare))

    def in_background(self, coroutine: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        """Run it to its end, whoever waits for it."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return task

    async def wait(self) -> None:
        """Wait for what is under way."""
        if self._under_way:
            await asyncio.wait(set(self._under_way))

    async def _transact(
        self, accounts: tuple[str, ...], caps: tuple[Cap, ...], worst: Spending | None, spare: Spending
    ) -> Answer:
        if not self._unconfirmed:
            self._batch += 1
            self._unconfirmed = self.settled.take()
        operation = partial(
            book,
            batch=self._batch,
            owner=self._owner,
            lease_seconds=self._lease_seconds,
            settled=self._unconfirmed,
            accounts=accounts,
            caps=caps,
            worst=worst,
            spare=spare,
        )
        asked_at, batch = self._now(), self._batch
        answer = await self._store.transact(_KEY, operation)
        if batch == self._batch:  # it arrived
            self._unconfirmed = []
        self.booked_at = asked_at
        self.spent.update(answer.spent)
        if caps:
            self.is_near_a_cap = answer.is_near
        return answer
