"""A provider that keeps its word, for limits of requests and tokens at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from shared_stores import START

from llm_assets.llm.models import Limits
from llm_assets.llm.pools.bucket import Kind
from llm_assets.llm.pools.exchange import exchange
from llm_assets.llm.pools.values import Client, Return, Turn, Want
from llm_assets.llm.providers.base import DimensionReport
from llm_assets.llm.providers.headers import with_fraction
from llm_assets.llm.quota.base import Operation

Told = dict[Kind, DimensionReport]

CAPACITY: dict[Kind, float] = {"requests": 60.0, "tokens": 6000.0}
PER_SECOND: dict[Kind, float] = {"requests": 1.0, "tokens": 100.0}
LIMITS = Limits(requests_per_minute=60, tokens_per_minute=6000)
CLIENTS = tuple(Client(id=name, priority=priority) for name, priority in (("a", 0), ("b", 0), ("c", 1)))


@dataclass
class HonestServer:
    """A provider that refills evenly, charges what it is sent at once and tells the truth in its headers."""

    full: float
    at: float = START
    levels: dict[Kind, float] = field(default_factory=dict)
    admitted: list[tuple[float, Want]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.levels = {kind: capacity * self.full for kind, capacity in CAPACITY.items()}

    def admit(self, want: Want, now: float) -> Told:
        self._refill(now)
        self.levels["requests"] -= want.requests
        self.levels["tokens"] -= want.tokens
        assert min(self.levels.values()) >= -1e-3, "a server would have refused this one"
        self.admitted.append((now, want))
        return self.report(now)

    def report(self, now: float) -> Told:
        self._refill(now)
        return {
            kind: self._told(capacity, level, (capacity - level) / PER_SECOND[kind])
            for (kind, capacity), level in zip(CAPACITY.items(), self.levels.values(), strict=True)
        }

    @staticmethod
    def _told(capacity: float, level: float, reset_seconds: float) -> DimensionReport:
        told = with_fraction(DimensionReport(capacity, max(int(level), 0), reset_seconds))
        assert told is not None
        return told

    def _refill(self, now: float) -> None:
        for kind, level in self.levels.items():
            self.levels[kind] = min(level + (now - self.at) * PER_SECOND[kind], CAPACITY[kind])
        self.at = now


def asks(
    client: Client,
    wanted: Sequence[Want] = (),
    returned: Sequence[Return] = (),
    limits: Limits | None = LIMITS,
    headroom: float = 0.0,
    ahead: Want | None = None,
) -> Operation[Turn]:
    """One exchange as the limiter has it."""
    return partial(
        exchange,
        client=client,
        returned=returned,
        wanted=wanted,
        limits=limits,
        headroom=headroom,
        ahead=ahead,
    )
