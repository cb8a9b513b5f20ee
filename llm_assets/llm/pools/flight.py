"""What clients have on the wire, so that somebody knows whether an answer is still to come."""

from __future__ import annotations

from collections.abc import Sequence

from llm_assets.llm.pools.state import Pool
from llm_assets.llm.pools.values import Client, Grant, Return


def forget_the_dead(pool: Pool, client: Client, now: float) -> None:
    """A client without a sign of life has nothing in flight any more. This exchange is one of `client`."""
    flight = pool.setdefault("flight", {})
    if client.id in flight:
        flight[client.id][0] = now + client.lease_seconds
    for client_id in [key for key, (until, *_) in flight.items() if until < now]:
        del flight[client_id]


def land(pool: Pool, client: Client, returned: Sequence[Return], now: float) -> None:
    """Take what came back out of the count."""
    landed = [item.grant.want for item in returned if item.grant is not None]
    if not landed:
        return
    flight = pool.setdefault("flight", {})
    entry = flight.get(client.id)
    if entry is None:  # counted as lost with a client that seemed dead
        return
    entry[0] = now + client.lease_seconds
    for requests, tokens in landed:
        entry[1] -= requests
        entry[2] -= tokens
    if entry[1] <= 0:
        del flight[client.id]


def take_off(pool: Pool, client: Client, grants: Sequence[Grant], now: float) -> None:
    if not grants:
        return
    entry = pool.setdefault("flight", {}).setdefault(client.id, [0.0, 0.0, 0.0])
    entry[0] = now + client.lease_seconds
    entry[1] += sum(grant.want.requests for grant in grants)
    entry[2] += sum(grant.want.tokens for grant in grants)
