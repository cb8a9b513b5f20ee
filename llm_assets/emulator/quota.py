"""OpenAI's bucket arithmetic: continuous refill, several limits at once, what a refusal says.

A request is admitted when every bucket holds what it costs, and is charged then, never afterwards.
What a reader would get wrong: a refused request costs a request too, and a level never falls below zero,
so hammering an empty bucket keeps it empty but waiting always mends it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from llm_assets.emulator.config import EmulatorConfig, QuotaLimits
from llm_assets.emulator.ideal import IdealTime

_MINUTE, _DAY = 60.0, 86_400.0
_ALMOST = 1e-6  # a level that lacks less than this to a whole unit lacks it by rounding only


@dataclass(frozen=True, slots=True)
class Dimension:
    """One of the four ways in which a pool is limited."""

    field: str
    unit: str
    label: str
    period_seconds: float


DIMENSIONS = (
    Dimension("requests_per_minute", "requests", "requests per min (RPM)", _MINUTE),
    Dimension("requests_per_day", "requests", "requests per day (RPD)", _DAY),
    Dimension("tokens_per_minute", "tokens", "tokens per min (TPM)", _MINUTE),
    Dimension("tokens_per_day", "tokens", "tokens per day (TPD)", _DAY),
)

# Where both are limited, OpenAI's headers tell the day's requests and the minute's tokens.
_SHOWN_FIRST = {"requests": "requests_per_day", "tokens": "tokens_per_minute"}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request was not admitted: the bucket that makes it wait longest.

    `wait_seconds` is None when the request is larger than the bucket: waiting never helps.
    """

    dimension: Dimension
    limit: int
    used: int
    requested: int
    wait_seconds: float | None


class Bucket:
    """One dimension of one pool. `level` is what is left of it."""

    __slots__ = (
        "_config",
        "_ideal",
        "_left_to_us",
        "_refilled_at",
        "capacity",
        "dimension",
        "level",
        "limit",
        "per_second",
    )

    def __init__(self, dimension: Dimension, limit: int, config: EmulatorConfig, now: float) -> None:
        self.dimension = dimension
        self._config = config
        self._refilled_at = now
        self._ideal: IdealTime | None = None
        self._set(limit, config.neighbour_share)
        self.level = self.capacity * config.initial_level

    def _set(self, limit: int, neighbour_share: float) -> None:
        """`per_second` is the refill that the limit promises; what a neighbour takes, no answer tells."""
        period = self.dimension.period_seconds
        window = self._config.quota_window_seconds if period == _MINUTE else period
        self.limit = limit
        self.per_second = limit / period
        self.capacity = max(self.per_second * window, 1.0)
        self._left_to_us = self.per_second * (1.0 - neighbour_share)

    def cost(self, tokens: int) -> int:
        """What a request of so many tokens takes from this bucket."""
        return 1 if self.dimension.unit == "requests" else tokens

    def refill(self, now: float) -> None:
        elapsed = now - self._refilled_at
        if elapsed > 0:
            self.level = min(self.capacity, self.level + elapsed * self._left_to_us)
        self._refilled_at = now

    def holds(self, cost: int) -> bool:
        return self.level + _ALMOST >= cost

    def admit(self, cost: int) -> None:
        self.take(cost)
        if self._ideal is not None:
            self._ideal.admit(cost)

    def take(self, cost: int) -> None:
        self.level = max(0.0, self.level - cost)

    def refusal(self, cost: int) -> Refusal:
        """What OpenAI says: whole numbers, and the wait that follows from them."""
        used = self.limit - math.floor(self.level + _ALMOST)
        wait = (used + cost - self.limit) / self.per_second
        return Refusal(self.dimension, self.limit, used, cost, None if cost > self.capacity else wait)

    def seconds_until_full(self) -> float:
        return (self.capacity - self.level) / self.per_second

    def change(self, limit: int, neighbour_share: float, now: float) -> None:
        """Another limit from now on. The level stays, as far as it fits into the new bucket."""
        self.refill(now)
        self._set(limit, neighbour_share)
        self.level = min(self.level, self.capacity)
        if self._ideal is not None:
            self._ideal.change(self._left_to_us, now)

    def begin(self, now: float) -> None:
        """The first request is here: the ideal time counts from now."""
        self.refill(now)
        self._ideal = IdealTime(self.level, self._left_to_us, now)

    def ideal_seconds(self) -> float:
        return self._ideal.seconds() if self._ideal else 0.0


class Quota:
    """The buckets of one pool of models."""

    def __init__(self, limits: QuotaLimits, config: EmulatorConfig, now: float) -> None:
        self.limits = limits
        self.neighbour_share = config.neighbour_share
        self._config = config
        self._begun = False
        self._buckets: list[Bucket] = []
        self._shown: dict[str, Bucket] = {}
        self.change(limits, config.neighbour_share, now)

    def admit(self, tokens: int, now: float) -> Refusal | None:
        """Charge one request of so many tokens, or say why not (and charge what a refusal costs)."""
        if not self._begun:
            self._begin(now)
        for bucket in self._buckets:
            bucket.refill(now)
        if any(not bucket.holds(bucket.cost(tokens)) for bucket in self._buckets):
            return self._refuse(tokens)
        for bucket in self._buckets:
            bucket.admit(bucket.cost(tokens))
        return None

    def headers(self, now: float) -> dict[str, str]:
        """The `x-ratelimit-…` headers as of `now`; none for a unit without a limit."""
        headers: dict[str, str] = {}
        for unit, bucket in self._shown.items():
            bucket.refill(now)
            headers[f"x-ratelimit-limit-{unit}"] = str(bucket.limit)
            headers[f"x-ratelimit-remaining-{unit}"] = str(math.floor(bucket.level + _ALMOST))
            headers[f"x-ratelimit-reset-{unit}"] = format_duration(bucket.seconds_until_full())
        return headers

    def change(self, limits: QuotaLimits, neighbour_share: float, now: float) -> None:
        """Other limits from now on. A bucket that stays keeps its level."""
        self.limits, self.neighbour_share = limits, neighbour_share
        old = {bucket.dimension.field: bucket for bucket in self._buckets}
        self._buckets = []
        for dimension in DIMENSIONS:
            limit: int | None = getattr(limits, dimension.field)
            if limit is not None:
                bucket = old.get(dimension.field) or self._new(dimension, limit, now)
                bucket.change(limit, neighbour_share, now)
                self._buckets.append(bucket)
        self._shown = _shown(self._buckets)

    def ideal_seconds(self) -> float:
        """The least time in which all that was admitted fits through the buckets; 0 without limits."""
        return max((bucket.ideal_seconds() for bucket in self._buckets), default=0.0)

    def levels(self, now: float) -> dict[str, float]:
        """What is left in each bucket."""
        for bucket in self._buckets:
            bucket.refill(now)
        return {bucket.dimension.field: round(bucket.level, 3) for bucket in self._buckets}

    def _begin(self, now: float) -> None:
        self._begun = True
        for bucket in self._buckets:
            bucket.begin(now)

    def _new(self, dimension: Dimension, limit: int, now: float) -> Bucket:
        bucket = Bucket(dimension, limit, self._config, now)
        if self._begun:
            bucket.begin(now)
        return bucket

    def _refuse(self, tokens: int) -> Refusal:
        lacking = [bucket for bucket in self._buckets if not bucket.holds(bucket.cost(tokens))]
        for bucket in self._buckets:
            if self._is_charged(bucket):
                bucket.take(bucket.cost(tokens))
        return max((bucket.refusal(bucket.cost(tokens)) for bucket in lacking), key=_severity)

    def _is_charged(self, bucket: Bucket) -> bool:
        charged = self._config.charge_refused
        return charged == "all" or (charged == "requests" and bucket.dimension.unit == "requests")


def _severity(refusal: Refusal) -> float:
    return math.inf if refusal.wait_seconds is None else refusal.wait_seconds


def _shown(buckets: list[Bucket]) -> dict[str, Bucket]:
    shown: dict[str, Bucket] = {}
    for bucket in buckets:
        unit = bucket.dimension.unit
        if unit not in shown or bucket.dimension.field == _SHOWN_FIRST[unit]:
            shown[unit] = bucket
    return shown


def format_duration(seconds: float) -> str:
    """As OpenAI writes durations: `60ms`, `1.822s`, `6m0s`, `1m2.5s`, `20h`, `23h59m8.64s`. Rounded up."""
    milliseconds = max(0, math.ceil(seconds * 1000 - 1e-6))
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    whole, thousandths = divmod(milliseconds, 1000)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    fraction = f".{thousandths:03}".rstrip("0") if thousandths else ""
    if hours and not (minute or second or thousandths):
        return f"{hours}h"
    hour_part = f"{hours}h" if hours else ""
    minute_part = f"{minute}m" if minutes else ""
    return f"{hour_part}{minute_part}{second}{fraction}s"
