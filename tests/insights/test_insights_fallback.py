"""What becomes of an answer of no use: repaired, asked of the next model, or a row that says so."""

from __future__ import annotations

from typing import Any

import pytest
from prepared_model import PreparedModel, Reply, answered, as_json, failed
from pydantic import BaseModel

from llm_assets.errors import BudgetExceeded, CallFailed, ContextTooLong, Overloaded, RequestRejected
from llm_assets.insights.extract import extract
from llm_assets.insights.prompts import Extractor
from llm_assets.insights.spoken import Verbatim
from llm_assets.llm.requests import ChatRequest, OutcomeStatus
from llm_assets.records import RowStatus, Segment, Transcript

CHAIN = ("strong", "middle", "weak")


class Evidence(BaseModel):
    """Why we think so."""

    score: int
    quote: Verbatim


EXTRACTOR = Extractor("evidence", Evidence, "Look.", repairs=1)
TRANSCRIPT = Transcript(
    recording_id="abc",
    status=RowStatus.OK,
    segments=(Segment(segment_index=0, start_seconds=0, end_seconds=1, text="I am happy."),),
)
GOOD = as_json(score=1, quote="i am happy")
MADE_UP = as_json(score=1, quote="I am delighted")


def by_model(**texts: Any) -> PreparedModel:
    """Every model has its answer; the first of the chain behind `after_model` is asked."""

    def reply(request: ChatRequest) -> Reply:
        start = CHAIN.index(request.after_model) + 1 if request.after_model else 0
        given = texts[CHAIN[start]]
        reason = request.after_reason
        return (
            given
            if not isinstance(given, dict)
            else answered(model=CHAIN[start], fallback_reason=reason, **given)
        )

    return PreparedModel(by=reply)


async def test_a_quote_that_was_not_said_is_repaired() -> None:
    """The model is told which field was wrong and why; what it gives then is the row."""
    model = PreparedModel(answered(MADE_UP), answered(GOOD))
    insight, outcomes = await extract(TRANSCRIPT, EXTRACTOR, model.call)
    assert insight.output == {"score": 1, "quote": "i am happy"}
    assert "quote: " in model.asked[1].messages[-1].content
    assert "not in the transcript" in model.asked[1].messages[-1].content
    assert [outcome.status for outcome in outcomes] == [OutcomeStatus.INVALID_OUTPUT, OutcomeStatus.ANSWERED]


async def test_the_next_model_is_asked_afresh() -> None:
    """After the repairs the next model gets the question alone, and the row says why it was asked."""
    model = by_model(strong={"text": MADE_UP}, middle={"text": GOOD})
    insight, outcomes = await extract(TRANSCRIPT, EXTRACTOR, model.call, CHAIN)
    assert (insight.status, insight.model) == (RowStatus.OK, "middle")
    assert insight.fallback_reason == "invalid_output"
    assert [request.after_model for request in model.asked] == [None, None, "strong"]
    assert model.asked[2].messages == EXTRACTOR.messages(TRANSCRIPT)
    assert [outcome.status.value for outcome in outcomes] == ["invalid_output"] * 2 + ["answered"]
    assert insight.input_tokens == 300


@pytest.mark.parametrize(
    "refusal", [{"text": "", "refusal": "No."}, {"text": GOOD, "finish_reason": "content_filter"}]
)
async def test_a_refusal_goes_to_the_next_model_at_once(refusal: dict[str, Any]) -> None:
    """Nobody argues with a refusal; another model may not share it."""
    model = by_model(strong=refusal, middle={"text": GOOD})
    insight, outcomes = await extract(TRANSCRIPT, EXTRACTOR, model.call, CHAIN)
    assert (insight.status, insight.fallback_reason) == (RowStatus.OK, "refused")
    assert [outcome.status.value for outcome in outcomes] == ["refused", "answered"]


async def test_when_no_model_is_of_use_the_row_says_how_the_last_one_ended() -> None:
    """Every model had its say, with its repairs; nothing of what they said is stored."""
    model = by_model(strong={"text": MADE_UP}, middle={"text": "", "refusal": "No."}, weak={"text": "what?"})
    insight, outcomes = await extract(TRANSCRIPT, EXTRACTOR, model.call, CHAIN)
    assert (insight.status, insight.output, insight.model) == (RowStatus.INVALID_OUTPUT, None, "weak")
    assert [outcome.model for outcome in outcomes] == ["strong", "strong", "middle", "weak", "weak"]


async def test_an_outage_of_the_next_model_is_for_a_later_run() -> None:
    """What a later run can mend is `failed`: the run fails, and an outage settles no row."""
    model = by_model(strong={"text": MADE_UP}, middle=failed(Overloaded("down")))
    insight, _ = await extract(TRANSCRIPT, EXTRACTOR, model.call, CHAIN)
    assert insight.status is RowStatus.FAILED


@pytest.mark.parametrize("error", [RequestRejected("no"), ContextTooLong("too long")])
async def test_a_next_model_that_can_never_answer_changes_nothing(error: CallFailed) -> None:
    """The row is what the answers made it, with what they cost."""
    model = by_model(strong={"text": MADE_UP}, middle=failed(error))
    insight, outcomes = await extract(TRANSCRIPT, EXTRACTOR, model.call, CHAIN)
    assert (insight.status, insight.model) == (RowStatus.INVALID_OUTPUT, "strong")
    assert len(outcomes) == 3


@pytest.mark.parametrize("useless", [{"text": MADE_UP}, {"text": "", "refusal": "No."}])
async def test_an_old_answer_that_is_of_no_use_leaves_the_outage(useless: dict[str, Any]) -> None:
    """Where the chain's last resort does not help, the row fails for what keeps models from answering."""

    def reply(request: ChatRequest) -> Reply:
        old = answered(**useless, fallback_reason="cached: overloaded")
        return old if request.subject else failed(Overloaded("down"))

    insight, outcomes = await extract(TRANSCRIPT, EXTRACTOR, PreparedModel(by=reply).call, ("m",))
    assert (insight.status, insight.error) == (RowStatus.FAILED, "down")
    assert [type(outcome.error) for outcome in outcomes] == [Overloaded]


async def test_a_spent_budget_stops_the_run_where_the_old_answer_is_of_no_use() -> None:
    """The row is not settled by an old answer; a later run asks, when there is money again."""

    def reply(request: ChatRequest) -> Reply:
        return (
            answered(MADE_UP, fallback_reason="cached: budget") if request.subject else BudgetExceeded("cap")
        )

    with pytest.raises(BudgetExceeded):
        await extract(TRANSCRIPT, EXTRACTOR, PreparedModel(by=reply).call, ("m",))


async def test_repairs_can_be_none() -> None:
    """With `repairs=0` the next model is asked at once."""
    model = by_model(strong={"text": MADE_UP}, middle={"text": GOOD})
    once = Extractor("evidence", Evidence, "Look.", repairs=0)
    await extract(TRANSCRIPT, once, model.call, CHAIN)
    assert [request.after_model for request in model.asked] == [None, "strong"]
