"""The state of one model pool that all its users share, and the one operation on it: an exchange.

In an exchange a client hands in what came back since the last one and what it wants to start, in its
own order; it gets how many of those may start now, or how long to wait. Clients queue by their first
wanted request, so first in first out (within a priority) holds across processes as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from llm_assets.llm.buckets import (
    DAY_SECONDS,
    MINUTE_SECONDS,
    Bucket,
    Kind,
    Sent,
    configure,
    find_out,
    forget_if_stale,
    give_back,
    load_buckets,
    move_in_time,
    new_bucket,
    observe,
    observe_refusal,
    observe_silence,
    open_for_probe,
    period_of,
    refill,
    seconds_until,
    take,
)
from llm_assets.llm.models import Limits
from llm_assets.llm.providers.base import DimensionReport
from llm_assets.llm.quota.base import State

_KINDS: tuple[Kind, ...] = ("requests", "tokens")
# A client whose turn came and that did not show up is passed over after this long.
_TURN_GRACE_SECONDS = 0.5
# How soon to look again when only somebody else's answer can tell more.
_PEEK_SECONDS = 0.1
# Nobody waits longer than this for an answer that may never come: another request finds out as well.
_PROBE_AGAIN_SECONDS = 5.0
_FAILURES_TO_COOL_DOWN = 5
# Clocks are corrected by less than this all the time.
_CLOCK_JUMP_SECONDS = 5.0
# A client may take this part of what a bucket holds ahead of its requests, so near a limit hardly anything.
_AHEAD_PART = 16
# Below what a timer and a float of seconds since the epoch can tell apart.
_LEAST_WAIT_SECONDS = 0.001


class Want(NamedTuple):
    """What one request is going to be charged."""

    requests: float
    tokens: float


class Grant(NamedTuple):
    """Leave to send one request now; handed back with what became of it."""

    want: Want
    sent: dict[str, Sent]
    at: float


class Return(NamedTuple):
    """What became of a grant.

    `reports` holds what the headers said, by kind. `answered` is False where no answer came, so it
    tells nothing. `unsent` gives the charge back. `pause_seconds` keeps the whole pool waiting.
    `tokens` is what the request was charged in the end, where that differs from the grant.
    `failed` counts towards the breaker. `cool_down_seconds` opens it if only failures came lately; it
    comes by itself, without a grant.
    """

    grant: Grant | None
    answered: bool = True
    refused: bool = False
    unsent: bool = False
    reports: dict[Kind, DimensionReport] | None = None
    refused_kind: Kind | None = None
    pause_seconds: float = 0.0
    tokens: float | None = None
    failed: str | None = None
    cool_down_seconds: float = 0.0


# What comes back with most answers, but for the grant.
_PLAIN = Return(grant=None)[1:]


class Used(NamedTuple):
    """Of one limit since it is known: what was charged, and what it would have allowed."""

    charged: float
    allowed: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """The result of an exchange: grants for the first wants, in order, and when to ask again.

    `wait_seconds` is None when nothing is left to wait for. `oversize` says that the first want left
    is larger than the limit `oversize` names, so it can never start. `cooling` says that the model is
    left alone for that many seconds, and why. `used` counts, by limit, what all clients together used.
    `overruled` names a limit for which another client configured less than this one: ours, and theirs.
    `ahead` is leave for requests to come, in one grant.
    """

    grants: list[Grant]
    wait_seconds: float | None = None
    cause: str = ""
    oversize: tuple[str, float, float] | None = None
    cooling: tuple[float, str] | None = None
    used: dict[str, Used] = field(default_factory=dict[str, Used])
    overruled: tuple[str, float, float] | None = None
    ahead: Grant | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Who asks. Higher `priority` goes first. Without a sign of life its places lapse after the lease."""

    id: str
    priority: int = 0
    lease_seconds: float = 60.0


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
    buckets = load_buckets(state.get("buckets", {}))
    _follow_the_clock(state, buckets, now)
    overruled = _configure(state, buckets, client, limits, headroom, now)
    _expire(state, client, now)
    for bucket in buckets.values():
        if not state["flight"]:
            forget_if_stale(bucket, now)
        refill(bucket, now)
    _land(state, client, returned, now)
    _settle_all(state, buckets, returned, headroom, now)
    turn = _start(state, buckets, client, wanted, now)
    more = None if ahead is None else _ahead(state, buckets, turn, ahead, now)
    _take_off(state, client, turn.grants if more is None else [*turn.grants, more], now)
    state["buckets"] = {name: bucket.dump() for name, bucket in buckets.items()}
    used = {name: Used(bucket.sent, bucket.offered) for name, bucket in buckets.items()}
    return replace(turn, used=used, overruled=overruled, ahead=more)


def _follow_the_clock(state: State, buckets: dict[str, Bucket], now: float) -> None:
    """A clock that was set back would stop everything until it is where it was: move all moments with it."""
    back = state.get("now", now) - now
    state["now"] = now
    if back < _CLOCK_JUMP_SECONDS:
        return
    for bucket in buckets.values():
        move_in_time(bucket, -back)
    state["pause"] = state.get("pause", 0.0) - back
    state["granted"] = state.get("granted", now) - back
    state["cool"] = [state.get("cool", (0.0, ""))[0] - back, state.get("cool", (0.0, ""))[1]]
    for entry in state.get("flight", {}).values():
        entry[0] -= back
    for place in state.get("queue", {}).values():
        place[2] -= back
    for vote in state.get("limits", {}).values():
        vote[0] -= back


def _configure(
    state: State,
    buckets: dict[str, Bucket],
    client: Client,
    limits: Limits | None,
    headroom: float,
    now: float,
) -> tuple[str, float, float] | None:
    """Of what living clients configured the smallest holds. Returns what of ours does not, and what does."""
    votes: dict[str, list[Any]] = state.setdefault("limits", {})
    for client_id in [key for key, (until, _) in votes.items() if until < now]:
        del votes[client_id]
    ours = {} if limits is None else {name: value for name, value in limits if value is not None}
    if ours:
        votes[client.id] = [now + client.lease_seconds, ours]
    overruled = None
    for name, period in _MINUTES_AND_DAYS.items():
        told = [vote[name] for _, vote in votes.values() if name in vote]
        if not told:
            continue
        limit = min(told)
        if ours.get(name, 0) > limit:
            overruled = (name, ours[name], limit)
        if name not in buckets:
            buckets[name] = new_bucket(limit, period, headroom, now, configured=True)
        elif buckets[name].configured != limit:
            configure(buckets[name], limit, headroom)
    return overruled


_MINUTES_AND_DAYS = {
    "requests_per_minute": MINUTE_SECONDS,
    "tokens_per_minute": MINUTE_SECONDS,
    "requests_per_day": DAY_SECONDS,
    "tokens_per_day": DAY_SECONDS,
}


def _of(want: Want, kind: Kind) -> float:
    return want.tokens if kind == "tokens" else want.requests


def _kind(name: str) -> Kind:
    return "requests" if name.startswith("requests") else "tokens"


def _expire(state: State, client: Client, now: float) -> None:
    """Forget clients that died: their places in the queue and their requests in flight."""
    flight: dict[str, list[float]] = state.setdefault("flight", {})
    if client.id in flight:
        flight[client.id][0] = now + client.lease_seconds
    for client_id in [key for key, (until, *_) in flight.items() if until < now]:
        del flight[client_id]
    queue: dict[str, list[float]] = state.setdefault("queue", {})
    for client_id in [key for key, place in queue.items() if place[2] + _TURN_GRACE_SECONDS < now]:
        del queue[client_id]


def _land(state: State, client: Client, returned: Sequence[Return], now: float) -> None:
    """Take what came back out of the count of requests on the wire."""
    landed = [item.grant.want for item in returned if item.grant is not None]
    if not landed:
        return
    entry = state["flight"].get(client.id)
    if entry is None:  # counted as lost with a client that seemed dead
        return
    entry[0] = now + client.lease_seconds
    for requests, tokens in landed:
        entry[1] -= requests
        entry[2] -= tokens
    if entry[1] <= 0:
        del state["flight"][client.id]


def _take_off(state: State, client: Client, grants: Sequence[Grant], now: float) -> None:
    if not grants:
        return
    entry = state["flight"].setdefault(client.id, [0.0, 0.0, 0.0])
    entry[0] = now + client.lease_seconds
    entry[1] += sum(grant.want.requests for grant in grants)
    entry[2] += sum(grant.want.tokens for grant in grants)


def _settle_all(
    state: State, buckets: dict[str, Bucket], returned: Sequence[Return], headroom: float, now: float
) -> None:
    """One by one, but for answers without a word on the limits: those add up."""
    silent: dict[str, float] = {}
    for item in returned:
        if item.grant is None or item[1:] != _PLAIN:
            _settle(state, buckets, item, headroom, now)
            continue
        state["seen"], state["failures"] = True, 0
        for name, sent in item.grant.sent.items():
            silent[name] = silent.get(name, 0.0) + sent.amount
    for name, amount in silent.items():
        if name in buckets:
            observe_silence(buckets[name], amount)


def _settle(state: State, buckets: dict[str, Bucket], item: Return, headroom: float, now: float) -> None:
    grant = item.grant
    if grant is None:
        _open_breaker(state, item, now)
        return
    if item.unsent:
        for name, sent in _known(buckets, grant):
            give_back(buckets[name], sent.amount)
        return
    if item.pause_seconds > 0:
        state["pause"] = max(state.get("pause", 0.0), now + item.pause_seconds)
    if item.failed is not None:
        state["failures"] = state.get("failures", 0) + 1
    if not item.answered:
        return
    if item.failed is None and not item.refused:
        state["failures"] = 0
    state["seen"] = True
    if item.tokens is not None:
        _correct_charge(buckets, grant, item.tokens)
    if item.reports:
        for kind, report in item.reports.items():
            _observe_report(buckets, grant, kind, report, headroom, now)
    _observe_without_report(buckets, item, grant)


def _known(buckets: dict[str, Bucket], grant: Grant) -> list[tuple[str, Sent]]:
    """What was charged to buckets that are still there: a store may lose its data meanwhile."""
    return [(name, sent) for name, sent in grant.sent.items() if name in buckets]


def _correct_charge(buckets: dict[str, Bucket], grant: Grant, tokens: float) -> None:
    for name, sent in _known(buckets, grant):
        if _kind(name) == "tokens":
            give_back(buckets[name], sent.amount - tokens)


def _open_breaker(state: State, item: Return, now: float) -> None:
    """One request that always fails must not stop the others: only a row of failures opens the breaker."""
    if state.get("failures", 0) >= _FAILURES_TO_COOL_DOWN:
        state["cool"] = [now + item.cool_down_seconds, item.failed or ""]
        state["failures"] = 0


def _observe_report(
    buckets: dict[str, Bucket],
    grant: Grant,
    kind: Kind,
    report: DimensionReport,
    headroom: float,
    now: float,
) -> None:
    name = _name_for(buckets, kind, report)
    if name not in buckets:
        if report.limit is None:
            return
        buckets[name] = new_bucket(report.limit, _MINUTES_AND_DAYS[name], headroom, now, configured=False)
    bucket = buckets[name]
    # A bucket learned from this very answer has not counted the requests before it: they are all in flight.
    sent = grant.sent.get(name) or Sent(_of(grant.want, kind), bucket.sent, now, 0.0, bucket.overflowed)
    observe(bucket, report, sent, headroom, now)


def _name_for(buckets: dict[str, Bucket], kind: Kind, report: DimensionReport) -> str:
    """Which bucket a header speaks of: the known one with that limit, else the period it gives away."""
    names = [name for name in buckets if _kind(name) == kind]
    for name in names:
        if report.limit and report.limit in (buckets[name].server_limit, buckets[name].configured):
            return name
    if len(names) == 1 and report.reset_seconds is None:
        return names[0]
    suffix = "per_day" if period_of(report) == DAY_SECONDS else "per_minute"
    return f"{kind}_{suffix}"


def _observe_without_report(buckets: dict[str, Bucket], item: Return, grant: Grant) -> None:
    reported = item.reports or {}
    for name, sent in _known(buckets, grant):
        kind = _kind(name)
        if item.refused:
            if item.refused_kind in (kind, None) and name.endswith("minute"):
                observe_refusal(buckets[name], sent)
        elif kind not in reported and buckets[name].hidden:
            observe_silence(buckets[name], sent.amount)


def _start(
    state: State, buckets: dict[str, Bucket], client: Client, wanted: Sequence[Want], now: float
) -> Turn:
    until, reason = state.get("cool", (0.0, ""))
    if until > now and wanted:
        return Turn(grants=[], cooling=(until - now, reason))
    queue: dict[str, list[float]] = state["queue"]
    grants: list[Grant] = []
    sides = [_Side(name, bucket, _kind(name) == "tokens") for name, bucket in buckets.items()]
    ahead = _ahead_of(queue, client)
    on_the_wire = bool(state["flight"])
    for want in wanted:
        for side in sides:
            if side.amount(want) > side.bucket.capacity and _is_certain(side.bucket):
                oversize = (side.name, side.amount(want), side.bucket.capacity)
                return Turn(grants=grants, oversize=oversize, wait_seconds=0.0)
        probe_in = state.get("granted", now) + _PROBE_AGAIN_SECONDS - now if on_the_wire else 0.0
        wait, cause = _wait_for(state, sides, want, ahead, probe_in, now)
        if wait > 0:
            wait = max(wait, _LEAST_WAIT_SECONDS)
            _stand_in_line(state, client, want, now + wait)
            return Turn(grants=grants, wait_seconds=wait, cause=cause)
        if queue.pop(client.id, None):
            ahead = _ahead_of(queue, client)
        grants.append(_grant(sides, want, probe_in <= 0, now))
        on_the_wire = True
        state["granted"] = now
    if not wanted:
        queue.pop(client.id, None)
    return Turn(grants=grants)


def _ahead(state: State, buckets: dict[str, Bucket], turn: Turn, wanted: Want, now: float) -> Grant | None:
    """Leave for requests to come, where nobody waits for anything."""
    is_tight = turn.wait_seconds is not None or turn.cooling is not None or state.get("pause", 0.0) > now
    if is_tight or state["queue"] or not buckets:
        return None
    sides = [_Side(name, bucket, _kind(name) == "tokens") for name, bucket in buckets.items()]
    part = min(
        (side.bucket.level / _AHEAD_PART / side.amount(wanted) for side in sides if side.amount(wanted) > 0),
        default=1.0,
    )
    want = Want(int(wanted.requests * min(part, 1.0)), wanted.tokens * min(part, 1.0))
    if want.requests < 1 or any(seconds_until(side.bucket, side.amount(want)) > 0 for side in sides):
        return None
    return _grant(sides, want, may_probe=False, now=now)


class _Side(NamedTuple):
    """A bucket, and which side of a want it is charged with."""

    name: str
    bucket: Bucket
    counts_tokens: bool

    def amount(self, want: Want) -> float:
        return want.tokens if self.counts_tokens else want.requests


def _ahead_of(queue: dict[str, list[float]], client: Client) -> Want | None:
    """What the clients in front want first, together. Nobody is in front of the one with the first place."""
    if not queue:
        return None
    own = queue.get(client.id)
    order = (-client.priority, own[1] if own else float("inf"))
    firsts = [
        (requests, tokens)
        for other, (priority, ticket, _, requests, tokens) in queue.items()
        if other != client.id and (-priority, ticket) < order
    ]
    if not firsts:
        return None
    return Want(sum(requests for requests, _ in firsts), sum(tokens for _, tokens in firsts))


def _stand_in_line(state: State, client: Client, want: Want, ready_at: float) -> None:
    place = state["queue"].get(client.id)
    ticket = place[1] if place else state.get("ticket", 0) + 1
    state["ticket"] = max(state.get("ticket", 0), ticket)
    state["queue"][client.id] = [client.priority, ticket, ready_at, want.requests, want.tokens]


def _wait_for(
    state: State, sides: list[_Side], want: Want, ahead: Want | None, probe_in: float, now: float
) -> tuple[float, str]:
    """How long `want` has to wait behind those ahead, and for what. Zero or less: not at all.

    `probe_in` is how long until it may go to find out what is unknown.
    """
    pause = state.get("pause", 0.0) - now
    if pause > 0:
        return pause, "retry_after"
    unknown = not sides and not state.get("seen")
    finds_out = ahead is None and (unknown or _can_find_out(sides, want))
    if finds_out and probe_in <= 0:
        return 0.0, ""  # the probe that finds out
    if unknown:
        return _PEEK_SECONDS, "first_answer"
    longest, cause = 0.0, ""
    for side in sides:
        amount = side.amount(want)
        if amount > 0:
            wait = seconds_until(side.bucket, amount + (side.amount(ahead) if ahead else 0.0))
            if wait > longest:
                longest, cause = wait, side.name
    if longest <= 0 and ahead is not None:
        return _PEEK_SECONDS / 10, "others_first"
    return (min(longest, probe_in) if finds_out else longest), cause


def _is_certain(bucket: Bucket) -> bool:
    """Whether the size of a bucket is known: one that was learned long ago may have grown since."""
    return bucket.configured > 0 or bucket.confirmed_at > 0


def _can_find_out(sides: list[_Side], want: Want) -> bool:
    """Whether `want` may go as a probe: something is unconfirmed, and every bucket may hold what it needs."""
    needed = [(side.bucket, side.amount(want)) for side in sides if side.amount(want) > 0]
    return any(not bucket.confirmed_at for bucket, _ in needed) and all(
        find_out(bucket, amount) or seconds_until(bucket, amount) <= 0 for bucket, amount in needed
    )


def _grant(sides: list[_Side], want: Want, may_probe: bool, now: float) -> Grant:
    sent: dict[str, Sent] = {}
    for side in sides:
        amount, bucket = side.amount(want), side.bucket
        if may_probe:
            open_for_probe(bucket, amount)
        sent[side.name] = take(bucket, amount, now)
    return Grant(want, sent, now)
