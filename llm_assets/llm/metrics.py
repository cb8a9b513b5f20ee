"""What a client has done so far, as plain numbers that anybody can turn into metadata or a check."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from decimal import Decimal

from llm_assets.llm.requests import Outcome
from llm_assets.usage import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsSnapshot:
    """Counters since the client was made. `spent_usd` leaves out what came from the journal.

    `wait_seconds` is summed over all calls, by cause: `limit`, `budget`, `retry`, `concurrency`.
    `unpriced_calls` were paid for at a price nobody knows.
    """

    calls: int = 0
    answered: int = 0
    failed: int = 0
    journal_hits: int = 0
    shared_answers: int = 0
    attempts: int = 0
    rate_limited: int = 0
    retried: int = 0
    fallbacks: int = 0
    unpriced_calls: int = 0
    usage: Usage = field(default_factory=Usage)
    spent_usd: Decimal = Decimal(0)
    wait_seconds: dict[str, float] = field(default_factory=dict[str, float])
    calls_by_model: dict[str, int] = field(default_factory=dict[str, int])
    usd_by_model: dict[str, Decimal] = field(default_factory=dict[str, Decimal])


class Metrics:
    """Collects from outcomes. `snapshot()` may be taken at any time."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._waits: defaultdict[str, float] = defaultdict(float)
        self._calls_by_model: Counter[str] = Counter()
        self._usd_by_model: dict[str, Decimal] = {}
        self._usage = Usage()
        self._spent_usd = Decimal(0)

    def waited(self, cause: str, seconds: float) -> None:
        if seconds > 0:
            self._waits[cause] += seconds

    def shared(self) -> None:
        """A request was answered by an identical one that was already under way."""
        self._counts["shared_answers"] += 1

    def add(self, outcome: Outcome) -> None:
        counts = self._counts
        counts["calls"] += 1
        counts["answered" if outcome.answer else "failed"] += 1
        counts["attempts"] += outcome.attempts
        counts["rate_limited"] += outcome.rate_limited
        counts["retried"] += max(outcome.attempts - 1, 0)
        if outcome.fallback_reason:
            counts["fallbacks"] += 1
        if outcome.from_journal:
            counts["journal_hits"] += 1
        elif outcome.answer is not None:
            self._add_paid(outcome)

    def _add_paid(self, outcome: Outcome) -> None:
        model = outcome.model or ""
        self._usage += outcome.usage
        self._calls_by_model[model] += 1
        if outcome.cost_usd is None:
            self._counts["unpriced_calls"] += 1
            return
        self._spent_usd += outcome.cost_usd
        self._usd_by_model[model] = self._usd_by_model.get(model, Decimal(0)) + outcome.cost_usd

    def snapshot(self) -> MetricsSnapshot:
        return MetricsSnapshot(
            **self._counts,
            usage=self._usage,
            spent_usd=self._spent_usd,
            wait_seconds=dict(self._waits),
            calls_by_model=dict(self._calls_by_model),
            usd_by_model=dict(self._usd_by_model),
        )
