"""A chunk in two: cut in a pause near its middle, times right, nothing lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_audio import FLAC, MP3, OPUS, RATE, encoded, talk

from llm_assets.errors import RecordingUnreadable
from llm_assets.recordings.decode import decode_mono
from llm_assets.recordings.encode import Encoding
from llm_assets.recordings.halve import halved, split_spans
from llm_assets.records import AudioChunk, Span

CALL, PAUSES = talk([(1.7, 0.5), (2.1, 0.4), (1.2, 0.6), (2.4, 0.5)] * 4)
SECONDS = CALL.size / RATE


def chunk_of(encoding: Encoding, spans: tuple[Span, ...] = (), start: float = 100.0) -> AudioChunk:
    return AudioChunk(
        index=3,
        start_seconds=spans[0].start_seconds if spans else start,
        end_seconds=spans[-1].end_seconds if spans else start + SECONDS,
        audio=encoded(CALL, encoding),
        file_name=f"abc-003.{encoding.extension}",
        channel=1,
        spans=spans,
    )


def seconds_in(audio: bytes) -> float:
    return sum(block.size for block in decode_mono(audio)) / RATE


@pytest.mark.parametrize("encoding", [OPUS, FLAC, MP3], ids=lambda encoding: encoding.extension)
def test_the_halves_are_the_whole(encoding: Encoding) -> None:
    """They meet in a pause near the middle and are together as long as the chunk."""
    first, second = halved(chunk_of(encoding))
    assert (first.start_seconds, second.end_seconds) == (100.0, 100.0 + SECONDS)
    assert first.end_seconds == second.start_seconds
    assert first.end_seconds - 100 == pytest.approx(SECONDS / 2, abs=2.5)
    assert min(abs((begin + end) / 2 - first.end_seconds + 100) for begin, end in PAUSES) <= 0.06
    for half in (first, second):
        assert seconds_in(half.audio) == pytest.approx(half.duration_seconds, abs=0.1)
        assert (half.index, half.channel) == (3, 1)
        assert half.speech_seconds is not None
    assert first.file_name != second.file_name
    assert first.file_name.endswith(".flac" if encoding is FLAC else ".ogg")


def test_halved_twice_the_same() -> None:
    """The same chunk gives the same halves: they are paid for once."""
    assert halved(chunk_of(OPUS)) == halved(chunk_of(OPUS))


def test_spans_are_divided_with_the_audio() -> None:
    """Where silence had been left out, each half keeps the times of its own stretches."""
    spans = (Span(10, 20), Span(30, 50), Span(70, 70 + SECONDS - 30))
    first, second = halved(chunk_of(OPUS, spans))
    assert (*first.spans[:-1], second.spans[-1]) == (Span(10, 20), spans[-1])
    assert first.end_seconds == second.start_seconds
    assert first.audio_seconds + second.audio_seconds == pytest.approx(SECONDS)
    for half in (first, second):
        assert seconds_in(half.audio) == pytest.approx(half.audio_seconds, abs=0.02)


def test_what_cannot_be_decoded_says_so() -> None:
    """There are no halves of what is not audio."""
    chunk = AudioChunk(index=0, start_seconds=0, end_seconds=9, audio=b"not audio " * 99, file_name="a.ogg")
    with pytest.raises(RecordingUnreadable):
        halved(chunk)


@given(
    lengths=st.lists(st.tuples(st.floats(0.1, 50), st.floats(0.1, 50)), min_size=1, max_size=6),
    share=st.floats(0.01, 0.99),
)
def test_a_cut_loses_nothing(lengths: list[tuple[float, float]], share: float) -> None:
    """Before and behind the cut lies all of it, in order, the cut where it was asked for."""
    spans: list[Span] = []
    position = 0.0
    for length, gap in lengths:
        spans.append(Span(position, position + length))
        position += length + gap
    total = sum(length for length, _ in lengths)
    first, second = split_spans(spans, total * share)
    before, behind = (sum(span.end_seconds - span.start_seconds for span in each) for each in (first, second))
    assert before == pytest.approx(total * share, abs=1e-6)
    assert behind == pytest.approx(total * (1 - share), abs=1e-6)
    bounds = [bound for span in (*first, *second) for bound in (span.start_seconds, span.end_seconds)]
    assert bounds == sorted(bounds)
    assert {span.start_seconds for span in spans} <= set(bounds)
