"""What a run will cost is a range that holds what it does cost."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from llm_assets.insights.prompts import call_insights_extractor
from llm_assets.llm.models import Limits, ModelConfig
from llm_assets.llm.requests import ChatRequest, Message
from llm_assets.planning.audio import PlannedAudio
from llm_assets.planning.calls import PlannedCalls
from llm_assets.planning.plan import least_seconds, make_plan
from llm_assets.records import RowStatus, Transcript

EXTRACTOR = call_insights_extractor()
SPEECH = "Thank you for calling, how can I help you? My internet has been down since yesterday. " * 20


def request(text: str = SPEECH) -> ChatRequest:
    transcript = Transcript(recording_id="r", status=RowStatus.OK, text=text)
    return ChatRequest(
        messages=EXTRACTOR.messages(transcript), output_schema=EXTRACTOR.schema, max_output_tokens=4_000
    )


def planned(model: Any = "gpt-6-luna", count: int = 100) -> PlannedCalls:
    calls = PlannedCalls(ModelConfig.of(model))
    for _ in range(count):
        calls.add(request())
    return calls


def test_the_range_holds_what_such_calls_use() -> None:
    """1,600 characters of speech, the default prompt and schema: some 2,000 tokens in, 400 out."""
    plan = make_plan("insights", planned(), None, without_model=3, answered=7)
    least, most = plan.tokens
    assert least < 100 * (2_000 + 400) < most
    assert most < 4 * least
    assert plan.cost_usd is not None
    assert (
        plan.cost_usd[0]
        < Decimal("0.10") * 2_000 / 10_000 + Decimal("0.50") * 400 / 10_000
        < plan.cost_usd[1]
    )
    assert (plan.rows, plan.to_ask, plan.answered, plan.without_model) == (110, 100, 7, 3)


def test_a_call_of_hours_is_planned_in_parts() -> None:
    """Each part has instructions and schema, and the answers are read once more when they are merged."""
    calls = PlannedCalls(ModelConfig.of("gpt-6-luna"), most_input_tokens=8_192)
    calls.add(request())
    calls.add(request(SPEECH * 100))
    whole = PlannedCalls(ModelConfig.of("gpt-6-luna"), most_input_tokens=922_000)
    whole.add(request())
    whole.add(request(SPEECH * 100))
    assert (whole.calls, whole.in_parts) == (2, 0)
    assert (calls.requests, calls.in_parts) == (2, 1)
    assert 20 < calls.calls < 120
    assert calls.input_tokens > 1.5 * whole.input_tokens
    plan = make_plan("insights", calls, None, without_model=0, answered=0)
    assert "1 are too long for one call and asked in parts" in str(plan)
    assert plan.metadata()["plan.rows_in_parts"] == 1


def test_a_plan_in_words_and_in_numbers() -> None:
    """One line for the log, numbers for whoever plots them."""
    plan = make_plan("insights", planned(), Limits(requests_per_minute=50), without_model=3, answered=7)
    assert str(plan).startswith("insights: of 110 rows 100 will be asked of gpt-6-luna; 7 are answered")
    assert "about $0.02 to $0.08" in str(plan)
    assert "at least 120 s" in str(plan)
    assert plan.metadata()["plan.rows_to_ask"] == 100
    assert plan.metadata()["plan.least_seconds"] == 120


def test_an_unknown_price_is_said_and_never_zero() -> None:
    """A model nobody knows the price of has no cost, in words and in numbers."""
    plan = make_plan("insights", planned("my-own-model"), None, without_model=0, answered=0)
    assert plan.cost_usd is None
    assert "price of the model is unknown" in str(plan)
    assert "plan.cost_usd_least" not in plan.metadata()


def test_nothing_to_ask_costs_nothing() -> None:
    """A run that finds everything in the journal says so."""
    plan = make_plan("insights", planned(count=0), None, without_model=0, answered=7)
    assert plan.cost_usd == (0, 0)
    assert "USD" not in str(plan)


@pytest.mark.parametrize(
    ("limits", "seconds"),
    [
        (None, None),
        (Limits(), None),
        (Limits(requests_per_day=10), None),
        (Limits(requests_per_minute=10), 60),
        (Limits(requests_per_minute=10, tokens_per_minute=1_000), 120),
    ],
)
def test_the_least_time_is_the_limits(limits: Limits | None, seconds: float | None) -> None:
    """Of requests and tokens whichever takes longer; nothing is said of limits that are not known."""
    assert least_seconds(10, 2_000, limits) == seconds


def test_answers_never_count_past_their_limit() -> None:
    """What an answer may have is the most it is planned with."""
    calls = PlannedCalls(ModelConfig.of("gpt-6-luna"))
    calls.add(ChatRequest(messages=(Message("user", "hi"),), max_output_tokens=20))
    assert (calls.least_output_tokens, calls.most_output_tokens) == (20, 20)


def test_parts_that_are_answered_cost_nothing_again() -> None:
    """What is left of a call of hours is the rest of its parts, and merging."""
    new, left = (PlannedCalls(ModelConfig.of("gpt-6-luna"), most_input_tokens=8_192) for _ in range(2))
    new.add(request(SPEECH * 100))
    left.add(request(SPEECH * 100), kept_calls=31)
    assert (left.requests, left.in_parts) == (1, 1)
    assert left.calls == new.calls - 31
    assert left.input_tokens < new.input_tokens / 2


@pytest.mark.parametrize(
    ("model", "least_usd", "most_usd"),
    [("gpt-transcribe", "0.00225", "0.0045"), ("gpt-4o-transcribe", "0.0007", "0.008")],
)
def test_audio_is_planned_by_the_minute_or_by_tokens(model: str, least_usd: str, most_usd: str) -> None:
    """A minute of which half may be silence; a model that bills tokens is heard at ten a second."""
    audio = PlannedAudio(ModelConfig.of(model))
    audio.add(30, 60, calls=1)
    plan = make_plan("transcripts", audio, None)
    assert plan.audio_seconds == (30, 60)
    assert plan.cost_usd is not None
    least, most = plan.cost_usd
    assert Decimal(least_usd) <= least < most <= Decimal(most_usd)
