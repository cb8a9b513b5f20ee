"""Halve a chunk whose answer was cut off: what is said in it is more than a model writes at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from pathlib import PurePosixPath

from llm_assets.recordings.decode import SAMPLE_RATE, decode_mono
from llm_assets.recordings.encode import FLAC, OPUS, Encoder
from llm_assets.recordings.listen import MOMENTS_PER_SECOND, Heard, joined, listen
from llm_assets.recordings.split import quietest
from llm_assets.records import AudioChunk, Span

_WINDOW_MOMENTS = 20 * MOMENTS_PER_SECOND


def halved(chunk: AudioChunk) -> tuple[AudioChunk, AudioChunk]:
    """The chunk as two, cut at the quietest place near its middle. Both keep its index.

    Raises:
        RecordingUnreadable: its audio cannot be decoded.
    """
    heard = reduce(joined, listen(decode_mono(chunk.audio), SAMPLE_RATE))
    window = min(_WINDOW_MOMENTS, heard.moments // 2)
    earliest = (heard.moments - window) // 2
    cut = earliest + quietest(heard.levels[earliest : earliest + window])
    first, second = split_spans(_spans(chunk), cut / MOMENTS_PER_SECOND)
    return _half(chunk, "a", first, heard.part(0, cut)), _half(chunk, "b", second, heard.part(cut))


def split_spans(spans: Sequence[Span], at_seconds: float) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
    """What of the spans, one after the other, lies before `at_seconds` and what behind. Neither is empty."""
    before: list[Span] = []
    for number, span in enumerate(spans):
        length = span.end_seconds - span.start_seconds
        if at_seconds < length or number == len(spans) - 1:
            cut = span.start_seconds + min(at_seconds, length)
            first = (*before, Span(span.start_seconds, cut)) if cut > span.start_seconds else (*before,)
            return first, (Span(cut, span.end_seconds), *spans[number + 1 :])
        before.append(span)
        at_seconds -= length
    raise ValueError("there are no spans to split")


def _spans(chunk: AudioChunk) -> tuple[Span, ...]:
    return chunk.spans or (Span(chunk.start_seconds, chunk.end_seconds),)


def _half(chunk: AudioChunk, name: str, spans: tuple[Span, ...], heard: Heard) -> AudioChunk:
    file_name = PurePosixPath(chunk.file_name)
    encoding = FLAC if file_name.suffix == ".flac" else OPUS
    with Encoder(encoding, SAMPLE_RATE) as encoder:
        encoder.write(heard.samples)
        audio = encoder.finish()
    return replace(
        chunk,
        start_seconds=spans[0].start_seconds,
        end_seconds=spans[-1].end_seconds,
        audio=audio,
        file_name=f"{file_name.stem}{name}.{encoding.extension}",
        spans=spans if len(spans) > 1 else (),
        speech_seconds=int(heard.speech.sum()) / MOMENTS_PER_SECOND,
    )
