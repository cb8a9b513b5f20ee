"""What may start now, what has to wait how long, and what goes ahead to find out."""

from __future__ import annotations

from collections.abc import Sequence

from llm_assets.llm.pools import line
from llm_assets.llm.pools.breaker import cooling, pause_seconds
from llm_assets.llm.pools.bucket import Bucket, seconds_until
from llm_assets.llm.pools.sides import Side, can_find_out, charge, longest_wait, sides_of, too_large
from llm_assets.llm.pools.state import Pool
from llm_assets.llm.pools.values import Client, Grant, Turn, Want

# How soon to look again when only somebody else's answer can tell more.
_PEEK_SECONDS = 0.1
# Nobody waits longer than this for an answer that may never come: another request finds out as well.
_PROBE_AGAIN_SECONDS = 5.0
# Below what a timer and a float of seconds since the epoch can tell apart.
_LEAST_WAIT_SECONDS = 0.001
# By how much who stands behind lets those in front come first, where there is enough for all of them.
_AFTER_YOU_SECONDS = 0.01
# A client may take this part of what a bucket holds ahead of its requests, so near a limit hardly anything.
_AHEAD_PART = 16


def start(pool: Pool, buckets: dict[str, Bucket], client: Client, wanted: Sequence[Want], now: float) -> Turn:
    """Grants for as many of `wanted`, in their order, as may start now."""
    cool = cooling(pool, now)
    if cool is not None:
        line.leave(pool, client)  # all its requests are told, so none of them waits here any more
        return Turn(grants=[], cooling=cool)
    grants: list[Grant] = []
    sides = sides_of(buckets)
    front = line.in_front(pool, client)
    on_the_wire = bool(pool.get("flight"))
    for want in wanted:
        oversize = too_large(sides, want)
        if oversize is not None:
            return Turn(grants=grants, oversize=oversize, wait_seconds=0.0)
        probe_in = pool.get("granted", now) + _PROBE_AGAIN_SECONDS - now if on_the_wire else 0.0
        wait, cause = _wait_for(pool, sides, want, front, probe_in, now)
        if wait > 0:
            wait = max(wait, _LEAST_WAIT_SECONDS)
            line.stand_in(pool, client, want, now + wait)
            return Turn(grants=grants, wait_seconds=wait, cause=cause)
        if line.leave(pool, client):
            front = line.in_front(pool, client)
        grants.append(charge(sides, want, probe_in <= 0, now))
        on_the_wire = True
        pool["granted"] = now
    if not wanted:
        line.leave(pool, client)
    return Turn(grants=grants)


def _wait_for(
    pool: Pool, sides: list[Side], want: Want, front: line.Front | None, probe_in: float, now: float
) -> tuple[float, str]:
    """How long `want` has to wait behind those before it, and for what. Zero or less: not at all.

    `probe_in` is how long until it may go to find out what is unknown.
    """
    pause = pause_seconds(pool, now)
    if pause > 0:
        return pause, "retry_after"
    unknown = not sides and not pool.get("seen")
    finds_out = front is None and (unknown or can_find_out(sides, want))
    if finds_out and probe_in <= 0:
        return 0.0, ""  # the probe that finds out
    if unknown:
        return _PEEK_SECONDS, "first_answer"
    longest, cause = longest_wait(sides, want, None if front is None else front.wanted)
    if front is not None:
        return _wait_behind(front, longest, cause)
    return (min(longest, probe_in) if finds_out else longest), cause


def _wait_behind(front: line.Front, longest: float, cause: str) -> tuple[float, str]:
    """Who comes late for what there is for all of them is passed by equals, and not by the less urgent.

    Clients that stood back until the other has come would be let through one by one, however much there is.
    """
    if longest > 0:
        return longest + _AFTER_YOU_SECONDS, cause
    if front.is_more_urgent or longest > -_AFTER_YOU_SECONDS:
        return _AFTER_YOU_SECONDS, "others_first"
    return 0.0, ""


def start_ahead(pool: Pool, buckets: dict[str, Bucket], turn: Turn, wanted: Want, now: float) -> Grant | None:
    """Leave for requests to come, where nobody waits for anything."""
    is_tight = turn.wait_seconds is not None or turn.cooling is not None or pause_seconds(pool, now) > 0
    if is_tight or pool.get("queue") or not buckets:
        return None
    sides = sides_of(buckets)
    part = min(
        (side.bucket.level / _AHEAD_PART / side.amount(wanted) for side in sides if side.amount(wanted) > 0),
        default=1.0,
    )
    want = Want(int(wanted.requests * min(part, 1.0)), wanted.tokens * min(part, 1.0))
    if want.requests < 1 or any(seconds_until(side.bucket, side.amount(want)) > 0 for side in sides):
        return None
    return charge(sides, want, may_probe=False, now=now)
