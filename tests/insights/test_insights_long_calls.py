"""Hours of speech through models of every size: one row, true quotes, and nothing that was not paid for."""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from llm_assets.emulator import Emulator, EmulatorConfig, QuotaLimits
from llm_assets.errors import BudgetExceeded
from llm_assets.insights.extract import extract, first_request
from llm_assets.insights.prompts import call_insights_extractor
from llm_assets.insights.spoken import SpokenText
from llm_assets.llm.client import LLMClient
from llm_assets.llm.models import ClientConfig, ModelConfig
from llm_assets.llm.requests import Outcome
from llm_assets.planning.calls import PlannedCalls
from llm_assets.planning.plan import make_plan
from llm_assets.records import Insight, RowStatus, Segment, Transcript

EXTRACTOR = call_insights_extractor()
TEXT = (
    "How can I help you? The invoice of March is wrong, and nobody called me back. I want a refund, please. "
    "My internet does not work since Monday. This is terrible. I have called three times already. We will "
    "send you a technician tomorrow. I will pay you back forty dollars today. Thank you, your service is "
    "excellent. Please cancel my contract at the end of the month. Your order number is 4711."
)
SAID = TEXT.split()


def call_of(hours: float, tokens: int, seed: int = 1) -> Transcript:
    """Two people who take turns, some of them at length; four characters count as a token."""
    chance, segments, at = random.Random(seed), list[Segment](), 0.0
    words = tokens * 4 / 6
    seconds = hours * 3600 / words
    while words > 0:
        said = chance.randint(3, 60)
        start = chance.randrange(len(SAID))
        text = " ".join((SAID * 2)[start : start + said])
        number = len(segments)
        segments.append(
            Segment(
                segment_index=number,
                start_seconds=at,
                end_seconds=at + said * seconds,
                text=text,
                speaker=("agent", "customer")[number % 2],
            )
        )
        at, words = at + said * seconds, words - said
    return Transcript(recording_id="long", status=RowStatus.OK, segments=tuple(segments))


async def read(
    transcript: Transcript, context: int, window: int | None, **config: Any
) -> tuple[Insight, tuple[Outcome, ...], Emulator]:
    """By an emulated model that refuses what is longer than its context, as OpenAI does."""
    entry = {"model": "small"} | ({"context_window": window} if window else {})
    emulator = Emulator(EmulatorConfig(models=("small",), context_tokens={"small": context}, **config))
    async with emulator:
        chosen = ClientConfig.model_validate({"chat": [entry], "base_url": emulator.base_url})
        async with LLMClient(chosen) as client:
            insight, outcomes = await extract(transcript, EXTRACTOR, client.call, ["small"])
    return insight, outcomes, emulator


@pytest.mark.parametrize(
    ("context", "window", "tokens", "most_refused"),
    [
        (8_192, 8_192, 60_000, 0),
        (8_192, None, 200_000, 40),
        (128_000, 128_000, 200_000, 0),
        (922_000, 922_000, 200_000, 0),
    ],
    ids=["small", "small, and nobody knows", "medium", "large"],
)
async def test_ten_hours_are_one_row(
    context: int, window: int | None, tokens: int, most_refused: int
) -> None:
    """A model that takes it whole is asked once; a small one in parts. It refuses none where its size is
    known, and few where it is not."""
    whole = call_of(10, tokens)
    insight, outcomes, emulator = await read(whole, context, window)
    assert (insight.status, insight.error) == (RowStatus.OK, None)
    assert insight.output is not None
    assert insight.output["intent"]
    quotes, spoken = insight.output["quotes"], SpokenText(whole)
    assert quotes
    assert all(quote["segment_index"] in spoken.segments_with(quote["text"]) for quote in quotes)
    assert all(outcome.answer is not None for outcome in outcomes)
    assert emulator.audit.served == len(outcomes)
    assert (len(outcomes) == 1) == (context > tokens)
    assert emulator.audit.rejected <= most_refused
    assert insight.input_tokens == sum(outcome.usage.input_tokens for outcome in outcomes) > tokens
    assert insight.from_journal is False
    first = first_request(whole, EXTRACTOR)
    assert first is not None
    planned = PlannedCalls(ModelConfig.of("small"), context)
    planned.add(first)
    least, most = make_plan("insights", planned, None, without_model=0, answered=0).tokens
    assert least < insight.input_tokens + insight.output_tokens < most


async def test_every_line_is_shown_once_with_its_number_time_and_speaker() -> None:
    """Also a monologue of an hour, which is cut between words: each piece keeps the head of its line."""
    whole = call_of(1, 8_000)
    monologue = replace(whole.segments[50], text=" ".join(f"word{n}" for n in range(6_000)))
    segments = (*whole.segments[:50], monologue, *whole.segments[51:])
    shown = list[str]()
    entry = {"model": "small", "context_window": 8_192}
    async with Emulator(EmulatorConfig(models=("small",), context_tokens={"small": 8_192})) as emulator:
        chosen = ClientConfig.model_validate({"chat": [entry], "base_url": emulator.base_url})
        async with LLMClient(chosen) as client:

            async def call(request: Any) -> Outcome:
                outcome = await client.call(request)
                if outcome.answer is not None and "part " in request.key:
                    shown.append(request.messages[1].content)
                return outcome

            insight, outcomes = await extract(replace(whole, segments=segments), EXTRACTOR, call, ["small"])
    assert insight.status is RowStatus.OK
    keys = [outcome.key for outcome in outcomes if "part " in outcome.key]
    lines = [line for text in sorted(shown, key=_first_number) for line in text.splitlines()[1:]]
    assert len(shown) == len(keys)
    numbers = [int(line[1:].split()[0]) for line in lines]
    assert sorted(set(numbers)) == list(range(len(segments)))
    assert [number for number in numbers if numbers.count(number) > 1] == [50] * numbers.count(50) != []
    headings = {line.partition("]")[0] for line in lines if line.startswith("[50 ")}
    assert len(headings) == 1
    assert headings.pop().endswith("agent")
    said = " ".join(line.partition("] ")[2] for line in lines if line.startswith("[50 "))
    assert sorted(said.split()) == sorted(monologue.text.split())


def _first_number(text: str) -> int:
    return int(text.splitlines()[1][1:].split()[0])


async def test_a_part_that_is_refused_is_the_rows_status() -> None:
    """The row says which part it was; it adds up what was paid, and nothing behind it is asked."""
    whole = call_of(10, 200_000)
    second = whole.segments[100]
    segments = (
        *whole.segments[:100],
        replace(second, text="[emulator:refusal] Hello."),
        *whole.segments[101:],
    )
    insight, outcomes, emulator = await read(replace(whole, segments=segments), 8_192, 8_192)
    assert insight.status is RowStatus.REFUSED
    assert str(insight.error).startswith("the part of ")
    assert emulator.audit.served == len(outcomes) < 50
    assert insight.input_tokens == sum(outcome.usage.input_tokens for outcome in outcomes)


async def test_a_part_that_stays_invalid_is_the_rows_status() -> None:
    """After its repairs, as for a call in one piece."""
    whole = call_of(1, 20_000)
    last = replace(whole.segments[-1], text="[emulator:invalid_output] Bye.")
    insight, outcomes, _ = await read(replace(whole, segments=(*whole.segments[:-1], last)), 8_192, 8_192)
    assert insight.status is RowStatus.INVALID_OUTPUT
    assert str(insight.error).startswith("the part of ")
    assert [outcome.key.rpartition("#")[2] for outcome in outcomes][-2:] == ["1", "2"]


async def test_a_context_that_does_not_hold_prompt_and_schema_fails_with_its_numbers() -> None:
    """Cutting would go on for ever, so it ends, without a request where the size is known."""
    insight, _, emulator = await read(call_of(1, 5_000), 2_000, 2_000)
    assert insight.status is RowStatus.FAILED
    assert "do not fit small, which takes 1,000 beside the answer" in str(insight.error)
    assert emulator.audit.served == 0


async def test_parts_keep_the_limits_of_everybody() -> None:
    """However many wait side by side, the provider refuses none of them."""
    limits = QuotaLimits(requests_per_minute=1_800, tokens_per_minute=6_000_000)
    insight, outcomes, emulator = await read(
        call_of(3, 50_000), 8_192, 8_192, limits=limits, quota_window_seconds=1
    )
    assert insight.status is RowStatus.OK
    assert len(outcomes) > 30
    assert emulator.audit.refused == 0


async def test_parts_keep_the_budget() -> None:
    """A cap that does not bear the whole call stops the run; what was paid by then is below the cap."""
    budget = {"usd_per_run": 0.05}
    price = {"input_usd_per_million_tokens": 1, "output_usd_per_million_tokens": 1}
    async with Emulator(EmulatorConfig(models=("small",), context_tokens={"small": 8_192})) as emulator:
        entry = {"model": "small", "context_window": 8_192, "price": price}
        chosen = ClientConfig.model_validate(
            {"chat": [entry], "base_url": emulator.base_url, "budget": budget}
        )
        async with LLMClient(chosen) as client:
            with pytest.raises(BudgetExceeded):
                await extract(call_of(3, 50_000), EXTRACTOR, client.call, ["small"])
            spent = client.metrics.snapshot().spent_usd
    usage = emulator.audit.usage
    assert 0 < spent <= Decimal("0.05")
    assert (usage.input_tokens + usage.output_tokens) / 1_000_000 <= 0.05
