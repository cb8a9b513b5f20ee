"""The requests of one client that wait for one pool, in one event loop.

One exchange with the store serves the whole line, and the store's answer says when to ask again, so
nothing polls: a wait of hours takes some twenty exchanges. Far from the limits a client takes leave ahead
(`Ahead`), and a request that finds some does not wait at all.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import islice

from llm_assets.errors import LLMAssetsError, RateLimited, RequestTooLarge, StateUnavailable
from llm_assets.llm.ahead import Ahead
from llm_assets.llm.metrics import QuotaUse
from llm_assets.llm.pools.values import Grant, Return, Turn, Used, Want

_MOST_IN_ONE_EXCHANGE = 128
_SETTLE_WITHIN_SECONDS = 0.05
# Who has longer to wait than this looks in half-way: what others give back may be enough before.
_LONG_SECONDS = 0.5

Ask = Callable[[list[Return], list[Want], Want | None], Awaitable[Turn]]
"""An exchange with the store: what came back, what is wanted, and what is wanted ahead."""


class ModelCooling(LLMAssetsError):
    """The model failed often and is left alone for a while; a fact for the model chain, not for users."""

    def __init__(self, pool: str, seconds: float, reason: str) -> None:
        super().__init__(pool, seconds, reason)
        self.pool, self.seconds, self.reason = pool, seconds, reason

    def __str__(self) -> str:
        return f"{self.pool} is left alone for another {self.seconds:.0f} s: {self.reason}"


@dataclass(slots=True, eq=False)
class _Waiter:
    want: Want
    future: asyncio.Future[Grant]
    give_up_at: float


class Line:
    """The requests of this client that wait for one pool, and the grants that came back.

    `lease_seconds` is how long the client counts as alive without a sign of life.
    """

    def __init__(self, pool: str, ask: Ask, lease_seconds: float) -> None:
        self._pool = pool
        self._ask = ask
        self._lease_seconds = lease_seconds
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_Waiter] = deque()
        self._returned: list[Return] = []
        self._reporting: list[asyncio.Future[ModelCooling | None]] = []
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._in_flight = 0
        self.is_flowing = False
        self._in_line = False
        self._used_before: dict[str, Used] | None = None
        self._used: dict[str, Used] = {}
        self._ahead = Ahead()

    def used(self) -> dict[str, QuotaUse]:
        before = self._used_before or {}
        return {
            name: QuotaUse(now.charged - then.charged, now.allowed - then.allowed)
            for name, now in self._used.items()
            for then in (before.get(name, Used(0.0, 0.0)),)
        }

    def take_now(self, want: Want) -> Grant | None:
        """Leave that was taken ahead; None when there is none or others wait."""
        if self._waiting or (grant := self._ahead.take(want, self._loop.time())) is None:
            return None
        self._ahead.use(want)
        self._in_flight += 1
        if self._task is None and self._ahead.runs_out():
            self._exchange_soon()
        return grant

    async def wait(self, want: Want, max_wait_seconds: float, first: bool) -> Grant:
        if (grant := self.take_now(want)) is not None:
            return grant
        self._ahead.use(want)
        waiter = _Waiter(want, self._loop.create_future(), self._loop.time() + max_wait_seconds)
        if first:
            self._waiting.appendleft(waiter)
        else:
            self._waiting.append(waiter)
        if self._waiting[0] is waiter or self._timer is None:
            self._exchange_soon()
        try:
            return await waiter.future
        except asyncio.CancelledError:
            self._leave(waiter)
            raise

    def hand_in(self, returned: Return) -> None:
        self._in_flight -= returned.grant is not None
        self._returned.append(returned)
        if not returned.answered or returned.refused or returned.pause_seconds:  # not now, then
            self._returned.extend(self._ahead.give_back_all())
        if self._waiting:
            self._exchange_soon()
        elif self._task is None:
            self._set_timer(_SETTLE_WITHIN_SECONDS)

    async def report(self, returned: Return) -> ModelCooling | None:
        """Hand in at once what is about the whole pool, and learn whether the model is left alone now."""
        self.hand_in(returned)
        told: asyncio.Future[ModelCooling | None] = self._loop.create_future()
        self._reporting.append(told)
        self._exchange_soon()
        return await told

    async def aclose(self) -> None:
        """Wait for an exchange that is under way and hand in what has not been handed in yet."""
        self._stop_timer()
        if self._task is not None:
            await asyncio.wait([self._task])
        self._stop_timer()
        self._returned.extend(self._ahead.give_back_all())
        if self._returned or self._in_line:
            self._note_use(await self._ask(self._returned, [], None))
            self._returned = []

    def _leave(self, waiter: _Waiter) -> None:
        """A caller was cancelled; a grant that reached it at the same moment goes back unused."""
        if waiter in self._waiting:
            self._waiting.remove(waiter)
            if self._in_line:  # what stands in line for us may have been this request
                self._exchange_soon()
        future = waiter.future
        if future.done() and not future.cancelled() and future.exception() is None:
            self.hand_in(Return(grant=future.result(), answered=False, unsent=True))

    def _exchange_soon(self) -> None:
        self._stop_timer()
        if self._task is None:
            self._task = self._loop.create_task(self._exchange())

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _exchange(self) -> None:
        """Exchange until there is nothing new to say, then set the timer for the next time."""
        returned: list[Return] = []
        reporting: list[asyncio.Future[ModelCooling | None]] = []
        try:
            while True:
                asked = list(islice(self._waiting, _MOST_IN_ONE_EXCHANGE))
                asked_at = self._loop.time()
                lapsed = self._ahead.give_back_all() if asked else self._ahead.give_back(asked_at)
                returned, self._returned = self._returned + lapsed, []
                reporting, self._reporting = self._reporting, []
                wants = [waiter.want for waiter in asked]
                turn = await self._ask(returned, wants, self._ahead.wanted(asked_at))
                self._ahead.add(turn.ahead, asked_at)
                self._note_use(turn)
                self._in_line = turn.wait_seconds is not None
                self.is_flowing = turn.wait_seconds is None and turn.cooling is None
                front = self._waiting[0] if self._waiting else None
                self._deliver(asked, turn)
                self._answer_reports(reporting, turn)
                self._serve_from_stock()
                if self._in_line and not self._waiting:
                    continue
                if not self._waiting:
                    break
                if self._waiting[0] is front and turn.wait_seconds is not None and not self._returned:
                    break
        except Exception as error:  # whatever it was, nobody in line may wait forever
            self._returned = returned + self._returned
            self._fail_all(error, reporting + self._reporting)
            self._reporting = []
            return
        finally:
            self._task = None
        if self._waiting and turn.wait_seconds is not None:
            self._set_timer(_until_next_look(turn.wait_seconds))
        elif self._returned or self._ahead:
            self._set_timer(_SETTLE_WITHIN_SECONDS)
        elif self._in_flight > 0:  # a sign of life, so that others go on counting what is in flight
            self._set_timer(self._lease_seconds / 3)

    def _note_use(self, turn: Turn) -> None:
        self._used = turn.used
        if self._used_before is None:  # what had been charged before us, so without our own first grants
            grants = turn.grants if turn.ahead is None else [*turn.grants, turn.ahead]
            ours = {name: sum(grant.sent[name].amount for grant in grants) for name in turn.used}
            self._used_before = {
                name: Used(used.charged - ours[name], used.allowed) for name, used in turn.used.items()
            }

    def _deliver(self, asked: list[_Waiter], turn: Turn) -> None:
        for waiter, grant in zip(asked, turn.grants, strict=False):
            self._hand_out(waiter, grant)
        if turn.cooling is not None:
            self._fail_all(ModelCooling(self._pool, *turn.cooling))
        elif len(asked) > len(turn.grants):
            self._judge_front(asked[len(turn.grants)], turn)

    def _answer_reports(self, reporting: list[asyncio.Future[ModelCooling | None]], turn: Turn) -> None:
        for told in reporting:
            if not told.done():
                told.set_result(None if turn.cooling is None else ModelCooling(self._pool, *turn.cooling))

    def _serve_from_stock(self) -> None:
        """Who came while the store was asked, in their order, as far as there is leave ahead."""
        now = self._loop.time()
        while self._waiting and (grant := self._ahead.take(self._waiting[0].want, now)) is not None:
            self._hand_out(self._waiting[0], grant)

    def _hand_out(self, waiter: _Waiter, grant: Grant) -> None:
        self._in_flight += 1
        self._drop(waiter)
        if waiter.future.done():
            self.hand_in(Return(grant=grant, answered=False, unsent=True))
        else:
            waiter.future.set_result(grant)

    def _judge_front(self, front: _Waiter, turn: Turn) -> None:
        """Fail the request at the front when waiting cannot help it."""
        wait_seconds = turn.wait_seconds or 0.0
        if turn.oversize is not None:
            name, wanted, limit = turn.oversize
            error = RequestTooLarge(
                f"the request needs {wanted:,.0f} of {self._pool}'s {name}, whose limit is {limit:,.0f}"
            )
        elif self._loop.time() + wait_seconds > front.give_up_at:
            error = RateLimited(
                f"{self._pool} has no quota left for another {wait_seconds:,.0f} s ({turn.cause})"
            )
        else:
            return
        self._drop(front)
        if not front.future.done():
            front.future.set_exception(error)

    def _drop(self, waiter: _Waiter) -> None:
        if self._waiting and self._waiting[0] is waiter:
            self._waiting.popleft()
        elif waiter in self._waiting:
            self._waiting.remove(waiter)

    def _fail_all(
        self, error: Exception, reporting: Sequence[asyncio.Future[ModelCooling | None]] = ()
    ) -> None:
        failure = error if isinstance(error, LLMAssetsError) else StateUnavailable(repr(error))
        waiting, self._waiting = self._waiting, deque()
        for future in [*(waiter.future for waiter in waiting), *reporting]:
            if not future.done():
                future.set_exception(failure)

    def _set_timer(self, seconds: float) -> None:
        if self._timer is not None and self._timer.when() <= self._loop.time() + seconds:
            return
        self._stop_timer()
        self._timer = self._loop.call_later(seconds, self._exchange_soon)


def _until_next_look(wait_seconds: float) -> float:
    return wait_seconds / 2 if wait_seconds > _LONG_SECONDS else wait_seconds
