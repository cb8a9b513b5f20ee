"""Halve a chunk whose answer was cut off: what is said in it is more than a model writes at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

import numpy as np

from llm_assets.recordings.decode import SAMPLE_RATE, decode_mono
from llm_assets.recordings.encode import FLAC, OPUS, Encoder, Samples
from llm_assets.recordings.split import quietest
from llm_assets.records import AudioChunk, Span

_WINDOW_SECONDS = 20.0


def halved(chunk: AudioChunk) -> tuple[AudioChunk, AudioChunk]:
    """The chunk as two, cut at the quietest place near its middle. Both keep its index.

    Raises:
        RecordingUnreadable: its audio cannot be decoded.
    """
    samples = np.concatenate(list(decode_mono(chunk.audio)))
    window = min(round(_WINDOW_SECONDS * SAMPLE_RATE), samples.size // 2)
    earliest = (samples.size - window) // 2
    cut = earliest + quietest(samples[earliest : earliest + window], SAMPLE_RATE)
    first, second = split_spans(_spans(chunk), cut / SAMPLE_RATE)
    return _half(chunk, "a", first, samples[:cut]), _half(chunk, "b", second, samples[cut:])


def split_spans(spans: Sequence[Span], at_seconds: float) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
    """What of the spans, one after the other, lies before `at_seconds` and what behind. Neither is empty."""
    before: list[Span] = []
    for number, span in enumerate(spans):
        length = span.end_seconds - span.start_seconds
        if at_seconds < length or number == len(spans) - 1:
            cut = span.start_seconds + min(at_seconds, length)
            return (
                (*before, Span(span.start_seconds, cut)),
                (Span(cut, span.end_seconds), *spans[number + 1 :]),
            )
        before.append(span)
        at_seconds -= length
    raise ValueError("there are no spans to split")


def _spans(chunk: AudioChunk) -> tuple[Span, ...]:
    return chunk.spans or (Span(chunk.start_seconds, chunk.end_seconds),)


def _half(chunk: AudioChunk, name: str, spans: tuple[Span, ...], samples: Samples) -> AudioChunk:
    file_name = PurePosixPath(chunk.file_name)
    encoding = FLAC if file_name.suffix == ".flac" else OPUS
    with Encoder(encoding, SAMPLE_RATE) as encoder:
        encoder.write(samples)
        audio = encoder.finish()
    return replace(
        chunk,
        start_seconds=spans[0].start_seconds,
        end_seconds=spans[-1].end_seconds,
        audio=audio,
        file_name=f"{file_name.stem}{name}.{encoding.extension}",
        spans=spans if chunk.spans else (),
        speech_seconds=None,
    )
