"""The values that travel between the stages: recording, audio chunk, segment, transcript, insight.

All are frozen and free of I/O. Times inside a recording are seconds from its start.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any


class RowStatus(StrEnum):
    """What became of a recording at a stage. Every recording that goes in comes out with one."""

    OK = "ok"
    TOO_SHORT = "too_short"
    UNREADABLE = "unreadable"
    REFUSED = "refused"
    INVALID_OUTPUT = "invalid_output"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One audio recording as found on disk or in a bucket. Unknown facts are None, never zero.

    `recording_id` is the first 20 hexadecimal digits of `sha256`: the same content has the same id.
    """

    partition_date: date
    recording_id: str
    path: str
    file_name: str
    size_bytes: int
    sha256: str
    format: str | None = None
    codec: str | None = None
    channels: int | None = None
    sample_rate: int | None = None
    duration_seconds: float | None = None
    status: RowStatus = RowStatus.OK
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a recording, in seconds from its start."""

    start_seconds: float
    end_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioChunk:
    """A part of a recording, encoded as a provider takes it. `file_name` carries the extension.

    Where long silences were left out, `audio` is the `spans` one after the other; without any it is the
    whole stretch from `start_seconds` to `end_seconds`. `speech_seconds` is how much speech was heard in
    it, None where nobody listened. `channel` counts from 0; None means all channels mixed.
    """

    index: int
    start_seconds: float
    end_seconds: float
    audio: bytes
    file_name: str
    channel: int | None = None
    spans: tuple[Span, ...] = ()
    speech_seconds: float | None = None

    @property
    def duration_seconds(self) -> float:
        return self.end_seconds - self.start_seconds

    @property
    def audio_seconds(self) -> float:
        """How long `audio` plays: the spans, or the whole stretch."""
        if not self.spans:
            return self.duration_seconds
        return sum(span.end_seconds - span.start_seconds for span in self.spans)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A stretch of speech. `channel` and `speaker` are None where they are not known."""

    segment_index: int
    start_seconds: float
    end_seconds: float
    text: str
    channel: int | None = None
    speaker: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """The whole text of one recording and its segments in reading order.

    `cost_usd` is what its answers cost when they were paid for, None when a price is unknown.
    """

    recording_id: str
    status: RowStatus
    text: str | None = None
    language: str | None = None
    duration_seconds: float | None = None
    chunk_count: int = 0
    model: str | None = None
    provider: str | None = None
    fallback_reason: str | None = None
    from_journal: bool = False
    cost_usd: Decimal | None = None
    latency_seconds: float | None = None
    transcribed_at: datetime | None = None
    error: str | None = None
    segments: tuple[Segment, ...] = ()

    def without_calls(self) -> Transcript:
        """The same for another recording with this content: it took no call, so it cost nothing."""
        if self.model is None:
            return self
        return replace(self, cost_usd=Decimal(0), latency_seconds=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Insight:
    """The output model's fields for one transcript, or the reason why there are none.

    `output` holds plain JSON values and is None unless `status` is ok.
    """

    recording_id: str
    status: RowStatus
    output: dict[str, Any] | None = None
    model: str | None = None
    provider: str | None = None
    fallback_reason: str | None = None
    from_journal: bool = False
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: Decimal | None = None
    prompt_version: str | None = None
    extracted_at: datetime | None = None
    error: str | None = None

    def without_calls(self) -> Insight:
        """The same for another recording with this content: it took no call, so it cost nothing."""
        if self.model is None:
            return self
        return replace(self, cost_usd=Decimal(0), input_tokens=0, output_tokens=0)
