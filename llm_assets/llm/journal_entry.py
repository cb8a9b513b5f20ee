"""One answer of the journal, and the text it is kept as."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from llm_assets.llm.providers.wire import encode_plain
from llm_assets.llm.requests import Answer, AnswerSegment, Endpoint
from llm_assets.usage import Usage


class Entry(NamedTuple):
    """One answer as it was paid for. `model` is the name that was asked, the answer has the snapshot."""

    provider: str
    endpoint: Endpoint
    model: str
    answer: Answer
    cost_usd: Decimal | None
    latency_seconds: float
    finished_at: datetime
    subject: str | None = None
    fallback_reason: str | None = None
    request_id: str | None = None
    run_id: str = ""


def dump_entry(entry: Entry) -> str:
    """JSON text that `load_entry` reads back."""
    answer, usage = entry.answer, entry.answer.usage
    values: dict[str, Any] = {
        "provider": entry.provider,
        "endpoint": entry.endpoint,
        "model": entry.model,
        "cost_usd": None if entry.cost_usd is None else str(entry.cost_usd),
        "latency_seconds": entry.latency_seconds,
        "finished_at": entry.finished_at.timestamp(),
        "subject": entry.subject,
        "fallback_reason": entry.fallback_reason,
        "request_id": entry.request_id,
        "run_id": entry.run_id,
        "answer": {
            "text": answer.text,
            "usage": {
                "input_tokens": usage.input_tokens,
                "cached_tokens": usage.cached_tokens,
                "output_tokens": usage.output_tokens,
                "audio_seconds": usage.audio_seconds,
                "cache_write_tokens": usage.cache_write_tokens,
                "is_estimated": usage.is_estimated,
            },
            "model": answer.model,
            "finish_reason": answer.finish_reason,
            "refusal": answer.refusal,
            "language": answer.language,
            "duration_seconds": answer.duration_seconds,
            "segments": [asdict(segment) for segment in answer.segments] if answer.segments else [],
            "service_tier": answer.service_tier,
        },
    }
    return encode_plain(values).decode()


def load_entry(text: str) -> Entry:
    values = json.loads(text)
    given = values.pop("answer")
    given["usage"] = Usage(**given["usage"])
    given["segments"] = tuple(AnswerSegment(**segment) for segment in given["segments"])
    values["finished_at"] = datetime.fromtimestamp(values["finished_at"], UTC)
    values["cost_usd"] = None if values["cost_usd"] is None else Decimal(values["cost_usd"])
    return Entry(answer=Answer(**given), **values)
