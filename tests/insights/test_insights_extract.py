"""One transcript becomes one insight, whatever the model answers."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from prepared_model import MOMENT, PreparedModel, failed
from prepared_model import answered as prepared
from pydantic import BaseModel

from llm_assets.errors import BudgetExceeded, RequestRejected, StateUnavailable
from llm_assets.insights.extract import extract
from llm_assets.insights.prompts import Extractor
from llm_assets.llm.requests import Outcome
from llm_assets.records import RowStatus, Segment, Transcript


class Mood(BaseModel):
    """How somebody felt."""

    mood: str
    score: int


EXTRACTOR = Extractor("moods", Mood, "Say how the customer felt.", max_output_tokens=300)
TRANSCRIPT = Transcript(
    recording_id="abc",
    status=RowStatus.OK,
    text="Hello.",
    segments=(Segment(segment_index=0, start_seconds=0, end_seconds=1, text="Hello.", speaker="agent"),),
)
GOOD = json.dumps({"mood": "calm", "score": 3})
BAD = json.dumps({"mood": "calm", "score": "three"})


def answered(text: str = GOOD, **more: Any) -> Outcome:
    return prepared(text, **more)


async def test_a_valid_answer_is_a_row() -> None:
    """The output and everything known about the call are in the row."""
    model = PreparedModel(answered(fallback_reason="first: overloaded"))
    insight, outcomes = await extract(TRANSCRIPT, EXTRACTOR, model.call)
    assert insight.status is RowStatus.OK
    assert insight.output == {"mood": "calm", "score": 3}
    assert (insight.recording_id, insight.model, insight.provider) == ("abc", "m", "openai")
    assert insight.fallback_reason == "first: overloaded"
    assert (insight.input_tokens, insight.output_tokens, insight.cost_usd) == (100, 20, Decimal("0.001"))
    assert insight.prompt_version == EXTRACTOR.prompt_version
    assert insight.extracted_at == MOMENT
    assert insight.error is None
    assert len(outcomes) == 1


async def test_what_is_asked() -> None:
    """A request has the transcript, the strict schema, the cap, and recording and extractor as subject."""
    model = PreparedModel(answered())
    await extract(TRANSCRIPT, EXTRACTOR, model.call)
    (request,) = model.asked
    assert request.subject == request.key == "abc/moods"
    assert request.output_schema == EXTRACTOR.schema
    assert request.max_output_tokens == 300
    assert request.messages == EXTRACTOR.messages(TRANSCRIPT)


@pytest.mark.parametrize("status", [status for status in RowStatus if status is not RowStatus.OK])
async def test_a_transcript_that_is_not_ok_passes_on(status: RowStatus) -> None:
    """A recording that has no transcript has a row with its status and reason, and costs nothing."""
    model = PreparedModel()
    transcript = Transcript(recording_id="abc", status=status, error="because")
    insight, outcomes = await extract(transcript, EXTRACTOR, model.call)
    assert (insight.status, insight.error, insight.output) == (status, "because", None)
    assert (insight.cost_usd, insight.from_journal, outcomes, model.asked) == (Decimal(0), False, (), [])


@pytest.mark.parametrize("text", [None, "", " \n"])
async def test_no_words_no_call(text: str | None) -> None:
    """A transcript without speech is too short to say anything, and no model is asked to make it up."""
    model = PreparedModel()
    silent = replace(TRANSCRIPT, text=text, segments=())
    insight, _ = await extract(silent, EXTRACTOR, model.call)
    assert (insight.status, insight.error, model.asked) == (RowStatus.TOO_SHORT, "no speech", [])


async def test_an_invalid_answer_is_asked_for_again() -> None:
    """The model is shown its answer and what was wrong with it; both answers are paid for and counted."""
    model = PreparedModel(answered(BAD), answered(GOOD))
    insight, outcomes = await extract(TRANSCRIPT, EXTRACTOR, model.call)
    assert insight.status is RowStatus.OK
    assert (insight.input_tokens, insight.output_tokens, insight.cost_usd) == (200, 40, Decimal("0.002"))
    assert [outcome.key for outcome in outcomes] == ["abc/moods", "abc/moods#1"]
    assert [request.subject for request in model.asked] == ["abc/moods"] * 2
    answer, complaint = model.asked[1].messages[2:]
    assert (answer.role, answer.content) == ("assistant", BAD)
    assert complaint.role == "user"
    assert "score: " in complaint.content


async def test_only_the_last_answer_is_shown_again() -> None:
    """The second repair shows the second answer, so that requests do not grow with every mistake."""
    model = PreparedModel(answered(BAD), answered("no json"), answered(GOOD))
    insight, _ = await extract(TRANSCRIPT, EXTRACTOR, model.call)
    assert insight.status is RowStatus.OK
    assert [message.content for message in model.asked[2].messages[2:3]] == ["no json"]
    assert len(model.asked[2].messages) == 4


async def test_two_repairs_are_enough() -> None:
    """After two repairs the row is invalid_output with the last reason, nothing put right, and its cost."""
    model = PreparedModel(answered(BAD), answered(BAD), answered(BAD))
    insight, outcomes = await extract(TRANSCRIPT, EXTRACTOR, model.call)
    assert insight.status is RowStatus.INVALID_OUTPUT
    assert insight.output is None
    assert insight.error is not None
    assert "score" in insight.error
    assert insight.cost_usd == Decimal("0.003")
    assert len(outcomes) == 3


async def test_a_cut_off_answer_is_asked_for_shorter() -> None:
    """At the output limit the half answer is not sent back; the model is asked to be brief."""
    model = PreparedModel(answered('{"mood": "ca', finish_reason="length"), answered(GOOD))
    insight, _ = await extract(TRANSCRIPT, EXTRACTOR, model.call)
    assert insight.status is RowStatus.OK
    assert [message.role for message in model.asked[1].messages] == ["system", "user", "user"]
    assert "shorter" in model.asked[1].messages[2].content


async def test_an_answer_cut_off_again_and_again() -> None:
    """An answer that never fits the output limit is invalid, even where what came could be read."""
    model = PreparedModel(*[answered(GOOD, finish_reason="length")] * 3)
    insight, _ = await extract(TRANSCRIPT, EXTRACTOR, model.call)
    assert insight.status is RowStatus.INVALID_OUTPUT
    assert "cut off at the output limit, after 20 tokens" in str(insight.error)


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (answered("", refusal="I cannot do that."), "I cannot do that."),
        (answered(GOOD, finish_reason="content_filter"), "content filter"),
    ],
)
async def test_a_refusal_is_final(outcome: Outcome, said: str) -> None:
    """A refusal is a row with its words, and is not argued with."""
    model = PreparedModel(outcome)
    insight, _ = await extract(TRANSCRIPT, EXTRACTOR, model.call)
    assert (insight.status, insight.output) == (RowStatus.REFUSED, None)
    assert said in str(insight.error)
    assert insight.cost_usd == Decimal("0.001")


async def test_a_call_without_an_answer_fails_the_row() -> None:
    """The row says why no answer came; what was paid for before is still in it."""
    model = PreparedModel(answered(BAD), failed(RequestRejected("no such model", 404)))
    insight, outcomes = await extract(TRANSCRIPT, EXTRACTOR, model.call)
    assert insight.status is RowStatus.FAILED
    assert "no such model" in str(insight.error)
    assert insight.cost_usd == Decimal("0.001")
    assert len(outcomes) == 2


@pytest.mark.parametrize("error", [BudgetExceeded("spent"), StateUnavailable("gone")])
async def test_what_stops_the_run_is_no_row(error: Exception) -> None:
    """Errors that stop the run pass through untouched."""
    with pytest.raises(type(error)):
        await extract(TRANSCRIPT, EXTRACTOR, PreparedModel(error).call)


async def test_an_unknown_price_is_not_zero() -> None:
    """When one answer has no known price, neither has the row."""
    model = PreparedModel(answered(BAD), answered(GOOD, cost_usd=None))
    insight, _ = await extract(TRANSCRIPT, EXTRACTOR, model.call)
    assert insight.cost_usd is None


@pytest.mark.parametrize(("second", "expected"), [(True, True), (False, False)])
async def test_from_journal_means_all_of_it(second: bool, expected: bool) -> None:
    """A row is from the journal only when every answer it took was."""
    model = PreparedModel(answered(BAD, from_journal=True), answered(GOOD, from_journal=second))
    insight, _ = await extract(TRANSCRIPT, EXTRACTOR, model.call)
    assert insight.from_journal is expected
