"""The arithmetic of the budget: pure functions of amounts and times, the same for every store.

An account is what one run or one day may spend from. It has what was spent and, by client, what is held
for calls on the wire. What a reader would get wrong: what a client that died held is not free again, it is
spent, for its calls may have been answered and billed. A client that only seemed dead gets it corrected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import ROUND_UP, Decimal
from typing import Any, Literal, NamedTuple

from llm_assets.llm.quota.base import State
from llm_assets.money import exact_usd

_NANO = Decimal(10) ** 9
# A run that spent nothing for this long is over; a day's account stays until all time zones are done.
_KEEP_RUN_SECONDS = 6 * 3600
_KEEP_DAY_SECONDS = 3 * 86_400
# A client may hold this part of what is left ahead of its calls, so near a cap hardly anything.
_SPARE_PART = 16

Verdict = Literal["reserved", "wait", "exceeded"]


class Spending(NamedTuple):
    """An amount of money and tokens; `nano_usd` is billionths of a US dollar."""

    nano_usd: int
    tokens: int

    @classmethod
    def of(cls, usd: Decimal, tokens: int) -> Spending:
        return cls(int((usd * _NANO).to_integral_value(ROUND_UP)), tokens)

    @property
    def usd(self) -> Decimal:
        return Decimal(self.nano_usd) / _NANO

    def __add__(self, other: Spending) -> Spending:  # pyright: ignore[reportIncompatibleMethodOverride]
        return Spending(self.nano_usd + other.nano_usd, self.tokens + other.tokens)


NOTHING = Spending(0, 0)


@dataclass(frozen=True, slots=True)
class Cap:
    """One cap: which account it counts (`run:…` or `day:…`), what, and how much."""

    account: str
    unit: Literal["usd", "tokens"]
    most: int
    name: str

    @classmethod
    def of_usd(cls, account: str, usd: Decimal, name: str) -> Cap:
        return cls(account, "usd", int(usd * _NANO), name)

    @property
    def is_of_the_day(self) -> bool:
        return self.account.startswith("day:")

    def of(self, amount: Spending) -> int:
        return amount.nano_usd if self.unit == "usd" else amount.tokens

    def shown(self, amount: int) -> str:
        return exact_usd(Decimal(amount) / _NANO) if self.unit == "usd" else f"{amount:,} tokens"


class Reservation(NamedTuple):
    """A part of the budget held for one call, in every account it counts in."""

    amount: Spending
    accounts: tuple[str, ...]


class Settled(NamedTuple):
    """What was held in some accounts and is no longer, and what became of it."""

    accounts: tuple[str, ...]
    released: Spending
    spent: Spending


class Settlements:
    """What was settled and is not in the ledger yet: as many items as there are sets of accounts."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, ...], list[int]] = {}

    def __bool__(self) -> bool:
        return bool(self._sums)

    def add(self, accounts: tuple[str, ...], released: Spending, spent: Spending) -> None:
        sums = self._sums.get(accounts)
        if sums is None:
            sums = self._sums[accounts] = [0, 0, 0, 0]
        sums[0] += released.nano_usd
        sums[1] += released.tokens
        sums[2] += spent.nano_usd
        sums[3] += spent.tokens

    def take(self) -> list[Settled]:
        """Everything; nothing is left."""
        sums, self._sums = self._sums, {}
        return [
            Settled(accounts, Spending(usd, tokens), Spending(spent_usd, spent_tokens))
            for accounts, (usd, tokens, spent_usd, spent_tokens) in sums.items()
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the ledger said, with the cap that decides and how full it is now.

    `spare` is what it holds beyond the amount asked for, for the calls to come. `spent` is what every
    account of the caps has spent. `is_near` says that the client holds more than is left for others.
    """

    verdict: Verdict
    cap: Cap | None = None
    used: int = 0
    fullest_share: float = 0.0
    spare: Spending = NOTHING
    spent: Mapping[str, Spending] = field(default_factory=dict[str, Spending])
    is_near: bool = True


def book(
    state: State,
    now: float,
    *,
    owner: str,
    lease_seconds: float,
    settled: Sequence[Settled] = (),
    accounts: Sequence[str] = (),
    caps: Sequence[Cap] = (),
    worst: Spending | None = None,
    spare: Spending = NOTHING,
    batch: int | None = None,
) -> Answer:
    """Book what was settled, judge whether `worst` may be spent, and hold it in `accounts`.

    `batch` numbers what was settled, rising for each owner: what is handed in again, because nobody knows
    whether it arrived, counts once. Up to `spare` more is held for the calls to come, as far as the caps are
    far away. Changes `state`.
    """
    ledger: dict[str, Any] = state.setdefault("accounts", {})
    if _is_new(state, owner, batch, now):
        for item in settled:
            for name in item.accounts:
                _settle(_account(ledger, name, now), owner, item)
    for account in ledger.values():
        if owner in account["held"]:
            account["held"][owner][2] = now + lease_seconds
    _expire(ledger, now)
    if worst is None:
        return Answer(verdict="reserved")
    answer = _judge(ledger, caps, worst, now)
    if answer.verdict != "reserved":
        return answer
    if accounts:
        spare = _part_of_what_is_left(answer, ledger, caps, worst, spare)
        amount = worst + spare
        for name in accounts if amount != NOTHING else ():
            _hold(_account(ledger, name, now), owner, amount, now + lease_seconds)
        answer = replace(answer, spare=spare)
    return replace(answer, is_near=_is_near(answer, ledger, caps, owner))


def _is_new(state: State, owner: str, batch: int | None, now: float) -> bool:
    if batch is None:
        return True
    batches: dict[str, list[float]] = state.setdefault("batches", {})
    for name in [name for name, (_, at) in batches.items() if now - at > _KEEP_DAY_SECONDS]:
        del batches[name]
    is_new = owner not in batches or batch > batches[owner][0]
    if is_new:
        batches[owner] = [batch, now]
    return is_new


def _account(ledger: dict[str, Any], name: str, now: float) -> dict[str, Any]:
    """`{"spent": [nano_usd, tokens], "held": {client: [nano_usd, tokens, until]}, "at": time}`.

    `lapsed` is what clients held when they were taken for dead, and is part of what was spent.
    """
    account = ledger.setdefault(name, {"spent": [0, 0], "held": {}, "lapsed": {}, "at": now})
    account["at"] = now
    return account


def _hold(account: dict[str, Any], owner: str, amount: Spending, until: float) -> None:
    held = account["held"].setdefault(owner, [0, 0, 0.0])
    held[0] += amount.nano_usd
    held[1] += amount.tokens
    held[2] = until


def _settle(account: dict[str, Any], owner: str, item: Settled) -> None:
    released = [item.released.nano_usd, item.released.tokens]
    _take_from(account["held"], owner, released)
    # What is still to be released was taken for spent meanwhile, so it comes off what was spent.
    mistaken = _take_from(account["lapsed"], owner, released)
    account["spent"][0] += item.spent.nano_usd - mistaken[0]
    account["spent"][1] += item.spent.tokens - mistaken[1]


def _take_from(held: dict[str, list[Any]], owner: str, amounts: list[int]) -> list[int]:
    """Take as much of `amounts` as is there, take it off `amounts` too, and return it."""
    entry = held.get(owner)
    if entry is None:
        return [0, 0]
    taken = [min(entry[unit], amounts[unit]) for unit in (0, 1)]
    for unit in (0, 1):
        entry[unit] -= taken[unit]
        amounts[unit] -= taken[unit]
    if entry[0] == 0 and entry[1] == 0:
        del held[owner]
    return taken


def _expire(ledger: dict[str, Any], now: float) -> None:
    """Count as spent what dead clients held, and forget accounts nobody has used for days."""
    for name in list(ledger):
        account = ledger[name]
        for owner in [owner for owner, held in account["held"].items() if held[2] < now]:
            nano_usd, tokens, _ = account["held"].pop(owner)
            account["spent"][0] += nano_usd
            account["spent"][1] += tokens
            lapsed = account["lapsed"].setdefault(owner, [0, 0])
            lapsed[0] += nano_usd
            lapsed[1] += tokens
        keep_seconds = _KEEP_RUN_SECONDS if name.startswith("run:") else _KEEP_DAY_SECONDS
        if now - account["at"] > keep_seconds and not account["held"]:
            del ledger[name]


def _judge(ledger: dict[str, Any], caps: Sequence[Cap], worst: Spending, now: float) -> Answer:
    spent = {cap.account: Spending(*_account(ledger, cap.account, now)["spent"]) for cap in caps}
    verdict, deciding, used, fullest = "reserved", None, 0, 0.0
    for cap in caps:
        so_far, amount = cap.of(spent[cap.account]), cap.of(worst)
        held = _held(ledger, cap)
        if so_far + amount > cap.most:
            share = (so_far + held) / cap.most if cap.most else 1.0
            return Answer(verdict="exceeded", cap=cap, used=so_far, fullest_share=share, spent=spent)
        if so_far + held + amount > cap.most:
            return Answer(
                verdict="wait",
                cap=cap,
                used=so_far + held,
                fullest_share=so_far / max(cap.most, 1),
                spent=spent,
            )
        share = (so_far + held) / cap.most if cap.most else 1.0
        if share >= fullest:
            deciding, used, fullest = cap, so_far + held, share
    return Answer(verdict=verdict, cap=deciding, used=used, fullest_share=fullest, spent=spent)


def _held(ledger: dict[str, Any], cap: Cap) -> int:
    return sum(cap.of(Spending(held[0], held[1])) for held in ledger[cap.account]["held"].values())


def _left(answer: Answer, ledger: dict[str, Any], cap: Cap) -> int:
    return cap.most - cap.of(answer.spent[cap.account]) - _held(ledger, cap)


def _part_of_what_is_left(
    answer: Answer, ledger: dict[str, Any], caps: Sequence[Cap], worst: Spending, wanted: Spending
) -> Spending:
    part = 1.0
    for cap in caps:
        left = _left(answer, ledger, cap) - cap.of(worst)
        if cap.of(wanted):
            part = min(part, left / _SPARE_PART / cap.of(wanted))
    return Spending(int(wanted.nano_usd * part), int(wanted.tokens * part))


def _is_near(answer: Answer, ledger: dict[str, Any], caps: Sequence[Cap], owner: str) -> bool:
    for cap in caps:
        held = ledger[cap.account]["held"].get(owner)
        if held is not None and _left(answer, ledger, cap) < cap.of(Spending(held[0], held[1])):
            return True
    return False
