"""The caps of one client: which hold now, where they count, and what is said where one is reached."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from llm_assets.llm.ledger import Answer, Cap, Spending
from llm_assets.llm.models import BudgetConfig


class Today(NamedTuple):
    """The caps that hold until `ends_at`, and the accounts that what is spent counts in, the day's always."""

    caps: tuple[Cap, ...]
    accounts: tuple[str, ...]
    day_account: str
    ends_at: float


class Caps:
    """A new day, in the time zone of the name `timezone`, has another account."""

    def __init__(self, config: BudgetConfig, *, run_id: str, timezone: str) -> None:
        self.run_account = f"run:{run_id}"
        self._config = config
        self._timezone = ZoneInfo(timezone)
        self._today = Today((), (), "", 0.0)

    def today(self, now: float) -> Today:
        """`now` is in seconds since the epoch."""
        if now >= self._today.ends_at:
            self._today = self._day_of(now)
        return self._today

    def _day_of(self, now: float) -> Today:
        day = datetime.fromtimestamp(now, UTC).astimezone(self._timezone).date()
        tomorrow = datetime.combine(day + timedelta(days=1), time(), self._timezone)
        account = f"day:{day}"
        caps = _caps(self._config, self.run_account, account)
        accounts = tuple({cap.account: None for cap in caps} | {account: None})
        return Today(caps, accounts, account, tomorrow.timestamp())


def _caps(config: BudgetConfig, run: str, day: str) -> tuple[Cap, ...]:
    usd = ((run, config.usd_per_run, "usd_per_run"), (day, config.usd_per_day, "usd_per_day"))
    tokens = ((run, config.tokens_per_run, "tokens_per_run"), (day, config.tokens_per_day, "tokens_per_day"))
    return tuple(Cap.of_usd(account, most, name) for account, most, name in usd if most is not None) + tuple(
        Cap(account, "tokens", most, name) for account, most, name in tokens if most is not None
    )


def too_dear_message(cap: Cap, worst: Spending) -> str:
    """The request alone may cost more than the whole cap."""
    return (
        f"the request may cost up to {cap.shown(cap.of(worst))}, and the whole budget {cap.name} is "
        f"{cap.shown(cap.most)}; raise it, or lower a chat's max_output_tokens"
    )


def exceeded_message(answer: Answer, worst: Spending) -> str:
    """What is spent leaves too little for `worst`."""
    cap = answer.cap
    assert cap is not None
    anew = f"; each {'day' if cap.is_of_the_day else 'run'} has a budget of its own" if cap.most else ""
    return (
        f"the budget {cap.name} of {cap.shown(cap.most)} has {cap.shown(answer.used)} spent, and the next "
        f"call may cost up to {cap.shown(cap.of(worst))}{anew}"
    )
