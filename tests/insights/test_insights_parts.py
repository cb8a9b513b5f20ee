"""Calls that no model reads in one piece are read in parts, and the answers are merged."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prepared_model import PreparedModel, Reply, answered, as_json, failed, lines_of
from pydantic import BaseModel

from llm_assets.errors import ContextTooLong, RequestTooLarge
from llm_assets.insights.extract import extract
from llm_assets.insights.parts import SHORTEST_CHARACTERS, halves
from llm_assets.insights.prompts import Extractor
from llm_assets.insights.spoken import Verbatim
from llm_assets.llm.requests import ChatRequest
from llm_assets.records import RowStatus, Segment, Transcript


class Words(BaseModel):
    """What was said."""

    numbers: list[int]
    quotes: list[Verbatim]


EXTRACTOR = Extractor("words", Words, "Count.")


def long_call(segments: int) -> Transcript:
    return Transcript(
        recording_id="abc",
        status=RowStatus.OK,
        segments=tuple(
            Segment(segment_index=n, start_seconds=n, end_seconds=n + 1, text=f"word{n} " + "x" * 500)
            for n in range(segments)
        ),
    )


def reader(most_characters: int, most_merged: int = 100, fails: str = "") -> PreparedModel:
    """Reads up to so many characters at once: the numbers of the lines, and the first word as a quote."""

    def reply(request: ChatRequest) -> Reply:
        lines = lines_of(request)
        if lines[0].startswith("{"):
            if len(lines) > most_merged:
                return failed(ContextTooLong("too long"))
            parts = [json.loads(line) for line in lines]
            merged = {name: [each for part in parts for each in part[name]] for name in parts[0]}
            return answered(json.dumps(merged))
        if sum(map(len, lines)) > most_characters:
            return failed(ContextTooLong("too long") if len(lines) % 2 else RequestTooLarge("too large"))
        if fails and any(fails in line for line in lines):
            return answered("", refusal="No.")
        numbers = [int(line[1:].partition(" ")[0]) for line in lines]
        return answered(as_json(numbers=numbers, quotes=[f"word{numbers[0]}"]))

    return PreparedModel(by=reply)


async def test_a_long_call_is_read_in_parts_and_merged() -> None:
    """Each line is read once, in order; the row counts all calls, and none that found it too long."""
    model = reader(3_000)
    insight, outcomes = await extract(long_call(16), EXTRACTOR, model.call)
    assert insight.status is RowStatus.OK
    assert insight.output is not None
    assert insight.output["numbers"] == list(range(16))
    assert insight.output["quotes"] == ["word0", "word4", "word8", "word12"]
    assert len(outcomes) == 5
    assert insight.input_tokens == 500
    assert [request.subject for request in model.asked if request.key != "abc/words"] == [None] * 6


async def test_answers_that_are_too_long_together_are_merged_in_steps() -> None:
    """Nothing is lost on the way."""
    insight, outcomes = await extract(long_call(16), EXTRACTOR, reader(3_000, most_merged=2).call)
    assert insight.output is not None
    assert insight.output["numbers"] == list(range(16))
    assert len(outcomes) == 4 + 3


async def test_a_short_call_is_one_call() -> None:
    """Nobody pays for parts that are not needed."""
    _, outcomes = await extract(long_call(4), EXTRACTOR, reader(3_000).call)
    assert len(outcomes) == 1


async def test_a_part_without_an_output_ends_it() -> None:
    """The row says which part it was, and what comes behind it is not paid for."""
    model = reader(3_000, fails="word5")
    insight, outcomes = await extract(long_call(16), EXTRACTOR, model.call)
    assert insight.status is RowStatus.REFUSED
    assert str(insight.error).startswith("the part of 4 s to 8 s: the model refused")
    assert len(outcomes) == 2


async def test_what_cannot_be_cut_any_further_fails() -> None:
    """When a few lines are too long it is the prompt that does not fit, and cutting on would never end."""
    insight, outcomes = await extract(long_call(4), EXTRACTOR, reader(0).call)
    assert insight.status is RowStatus.FAILED
    assert "too l" in str(insight.error)
    assert len(outcomes) <= 2


@given(st.lists(st.integers(0, 3000), max_size=20), st.text("ab ", max_size=3000))
def test_two_halves_are_the_whole(sizes: list[int], text: str) -> None:
    """Every word is in one of them, once and in order; a cut between segments is as fair as they allow."""
    segments = tuple(
        Segment(segment_index=n, start_seconds=n, end_seconds=n, text="x" * size)
        for n, size in enumerate(sizes)
    )
    whole = Transcript(recording_id="r", status=RowStatus.OK, text=text, segments=segments)
    parts = halves(whole)
    size = sum(sizes) if any(sizes) else len(text)
    assert (parts is None) == (size < SHORTEST_CHARACTERS)
    if parts is None:
        return
    if any(sizes):
        assert "".join(part.text for half in parts for part in half.segments) == "x" * size
        assert all(half.segments for half in parts)
        first = sum(len(part.text) for part in parts[0].segments)
        assert abs(size - 2 * first) <= max(sizes)
    else:
        assert "".join(half.text or "" for half in parts) == text


@pytest.mark.parametrize("segments", [True, False])
async def test_one_endless_segment_is_cut_between_words(segments: bool) -> None:
    """A recording of one segment, or of none, is no reason to give up."""
    text = " ".join(f"word{n}" for n in range(1000))
    whole = Transcript(recording_id="abc", status=RowStatus.OK, text=text)
    if segments:
        one = Segment(segment_index=7, start_seconds=0, end_seconds=9, text=text)
        whole = replace(whole, segments=(one,))
    parts = halves(whole)
    assert parts is not None
    said = [part.segments[0].text if segments else part.text or "" for part in parts]
    assert [word for half in said for word in half.split()] == text.split()
