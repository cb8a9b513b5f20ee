"""Put the answers for the chunks of a recording together. Pure.

Providers time their segments from the start of the audio they were sent; here times become relative to
the recording.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from llm_assets.llm.requests import Answer, AnswerSegment
from llm_assets.records import Segment


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredChunk:
    """A chunk's place in the recording and what was answered for it. The audio itself is let go."""

    index: int
    start_seconds: float
    end_seconds: float
    answer: Answer
    channel: int | None = None


def stitch(chunks: Iterable[AnsweredChunk]) -> tuple[str, tuple[Segment, ...]]:
    """The whole text in the order of the chunks, and its segments by start time, counted from 0.

    A chunk whose answer has no segments becomes one segment from cut to cut. Silence has neither text nor
    segments.
    """
    ordered = sorted(chunks, key=lambda chunk: chunk.index)
    text = " ".join(words for chunk in ordered if (words := chunk.answer.text.strip()))
    segments = sorted(
        (segment for chunk in ordered for segment in _segments(chunk)),
        key=lambda segment: segment.start_seconds,
    )
    return text, tuple(replace(segment, segment_index=index) for index, segment in enumerate(segments))


def _segments(chunk: AnsweredChunk) -> list[Segment]:
    timed = [_placed(segment, chunk) for segment in chunk.answer.segments if segment.text.strip()]
    if timed:
        return timed
    whole = AnswerSegment(0.0, chunk.end_seconds - chunk.start_seconds, chunk.answer.text)
    return [_placed(whole, chunk)] if whole.text.strip() else []


def _placed(segment: AnswerSegment, chunk: AnsweredChunk) -> Segment:
    """Models let a segment run past the audio they heard, so times stay within the chunk."""
    start = min(max(chunk.start_seconds + segment.start_seconds, chunk.start_seconds), chunk.end_seconds)
    end = min(max(chunk.start_seconds + segment.end_seconds, start), chunk.end_seconds)
    return Segment(
        segment_index=0,
        start_seconds=start,
        end_seconds=end,
        text=segment.text.strip(),
        channel=chunk.channel,
        speaker=segment.speaker,
    )
