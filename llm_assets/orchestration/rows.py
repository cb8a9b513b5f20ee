"""Records to rows and back; outcomes of calls to rows of `llm_calls`.

Inside a run rows are plain, and only an IO manager that is not ours is handed a data frame: to load pandas
takes longer than a day's rows. Rows of other tables travel in them as JSON text, so that any IO manager
for data frames can keep them. Frames of others may give dates as timestamps and whole numbers as floats;
both are read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from llm_assets.llm.requests import Outcome
from llm_assets.orchestration.row_builder import RowBuilder
from llm_assets.records import Insight, Recording, RowStatus, Segment, Transcript
from llm_assets.warehouse.plain import Row, Rows
from llm_assets.warehouse.tables import Table

if TYPE_CHECKING:
    import pandas as pd

Item = TypeVar("Item", Recording, Transcript)
Content = tuple[date, str]  # a day and a recording's id

# As the columns of the tables keep it.
_BILLIONTH = Decimal("1e-9")
_EXACT = Context(prec=40)

_WHOLE_NUMBERS = frozenset({"size_bytes", "channels", "sample_rate", "chunk_count"})


def rows_of(table: Table, rows: Sequence[Row]) -> Rows:
    """Rows with exactly the table's columns, then those of its child tables; also without any row."""
    builder = RowBuilder(table, len(rows))
    for position, row in enumerate(rows):
        builder.put(position, row)
    return builder.rows()


def received(upstream: pd.DataFrame | Rows) -> Rows:
    """What an IO manager gave, as plain rows."""
    if isinstance(upstream, Rows):
        return upstream
    from llm_assets.warehouse.frames import plain

    return plain(upstream)


class Items(Generic[Item]):
    """What rows are to a stage, each made when it is asked for: as objects, the segments of a
    transcript take many times the memory of their text.
    """

    def __init__(self, rows: Rows, make: Callable[[date, Row], Item]) -> None:
        self._rows = rows
        self._make = make

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, position: int) -> Item:
        return self._made(self._rows[position])

    def __iter__(self) -> Iterator[Item]:
        return map(self._made, self._rows)

    def contents(self) -> Iterator[Content]:
        """The day and the id of every row."""
        days, ids = (self._rows.columns[name] for name in ("partition_date", "recording_id"))
        return ((as_date(day), str(recording_id)) for day, recording_id in zip(days, ids, strict=True))

    def _made(self, row: Row) -> Item:
        return self._make(as_date(row.pop("partition_date")), row)


def recording_row(recording: Recording) -> Row:
    return _values(recording)


def transcript_row(day: date, transcript: Transcript, outcomes: Sequence[Outcome], run_id: str) -> Row:
    row = _values(transcript) | _called(day, transcript, outcomes, run_id)
    return row | {"segments": _json([_values(segment) for segment in transcript.segments])}


def insight_row(day: date, insight: Insight, outcomes: Sequence[Outcome], run_id: str) -> Row:
    row = _values(insight) | _called(day, insight, outcomes, run_id)
    del row["output"]
    return row | (insight.output or {})


def recordings_of(rows: Rows) -> Items[Recording]:
    """The recordings of rows that `recording_row` made."""
    return Items(rows, lambda day, row: Recording(**_fields(Recording, row), partition_date=day))


def transcripts_of(rows: Rows) -> Items[Transcript]:
    """The transcripts of rows that `transcript_row` made."""
    return Items(rows, lambda _, row: Transcript(**_fields(Transcript, row) | _segments(row)))


def _called(day: date, result: Transcript | Insight, outcomes: Sequence[Outcome], run_id: str) -> Row:
    """The calls behind a row as JSON text, a list of `llm_calls` rows, and what they cost together.

    Each amount is rounded for its column, and only then added up: the sum over rows is that over calls.
    """
    calls = [_call_row(outcome, run_id) for outcome in outcomes]
    cost_usd = result.cost_usd
    if cost_usd is not None and calls:
        cost_usd = sum((call["cost_usd"] for call in calls if call["cost_usd"] is not None), Decimal(0))
    return {"partition_date": day, "llm_calls": _json(calls), "cost_usd": cost_usd}


def _call_row(outcome: Outcome, run_id: str) -> dict[str, Any]:
    usage = outcome.usage
    cost_usd = outcome.cost_usd
    same = ("provider", "model", "endpoint", "attempts", "rate_limited", "wait_seconds", "latency_seconds",
            "from_journal", "fallback_reason", "http_status", "request_id", "started_at",
            "finished_at")  # fmt: skip
    return {name: getattr(outcome, name) for name in same} | {
        "run_id": run_id,
        "status": outcome.status.value,
        "cost_usd": None if cost_usd is None else cost_usd.quantize(_BILLIONTH, ROUND_HALF_EVEN, _EXACT),
        "input_tokens": usage.input_tokens,
        "cached_tokens": usage.cached_tokens,
        "output_tokens": usage.output_tokens,
        "audio_seconds": usage.audio_seconds,
        "error": outcome.problem if outcome.error is None else str(outcome.error),
    }


def _values(record: Any) -> dict[str, Any]:
    """A record's fields as they are; enums as their text."""
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    return {name: value.value if isinstance(value, RowStatus) else value for name, value in values.items()}


def _fields(kind: Any, row: Row) -> dict[str, Any]:
    known = {field.name for field in fields(kind)} - {"partition_date", "segments"}
    values = {name: value for name, value in row.items() if name in known and value is not None}
    whole = {name: int(value) for name, value in values.items() if name in _WHOLE_NUMBERS}
    return values | whole | {"status": RowStatus(values["status"])}


def _segments(row: Row) -> dict[str, Any]:
    found: list[dict[str, Any]] = json.loads(row.get("segments") or "[]")
    return {"segments": tuple(Segment(**segment) for segment in found)}


def as_date(value: object) -> date:
    """A day from whatever an IO manager made of it."""
    if isinstance(value, datetime):
        return value.date()
    return value if isinstance(value, date) else date.fromisoformat(str(value))


def of_day(rows: Rows, day: date) -> Rows:
    """The rows of one day."""
    return rows.at([at for at, value in enumerate(rows.columns["partition_date"]) if as_date(value) == day])


def _json(rows: list[dict[str, Any]]) -> str:
    return json.dumps(rows, ensure_ascii=False, default=_json_value, separators=(",", ":"))


def _json_value(value: Any) -> str:
    """Times as ISO 8601, decimals as text: no binary fraction stands between an amount and its column."""
    return value.isoformat() if isinstance(value, datetime) else str(value)
