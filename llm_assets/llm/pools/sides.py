"""A want held against all buckets of a pool at once: all are charged, or none."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import NamedTuple

from llm_assets.llm.pools.bucket import (
    Bucket,
    Sent,
    find_out,
    open_for_probe,
    seconds_until,
    take,
)
from llm_assets.llm.pools.limits import kind_of
from llm_assets.llm.pools.values import Grant, Want


class Side(NamedTuple):
    """A bucket, and which side of a want it is charged with."""

    name: str
    bucket: Bucket
    counts_tokens: bool

    def amount(self, want: Want) -> float:
        return want.tokens if self.counts_tokens else want.requests


def sides_of(buckets: dict[str, Bucket]) -> list[Side]:
    return [Side(name, bucket, kind_of(name) == "tokens") for name, bucket in buckets.items()]


def charge(sides: Sequence[Side], want: Want, may_probe: bool, now: float) -> Grant:
    """Leave for `want`. A probe takes what it needs out of what may be hidden."""
    sent: dict[str, Sent] = {}
    for side in sides:
        amount, bucket = side.amount(want), side.bucket
        if may_probe:
            open_for_probe(bucket, amount)
        sent[side.name] = take(bucket, amount, now)
    return Grant(want, sent, now)


def in_one_go(buckets: dict[str, Bucket], grants: Sequence[Grant]) -> list[Grant]:
    """The same grants, each with what is sent together with it."""
    if len(grants) < 2:
        return [*grants]
    return [
        grant._replace(
            sent={
                name: sent._replace(followed=buckets[name].sent - sent.mark)
                for name, sent in grant.sent.items()
            }
        )
        for grant in grants
    ]


def longest_wait(sides: Sequence[Side], want: Want, before: Want | None) -> tuple[float, str]:
    """How long until every bucket holds `want` and what is wanted before it, and for which bucket.

    Below zero: for how long every bucket has held as much.
    """
    longest, cause = -inf, ""
    for side in sides:
        amount = side.amount(want)
        if amount > 0:
            wait = seconds_until(side.bucket, amount + (side.amount(before) if before else 0.0))
            if wait > longest:
                longest, cause = wait, side.name
    return longest, cause


def too_large(sides: Sequence[Side], want: Want) -> tuple[str, float, float] | None:
    """The limit that `want` can never keep, what it needs of it, and the limit."""
    for side in sides:
        if side.amount(want) > side.bucket.capacity and _is_certain(side.bucket):
            return side.name, side.amount(want), side.bucket.capacity
    return None


def _is_certain(bucket: Bucket) -> bool:
    """Whether the size of a bucket is known: one that was learned long ago may have grown since."""
    return bucket.configured > 0 or bucket.confirmed_at > 0


def can_find_out(sides: Sequence[Side], want: Want) -> bool:
    """Whether `want` may go as a probe: something is unconfirmed, and every bucket may hold what it needs."""
    needed = [(side.bucket, side.amount(want)) for side in sides if side.amount(want) > 0]
    return any(not bucket.confirmed_at for bucket, _ in needed) and all(
        find_out(bucket, amount) or seconds_until(bucket, amount) <= 0 for bucket, amount in needed
    )
