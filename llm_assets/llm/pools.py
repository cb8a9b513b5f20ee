"""The state of one model pool that all its users share, and the one operation on it: an exchange.

In an exchange a client hands in what came back since the last one and what it wants to start, in its
own order; it gets how many of those may start now, or how long to wait. Clients queue by their first
wanted request, so first in first out (within a priority) holds across processes as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llm_assets.llm.buckets import (
    DAY_SECONDS,
    MINUTE_SECONDS,
    Bucket,
    Kind,
    Sent,
    forget_if_stale,
    give_back,
    load_buckets,
    new_bucket,
    observe,
    observe_refusal,
    observe_silence,
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
_FAILURES_TO_COOL_DOWN = 5
# Below what a timer and a float of seconds since the epoch can tell apart.
_LEAST_WAIT_SECONDS = 0.001


@dataclass(frozen=True, slots=True)
class Want:
    """What one request is going to be charged."""

    requests: float
    tokens: float

    def of(self, kind: Kind) -> float:
        return self.requests if kind == "requests" else self.tokens


@dataclass(frozen=True, slots=True)
class Grant:
    """Leave to send one request now; handed back with what became of it."""

    want: Want
    sent: dict[str, Sent]
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """What became of a grant.

    `reports` holds what the headers said, by kind. `answered` is False where no answer came, so it
    tells nothing. `unsent` gives the charge back. `pause_seconds` keeps the whole pool waiting.
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
    failed: str | None = None
    cool_down_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """The result of an exchange: grants for the first wants, in order, and when to ask again.

    `wait_seconds` is None when nothing is left to wait for. `oversize` says that the first want left
    is larger than the limit `oversize` names, so it can never start. `cooling` says that the model is
    left alone for that many seconds, and why.
    """

    grants: list[Grant]
    wait_seconds: float | None = None
    cause: str = ""
    oversize: tuple[str, float, float] | None = None
    cooling: tuple[float, str] | None = None


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
) -> Turn:
    """Settle what came back, then start as many of `wanted` as may start now. Changes `state`."""
    buckets = load_buckets(state.get("buckets", {}))
    _configure(buckets, limits, headroom, now)
    _expire(state, now)
    for bucket in buckets.values():
        if not state["flight"]:
            forget_if_stale(bucket, now)
        refill(bucket, now)
    for item in returned:
        _settle(state, buckets, item, client, headroom, now)
    turn = _start(state, buckets, client, wanted, now)
    state["buckets"] = {name: bucket.dump() for name, bucket in buckets.items()}
    return turn


def _configure(buckets: dict[str, Bucket], limits: Limits | None, headroom: float, now: float) -> None:
    if limits is None:
        return
    for name, period in _MINUTES_AND_DAYS.items():
        limit = getattr(limits, name)
        if limit is not None and name not in buckets:
            buckets[name] = new_bucket(limit, period, headroom, now, configured=True)


_MINUTES_AND_DAYS = {
    "requests_per_minute": MINUTE_SECONDS,
    "tokens_per_minute": MINUTE_SECONDS,
    "requests_per_day": DAY_SECONDS,
    "tokens_per_day": DAY_SECONDS,
}


def _kind(name: str) -> Kind:
    return "requests" if name.startswith("requests") else "tokens"


def _expire(state: State, now: float) -> None:
    """Forget clients that died: their places in the queue and their requests in flight."""
    flight: dict[str, list[float]] = state.setdefault("flight", {})
    for client_id in [key for key, (until, *_) in flight.items() if until < now]:
        del flight[client_id]
    queue: dict[str, list[float]] = state.setdefault("queue", {})
    for client_id in [key for key, place in queue.items() if place[2] + _TURN_GRACE_SECONDS < now]:
        del queue[client_id]


def _count_flight(state: State, client: Client, want: Want, sign: int, now: float) -> None:
    entry = state["flight"].setdefault(client.id, [0.0, 0.0, 0.0])
    entry[0] = now + client.lease_seconds
    entry[1] = max(entry[1] + sign * want.requests, 0.0)
    entry[2] = max(entry[2] + sign * want.tokens, 0.0)
    if entry[1] <= 0:
        del state["flight"][client.id]


def _settle(
    state: State, buckets: dict[str, Bucket], item: Return, client: Client, headroom: float, now: float
) -> None:
    grant = item.grant
    if grant is None:
        _open_breaker(state, item, now)
        return
    _count_flight(state, client, grant.want, -1, now)
    if item.unsent:
        for name, sent in grant.sent.items():
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
    for kind, report in (item.reports or {}).items():
        _observe_report(buckets, grant, kind, report, headroom, now)
    _observe_without_report(buckets, item, grant)


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
    sent = grant.sent.get(name, Sent(grant.want.of(kind), bucket.sent, now))
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
    for name, sent in grant.sent.items():
        kind = _kind(name)
        if item.refused:
            if item.refused_kind in (kind, None) and name.endswith("minute"):
                observe_refusal(buckets[name], sent)
        elif kind not in reported:
            observe_silence(buckets[name], sent)


def _start(
    state: State, buckets: dict[str, Bucket], client: Client, wanted: Sequence[Want], now: float
) -> Turn:
    grants: list[Grant] = []
    until, reason = state.get("cool", (0.0, ""))
    if until > now and wanted:
        return Turn(grants=grants, cooling=(until - now, reason))
    queue: dict[str, list[float]] = state["queue"]
    for want in wanted:
        ahead = _ahead_of(queue, client)
        oversize = _oversize(buckets, want)
        if oversize:
            return Turn(grants=grants, oversize=oversize, wait_seconds=0.0)
        wait, cause = _wait_for(state, buckets, want, ahead, now)
        if wait > 0:
            wait = max(wait, _LEAST_WAIT_SECONDS)
            _stand_in_line(state, client, want, now + wait)
            return Turn(grants=grants, wait_seconds=wait, cause=cause)
        queue.pop(client.id, None)
        grants.append(_grant(state, buckets, client, want, now))
    if not wanted:
        queue.pop(client.id, None)
    return Turn(grants=grants)


def _ahead_of(queue: dict[str, list[float]], client: Client) -> list[Want]:
    """What the clients in front want first. Nobody is in front of a client that holds the first place."""
    own = queue.get(client.id)
    order = (-client.priority, own[1] if own else float("inf"))
    return [
        Want(requests, tokens)
        for other, (priority, ticket, _, requests, tokens) in queue.items()
        if other != client.id and (-priority, ticket) < order
    ]


def _stand_in_line(state: State, client: Client, want: Want, ready_at: float) -> None:
    place = state["queue"].get(client.id)
    ticket = place[1] if place else state.get("ticket", 0) + 1
    state["ticket"] = max(state.get("ticket", 0), ticket)
    state["queue"][client.id] = [client.priority, ticket, ready_at, want.requests, want.tokens]


def _oversize(buckets: dict[str, Bucket], want: Want) -> tuple[str, float, float] | None:
    for name, bucket in buckets.items():
        if want.of(_kind(name)) > bucket.capacity:
            return name, want.of(_kind(name)), bucket.capacity
    return None


def _wait_for(
    state: State, buckets: dict[str, Bucket], want: Want, ahead: list[Want], now: float
) -> tuple[float, str]:
    """How long `want` has to wait behind those ahead, and for what. Zero or less: not at all."""
    pause = state.get("pause", 0.0) - now
    if pause > 0:
        return pause, "retry_after"
    unknown = not buckets and not state.get("seen")
    unconfirmed = [bucket for bucket in buckets.values() if not bucket.confirmed_at and bucket.hidden]
    if (unknown or unconfirmed) and not ahead and not state["flight"]:
        return 0.0, ""  # the probe that finds out
    if unknown:
        return _PEEK_SECONDS, "first_answer"
    waits = [
        (seconds_until(bucket, want.of(kind) + sum(other.of(kind) for other in ahead)), name)
        for name, bucket in buckets.items()
        for kind in (_kind(name),)
        if want.of(kind) > 0
    ]
    wait, name = max(waits, default=(0.0, ""))
    if wait <= 0 and ahead:
        return _PEEK_SECONDS / 10, "others_first"
    return wait, name


def _grant(state: State, buckets: dict[str, Bucket], client: Client, want: Want, now: float) -> Grant:
    for name, bucket in buckets.items():
        if not state["flight"] and not bucket.confirmed_at:  # the probe comes out of what may be hidden
            bucket.level = max(bucket.level, want.of(_kind(name)))
    sent = {name: take(bucket, want.of(_kind(name)), now) for name, bucket in buckets.items()}
    _count_flight(state, client, want, +1, now)
    return Grant(want, sent, now)
