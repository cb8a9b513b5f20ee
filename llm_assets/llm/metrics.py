"""What a client has done so far, as plain numbers that anybody can turn into metadata or a check."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from llm_assets.llm.requests import Outcome
from llm_assets.usage import Usage

# Upper bounds in seconds, as dashboards for HTTP clients have them; the last bucket has none.
_BOUNDS_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)


@dataclass(frozen=True, slots=True)
class Histogram:
    """How often values fell at or below each bound of `bounds`, and above the last: one count more."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float

    @property
    def count(self) -> int:
        return sum(self.counts)

    @property
    def mean(self) -> float:
        return self.total / self.count if self.count else 0.0

    def quantile(self, share: float) -> float:
        """The least bound that at least `share` of the values do not pass; infinite above the last."""
        wanted, so_far = share * self.count, 0
        for bound, count in zip(self.bounds, self.counts, strict=False):
            so_far += count
            if so_far >= wanted:
                return bound
        return float("inf")


@dataclass(frozen=True, slots=True)
class QuotaUse:
    """Of one limit while the client was open: what all who share it were charged, and what it allowed.

    `allowed` is what the limit held when that was first known, and its refill since.
    """

    charged: float
    allowed: float

    @property
    def share(self) -> float:
        return min(self.charged / self.allowed, 1.0) if self.allowed > 0 else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsSnapshot:
    """Counters since the client was made. `spent_usd` leaves out what came from the journal.

    `started` counts calls, `attempts` what was sent for them, `rate_limited` the refusals for want of quota.
    `wait_seconds` is summed over all calls, by cause: `limit`, `budget`, `retry`, `concurrency`,
    `cool_down`, `same_request`. `latency_seconds` is of answers from a provider, `call_wait_seconds` what a
    call waited in all. `quota` is by pool and limit. `unpriced_calls` were paid for at a price nobody knows,
    `estimated_calls` at a usage the provider did not tell whole,
    `overbilled_calls` cost more than the budget had reserved for them.
    """

    started: int = 0
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
    estimated_calls: int = 0
    overbilled_calls: int = 0
    usage: Usage = field(default_factory=Usage)
    spent_usd: Decimal = Decimal(0)
    wait_seconds: Mapping[str, float] = field(default_factory=dict[str, float])
    latency_seconds: Histogram
    call_wait_seconds: Histogram
    fallbacks_by_reason: Mapping[str, int] = field(default_factory=dict[str, int])
    failures_by_error: Mapping[str, int] = field(default_factory=dict[str, int])
    calls_by_model: Mapping[str, int] = field(default_factory=dict[str, int])
    usd_by_model: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])
    quota: Mapping[str, QuotaUse] = field(default_factory=dict[str, QuotaUse])

    @property
    def in_flight(self) -> int:
        """Calls that have begun and have no outcome yet."""
        return self.started - self.calls


class Metrics:
    """Collects from outcomes, and what is sent and refused when it is. `snapshot()` may be taken at any time.

    `quota` tells what was used of each limit; the client sets it while it is open.
    """

    def __init__(self) -> None:
        self.quota: Callable[[], Mapping[str, QuotaUse]] = dict[str, QuotaUse]
        self._counts: Counter[str] = Counter()
        self._waits: defaultdict[str, float] = defaultdict(float)
        self._calls_by_model: Counter[str] = Counter()
        self._usd_by_model: dict[str, Decimal] = {}
        self._reasons: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._latency = _Collector()
        self._wait = _Collector()
        self._input_tokens = self._cached_tokens = self._output_tokens = self._cache_write_tokens = 0
        self._audio_seconds = 0.0
        self._spent_usd = Decimal(0)

    def start(self) -> None:
        """A call begins."""
        self._counts["started"] += 1

    def stop(self) -> None:
        """A call ended without an outcome: it was cancelled, or it ended the run."""
        self._counts["started"] -= 1

    def sent(self) -> None:
        """A request goes out, as one more attempt of its call."""
        self._counts["attempts"] += 1

    def refused(self) -> None:
        """A request was refused for want of quota."""
        self._counts["rate_limited"] += 1

    def waited(self, cause: str, seconds: float) -> None:
        if seconds > 0:
            self._waits[cause] += seconds

    def shared(self) -> None:
        """A request was answered by an identical one that was already under way."""
        self._counts["shared_answers"] += 1

    def overbilled(self) -> None:
        """A call cost more than was reserved for it."""
        self._counts["overbilled_calls"] += 1

    def add(self, outcome: Outcome) -> None:
        counts = self._counts
        counts["calls"] += 1
        if outcome.attempts > 1:
            counts["retried"] += outcome.attempts - 1
        self._wait.add(outcome.wait_seconds)
        if outcome.answer is None:
            counts["failed"] += 1
            self._errors[type(outcome.error).__name__] += 1
            return
        counts["answered"] += 1
        if outcome.fallback_reason:
            counts["fallbacks"] += 1
            self._reasons[outcome.fallback_reason] += 1
        if outcome.from_journal:
            counts["journal_hits"] += 1
        else:
            self._add_paid(outcome)

    def _add_paid(self, outcome: Outcome) -> None:
        model, usage = outcome.model or "", outcome.usage
        self._latency.add(outcome.latency_seconds)
        self._input_tokens += usage.input_tokens
        self._cached_tokens += usage.cached_tokens
        self._output_tokens += usage.output_tokens
        self._cache_write_tokens += usage.cache_write_tokens
        self._audio_seconds += usage.audio_seconds
        self._calls_by_model[model] += 1
        if usage.is_estimated:
            self._counts["estimated_calls"] += 1
        if outcome.cost_usd is None:
            self._counts["unpriced_calls"] += 1
            return
        self._spent_usd += outcome.cost_usd
        self._usd_by_model[model] = self._usd_by_model.get(model, Decimal(0)) + outcome.cost_usd

    def snapshot(self) -> MetricsSnapshot:
        return MetricsSnapshot(
            **self._counts,
            usage=Usage(
                self._input_tokens,
                self._cached_tokens,
                self._output_tokens,
                self._audio_seconds,
                self._cache_write_tokens,
            ),
            spent_usd=self._spent_usd,
            wait_seconds=dict(self._waits),
            latency_seconds=self._latency.histogram(),
            call_wait_seconds=self._wait.histogram(),
            fallbacks_by_reason=dict(self._reasons),
            failures_by_error=dict(self._errors),
            calls_by_model=dict(self._calls_by_model),
            usd_by_model=dict(self._usd_by_model),
            quota=self.quota(),
        )


class _Collector:
    """A histogram that is still being filled."""

    def __init__(self) -> None:
        self._counts = [0] * (len(_BOUNDS_SECONDS) + 1)
        self._total = 0.0

    def add(self, seconds: float) -> None:
        self._counts[bisect_left(_BOUNDS_SECONDS, seconds)] += 1
        self._total += seconds

    def histogram(self) -> Histogram:
        return Histogram(_BOUNDS_SECONDS, tuple(self._counts), self._total)
