"""What may be spent: reserved at the worst case before a call is sent, settled to what it cost after it.

All processes of a run, and all runs of a day, count in the same ledger, so no mix of concurrency,
retries and fallbacks passes a cap. Money is counted in whole billionths of a dollar, rounded up.

A reservation stands for a call on the wire. So what a process held when it died counts as spent: the
provider may have billed it. A client reserves a little ahead (`Spare`), so that most calls need not ask
the ledger, and gives back what it does not use. Who has no cap holds nothing, and still books what was spent
into the day's account, for others who have a cap per day.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from llm_assets.errors import BudgetExceeded, RequestTooDear, StateUnavailable
from llm_assets.llm.ledger import NOTHING, Answer, Cap, Reservation, Settled, Settlements, Spending, book
from llm_assets.llm.models import BudgetConfig
from llm_assets.llm.quota.base import QuotaStore
from llm_assets.llm.spare import Spare

_KEY = "budget"
_FLUSH_SECONDS = 0.05
# What nobody waits for is booked more seldom.
_RECORD_SECONDS = 0.25
# While others' calls are in flight their reservations may still come back.
_LOOK_AGAIN_SECONDS = 0.1
# Whoever waits longer than this for others' calls wants to know what for.
_SILENT_WAIT_SECONDS = 5.0


Result = TypeVar("Result")


class Budget:
    """The caps of one client, over a shared ledger. `warn` is called once per cap that is nearly used up."""

    def __init__(
        self,
        store: QuotaStore,
        config: BudgetConfig,
        *,
        run_id: str,
        owner: str,
        timezone: str = "UTC",
        lease_seconds: float = 60.0,
        now: Callable[[], float],
        warn: Callable[[str], None] = lambda message: None,
    ) -> None:
        self._store = store
        self._config = config
        self._run_account = f"run:{run_id}"
        self._owner = owner
        self._timezone = ZoneInfo(timezone)
        self._lease_seconds = lease_seconds
        self._now = now
        self._warn = warn
        self._warned: set[str] = set()
        self._caps: tuple[Cap, ...] = ()
        self._accounts: tuple[str, ...] = ()
        self._day_account = ""
        self._day_ends_at = 0.0
        self._spent = dict[str, Spending]()
        self._spare = Spare()
        self._settled = Settlements()
        self._unconfirmed: list[Settled] = []
        self._batch = 0
        self._held = 0
        self._booked_at = 0.0
        self._asking = asyncio.Lock()
        self._freed = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._under_way: set[asyncio.Task[Any]] = set()
        caps = (config.usd_per_run, config.usd_per_day, config.tokens_per_run, config.tokens_per_day)
        self.has_caps = any(cap is not None for cap in caps)
        self.needs_prices = config.usd_per_run is not None or config.usd_per_day is not None

    async def require(self, worst: Spending) -> None:
        """Raise BudgetExceeded when what is already spent leaves too little for `worst`. Holds nothing.

        Raises RequestTooDear when not even an untouched budget would bear it.
        Asks the ledger only when what it said last leaves too little. What is spent seldom becomes less (when
        a process that seemed dead comes back), and then the next call finds out.
        """
        spent = self._spent
        tight = [
            cap
            for cap in self._current_caps()
            if cap.of(spent.get(cap.account, NOTHING)) + cap.of(worst) > cap.most
        ]
        for cap in tight:
            if cap.of(worst) > cap.most > 0:  # a cap of nothing is for all calls, and so stops the run
                raise RequestTooDear(_too_dear_message(cap, worst))
        if tight:
            await self._ask(worst, reserve=False)

    async def reserve(self, worst: Spending) -> Reservation | None:
        """Hold `worst` for a call that is about to be sent; None while only calls in flight leave too little.

        Raises BudgetExceeded when what is already spent leaves too little.
        """
        async with self._asking:
            if self.can_reserve_now(worst):
                return self.reserve_now(worst)
            return await self._ask(worst, reserve=True)

    def can_reserve_now(self, worst: Spending) -> bool:
        """Whether `worst` is there without asking the ledger."""
        now = self._now()
        if now >= self._day_ends_at:
            self._current_caps()
        # Without a sign of life for so long the ledger may have given up on us, and the spare with us.
        return now - self._booked_at <= self._lease_seconds / 2 and self._spare.has(worst, self._accounts)

    def reserve_now(self, worst: Spending) -> Reservation:
        """Hold `worst`, which is there."""
        self._spare.take(worst)
        self._held += 1
        if self._spare.runs_out():
            self._in_background(self._flush_quietly())
        return Reservation(worst, self._accounts)

    def settle(self, reservation: Reservation, spent: Spending) -> None:
        """Replace what was held by what it cost; zero releases it. Never waits."""
        self._held -= 1
        self._settled.add(reservation.accounts, reservation.amount, spent)
        self._freed.set()
        if self._timer is None:
            self._flush_soon()

    def record(self, spent: Spending) -> None:
        """Book what was spent without a reservation, where no cap holds. Never waits."""
        if spent != NOTHING:
            self._current_caps()
            self._settled.add((self._day_account,), NOTHING, spent)
            self._flush_soon(_RECORD_SECONDS)

    async def wait_for_returns(self) -> None:
        """Wait until a reservation may have come back: one of our own, or after a short while another's."""
        self._freed.clear()
        try:
            async with asyncio.timeout(_LOOK_AGAIN_SECONDS):
                await self._freed.wait()
        except TimeoutError:
            return

    async def flush(self) -> None:
        """Write what was settled to the ledger, hold as much ahead as is used, and show to be alive."""
        self._stop_timer()
        self._return(self._spare.give_back_unused(self._now()))
        if self._settled or self._unconfirmed or self._held or self._spare.accounts:
            await asyncio.shield(self._in_background(self._book()))
        if self._settled or self._spare.accounts:
            self._flush_soon()

    async def spent_usd(self) -> dict[str, Decimal]:
        """US dollars spent under the caps, by everybody who counts in them: of the `run`, and of the `day`.

        Nothing where no cap holds.
        """
        caps = self._current_caps()
        if not caps:
            return {}
        answer = await asyncio.shield(self._in_background(self._transact((), caps, NOTHING, NOTHING)))
        names = {self._run_account: "run", self._day_account: "day"}
        return {names[account]: spent.usd for account, spent in answer.spent.items() if account in names}

    async def aclose(self) -> None:
        """Settle everything and give back what is spare."""
        self._stop_timer()
        if self._under_way:
            await asyncio.wait(set(self._under_way))
        self._return(self._spare.give_back())
        while self._settled or self._unconfirmed:
            await self.flush()
        self._stop_timer()

    def warn_passed_over(self, model: str, error: BudgetExceeded | RequestTooDear) -> None:
        """Say once per model that the budget does not bear it and something cheaper answers instead."""
        if model not in self._warned:
            self._warned.add(model)
            self._warn(f"{model} is passed over: {error}")

    def warn_overbilled(self, model: str, times: float) -> None:
        """Say once per model that a call cost more than by the price list it could."""
        if (key := f"{model} overbilled") not in self._warned:
            self._warned.add(key)
            self._warn(
                f"{model} bills more than it can by its price and the request: from now on {times:.2f} times "
                "as much is reserved for its calls; a cap may be passed by those on their way until now"
            )

    def warn_waiting(self, seconds: float) -> None:
        """Say once that calls wait for the reservations of others, when they have waited for long."""
        if seconds > _SILENT_WAIT_SECONDS and "waiting" not in self._warned:
            self._warned.add("waiting")
            self._warn(
                "calls wait, for other runs hold the rest of the budget for calls on their way; what a run "
                f"that died held counts as spent after {self._lease_seconds:.0f} s"
            )

    async def _book(self) -> None:
        """Book what was settled, and with it ask for what is missing ahead."""
        caps, accounts, missing = self._current_caps(), self._spare.accounts, self._spare.missing()
        if accounts != self._accounts or missing == NOTHING:
            await self._transact((), (), None, NOTHING)
            return
        answer = await self._transact(accounts, caps, NOTHING, missing)
        self._warn_once(answer)
        self._hold_ahead(answer.spare, accounts)

    def _hold_ahead(self, amount: Spending, accounts: tuple[str, ...]) -> None:
        if self._spare.accounts not in ((), accounts):  # a new day has begun
            self._return(self._spare.give_back())
        self._spare.add(amount, accounts)

    def _return(self, unused: list[Settled]) -> None:
        for item in unused:
            self._settled.add(*item)

    async def _ask(self, worst: Spending, *, reserve: bool) -> Reservation | None:
        caps = self._current_caps()
        accounts = self._accounts if reserve else ()
        wanted = NOTHING
        if reserve:
            self._return(self._spare.give_back())
            wanted = self._spare.wanted(worst)
        booking = self._in_background(self._transact(accounts, caps, worst, wanted))
        try:
            answer = await asyncio.shield(booking)
        except asyncio.CancelledError:
            booking.add_done_callback(partial(self._undo, worst, accounts))
            raise
        self._warn_once(answer)
        if answer.verdict == "exceeded":
            raise BudgetExceeded(_exceeded_message(answer, worst))
        if answer.verdict == "wait" or not reserve:
            return None
        self._hold_ahead(answer.spare, accounts)
        self._held += 1
        self._flush_soon()
        return Reservation(worst, accounts)

    def _undo(self, worst: Spending, accounts: tuple[str, ...], booking: asyncio.Task[Answer]) -> None:
        """Give back what was held for a caller that was cancelled while the ledger was asked."""
        if booking.cancelled() or booking.exception() is not None:
            return
        if (answer := booking.result()).verdict == "reserved" and accounts:
            self._settled.add(accounts, worst + answer.spare, NOTHING)
            self._flush_soon()

    async def _transact(
        self, accounts: tuple[str, ...], caps: tuple[Cap, ...], worst: Spending | None, spare: Spending
    ) -> Answer:
        if not self._unconfirmed:
            self._batch += 1
            self._unconfirmed = self._settled.take()
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
        if batch == self._batch:  # it arrived; what fails is handed in again, under the same number
            self._unconfirmed = []
        self._booked_at = asked_at
        self._spent.update(answer.spent)
        return answer

    def _flush_soon(self, seconds: float = _FLUSH_SECONDS) -> None:
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(seconds, lambda: self._in_background(self._flush_quietly()))

    async def _flush_quietly(self) -> None:
        """A store that is gone is noticed by the calls that need it; what was settled waits here."""
        with contextlib.suppress(StateUnavailable):
            await self.flush()

    def _in_background(self, coroutine: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return task

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _current_caps(self) -> tuple[Cap, ...]:
        """The caps that hold now. A new day, in the configured time zone, has another account."""
        now = self._now()
        if now >= self._day_ends_at:
            today = datetime.fromtimestamp(now, UTC).astimezone(self._timezone).date()
            tomorrow = datetime.combine(today + timedelta(days=1), time(), self._timezone)
            self._day_ends_at = tomorrow.timestamp()
            self._day_account = f"day:{today}"
            self._caps = _caps(self._config, self._run_account, self._day_account)
            self._accounts = tuple({cap.account: None for cap in self._caps} | {self._day_account: None})
        return self._caps

    def _warn_once(self, answer: Answer) -> None:
        cap = answer.cap
        if cap is None or answer.fullest_share < self._config.warn_at or cap.name in self._warned:
            return
        self._warned.add(cap.name)
        self._warn(
            f"{answer.fullest_share:.0%} of the budget {cap.name} is used or reserved: "
            f"{cap.shown(answer.used)} of {cap.shown(cap.most)}"
        )


def _caps(config: BudgetConfig, run: str, day: str) -> tuple[Cap, ...]:
    usd = ((run, config.usd_per_run, "usd_per_run"), (day, config.usd_per_day, "usd_per_day"))
    tokens = ((run, config.tokens_per_run, "tokens_per_run"), (day, config.tokens_per_day, "tokens_per_day"))
    return tuple(Cap.of_usd(account, most, name) for account, most, name in usd if most is not None) + tuple(
        Cap(account, "tokens", most, name) for account, most, name in tokens if most is not None
    )


def _too_dear_message(cap: Cap, worst: Spending) -> str:
    return (
        f"the request may cost up to {cap.shown(cap.of(worst))}, and the whole budget {cap.name} is "
        f"{cap.shown(cap.most)}; raise it, or lower max_output_tokens"
    )


def _exceeded_message(answer: Answer, worst: Spending) -> str:
    cap = answer.cap
    assert cap is not None
    return (
        f"the budget {cap.name} of {cap.shown(cap.most)} has {cap.shown(answer.used)} spent, and the next "
        f"call may cost up to {cap.shown(cap.of(worst))}"
    )
