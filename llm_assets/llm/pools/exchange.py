"""The state of one model pool that all its users share, and the one operation on it: an exchange.

In an exchange a client hands in what came back since the last one and what it wants to start, in its
own order; it gets how many of those may start now, or how long to wait. Clients queue by their first
wanted request, so first in first out (within a priority) holds across processes as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from llm_assets.llm.models import Limits
from llm_assets.llm.pools import flight, line
from llm_assets.llm.pools.bucket import forget_if_stale, refill
from llm_assets.llm.pools.limits import configure_buckets
from llm_assets.llm.pools.settle import settle
from llm_assets.llm.pools.sides import in_one_go
from llm_assets.llm.pools.start import start, start_ahead
from llm_assets.llm.pools.state import Pool, follow_the_clock, keep_buckets, load_buckets
from llm_assets.llm.pools.values import Client, Return, Turn, Used, Want
from llm_assets.llm.quota.base import State


def exchange(
    state: State,
    now: float,
    client: Client,
    returned: Sequence[Return],
    wanted: Sequence[Want],
    limits: Limits | None,
    headroom: float,
    ahead: Want | None = None,
) -> Turn:
    """Settle what came back, then start as many of `wanted` as may start now. Changes `state`.

    Up to `ahead` more is charged for requests to come, as far as the limits are far away and nobody waits.
    """
    pool = cast("Pool", state)
    buckets = load_buckets(pool)
    follow_the_clock(pool, buckets, now)
    overruled = configure_buckets(pool, buckets, client, limits, headroom, now)
    flight.forget_the_dead(pool, client, now)
    line.pass_over_the_late(pool, now)
    for bucket in buckets.values():
        if not pool.get("flight"):
            forget_if_stale(bucket, now)
        refill(bucket, now)
    flight.land(pool, client, returned, now)
    settle(pool, buckets, returned, headroom, now)
    turn = start(pool, buckets, client, wanted, now)
    more = None if ahead is None else start_ahead(pool, buckets, turn, ahead, now)
    flight.take_off(pool, client, turn.grants if more is None else [*turn.grants, more], now)
    keep_buckets(pool, buckets)
    used = {name: Used(bucket.sent, bucket.offered) for name, bucket in buckets.items()}
    grants = in_one_go(buckets, turn.grants)
    return replace(turn, grants=grants, used=used, overruled=overruled, ahead=more)
