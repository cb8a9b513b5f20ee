"""Stitching: ordered, nothing lost, nothing twice, times right."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_outcomes import answer

from llm_assets.llm.requests import AnswerSegment
from llm_assets.records import Segment, Span
from llm_assets.transcription.stitch import AnsweredChunk, stitch
from llm_assets.transcription.timing import in_recording

words = st.text(alphabet="abc", max_size=3)
lengths = st.floats(0.1, 600)
times = st.floats(0, 700)
channels = st.sampled_from([(None,), (0,), (0, 1)])


@st.composite
def answers(draw: st.DrawFn) -> tuple[str, list[AnswerSegment]]:
    """What a provider may say: segments in order, running past the end or into each other, or none at all."""
    spoken = draw(st.lists(words, max_size=5))
    starts = sorted(draw(st.lists(times, min_size=len(spoken), max_size=len(spoken))))
    segments = [
        AnswerSegment(start, start + draw(st.floats(-1, 30)), f" {word} ", draw(st.sampled_from([None, "A"])))
        for start, word in zip(starts, spoken, strict=True)
    ]
    return " ".join(spoken), segments if draw(st.booleans()) else []


@st.composite
def channel_chunks(draw: st.DrawFn, channel: int | None) -> list[AnsweredChunk]:
    """Chunks that follow each other, with pauses left out between them and inside them."""
    chunks: list[AnsweredChunk] = []
    position = 0.0
    for _ in range(draw(st.integers(0, 5))):
        text, segments = draw(answers())
        spans: list[Span] = []
        for _ in range(draw(st.integers(1, 3))):
            start = position + draw(st.floats(0, 20))
            position = start + draw(lengths)
            spans.append(Span(start, position))
        chunks.append(
            AnsweredChunk(
                start_seconds=spans[0].start_seconds,
                end_seconds=position,
                spans=tuple(spans) if len(spans) > 1 or draw(st.booleans()) else (),
                channel=channel,
                answer=answer(text, *segments),
            )
        )
    return chunks


@st.composite
def recordings(draw: st.DrawFn) -> list[AnsweredChunk]:
    return [chunk for channel in draw(channels) for chunk in draw(channel_chunks(channel))]


def of_channel(segments: Sequence[Segment], channel: int | None) -> list[Segment]:
    return [segment for segment in segments if segment.channel == channel]


@given(recordings(), st.randoms())
def test_ordered_and_nothing_lost(chunks: list[AnsweredChunk], random: Random) -> None:
    """In whichever order answers came, every channel's words are there once, in the order spoken."""
    shuffled = list(chunks)
    random.shuffle(shuffled)
    text, segments = stitch(shuffled)
    for channel, of_one in groupby(chunks, key=lambda chunk: chunk.channel):
        spoken = [word for chunk in of_one for word in chunk.answer.text.split()]
        told = [word for segment in of_channel(segments, channel) for word in segment.text.split()]
        assert told == spoken
    assert sorted(text.replace("channel 0:", "").replace("channel 1:", "").split()) == sorted(
        word.removesuffix(":") for chunk in chunks for word in chunk.answer.text.split()
    ) or any(segment.speaker for segment in segments)
    assert [segment.segment_index for segment in segments] == list(range(len(segments)))
    assert all(a.start_seconds <= b.start_seconds for a, b in pairwise(segments))
    assert (text, segments) == stitch(chunks)


@given(recordings(), st.floats(1, 2000))
def test_no_overlap_within_a_channel_and_nothing_past_the_end(
    chunks: list[AnsweredChunk], duration: float
) -> None:
    """On each channel a segment ends before the next one begins, and all lie within the recording."""
    for limit in (None, duration):
        _, segments = stitch(chunks, duration_seconds=limit)
        for channel in (None, 0, 1):
            for one, after in pairwise(of_channel(segments, channel)):
                assert one.end_seconds <= after.start_seconds
        for segment in segments:
            assert 0 <= segment.start_seconds <= segment.end_seconds
            assert limit is None or segment.end_seconds <= limit


@given(recordings())
def test_segments_begin_and_end_where_something_was_heard(chunks: list[AnsweredChunk]) -> None:
    """No segment begins or ends in a silence that was left out, or outside its chunk."""
    for chunk in chunks:
        for segment in stitch([chunk])[1]:
            for seconds in (segment.start_seconds, segment.end_seconds):
                assert any(span.start_seconds <= seconds <= span.end_seconds + 1e-9 for span in chunk.heard)


@given(st.floats(0, 5000), st.floats(0, 290), st.floats(0.1, 10))
def test_times_are_relative_to_the_recording(offset: float, start: float, length: float) -> None:
    """A segment inside its chunk moves by exactly the chunk's start."""
    segment = AnswerSegment(start, start + length, "word")
    chunk = AnsweredChunk(start_seconds=offset, end_seconds=offset + 301, answer=answer("word", segment))
    [placed] = stitch([chunk])[1]
    assert placed.start_seconds == offset + start
    assert placed.end_seconds == offset + (start + length)


@pytest.mark.parametrize(
    ("heard", "meant"),
    [
        ((0.0, 5.0), (10.0, 15.0)),
        ((5.0, 10.0), (15.0, 20.0)),
        ((10.0, 12.0), (60.0, 62.0)),
        ((8.0, 12.0), (18.0, 62.0)),
        ((14.0, 99.0), (64.0, 65.0)),
        ((99.0, 100.0), (65.0, 65.0)),
        ((-1.0, 2.0), (10.0, 12.0)),
    ],
)
def test_times_jump_over_silence_that_was_left_out(
    heard: tuple[float, float], meant: tuple[float, float]
) -> None:
    """Ten seconds from 10 s on and five from 60 s on were sent as fifteen."""
    place = in_recording(*heard, (Span(10.0, 20.0), Span(60.0, 65.0)))
    assert (place.start_seconds, place.end_seconds) == meant


def test_a_chunk_without_segments_is_one_from_cut_to_cut() -> None:
    """Models that give no times still give the time of the chunk, and its channel."""
    chunk = AnsweredChunk(start_seconds=30.0, end_seconds=55.5, channel=1, answer=answer(" hello there "))
    [segment] = stitch([chunk])[1]
    assert (segment.start_seconds, segment.end_seconds, segment.text) == (30.0, 55.5, "hello there")
    assert segment.channel == 1


def test_a_chunk_without_segments_begins_and_ends_with_what_was_heard() -> None:
    """Silence that was left out at its edges is no part of what was said."""
    spans = (Span(31.0, 40.0), Span(50.0, 54.0))
    chunk = AnsweredChunk(start_seconds=30.0, end_seconds=55.5, spans=spans, answer=answer("hello"))
    [segment] = stitch([chunk])[1]
    assert (segment.start_seconds, segment.end_seconds) == (31.0, 54.0)


@pytest.mark.parametrize(
    "segments", [(AnswerSegment(0, 1, " "),), (AnswerSegment(0, 1, "hello"),), (AnswerSegment(0, 1, "lo"),)]
)
def test_segments_that_leave_words_out_do_not_hide_them(segments: tuple[AnswerSegment, ...]) -> None:
    """Where a provider's segments do not hold its text, the text is kept as one segment."""
    chunk = AnsweredChunk(start_seconds=0, end_seconds=9, answer=answer("hello there", *segments))
    assert [segment.text for segment in stitch([chunk])[1]] == ["hello there"]


def test_segments_without_a_text_make_the_text() -> None:
    """Some servers give segments only."""
    chunk = AnsweredChunk(
        start_seconds=0,
        end_seconds=9,
        answer=answer("", AnswerSegment(0, 1, "hello"), AnswerSegment(1, 2, "there")),
    )
    assert stitch([chunk])[0] == "hello there"


def spoken(text: str, start: float, channel: int | None = None, *segments: AnswerSegment) -> AnsweredChunk:
    return AnsweredChunk(
        start_seconds=start, end_seconds=start + 10, channel=channel, answer=answer(text, *segments)
    )


@pytest.mark.parametrize(
    ("texts", "whole"),
    [
        (["Good morning.", " How are you?"], "Good morning. How are you?"),
        (["今日は", "晴れです。", "元気？"], "今日は晴れです。元気？"),
        (["你好", "Dagster"], "你好 Dagster"),
        (["สวัสดี", "ครับ"], "สวัสดีครับ"),
        (["안녕", "하세요"], "안녕 하세요"),
        (["", "  ", "yes"], "yes"),
    ],
)
def test_texts_are_put_together_as_the_language_writes(texts: list[str], whole: str) -> None:
    """A space between words, and none where a language has none."""
    assert stitch(spoken(text, 10.0 * number) for number, text in enumerate(texts))[0] == whole


def test_channels_are_merged_by_time_with_their_speakers() -> None:
    """Each turn is a line with its speaker; what the same one says in a row is one turn."""
    agent = spoken("Hello. Bye.", 0, 0, AnswerSegment(0, 2, "Hello."), AnswerSegment(8, 9, "Bye."))
    customer = spoken("Hi. A refund.", 0, 1, AnswerSegment(2.5, 3, "Hi."), AnswerSegment(4, 5, "A refund."))
    text, segments = stitch([agent, customer], speakers=("agent", "customer"))
    assert text == "agent: Hello.\ncustomer: Hi. A refund.\nagent: Bye."
    assert [(each.channel, each.speaker, each.start_seconds) for each in segments] == [
        (0, "agent", 0.0),
        (1, "customer", 2.5),
        (1, "customer", 4.0),
        (0, "agent", 8.0),
    ]


def test_channels_nobody_named_have_numbers() -> None:
    """Without names a turn says which channel it was heard on."""
    text, segments = stitch([spoken("Hello.", 0, 0), spoken("Hi.", 3, 2)], speakers=("agent",))
    assert text == "agent: Hello.\nchannel 2: Hi."
    assert [segment.speaker for segment in segments] == ["agent", None]


def labelled(start: float, *speakers: str) -> AnsweredChunk:
    segments = [AnswerSegment(n, n + 1, f"word{n}", speaker) for n, speaker in enumerate(speakers)]
    return spoken(" ".join(segment.text for segment in segments), start, None, *segments)


def test_speaker_labels_of_one_chunk_stay_as_they_are() -> None:
    """Within one piece of audio the model knows who is who."""
    text, segments = stitch([labelled(0, "A", "B", "A")])
    assert [segment.speaker for segment in segments] == ["A", "B", "A"]
    assert text == "A: word0\nB: word1\nA: word2"


@pytest.mark.parametrize(
    ("label", "told"),
    [
        ("A", ["A (part 1)", "A (part 2)"]),
        ("SPEAKER_00", ["SPEAKER_00 (part 1)", "SPEAKER_00 (part 2)"]),
        ("agent", ["agent", "agent"]),
    ],
)
def test_labels_that_are_counted_out_are_told_apart_by_chunk(label: str, told: list[str]) -> None:
    """A of the second chunk need not be A of the first one; a name that the model was told is the same."""
    assert [segment.speaker for segment in stitch([labelled(0, label), labelled(10, label)])[1]] == told
