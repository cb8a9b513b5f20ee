"""Put the answers for the chunks of a recording together. Pure.

Providers time their segments from the start of the audio they were sent; here times become relative to
the recording. Channels that were heard apart are merged by time.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise

from llm_assets.llm.requests import Answer, AnswerSegment
from llm_assets.records import Segment, Span
from llm_assets.transcription.timing import in_recording
from llm_assets.transcription.wording import dialogue, joined, letter_count

# Segments that leave out more of the text than this are no account of it.
_LEAST_SHARE_IN_SEGMENTS = 0.99
# Names that a model counts out anew in every audio: A, B, SPEAKER_00, 1. Names it was told are not such.
_COUNTED_OUT = re.compile(r"[A-Z]|\d+|(?i:speaker|spk)[ _-]?\w{1,3}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredChunk:
    """A chunk's place in the recording and what was answered for it. The audio itself is let go.

    `spans` and `channel` are those of the `AudioChunk`.
    """

    start_seconds: float
    end_seconds: float
    answer: Answer
    channel: int | None = None
    spans: tuple[Span, ...] = ()

    @property
    def text(self) -> str:
        return self.answer.text.strip() or joined(segment.text for segment in self.answer.segments)

    @property
    def heard(self) -> tuple[Span, ...]:
        """The stretches of the recording that the audio holds; always at least one."""
        return self.spans or (Span(self.start_seconds, self.end_seconds),)


def stitch(
    chunks: Iterable[AnsweredChunk],
    *,
    duration_seconds: float | None = None,
    speakers: Sequence[str] = (),
) -> tuple[str, tuple[Segment, ...]]:
    """The whole text, and its segments by start time, counted from 0. Silence has neither.

    `speakers` names who is heard on each channel. Where speakers or channels are known, the text is a
    line for every turn. Segments of one channel do not overlap, and none ends after `duration_seconds`.
    A chunk whose answer has no segments becomes one segment from cut to cut.
    """
    channels: defaultdict[int | None, list[AnsweredChunk]] = defaultdict(list)
    ordered = sorted(chunks, key=lambda chunk: chunk.start_seconds)
    for chunk in ordered:
        channels[chunk.channel].append(chunk)
    found = chain.from_iterable(_of_channel(each, speakers) for each in channels.values())
    segments = tuple(
        replace(_until(segment, duration_seconds), segment_index=index)
        for index, segment in enumerate(sorted(found, key=_place))
    )
    if any(segment.speaker or segment.channel is not None for segment in segments):
        return dialogue(segments), segments
    return joined(chunk.text for chunk in ordered), segments


def _place(segment: Segment) -> tuple[float, int]:
    return segment.start_seconds, -1 if segment.channel is None else segment.channel


def _of_channel(chunks: Sequence[AnsweredChunk], speakers: Sequence[str]) -> list[Segment]:
    """The segments of one channel in order, each ending at the latest where the next one begins."""
    found = [
        _placed(segment, chunk, _speaker(segment, chunk.channel, speakers, part if len(chunks) > 1 else None))
        for part, chunk in enumerate(chunks, start=1)
        for segment in _timed(chunk)
    ]
    found.sort(key=lambda segment: segment.start_seconds)
    apart = [
        replace(one, end_seconds=min(one.end_seconds, after.start_seconds)) for one, after in pairwise(found)
    ]
    return apart + found[-1:]


def _timed(chunk: AnsweredChunk) -> list[AnswerSegment]:
    """The answer's segments if they hold its text; else all of it as one, so that no word is lost."""
    segments = [segment for segment in chunk.answer.segments if segment.text.strip()]
    told = letter_count(" ".join(segment.text for segment in segments))
    if segments and told >= letter_count(chunk.text) * _LEAST_SHARE_IN_SEGMENTS:
        return segments
    if not chunk.text:
        return []
    length = sum(span.end_seconds - span.start_seconds for span in chunk.heard)
    return [AnswerSegment(0.0, length, chunk.text, _only_speaker(segments))]


def _only_speaker(segments: Sequence[AnswerSegment]) -> str | None:
    named = Counter(segment.speaker for segment in segments)
    return next(iter(named)) if len(named) == 1 else None


def _speaker(
    segment: AnswerSegment, channel: int | None, speakers: Sequence[str], part: int | None
) -> str | None:
    """Who is heard on a channel is known for certain. A model's own label holds within one chunk only."""
    if channel is not None and channel < len(speakers):
        return speakers[channel]
    label = segment.speaker
    if label and part is not None and _COUNTED_OUT.fullmatch(label):
        return f"{label} (part {part})"
    return label


def _placed(segment: AnswerSegment, chunk: AnsweredChunk, speaker: str | None) -> Segment:
    place = in_recording(segment.start_seconds, segment.end_seconds, chunk.heard)
    return Segment(
        segment_index=0,
        start_seconds=place.start_seconds,
        end_seconds=place.end_seconds,
        text=segment.text.strip(),
        channel=chunk.channel,
        speaker=speaker,
    )


def _until(segment: Segment, duration_seconds: float | None) -> Segment:
    if duration_seconds is None or segment.end_seconds <= duration_seconds:
        return segment
    start = min(segment.start_seconds, duration_seconds)
    return replace(segment, start_seconds=start, end_seconds=duration_seconds)
