"""Stitching: ordered, nothing lost, times right."""

from __future__ import annotations

from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from made_outcomes import answer

from llm_assets.llm.requests import AnswerSegment
from llm_assets.transcription.stitch import AnsweredChunk, stitch

words = st.text(alphabet="abc", max_size=3)
lengths = st.floats(0.1, 600)
times = st.floats(0, 700)


@st.composite
def answers(draw: st.DrawFn) -> tuple[str, list[AnswerSegment]]:
    """What a provider may say: segments in order, running past the end now and then, or none at all."""
    spoken = draw(st.lists(words, max_size=5))
    starts = sorted(draw(st.lists(times, min_size=len(spoken), max_size=len(spoken))))
    segments = [
        AnswerSegment(start, start + draw(st.floats(-1, 30)), f" {word} ")
        for start, word in zip(starts, spoken, strict=True)
    ]
    return " ".join(spoken), segments if draw(st.booleans()) else []


@st.composite
def recordings(draw: st.DrawFn) -> list[AnsweredChunk]:
    """Chunks that follow each other without a gap."""
    chunks: list[AnsweredChunk] = []
    position = 0.0
    for index in range(draw(st.integers(0, 6))):
        (text, segments), end = draw(answers()), position + draw(lengths)
        chunks.append(
            AnsweredChunk(
                index=index, start_seconds=position, end_seconds=end, answer=answer(text, *segments)
            )
        )
        position = end
    return chunks


def words_of(text: str) -> list[str]:
    return text.split()


@given(recordings(), st.randoms())
def test_ordered_and_nothing_lost(chunks: list[AnsweredChunk], random: Random) -> None:
    """In whichever order answers came, text and segments hold every word once, in the order spoken."""
    shuffled = list(chunks)
    random.shuffle(shuffled)
    text, segments = stitch(shuffled)
    spoken = [word for chunk in chunks for word in words_of(chunk.answer.text)]
    assert words_of(text) == spoken
    assert [word for segment in segments for word in words_of(segment.text)] == spoken
    assert [segment.segment_index for segment in segments] == list(range(len(segments)))
    assert all(a.start_seconds <= b.start_seconds for a, b in pairwise(segments))
    assert (text, segments) == stitch(chunks)


@given(recordings())
def test_times_stay_within_their_chunk(chunks: list[AnsweredChunk]) -> None:
    """No segment begins before its chunk, ends after it, or ends before it begins."""
    for chunk in chunks:
        for segment in stitch([chunk])[1]:
            assert chunk.start_seconds <= segment.start_seconds <= segment.end_seconds <= chunk.end_seconds


@given(st.floats(0, 5000), st.floats(0, 290), st.floats(0.1, 10))
def test_times_are_relative_to_the_recording(offset: float, start: float, length: float) -> None:
    """A segment inside its chunk moves by exactly the chunk's start."""
    segment = AnswerSegment(start, start + length, "word")
    chunk = AnsweredChunk(
        index=0, start_seconds=offset, end_seconds=offset + 300, answer=answer("word", segment)
    )
    [placed] = stitch([chunk])[1]
    assert placed.start_seconds == offset + start
    assert placed.end_seconds == offset + (start + length)


def test_a_chunk_without_segments_is_one_from_cut_to_cut() -> None:
    """Models that give no times still give the time of the chunk, and its channel."""
    chunk = AnsweredChunk(
        index=0, start_seconds=30.0, end_seconds=55.5, channel=1, answer=answer(" hello there ")
    )
    [segment] = stitch([chunk])[1]
    assert (segment.start_seconds, segment.end_seconds, segment.text) == (30.0, 55.5, "hello there")
    assert segment.channel == 1


def test_blank_segments_do_not_hide_the_text() -> None:
    """Where a provider's segments are all blank but its text is not, the text is kept as one segment."""
    chunk = AnsweredChunk(
        index=0, start_seconds=0, end_seconds=9, answer=answer("hello", AnswerSegment(0, 1, " "))
    )
    assert [segment.text for segment in stitch([chunk])[1]] == ["hello"]
