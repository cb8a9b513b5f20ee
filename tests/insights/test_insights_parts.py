"""Calls that no model reads in one piece are read in parts, and the answers are merged."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prepared_model import PreparedModel, Reply, answered, as_json, failed, lines_of
from pydantic import BaseModel

from llm_assets.errors import BudgetExceeded, ContextTooLong, Overloaded, RequestTooLarge
from llm_assets.insights.extract import extract
from llm_assets.insights.parts import SHORTEST_CHARACTERS, halves
from llm_assets.insights.prompts import Extractor
from llm_assets.insights.reading import PARTS_AT_A_TIME
from llm_assets.insights.spoken import Verbatim
from llm_assets.llm.requests import ChatRequest, Outcome, OutcomeStatus
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
    assert [request.subject for request in model.asked if request.key != "abc/words"] == [None] * 5


async def test_answers_that_are_too_long_together_are_merged_in_steps() -> None:
    """Nothing is lost on the way."""
    insight, outcomes = await extract(long_call(16), EXTRACTOR, reader(3_000, most_merged=2).call)
    assert insight.output is not None
    assert insight.output["numbers"] == list(range(16))
    assert len(outcomes) == 4 + 3
    assert [outcome.key for outcome in outcomes][4:] == [
        "abc/words merge 1 of 2",
        "abc/words merge 2 of 2",
        "abc/words",
    ]


async def test_merging_takes_as_many_answers_at_a_time_as_fit() -> None:
    """Sixteen parts, four at a time, are four merges and a last one; not one for every two."""
    insight, outcomes = await extract(long_call(64), EXTRACTOR, reader(3_000, most_merged=4).call)
    assert insight.output is not None
    assert insight.output["numbers"] == list(range(64))
    assert len(outcomes) == 16 + 4 + 1


class Crowd:
    """Lets calls wait for each other: none is answered before `together` are under way, the last first."""

    def __init__(self, model: PreparedModel, together: int) -> None:
        self.most = 0
        self._model = model
        self._together = together
        self._waiting = list[asyncio.Future[None]]()

    async def call(self, request: ChatRequest) -> Outcome:
        if "part" not in request.key or "part 1 " in request.key:
            return await self._model.call(request)
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self.most = max(self.most, len(self._waiting))
        if len(self._waiting) >= self._together:
            self._answer_all()
        await turn
        return await self._model.call(request)

    def _answer_all(self) -> None:
        while self._waiting:
            self._waiting.pop().set_result(None)


async def test_parts_are_asked_side_by_side_and_merged_in_order() -> None:
    """All but the first are under way at once; whichever is answered first, the call's order counts."""
    crowd = Crowd(reader(3_000), together=3)
    async with asyncio.timeout(120):
        insight, outcomes = await extract(long_call(16), EXTRACTOR, crowd.call)
    assert crowd.most == 3
    assert insight.output is not None
    assert insight.output["numbers"] == list(range(16))
    parts = [outcome.key for outcome in outcomes]
    assert parts == [f"abc/words part {number} of 4" for number in (1, 2, 3, 4)] + ["abc/words"]


async def test_only_so_many_parts_wait_at_a_time() -> None:
    """A very long call does not put hundreds of questions before everybody else's."""
    model, under_way, most = reader(2_000), 0, 0

    async def call(request: ChatRequest) -> Outcome:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        for _ in range(50):
            await asyncio.sleep(0)
        under_way -= 1
        return await model.call(request)

    insight, _ = await extract(long_call(4 * PARTS_AT_A_TIME), EXTRACTOR, call)
    assert (insight.status, most) == (RowStatus.OK, PARTS_AT_A_TIME)


async def test_a_part_denser_than_the_first_is_cut_further() -> None:
    """The first part tells how small parts have to be, and any other one may have to be smaller."""
    whole = long_call(16)
    dense = [
        replace(each, text=f"{each.text} " + "y" * 700 * (each.segment_index > 11)) for each in whole.segments
    ]
    insight, outcomes = await extract(replace(whole, segments=tuple(dense)), EXTRACTOR, reader(3_000).call)
    assert insight.output is not None
    assert insight.output["numbers"] == list(range(16))
    assert len(outcomes) > 5


async def test_what_stops_the_run_stops_the_parts() -> None:
    """The error itself comes out, not a group of them, and nothing is left running."""
    model = reader(3_000)

    async def call(request: ChatRequest) -> Outcome:
        if "part 3 " in request.key:
            raise BudgetExceeded("spent")
        if "part 1 " not in request.key and "part" in request.key:
            await asyncio.Event().wait()
        return await model.call(request)

    with pytest.raises(BudgetExceeded):
        await extract(long_call(16), EXTRACTOR, call)
    assert len(asyncio.all_tasks()) == 1


async def test_two_answers_that_are_too_long_together_are_asked_for_in_few_words() -> None:
    """Each alone, then both; where even these do not fit, the row fails and says so."""
    merged = 900

    def reply(request: ChatRequest) -> Reply:
        name, shown = request.key.removeprefix("abc/words").strip(), request.messages[1].content
        if not name and len(shown) > 4_000:
            return failed(ContextTooLong("too long"))
        words = re.findall(r"word\d+", shown)
        size = 3_000 if name.startswith("part") else merged
        return answered(as_json(numbers=[len(words)] * (size // 2), quotes=words[:1]))

    model = PreparedModel(by=reply)
    insight, outcomes = await extract(long_call(16), EXTRACTOR, model.call)
    assert insight.status is RowStatus.OK
    asked = [outcome.key.removeprefix("abc/words").strip() for outcome in outcomes]
    assert asked == ["part 1 of 2", "part 2 of 2", "merge 1 of 2", "merge 2 of 2", ""]
    assert "much shorter" in model.asked[-2].messages[1].content
    merged = 3_000
    insight, outcomes = await extract(long_call(16), EXTRACTOR, model.call)
    assert insight.status is RowStatus.FAILED
    assert insight.error == "merging the answers for 2 parts: too long"
    assert len(outcomes) == 5


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
    assert len(outcomes) <= 4
    assert outcomes[-1].status is OutcomeStatus.REFUSED
    assert all(outcome.answer is not None for outcome in outcomes)


async def test_parts_behind_one_without_an_output_are_not_paid_for() -> None:
    """What is under way is waited for and counted; the rest is not asked."""
    insight, outcomes = await extract(long_call(256), EXTRACTOR, reader(3_000, fails="word5 ").call)
    assert insight.status is RowStatus.REFUSED
    assert 2 <= len(outcomes) <= 2 * PARTS_AT_A_TIME < 64
    assert insight.cost_usd == Decimal("0.001") * len(outcomes)


async def test_an_outage_in_one_part_is_for_a_later_run() -> None:
    """The row fails for what keeps the model from answering, so the run fails and goes on another time."""
    model = reader(3_000)

    async def call(request: ChatRequest) -> Outcome:
        return failed(Overloaded("down")) if "part 3 " in request.key else await model.call(request)

    insight, outcomes = await extract(long_call(16), EXTRACTOR, call)
    assert (insight.status, insight.error) == (RowStatus.FAILED, "the part of 8 s to 12 s: down")
    assert any(isinstance(outcome.error, Overloaded) for outcome in outcomes)


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
