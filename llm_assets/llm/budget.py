"""What may be spent: reserved at the worst case before a call, settled to what it cost after it.

All processes of a run, and all runs of a day, count in the same ledger, so no mix of concurrency,
retries and fallbacks passes a cap. Money is counted in whole billionths of a dollar, rounded up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_UP, Decimal
from functools import partial
from typing import Any, Literal
from zoneinfo import ZoneInfo

from llm_assets.errors import BudgetExceeded
from llm_assets.llm.models import BudgetConfig
from llm_assets.llm.quota.base import QuotaStore, State

_KEY = "budget"
_NANO = Decimal(10) ** 9
# A run that spent nothing for this long is over; a day's account stays until all time zones are done.
_KEEP_RUN_SECONDS = 6 * 3600
_KEEP_DAY_SECONDS = 3 * 86_400
# While others' calls are in flight their reservations may still come back.
_LOOK_AGAIN_SECONDS = 0.1

Verdict = Literal["reserved", "wait", "exceeded"]


@dataclass(frozen=True, slots=True)
class Spending:
    """An amount of money and tokens; `nano_usd` is billionths of a US dollar."""

    nano_usd: int
    tokens: int

    @classmethod
    def of(cls, usd: Decimal, tokens: int) -> Spending:
        return cls(int((usd * _NANO).to_integral_value(ROUND_UP)), tokens)

    @property
    def usd(self) -> Decimal:
        return Decimal(self.nano_usd) / _NANO


@dataclass(frozen=True, slots=True)
class Cap:
    """One cap: which account it counts (`run:…` or `day:…`), what, and how much."""

    account: str
    unit: Literal["usd", "tokens"]
    most: int
    name: str

    def of(self, amount: list[int]) -> int:
        return amount[0] if self.unit == "usd" else amount[1]

    def shown(self, amount: int) -> str:
        return f"${Decimal(amount) / _NANO:.6f}" if self.unit == "usd" else f"{amount:,} tokens"


@dataclass(frozen=True, slots=True)
class Reservation:
    """A part of the budget held for one call, in every account it counts in."""

    amount: Spending
    accounts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the ledger said to a reservation, with the cap that decides and how full it is now."""

    verdict: Verdict
    cap: Cap | None = None
    used: int = 0
    fullest_share: float = 0.0


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
        self._freed = asyncio.Event()
        self._held = 0
        self._settled: list[tuple[Reservation, Spending]] = []
        self._flush_task: asyncio.Task[None] | None = None

    async def reserve(self, worst: Spending) -> Reservation:
        """Hold `worst` in every account. Waits while only calls in flight stand in the way.

        Raises BudgetExceeded when what is already spent leaves too little.
        """
        while True:
            self._freed.clear()
            caps = self._caps()
            accounts = tuple({cap.account for cap in caps})
            settled, self._settled = self._settled, []
            answer = await self._transact(settled, accounts, caps, worst)
            self._warn_once(answer)
            if answer.verdict == "reserved":
                self._held += 1
                return Reservation(worst, accounts)
            if answer.verdict == "exceeded":
                assert answer.cap is not None
                raise BudgetExceeded(_exceeded_message(answer, worst))
            await self._wait_for_returns()

    def settle(self, reservation: Reservation, spent: Spending) -> None:
        """Replace what was held by what it cost; zero releases it. Never waits."""
        self._held -= 1
        self._settled.append((reservation, spent))
        self._freed.set()
        if self._flush_task is None:
            self._flush_task = asyncio.get_running_loop().create_task(self.flush())

    async def flush(self) -> None:
        """Write what was settled to the ledger."""
        try:
            settled, self._settled = self._settled, []
            if settled or self._held:
                await self._transact(settled, (), (), None)
        finally:
            self._flush_task = None

    def warn_passed_over(self, model: str, error: BudgetExceeded) -> None:
        """Say once per model that the budget does not bear it and something cheaper answers instead."""
        if model not in self._warned:
            self._warned.add(model)
            self._warn(f"{model} is passed over: {error}")

    @property
    def has_caps(self) -> bool:
        config = self._config
        caps = (config.usd_per_run, config.usd_per_day, config.tokens_per_run, config.tokens_per_day)
        return any(cap is not None for cap in caps)

    async def _transact(
        self,
        settled: list[tuple[Reservation, Spending]],
        accounts: tuple[str, ...],
        caps: tuple[Cap, ...],
        worst: Spending | None,
    ) -> Answer:
        operation = partial(
            book,
            owner=self._owner,
            lease_seconds=self._lease_seconds,
            settled=settled,
            accounts=accounts,
            caps=caps,
            worst=worst,
        )
        try:
            return await self._store.transact(_KEY, operation)
        except BaseException:
            self._settled = settled + self._settled
            raise

    async def _wait_for_returns(self) -> None:
        try:
            async with asyncio.timeout(_LOOK_AGAIN_SECONDS):
                await self._freed.wait()
        except TimeoutError:
            return

    def _day_account(self) -> str:
        return f"day:{datetime.fromtimestamp(self._now(), UTC).astimezone(self._timezone).date()}"

    def _caps(self) -> tuple[Cap, ...]:
        run, day = self._run_account, self._day_account()
        config = self._config
        usd = ((run, config.usd_per_run, "usd_per_run"), (day, config.usd_per_day, "usd_per_day"))
        tokens = (
            (run, config.tokens_per_run, "tokens_per_run"),
            (day, config.tokens_per_day, "tokens_per_day"),
        )
        return tuple(
            Cap(account, "usd", int(most * _NANO), name) for account, most, name in usd if most is not None
        ) + tuple(Cap(account, "tokens", most, name) for account, most, name in tokens if most is not None)

    def _warn_once(self, answer: Answer) -> None:
        cap = answer.cap
        if cap is None or answer.fullest_share < self._config.warn_at or cap.name in self._warned:
            return
        self._warned.add(cap.name)
        self._warn(
            f"{answer.fullest_share:.0%} of the budget {cap.name} is used or reserved: "
            f"{cap.shown(answer.used)} of {cap.shown(cap.most)}"
        )


def _exceeded_message(answer: Answer, worst: Spending) -> str:
    cap = answer.cap
    assert cap is not None
    return (
        f"the budget {cap.name} of {cap.shown(cap.most)} has {cap.shown(answer.used)} spent, and the next "
        f"call may cost up to {cap.shown(cap.of([worst.nano_usd, worst.tokens]))}"
    )


def book(
    state: State,
    now: float,
    *,
    owner: str,
    lease_seconds: float,
    settled: list[tuple[Reservation, Spending]],
    accounts: tuple[str, ...],
    caps: tuple[Cap, ...],
    worst: Spending | None,
) -> Answer:
    """Book what was settled and try to reserve `worst`. The whole arithmetic of the budget; changes `state`.

    An account is `{"spent": [nano_usd, tokens], "held": {owner: [nano_usd, tokens, until]}, "at": time}`.
    """
    ledger: dict[str, Any] = state.setdefault("accounts", {})
    for reservation, spent in settled:
        for name in reservation.accounts:
            _settle_one(_account(ledger, name, now), owner, reservation.amount, spent)
    _keep_alive(ledger, owner, now + lease_seconds)
    _expire(ledger, now)
    if worst is None:
        return Answer("reserved")
    answer = _judge(ledger, caps, worst, now)
    if answer.verdict == "reserved":
        for name in accounts:
            held = _account(ledger, name, now)["held"].setdefault(owner, [0, 0, 0.0])
            held[0] += worst.nano_usd
            held[1] += worst.tokens
            held[2] = now + lease_seconds
    return answer


def _account(ledger: dict[str, Any], name: str, now: float) -> dict[str, Any]:
    account = ledger.setdefault(name, {"spent": [0, 0], "held": {}, "at": now})
    account["at"] = now
    return account


def _settle_one(account: dict[str, Any], owner: str, reserved: Spending, spent: Spending) -> None:
    account["spent"][0] += spent.nano_usd
    account["spent"][1] += spent.tokens
    held = account["held"].get(owner)
    if held is not None:  # a reservation that lapsed by time-out is already gone
        held[0] = max(held[0] - reserved.nano_usd, 0)
        held[1] = max(held[1] - reserved.tokens, 0)
        if held[0] == 0 and held[1] == 0:
            del account["held"][owner]


def _keep_alive(ledger: dict[str, Any], owner: str, until: float) -> None:
    for account in ledger.values():
        if owner in account["held"]:
            account["held"][owner][2] = until


def _expire(ledger: dict[str, Any], now: float) -> None:
    """Give back what dead processes held, and forget accounts nobody has used for days."""
    for name in list(ledger):
        account = ledger[name]
        for owner in [owner for owner, held in account["held"].items() if held[2] < now]:
            del account["held"][owner]
        keep_seconds = _KEEP_RUN_SECONDS if name.startswith("run:") else _KEEP_DAY_SECONDS
        if now - account["at"] > keep_seconds and not account["held"]:
            del ledger[name]


def _judge(ledger: dict[str, Any], caps: tuple[Cap, ...], worst: Spending, now: float) -> Answer:
    fullest = Answer("reserved")
    for cap in caps:
        account = _account(ledger, cap.account, now)
        spent, amount = cap.of(account["spent"]), cap.of([worst.nano_usd, worst.tokens])
        held = sum(cap.of(entry) for entry in account["held"].values())
        share = (spent + held) / cap.most if cap.most else 1.0
        if spent + amount > cap.most:
            return Answer("exceeded", cap, spent, share)
        if spent + held + amount > cap.most:
            return Answer("wait", cap, spent + held, spent / cap.most)
        if share >= fullest.fullest_share:
            fullest = Answer("reserved", cap, spent + held, share)
    return fullest


def spent_in(state: State, account: str) -> Spending:
    """What an account has settled so far."""
    entry = state.get("accounts", {}).get(account)
    return Spending(*entry["spent"]) if entry else Spending(0, 0)
