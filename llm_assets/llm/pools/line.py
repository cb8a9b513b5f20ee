"""The line of clients that wait for a pool: by priority, and within one first in first out."""

from __future__ import annotations

from typing import NamedTuple

from llm_assets.llm.pools.state import Pool
from llm_assets.llm.pools.values import Client, Want

# A client whose turn came and that did not show up is passed over after this long.
_TURN_GRACE_SECONDS = 0.5


def pass_over_the_late(pool: Pool, now: float) -> None:
    queue = pool.setdefault("queue", {})
    for client_id in [key for key, place in queue.items() if place[2] + _TURN_GRACE_SECONDS < now]:
        del queue[client_id]


class Front(NamedTuple):
    """What the clients in front want first, together, and whether one of them is more urgent."""

    wanted: Want
    is_more_urgent: bool


def in_front(pool: Pool, client: Client) -> Front | None:
    """Nobody is in front of the one with the first place."""
    queue = pool.get("queue")
    if not queue:
        return None
    own = queue.get(client.id)
    order = (-client.priority, own[1] if own else float("inf"))
    places = [place for other, place in queue.items() if other != client.id and (-place[0], place[1]) < order]
    if not places:
        return None
    wanted = Want(sum(place[3] for place in places), sum(place[4] for place in places))
    return Front(wanted, any(place[0] > client.priority for place in places))


def stand_in(pool: Pool, client: Client, want: Want, ready_at: float) -> None:
    """Take a place, or keep the one there is: `want` will be asked for at `ready_at`."""
    queue = pool.setdefault("queue", {})
    place = queue.get(client.id)
    ticket = place[1] if place else pool.get("ticket", 0) + 1
    pool["ticket"] = max(pool.get("ticket", 0), ticket)
    queue[client.id] = [client.priority, ticket, ready_at, want.requests, want.tokens]


def leave(pool: Pool, client: Client) -> bool:
    """Give up the place. Returns whether there was one."""
    return pool.setdefault("queue", {}).pop(client.id, None) is not None
