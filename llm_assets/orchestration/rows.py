"""Records to rows of data frames and back; outcomes of calls to rows of `llm_calls`.

Rows of other tables travel in the frame as JSON text, so that any IO manager for data frames can keep
them. Frames of other IO managers may give dates as timestamps and whole numbers as floats; both are read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import date, datetime
from typing import Any

import pandas as pd

from llm_assets.llm.requests import Outcome
from llm_assets.records import Insight, Recording, RowStatus, Segment, Transcript
from llm_assets.warehouse.frames import rows as plain_rows
from llm_assets.warehouse.frames import typed_frame
from llm_assets.warehouse.tables import Table
from llm_assets.warehouse.values import is_document, type_of

Row = dict[str, Any]

_WHOLE_NUMBERS = frozenset({"size_bytes", "channels", "sample_rate", "chunk_count"})


def frame_of(table: Table, rows: Sequence[Row]) -> pd.DataFrame:
    """A frame with exactly the table's columns, then those of its child tables; also without any row."""
    flat = [column for column in table.columns if not is_document(type_of(column.sql_type))]
    typed = typed_frame(flat, [[row.get(column.name) for column in flat] for row in rows])
    nested = {column.name for column in table.columns} - set(typed.columns)
    for name in [*nested, *(child.column for child in table.children)]:
        typed[name] = pd.Series([row.get(name) for row in rows], dtype="object")
    return typed[[column.name for column in table.columns] + [child.column for child in table.children]]


def recording_row(recording: Recording) -> Row:
    return _values(recording)


def transcript_row(day: date, transcript: Transcript, outcomes: Iterable[Outcome], run_id: str) -> Row:
    row = _values(transcript) | {"partition_date": day, "llm_calls": call_rows(outcomes, run_id)}
    return row | {"segments": _json([_values(segment) for segment in transcript.segments])}


def insight_row(day: date, insight: Insight, outcomes: Iterable[Outcome], run_id: str) -> Row:
    row = _values(insight) | {"partition_date": day, "llm_calls": call_rows(outcomes, run_id)}
    del row["output"]
    return row | (insight.output or {})


def recordings_of(frame: pd.DataFrame) -> list[Recording]:
    """The recordings of a frame that `recording_row` made."""
    return [Recording(**_fields(Recording, row), partition_date=day) for day, row in _dated(frame)]


def transcripts_of(frame: pd.DataFrame) -> list[tuple[date, Transcript]]:
    """The transcripts of a frame that `transcript_row` made, each with its day."""
    return [(day, Transcript(**_fields(Transcript, row) | _segments(row))) for day, row in _dated(frame)]


def call_rows(outcomes: Iterable[Outcome], run_id: str) -> str:
    """The calls behind one row as JSON text: a list of `llm_calls` rows."""
    return _json([_call_row(outcome, run_id) for outcome in outcomes])


def _call_row(outcome: Outcome, run_id: str) -> dict[str, Any]:
    usage = outcome.usage
    same = ("provider", "model", "endpoint", "attempts", "rate_limited", "wait_seconds", "latency_seconds",
            "cost_usd", "from_journal", "fallback_reason", "http_status", "request_id", "started_at",
            "finished_at")  # fmt: skip
    return {name: getattr(outcome, name) for name in same} | {
        "run_id": run_id,
        "status": outcome.status.value,
        "input_tokens": usage.input_tokens,
        "cached_tokens": usage.cached_tokens,
        "output_tokens": usage.output_tokens,
        "audio_seconds": usage.audio_seconds,
        "error": None if outcome.error is None else str(outcome.error),
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


def _dated(frame: pd.DataFrame) -> Iterable[tuple[date, Row]]:
    for row in plain_rows(frame):
        yield as_date(row.pop("partition_date")), row


def as_date(value: object) -> date:
    """A day from whatever an IO manager made of it."""
    if isinstance(value, datetime):
        return value.date()
    return value if isinstance(value, date) else date.fromisoformat(str(value))


def _json(rows: list[dict[str, Any]]) -> str:
    return json.dumps(rows, ensure_ascii=False, default=_json_value)


def _json_value(value: Any) -> str:
    """Times as ISO 8601, decimals as text: no binary fraction stands between an amount and its column."""
    return value.isoformat() if isinstance(value, datetime) else str(value)
