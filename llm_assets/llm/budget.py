"""What may be spent: reserved at the worst case before a call is sent, settled to what it cost after it.

All processes of a run, and all runs of a day, count in the same ledger, so no mix of concurrency,
retries and fallbacks passes a cap. Money is counted in whole billionths of a dollar, rounded up.

A reservation stands for a call on the wire. So what a process held when it died counts as spent: the
provider may have billed it. A client reserves a little ahead (`Spare`), so that most calls need not ask
the ledger, and gives back what it does not use. What a call did not cost serves its next calls, but where
others may need it. Who has no cap holds nothing, and still books what was spent into the day's account, for
others who have a cap per day.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from decimal import Decimal
from functools import partial

from llm_assets.errors import BudgetExceeded, RequestTooDear, StateUnavailable
from llm_assets.llm.bookings import Bookings
from llm_assets.llm.budget_warnings import BudgetWarnings
from llm_assets.llm.caps import Caps, exceeded_message, too_dear_message
from llm_assets.llm.ledger import NOTHING, Answer, Cap, Reservation, Settled, Spending
from llm_assets.llm.models import BudgetConfig
from llm_assets.llm.quota.base import QuotaStore
from llm_assets.llm.returns import Returns
from llm_assets.llm.spare import Spare

_FLUSH_SECONDS = 0.05
# What nobody waits for is booked more seldom.
_RECORD_SECONDS = 0.25
# What nobody needs for as long is given back, and sooner where little is left for others.
_IDLE_SECONDS = 1.0
_IDLE_SECONDS_NEAR_A_CAP = 0.045


class Budget:
    """The caps of one client, over a shared ledger. `warn` is called with each of its `warnings` once."""

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
        self.warnings = BudgetWarnings(warn, warn_at=config.warn_at, lease_seconds=lease_seconds)
        self._caps = Caps(config, run_id=run_id, timezone=timezone)
        self._bookings = Bookings(store, owner=owner, lease_seconds=lease_seconds, now=now)
        self._now = now
        self._lease_seconds = lease_seconds
        self._spare = Spare()
        self._held = 0
        self._waiting_nano_usd = self._waiting_tokens = 0
        self._asking = asyncio.Lock()
        self._returns = Returns()
        self._timer: asyncio.TimerHandle | None = None
        self._tight: Cap | None = None
        self._is_resting = False
        self._is_closing = False
        caps = (config.usd_per_run, config.usd_per_day, config.tokens_per_run, config.tokens_per_day)
        self.has_caps = any(cap is not None for cap in caps)
        self.needs_prices = config.usd_per_run is not None or config.usd_per_day is not None

    async def require(self, worst: Spending) -> None:
        """Raise BudgetExceeded when what is already spent leaves too little for `worst`. Holds nothing.

        Raises RequestTooDear when not even an untouched budget would bear it.
        Asks the ledger only when what it said last leaves too little. What is spent seldom becomes less (when
        a process that seemed dead comes back), and then the next call finds out.
        """
        spent, caps = self._bookings.spent, self._caps.today(self._now()).caps
        tight = [cap for cap in caps if cap.of(spent.get(cap.account, NOTHING)) + cap.of(worst) > cap.most]
        for cap in tight:
            if cap.of(worst) > cap.most > 0:  # a cap of nothing is for all calls, and so stops the run
                raise RequestTooDear(too_dear_message(cap, worst))
        if tight:
            self._judged(await asyncio.shield(self._bookings.ask((), caps, worst, NOTHING)), worst)

    async def reserve(self, worst: Spending) -> Reservation | None:
        """Hold `worst` for a call that is about to be sent; None while only calls in flight leave too little.

        Raises BudgetExceeded when what is already spent leaves too little.
        """
        nano_usd, tokens = worst
        self._waiting_nano_usd += nano_usd
        self._waiting_tokens += tokens
        try:
            async with self._asking:
                if self.can_reserve_now(worst):
                    reservation = self.reserve_now(worst)
                elif self._returns.is_refused(worst):
                    return None
                else:
                    reservation = await self._ask(worst)
                if reservation is not None:
                    self._returns.came_back()  # perhaps enough for the next one
                return reservation
        finally:
            self._waiting_nano_usd -= nano_usd
            self._waiting_tokens -= tokens

    def can_reserve_now(self, worst: Spending) -> bool:
        """Whether `worst` is there without asking the ledger."""
        now = self._now()
        # Without a sign of life for so long the ledger may have given up on us, and the spare with us.
        is_alive = now - self._bookings.booked_at <= self._lease_seconds / 2
        return is_alive and self._spare.has(worst, self._caps.today(now).accounts)

    def reserve_now(self, worst: Spending) -> Reservation:
        """Hold `worst`, which is there."""
        self._spare.take(worst)
        self._held += 1
        if self._spare.runs_out(self._held):
            self._bookings.in_background(self._flush_quietly())
        return Reservation(worst, self._spare.accounts)

    def settle(self, reservation: Reservation, spent: Spending) -> None:
        """Replace what was held by what it cost; zero releases it. Never waits."""
        self._held -= 1
        amount, accounts = reservation
        released = amount
        if spent[0] <= amount[0] and spent[1] <= amount[1] and not self._bookings.is_near_a_cap:
            unused_nano_usd, unused_tokens = amount[0] - spent[0], amount[1] - spent[1]
            if self._spare.keep(unused_nano_usd, unused_tokens, accounts):
                released = spent
        self._bookings.settled.add(accounts, released, spent)
        self._returns.came_back()
        if self._is_resting:
            self._stop_timer()
        if self._timer is None:
            self._flush_soon()

    def record(self, spent: Spending) -> None:
        """Book what was spent without a reservation, where no cap holds. Never waits."""
        if spent != NOTHING:
            self._bookings.settled.add((self._caps.today(self._now()).day_account,), NOTHING, spent)
            self._flush_soon(_RECORD_SECONDS)

    async def wait_for_returns(self, worst: Spending) -> None:
        """After `reserve` gave None: wait until it is this caller's turn to ask for `worst` again.

        That is when a reservation of our own has come back, or after a while another's may have.
        """
        await self._returns.wait(worst)

    def waited(self, seconds: float) -> None:
        """A call has waited so long in all for what others hold."""
        self.warnings.waiting(seconds, self._tight)

    async def flush(self) -> None:
        """Write what was settled to the ledger, hold a little ahead while it is used, and be seen to live."""
        self._stop_timer()
        is_near = self._bookings.is_near_a_cap
        idle_seconds = _IDLE_SECONDS_NEAR_A_CAP if is_near else _IDLE_SECONDS
        self._return(self._spare.give_back_unused(self._now(), idle_seconds, self._held))
        if self._bookings or self._held or self._spare.accounts:
            await asyncio.shield(self._bookings.in_background(self._book()))
        if self._bookings or self._spare.accounts:
            self._is_resting = not self._bookings and not is_near
            self._flush_soon(_IDLE_SECONDS if self._is_resting else _FLUSH_SECONDS)

    async def spent_usd(self) -> dict[str, Decimal]:
        """US dollars spent under the caps, by everybody who counts in them: of the `run`, and of the `day`.

        Nothing where no cap holds.
        """
        today = self._caps.today(self._now())
        if not today.caps:
            return {}
        answer = await asyncio.shield(self._bookings.ask((), today.caps, NOTHING, NOTHING))
        names = {self._caps.run_account: "run", today.day_account: "day"}
        return {names[account]: spent.usd for account, spent in answer.spent.items() if account in names}

    async def aclose(self) -> None:
        """Settle everything and give back what is spare."""
        self._is_closing = True
        self._stop_timer()
        await self._bookings.wait()
        self._return(self._spare.give_back())
        while self._bookings:
            await self.flush()

    async def _ask(self, worst: Spending) -> Reservation | None:
        """Hold `worst`, and with it as much as all who wait need, and what is to be held ahead."""
        today = self._caps.today(self._now())
        if self._bookings.is_near_a_cap:  # then it may be what this call lacks
            self._return(self._spare.give_back())
        self._spare.learn(worst)
        ahead = self._spare.missing(self._held + 1)
        others = self._waiting_nano_usd - worst.nano_usd, self._waiting_tokens - worst.tokens
        wanted = Spending(others[0] + ahead.nano_usd, others[1] + ahead.tokens)
        returned = self._returns.times
        booking = self._bookings.ask(today.accounts, today.caps, worst, wanted)
        try:
            answer = await asyncio.shield(booking)
        except asyncio.CancelledError:
            booking.add_done_callback(partial(self._undo, worst, today.accounts))
            raise
        if self._judged(answer, worst) == "wait":
            self._returns.refused(worst, returned)
            return None
        self._hold_ahead(answer.spare, today.accounts)
        self._held += 1
        self._flush_soon()
        return Reservation(worst, today.accounts)

    def _judged(self, answer: Answer, worst: Spending) -> str:
        self.warnings.nearly_used_up(answer)
        if answer.verdict == "exceeded":
            self._returns.came_back()  # for nobody, but all are to hear of it
            raise BudgetExceeded(exceeded_message(answer, worst))
        if answer.verdict == "wait":
            self._tight = answer.cap
        return answer.verdict

    def _undo(self, worst: Spending, accounts: tuple[str, ...], booking: asyncio.Task[Answer]) -> None:
        """Give back what was held for a caller that was cancelled while the ledger was asked."""
        if booking.cancelled() or booking.exception() is not None:
            return
        if (answer := booking.result()).verdict == "reserved":
            self._bookings.settled.add(accounts, worst + answer.spare, NOTHING)
            self._flush_soon()

    async def _book(self) -> None:
        """Book what was settled, and with it ask for what is missing ahead."""
        today, accounts = self._caps.today(self._now()), self._spare.accounts
        if self._is_closing or accounts != today.accounts:
            await self._bookings.show_alive()
            return
        answer = await self._bookings.ask(accounts, today.caps, NOTHING, self._spare.missing(self._held))
        self.warnings.nearly_used_up(answer)
        self._hold_ahead(answer.spare, accounts)

    def _hold_ahead(self, amount: Spending, accounts: tuple[str, ...]) -> None:
        if self._spare.accounts not in ((), accounts):  # a new day has begun
            self._return(self._spare.give_back())
        self._spare.add(amount, accounts)

    def _return(self, unused: list[Settled]) -> None:
        for item in unused:
            self._bookings.settled.add(*item)

    def _flush_soon(self, seconds: float = _FLUSH_SECONDS) -> None:
        if self._timer is None and not self._is_closing:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(
                seconds, lambda: self._bookings.in_background(self._flush_quietly())
            )

    async def _flush_quietly(self) -> None:
        """A store that is gone is noticed by the calls that need it; what was settled waits here."""
        with contextlib.suppress(StateUnavailable):
            await self.flush()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer, self._is_resting = None, False
