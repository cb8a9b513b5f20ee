"""What stores keep of a pool: plain values, since every exchange reads and writes all of it."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, TypedDict

from llm_assets.llm.pools.bucket import Bucket, move_in_time

# Clocks are corrected by less than this all the time.
_CLOCK_JUMP_SECONDS = 5.0


_FIELDS = len(fields(Bucket))


class Pool(TypedDict, total=False):
    """A pool that nobody has asked yet is empty, so any entry may be missing. Moments are the store's.

    - `buckets`: by limit, the fields of its bucket in their order
    - `flight`: by client, until when it counts as alive, and the requests and tokens it has on the wire
    - `queue`: by client that waits, its priority, its ticket, when it comes again, and its first want
    - `ticket`: the last one given out
    - `limits`: by client that configured some, until when they count, and the limits
    - `now`, `granted`: when the last exchange was, and when a request was last granted
    - `pause`: until when nobody may ask, because the server said so
    - `cool`: until when the model is left alone, and why
    - `failures`: how many came in a row
    - `seen`: whether an answer ever came
    """

    buckets: dict[str, list[float]]
    flight: dict[str, list[float]]
    queue: dict[str, list[float]]
    ticket: float
    limits: dict[str, list[Any]]
    now: float
    granted: float
    pause: float
    cool: list[Any]
    failures: int
    seen: bool


def load_buckets(pool: Pool) -> dict[str, Bucket]:
    """What another version has left is not read: it is found out again."""
    kept = pool.get("buckets", {}).items()
    return {name: Bucket(*values) for name, values in kept if len(values) == _FIELDS}


def keep_buckets(pool: Pool, buckets: dict[str, Bucket]) -> None:
    pool["buckets"] = {name: bucket.dump() for name, bucket in buckets.items()}


def follow_the_clock(pool: Pool, buckets: dict[str, Bucket], now: float) -> None:
    """A clock that was set back would stop everything until it is where it was: move all moments with it."""
    back = pool.get("now", now) - now
    pool["now"] = now
    if back < _CLOCK_JUMP_SECONDS:
        return
    for bucket in buckets.values():
        move_in_time(bucket, -back)
    pool["pause"] = pool.get("pause", 0.0) - back
    pool["granted"] = pool.get("granted", now) - back
    until, reason = pool.get("cool", (0.0, ""))
    pool["cool"] = [until - back, reason]
    for entry in pool.get("flight", {}).values():
        entry[0] -= back
    for place in pool.get("queue", {}).values():
        place[2] -= back
    for vote in pool.get("limits", {}).values():
        vote[0] -= back
