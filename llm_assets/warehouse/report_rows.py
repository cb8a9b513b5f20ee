"""What a month of the tables says, as plain values: the rows that `report_queries` fetches.

Unknown is not zero: a cost is None where nothing has a price, a mean where nothing was measured. `cost_usd`
is what answers cost when they were paid for, each of the `paid_answers` once; `new_usd` is the part of it
that the runs which stand in the tables paid. `saved_usd` is the price of all answers they did not pay for:
those of earlier runs, and those that another recording of the same run had led to already.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class DayOutcome:
    """Recordings of one day that ended the same way, `waiting` when a later table has no row for them yet."""

    day: date
    status: str
    recordings: int
    audio_seconds: float


@dataclass(frozen=True, slots=True)
class Reason:
    """Recordings without a result for the same reason, numbers in it aside. `table` is where they ended."""

    table: str
    status: str
    recordings: int
    error: str | None
    file_name: str
    first_day: date
    last_day: date


@dataclass(frozen=True, slots=True)
class ModelUse:
    """What a model was asked in a month. A call counts for the model that was asked last.

    Peaks are the most of one minute of the clock, `p95` the latency that 95 % of the answers keep.
    """

    provider: str | None
    model: str | None
    endpoint: str | None
    calls: int
    answered: int
    journal_hits: int
    fallbacks: int
    attempts: int
    rate_limited: int
    wait_seconds: float
    latency_seconds_mean: float | None
    latency_seconds_p95: float | None
    audio_seconds: float
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    cost_usd: Decimal | None
    new_usd: Decimal | None
    saved_usd: Decimal | None
    paid_answers: int
    calls_without_price: int
    peak_requests_per_minute: int | None
    peak_tokens_per_minute: int | None


@dataclass(frozen=True, slots=True)
class ModelDay:
    """One model's calls for the recordings of one day."""

    day: date
    provider: str | None
    model: str | None
    calls: int
    cost_usd: Decimal | None
    attempts: int
    rate_limited: int
    wait_seconds: float


@dataclass(frozen=True, slots=True)
class ModelMinute:
    """Requests that one model was sent in one minute (UTC) of the busiest hour."""

    minute: datetime
    provider: str | None
    model: str | None
    requests: int
    tokens: int
    rate_limited: int


@dataclass(frozen=True, slots=True)
class Totals:
    """A month in a few numbers."""

    recordings: int = 0
    audio_seconds: float = 0.0
    ok: int = 0
    waiting: int = 0
    calls: int = 0
    answered: int = 0
    journal_hits: int = 0
    fallbacks: int = 0
    attempts: int = 0
    rate_limited: int = 0
    wait_seconds: float = 0.0
    cost_usd: Decimal | None = None
    new_usd: Decimal | None = None
    saved_usd: Decimal | None = None
    paid_answers: int = 0
    calls_without_price: int = 0


@dataclass(frozen=True, slots=True)
class DayLabel:
    """Rows of a day with the same label; None where the model gave none."""

    day: date
    label: str | None
    rows: int


@dataclass(frozen=True, slots=True)
class DayScore:
    """The mean of a day's scores."""

    day: date
    mean: float
    rows: int


@dataclass(frozen=True, slots=True)
class Topic:
    """How many rows of the month and of the month before are about a topic; `score` is their mean."""

    name: str
    rows: int
    rows_before: int
    score: float | None


@dataclass(frozen=True, slots=True)
class TopicDay:
    """Rows of a day that are about a topic."""

    day: date
    name: str
    rows: int


@dataclass(frozen=True, slots=True)
class Choice:
    """How often a column of few values has each of them, the most frequent first."""

    column: str
    values: tuple[tuple[str | None, int], ...]


@dataclass(frozen=True, slots=True)
class Answers:
    """What one extractor's table says in a month. Empty where it has no such column."""

    table: str
    ok: int
    labels: tuple[DayLabel, ...] = ()
    scores: tuple[DayScore, ...] = ()
    score: float | None = None
    score_before: float | None = None
    topics: tuple[Topic, ...] = ()
    topic_count: int = 0
    topic_days: tuple[TopicDay, ...] = ()
    choices: tuple[Choice, ...] = ()


@dataclass(frozen=True, slots=True)
class MonthRows:
    """Everything a report is made of, read in one go, so that its numbers agree with each other."""

    totals: Totals
    before: Totals
    outcomes: tuple[DayOutcome, ...]
    reasons: tuple[Reason, ...]
    models: tuple[ModelUse, ...]
    model_days: tuple[ModelDay, ...]
    busiest: tuple[ModelMinute, ...]
    answers: tuple[Answers, ...]

    @property
    def has_rows(self) -> bool:
        return bool(self.outcomes or self.models or self.answers)
