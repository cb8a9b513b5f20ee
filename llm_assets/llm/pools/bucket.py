"""The arithmetic of rate limits: pure functions of numbers and times, the same for every store.

A bucket refills continuously and is charged when a request starts, as providers do it. Our level is
an estimate of the server's; `headers` corrects it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

Kind = Literal["requests", "tokens"]

MINUTE_SECONDS = 60.0
DAY_SECONDS = 86_400.0
# The server starts to refill when our first request reaches it, a moment after we counted it.
_CLOCK_SLACK_SECONDS = 0.05
# Until the refill has been measured somebody else may take a part of it, and headers tell of it late. So a
# bit more is left in the bucket, which is used afterwards: it costs nothing but in a run that ends before.
_DOUBT_SECONDS = 0.5
# A level nobody has confirmed for this long may have been used up by others. Longer than a request that
# needs the whole of a minute's limit waits, or it would go as a probe just before its time.
_CONFIRMED_FOR_SECONDS = 90.0
# What was sent within this time may not have reached the server yet, or in another order.
_TRANSIT_SECONDS = 0.1
NOTHING_TOLD = -1.0
# How many more headers have to be true only at admission than only at the answer, or the other way round.
KNOWN = 3.0


class Sent(NamedTuple):
    """What has to be remembered of a charge to judge a header that comes back with its answer.

    `mark` counts everything sent up to and with this charge, `in_transit` what was sent shortly before and
    may arrive after it, `followed` what was sent with it and may arrive before it, `overflowed` the refill
    that had been lost at a full bucket by then, `raised` by how much headers had raised the level, `unsent`
    what had been given back.
    """

    amount: float
    mark: float
    at: float
    in_transit: float
    overflowed: float
    followed: float = 0.0
    raised: float = 0.0
    unsent: float = 0.0


@dataclass(slots=True)
class Bucket:
    """One limit of one pool: `capacity` units, refilled evenly over `period_seconds`.

    `server_limit` is what the server says its limit is; `capacity` is the part of it we use. `share`
    is the part of the refill that really reaches us (neighbours on the same key take the rest).
    `hidden` is what a full bucket may hold but nobody has confirmed yet. `sent` counts every charge,
    `sent_before` is its value of a short while ago. `offered` counts what the bucket would have allowed:
    what it held when that was first known, and every refill since. `overflowed` counts refill that found the
    bucket full. `as_of` says what speaks for headers that are true at admission (above zero) or at the
    answer (below). `told` and what follows is an earlier header to measure the refill from: what it said,
    when its request went and its mark, when it came and what had been sent by then, and what refused requests
    since may not have been charged. `told_in_transit` and `told_on_the_way` may have come to the server after
    it at admission and at the answer, though they were sent before, `told_followed` the other way round.
    `measured` is 1 once the refill was. `raised` counts by how much headers raised the level, `unsent` what
    was charged and given back whole.
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
    server_limit: float = 0.0
    configured: float = 0.0
    sent_before: float = 0.0
    sent_lately: float = 0.0
    lately_since: float = 0.0
    offered: float = 0.0
    overflowed: float = 0.0
    as_of: float = 0.0
    told: float = NOTHING_TOLD
    told_at: float = 0.0
    told_mark: float = 0.0
    told_when: float = 0.0
    told_sent: float = 0.0
    told_overflowed: float = 0.0
    told_unsure: float = 0.0
    measured: float = 0.0
    raised: float = 0.0
    unsent: float = 0.0
    told_followed: float = 0.0
    told_in_transit: float = 0.0
    told_on_the_way: float = 0.0

    @property
    def refill_per_second(self) -> float:
        return self.capacity / self.period_seconds * self.share

    def dump(self) -> list[float]:
        return [getattr(self, name) for name in self.__slots__]


def new_bucket(
    limit: float, period_seconds: float, headroom: float, now: float, *, configured: bool
) -> Bucket:
    """A bucket of unknown level: nothing is taken for granted but its refill from now on."""
    capacity = usable(limit, headroom)
    return Bucket(
        capacity,
        period_seconds,
        level=0.0,
        updated_at=now,
        hidden=capacity,
        lately_since=now,
        configured=limit if configured else 0.0,
    )


def usable(limit: float, headroom: float) -> float:
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
        bucket.share, bucket.margin, bucket.told = 1.0, 0.0, NOTHING_TOLD
        bucket.confirmed_at = bucket.measured = 0.0


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
    bucket.configured, bucket.capacity = limit, usable(allowed, headroom)
    bucket.level = min(bucket.level, bucket.capacity)
    bucket.hidden = min(bucket.hidden, max(bucket.capacity - bucket.level, 0.0))


def move_in_time(bucket: Bucket, seconds: float) -> None:
    for name in ("updated_at", "lately_since", "told_at", "told_when"):
        setattr(bucket, name, getattr(bucket, name) + seconds)
    if bucket.confirmed_at:
        bucket.confirmed_at += seconds


def take(bucket: Bucket, amount: float, now: float) -> Sent:
    in_transit = bucket.sent - bucket.sent_before
    bucket.level -= amount
    bucket.sent += amount
    return Sent(
        amount,
        bucket.sent,
        now,
        in_transit,
        bucket.overflowed,
        raised=bucket.raised,
        unsent=bucket.unsent,
    )


def give_back(bucket: Bucket, amount: float) -> None:
    """Undo a charge, or the part of it that was too much; a negative amount was too little."""
    bucket.level = min(bucket.capacity, bucket.level + amount)
    bucket.sent -= amount


def give_back_unsent(bucket: Bucket, sent: Sent) -> None:
    """Undo a charge that never came to the server. Headers may have told so already and raised the level, and
    a bucket that has been full since has got it back.
    """
    bucket.sent -= sent.amount
    bucket.unsent += sent.amount
    if bucket.overflowed == sent.overflowed:
        more = max(sent.amount - (bucket.raised - sent.raised), 0.0)
        bucket.level = min(bucket.capacity, bucket.level + more)


def seconds_until(bucket: Bucket, amount: float) -> float:
    """How long until `amount` may start; zero or less means now."""
    in_doubt = bucket.confirmed_at and not bucket.measured
    slack_seconds = _CLOCK_SLACK_SECONDS + (_DOUBT_SECONDS if in_doubt else 0.0)
    slack = bucket.margin + slack_seconds * bucket.refill_per_second
    needed = amount + min(slack, max(bucket.capacity - amount, 0.0))
    return (needed - bucket.level) / bucket.refill_per_second
