"""Recordings, chunks and outcomes for the tests, and a model that answers as it is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from llm_assets.errors import LLMAssetsError
from llm_assets.llm.requests import Answer, AnswerSegment, Outcome, TranscriptionRequest
from llm_assets.records import AudioChunk, Recording
from llm_assets.usage import Usage

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
RECORDING = Recording(
    partition_date=date(2026, 3, 2),
    recording_id="0123456789abcdef0123",
    path="2026-03-02/call.ogg",
    file_name="call.ogg",
    size_bytes=3,
    sha256="00",
    duration_seconds=30.0,
)


def chunk(index: int, seconds: float = 10.0) -> AudioChunk:
    return AudioChunk(
        index=index,
        start_seconds=index * seconds,
        end_seconds=(index + 1) * seconds,
        audio=f"audio {index}".encode(),
        file_name=f"call-{index}.ogg",
    )


def answer(text: str, *segments: AnswerSegment, **facts: Any) -> Answer:
    return Answer(text=text, usage=Usage(audio_seconds=10), model="whisper-1", segments=segments, **facts)


def outcome(given: Answer | LLMAssetsError, **facts: Any) -> Outcome:
    said = {"answer": given} if isinstance(given, Answer) else {"error": given}
    paid = {"cost_usd": Decimal("0.001")} if isinstance(given, Answer) else {}
    defaults = {
        "key": "key",
        "endpoint": "transcription",
        "provider": "openai",
        "model": "whisper-1",
        "started_at": NOON,
        "finished_at": NOON,
        "latency_seconds": 0.5,
    }
    return Outcome(**(defaults | said | paid | facts))


@dataclass
class FakeModel:
    """Answers with `respond(request)`, an outcome or an error to raise, and remembers what it was asked."""

    respond: Callable[[TranscriptionRequest], Outcome | BaseException]
    asked: list[TranscriptionRequest] = field(default_factory=list)

    async def __call__(self, request: TranscriptionRequest) -> Outcome:
        self.asked.append(request)
        response = self.respond(request)
        if isinstance(response, BaseException):
            raise response
        return response


def number_of(request: TranscriptionRequest) -> int:
    return int(request.key.rpartition(":")[2])
