"""A small warehouse for tests: three days of calls, written as the assets write them."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd

from llm_assets.insights.call_insights import CallInsights
from llm_assets.insights.columns import output_columns
from llm_assets.warehouse.query import query
from llm_assets.warehouse.read import read_partition
from llm_assets.warehouse.replace import replace_partition
from llm_assets.warehouse.tables import RECORDINGS, TRANSCRIPTS, Column, insights_table

DAYS = (date(2026, 3, 2), date(2026, 3, 3), date(2026, 3, 4))
INSIGHTS = insights_table(
    "insights", [Column(c.name, c.sql_type, c.description) for c in output_columns(CallInsights)]
)
INTENTS = ("refund", "support", "praise", "cancellation")


def write_sample(path: str) -> None:
    """Four recordings a day: three answered calls, one of them by a fallback, and one too short."""
    for day in DAYS:
        ids = [f"{day:%m%d}{number}" for number in range(4)]
        replace_partition(path, RECORDINGS, [day], pd.DataFrame([recording_row(day, i) for i in ids]))
        replace_partition(path, TRANSCRIPTS, [day], pd.DataFrame([transcript_row(day, i) for i in ids]))
        replace_partition(path, INSIGHTS, [day], pd.DataFrame([insight_row(day, i) for i in ids]))


def recording_row(day: date, recording_id: str) -> dict[str, Any]:
    short = recording_id.endswith("3")
    return {
        "partition_date": day,
        "recording_id": recording_id,
        "path": f"data/recordings/{day}/{recording_id}.ogg",
        "file_name": f"{recording_id}.ogg",
        "size_bytes": 64_000,
        "sha256": recording_id * 8,
        "format": "ogg",
        "channels": 1,
        "sample_rate": 16_000,
        "duration_seconds": 1.5 if short else 61.5,
        "status": "too_short" if short else "ok",
        "error": "1.5 s is shorter than 5 s" if short else None,
    }


def transcript_row(day: date, recording_id: str, word: str = "hello") -> dict[str, Any]:
    if recording_id.endswith("3"):
        keys = {"partition_date": day, "recording_id": recording_id}
        return keys | {"status": "too_short", "error": "1.5 s is shorter than 5 s"}
    return {
        "partition_date": day,
        "recording_id": recording_id,
        "status": "ok",
        "text": f"{word} how can I help. I want my money back.",
        "language": "en",
        "duration_seconds": 61.5,
        "chunk_count": 1,
        "model": "gpt-transcribe",
        "provider": "openai",
        "from_journal": False,
        "cost_usd": Decimal("0.0046125"),
        "latency_seconds": 2.25,
        "transcribed_at": datetime(day.year, day.month, day.day, 23, 30, tzinfo=UTC),
        "segments": json.dumps(
            [
                segment(0, 0.0, 3.5, "agent", f"{word} how can I help."),
                segment(1, 3.5, 61.5, "customer", "I want my money back."),
            ]
        ),
        "llm_calls": json.dumps([call_row("gpt-transcribe", "0.0046125", day, audio_seconds=61.5)]),
    }


def segment(index: int, start: float, end: float, speaker: str, text: str) -> dict[str, Any]:
    return {
        "segment_index": index,
        "start_seconds": start,
        "end_seconds": end,
        "speaker": speaker,
        "text": text,
    }


def call_row(model: str | None, cost_usd: str | None, day: date, **more: Any) -> dict[str, Any]:
    started = datetime(day.year, day.month, day.day, 23, 0, tzinfo=UTC)
    return {
        "run_id": "run-1",
        "provider": "openai",
        "model": model,
        "attempts": 1,
        "rate_limited": 0,
        "wait_seconds": 0.0,
        "latency_seconds": 2.25,
        "cost_usd": cost_usd,
        "from_journal": False,
        "status": "answered",
        "http_status": 200,
        "started_at": started.isoformat(),
        "finished_at": (started + timedelta(seconds=2.25)).isoformat(),
    } | more


def insight_row(day: date, recording_id: str) -> dict[str, Any]:
    number = int(recording_id[-1])
    keys = {"partition_date": day, "recording_id": recording_id}
    output = dict.fromkeys(CallInsights.model_fields)
    if number == 3:
        return keys | output | {"status": "too_short", "error": "1.5 s is shorter than 5 s"}
    fallback = "gpt-6.1-sol: overloaded" if number == 2 else None
    model = "gpt-6-luna" if fallback else "gpt-6.1-sol"
    tokens = {"input_tokens": 800, "cached_tokens": 0, "output_tokens": 50}
    calls = [call_row(model, "0.0021", day, fallback_reason=fallback, **tokens)]
    if recording_id == "03041":  # one answer had to be repaired
        calls.insert(0, call_row(model, "0.0021", day, status="invalid_output", **tokens))
    answered = {
        "status": "ok",
        "model": model,
        "provider": "openai",
        "fallback_reason": fallback,
        "from_journal": False,
        "input_tokens": 800,
        "output_tokens": 50,
        "cost_usd": Decimal("0.0021"),
        "prompt_version": "0123456789ab",
        "extracted_at": datetime(day.year, day.month, day.day, 23, 45, tzinfo=UTC),
        "llm_calls": json.dumps(calls),
    }
    return keys | call_output(number, day) | answered


def call_output(number: int, day: date) -> dict[str, Any]:
    return {
        "summary": "The customer wants the money for a broken kettle back.",
        "sentiment": {
            "label": "positive" if number == 2 else "negative",
            "score": 0.8 if number == 2 else -0.6,
        },
        "topics": ["refund", "kettle"] if number != 2 else ["praise"],
        "intent": INTENTS[(number + day.day) % len(INTENTS)],
        "outcome": "refunded" if number == 0 else "unresolved",
        "action_items": [{"owner": "agent", "what": "Send the refund", "due": "by Friday"}],
        "entities": [{"name": "39 dollars", "kind": "amount"}],
        "customer_effort": 2 + number,
        "language": "en",
        "quotes": [{"text": "I want my money back.", "segment_index": 1}],
        "confidence": 0.9,
    }


def words(path: str) -> list[str]:
    """The first word of every transcript and of every segment that belongs to one, calls counted."""
    texts = read_partition(path, TRANSCRIPTS, DAYS[:1])["text"].dropna()
    with query(path, "select text from segments where segment_index = 0") as segments:
        spoken = [text for (text,) in segments.rows]
    with query(path, "select count(*) from llm_calls where asset = 'transcripts'") as calls:
        counts = [str(count) for (count,) in calls.rows]
    return [text.split()[0] for text in [*texts, *spoken]] + counts
