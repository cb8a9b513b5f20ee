"""The arithmetic of rate limits: pure functions of numbers and times, the same for every store.

A bucket refills continuously and is charged when a request starts, as providers do it. Our level is
an estimate of the server's. A header may be as old as the answer took, so it never replaces the level:
it only bounds it (see `_bounds`), and inside the bounds our own count is the better figure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from llm_assets.llm.providers.base import DimensionReport

Kind = Literal["requests", "tokens"]

MINUTE_SECONDS = 60.0
DAY_SECONDS = 86_400.0
# The server starts to refill when our first request reaches it, a moment after we counted it.
_CLOCK_SLACK_SECONDS = 0.05
# A level nobody has confirmed for this long may have been used up by others. Longer than a request that
# needs the whole of a minute's limit waits, or it would go as a probe just before its time.
_CONFIRMED_FOR_SECONDS = 90.0
_LEAST_SHARE = 0.02
_DRIFT_WINDOW_SECONDS = 2.0
# What was sent within this time may not have reached the server yet, or in another order.
_TRANSIT_SECONDS = 0.1
_MOST_MARGIN_SHARE = 0.02
# What is left of the distance kept after a refusal when headers have told the level for another window.
_MARGIN_KEPT = 0.7


class Sent(NamedTuple):
    """What has to be remembered of a charge to judge a header that comes back with its answer.

    `mark` counts everything sent up to and with this charge, `in_transit` what may overtake it, `overflowed`
    the refill that had been lost at a full bucket by then.
    """

    amount: float
    mark: float
    at: float
    in_transit: float
    overflowed: float


@dataclass(slots=True)
class Bucket:
    """One limit of one pool: `capacity` units, refilled evenly over `period_seconds`.

    `server_limit` is what the server says its limit is; `capacity` is the part of it we use. `share`
    is the part of the refill that really reaches us (neighbours on the same key take the rest).
    `hidden` is what a full bucket may hold but nobody has confirmed yet. `sent` counts every charge,
    `sent_before` is its value of a short while ago. `offered` counts what the bucket would have allowed:
    what it held when that was first known, and every refill since. `overflowed` counts refill that found the
    bucket full.
    """

    capacity: float
    period_seconds: float
    level: float
    updated_at: float
    hidden: float = 0.0
    share: float = 1.0
    sent: float = 0.0
    confirmed_at: float = 0.0
    margin: float = 0.0
    drift: float = 0.0
    drift_since: float = 0.0
    server_limit: float = 0.0
    configured: float = 0.0
    sent_before: float = 0.0
    sent_lately: float = 0.0
    lately_since: float = 0.0
    offered: float = 0.0
    overflowed: float = 0.0

    @property
    def refill_per_second(self) -> float:
        return self.capacity / self.period_seconds * self.share

    def dump(self) -> list[float]:
        return [getattr(self, name) for name in self.__slots__]

    @classmethod
    def load(cls, values: list[float]) -> Bucket:
        return cls(*values)


def new_bucket(
    limit: float, period_seconds: float, headroom: float, now: float, *, configured: bool
) -> Bucket:
    """A bucket of unknown level: nothing is taken for granted but its refill from now on."""
    capacity = _usable(limit, headroom)
    return Bucket(
        capacity,
        period_seconds,
        level=0.0,
        updated_at=now,
        hidden=capacity,
        drift_since=now,
        lately_since=now,
        configured=limit if configured else 0.0,
    )


def _usable(limit: float, headroom: float) -> float:
    """What of a limit is used: however much is left to others, one request has to fit."""
    return max(limit * (1.0 - headroom), min(limit, 1.0))


def refill(bucket: Bucket, now: float) -> None:
    """Bring the level to the present. Time that runs backwards (another machine's clock) adds nothing."""
    elapsed = max(now - bucket.updated_at, 0.0)
    refilled = elapsed * bucket.refill_per_second
    bucket.overflowed += max(bucket.level + refilled - bucket.capacity, 0.0)
    bucket.level = min(bucket.capacity, bucket.level + refilled)
    bucket.offered += refilled
    # What nobody has confirmed and what we count on are in the same bucket.
    bucket.hidden = min(bucket.hidden, max(bucket.capacity - bucket.level, 0.0))
    bucket.updated_at = max(now, bucket.updated_at)
    if now - bucket.lately_since > _TRANSIT_SECONDS:
        long_ago = now - bucket.lately_since > 2 * _TRANSIT_SECONDS
        bucket.sent_before = bucket.sent if long_ago else bucket.sent_lately
        bucket.sent_lately, bucket.lately_since = bucket.sent, now


def forget_if_stale(bucket: Bucket, now: float) -> None:
    """Others may have used a bucket that nobody asked about for a while: find out what we count on."""
    if now - max(bucket.updated_at, bucket.confirmed_at) > _CONFIRMED_FOR_SECONDS:
        refill(bucket, now)
        bucket.hidden = max(bucket.level, bucket.hidden, 0.0)
        bucket.level = min(bucket.level, 0.0)
        bucket.share, bucket.margin, bucket.drift = 1.0, 0.0, 0.0
        bucket.confirmed_at = 0.0


def find_out(bucket: Bucket, amount: float) -> bool:
    """Whether a probe of `amount` may find out what an unconfirmed bucket holds."""
    if bucket.confirmed_at:
        return False
    return 0 < amount <= bucket.level + bucket.hidden or amount > bucket.capacity


def open_for_probe(bucket: Bucket, amount: float) -> None:
    """Let the probe have what it needs out of what may be hidden."""
    needed = amount - bucket.level
    if not bucket.confirmed_at and 0 < needed <= bucket.hidden:
        bucket.hidden -= needed
        bucket.level += needed


def configure(bucket: Bucket, limit: float, headroom: float) -> None:
    """Another limit was configured than the one that the bucket goes by."""
    allowed = min(limit, bucket.server_limit) if bucket.server_limit else limit
    bucket.configured, bucket.capacity = limit, _usable(allowed, headroom)
    bucket.level = min(bucket.level, bucket.capacity)
    bucket.hidden = min(bucket.hidden, max(bucket.capacity - bucket.level, 0.0))


def move_in_time(bucket: Bucket, seconds: float) -> None:
    for name in ("updated_at", "drift_since", "lately_since"):
        setattr(bucket, name, getattr(bucket, name) + seconds)
    if bucket.confirmed_at:
        bucket.confirmed_at += seconds


def take(bucket: Bucket, amount: float, now: float) -> Sent:
    in_transit = bucket.sent - bucket.sent_before
    bucket.level -= amount
    bucket.sent += amount
    return Sent(amount, bucket.sent, now, in_transit, bucket.overflowed)


def give_back(bucket: Bucket, amount: float) -> None:
    """Undo a charge, or the part of it that was too much; a negative amount was too little."""
    bucket.level = min(bucket.capacity, bucket.level + amount)
    bucket.sent -= amount


def seconds_until(bucket: Bucket, amount: float) -> float:
    """How long until `amount` may start; zero or less means now."""
    slack = bucket.margin + _CLOCK_SLACK_SECONDS * bucket.refill_per_second
    needed = amount + min(slack, max(bucket.capacity - amount, 0.0))
    return (needed - bucket.level) / bucket.refill_per_second


def observe(bucket: Bucket, report: DimensionReport, sent: Sent, headroom: float, now: float) -> None:
    """Correct the level by a header, within what the requests on their way can explain."""
    _follow_limit(bucket, report, headroom, now)
    if report.remaining is None:
        return
    low, high = _bounds(bucket, report.remaining, sent, now)
    if not bucket.confirmed_at:
        bucket.level, bucket.hidden = low, 0.0
        bucket.offered = max(bucket.offered, bucket.sent + max(low, 0.0))
    else:
        _clamp(bucket, low, high)
        _learn_share(bucket, now)
    bucket.confirmed_at = now


def observe_silence(bucket: Bucket, amount: float) -> None:
    """Answers without headers to what was charged `amount`: the bucket held as much, so open it further."""
    opened = min(bucket.hidden, amount)
    bucket.hidden -= opened
    bucket.offered += opened
    bucket.level = min(bucket.capacity, bucket.level + opened)


def observe_refusal(bucket: Bucket, sent: Sent) -> None:
    """The server had less than we thought: keep a small distance, and expect less refill."""
    bucket.hidden = 0.0
    bucket.level = min(bucket.level, 0.0)
    most = bucket.capacity * _MOST_MARGIN_SHARE
    bucket.margin = min(max(bucket.margin, sent.amount) + sent.amount * 0.5, max(most, sent.amount))


def _bounds(bucket: Bucket, remaining: float, sent: Sent, now: float) -> tuple[float, float]:
    """The least and the greatest level now, from a figure that was true between sending and now.

    True at the answer: only what is still on its way to the server is missing in it. True at admission:
    refilled since, less everything sent after it, and what was sent just before may have come later.
    """
    at_answer = remaining - (bucket.sent - bucket.sent_before)
    refilled = (now - sent.at) * bucket.refill_per_second - (bucket.overflowed - sent.overflowed)
    at_admission = remaining + refilled - (bucket.sent - sent.mark)
    low = min(at_answer, at_admission - sent.in_transit)
    if bucket.overflowed > sent.overflowed:  # our count has been full since, so it is no less than the truth
        low = min(low, bucket.level)
    high = max(remaining, at_admission)
    return min(low, bucket.capacity), min(high, bucket.capacity)


def _clamp(bucket: Bucket, low: float, high: float) -> None:
    # Where we use only a part of the server's limit its level says nothing about the floor of ours.
    low = low if bucket.capacity >= bucket.server_limit else min(low, bucket.level)
    corrected = min(max(bucket.level, low), high)
    bucket.drift += corrected - bucket.level
    bucket.level = corrected


def _learn_share(bucket: Bucket, now: float) -> None:
    """Corrections that all point one way mean that the refill is not what we think it is."""
    elapsed = now - bucket.drift_since
    if elapsed < _DRIFT_WINDOW_SECONDS:
        return
    nominal = bucket.capacity / bucket.period_seconds
    bucket.share = min(max(bucket.share + 0.5 * bucket.drift / (nominal * elapsed), _LEAST_SHARE), 1.0)
    bucket.drift, bucket.drift_since = 0.0, now
    bucket.margin *= _MARGIN_KEPT


def _follow_limit(bucket: Bucket, report: DimensionReport, headroom: float, now: float) -> None:
    limit = report.limit
    if not limit or limit == bucket.server_limit:
        return
    bucket.server_limit = limit
    # A limit someone configured below the server's is meant; one above it is a mistake.
    allowed = min(limit, bucket.configured) if bucket.configured else limit
    before, bucket.capacity = bucket.capacity, _usable(allowed, headroom)
    bucket.period_seconds = period_of(report, bucket.period_seconds)
    bucket.level = min(bucket.level * bucket.capacity / before, bucket.level, bucket.capacity)
    bucket.hidden = min(bucket.hidden, bucket.capacity)
    bucket.drift, bucket.drift_since = 0.0, now


def period_of(report: DimensionReport, otherwise: float = MINUTE_SECONDS) -> float:
    """Whether a header speaks of a limit per minute or per day: the time to full gives it away."""
    if not report.limit or report.remaining is None or not report.reset_seconds:
        return otherwise
    used = report.limit - report.remaining
    if used <= 0:
        return otherwise
    seconds_to_refill_all = report.reset_seconds * report.limit / used
    return DAY_SECONDS if seconds_to_refill_all > 10 * MINUTE_SECONDS else MINUTE_SECONDS


def load_buckets(values: Mapping[str, Any]) -> dict[str, Bucket]:
    return {name: Bucket.load(dumped) for name, dumped in values.items()}
