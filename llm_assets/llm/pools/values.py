"""What clients and a pool hand each other: wants, grants, and what became of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from llm_assets.llm.pools.bucket import Kind, Sent
from llm_assets.llm.providers.base import DimensionReport


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
