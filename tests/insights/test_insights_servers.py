"""The same output models through OpenAI, Anthropic, and servers that are only told the schema."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from anthropic_server import anthropic_server, problem_of
from insights_models import Wide
from pydantic import BaseModel, Field, create_model

from llm_assets.emulator import Emulator, EmulatorConfig
from llm_assets.insights.call_insights import CallInsights
from llm_assets.insights.extract import extract
from llm_assets.insights.prompts import Extractor
from llm_assets.llm.client import LLMClient
from llm_assets.llm.models import ClientConfig
from llm_assets.llm.requests import Outcome
from llm_assets.records import Insight, RowStatus, Segment, Transcript

LINES = [
    "How can I help you?",
    "I want a refund, the phone is broken.",
    "I will pay you back forty dollars today.",
]
CALL = Transcript(
    recording_id="r",
    status=RowStatus.OK,
    segments=tuple(
        Segment(segment_index=at, start_seconds=at, end_seconds=at + 1, text=text)
        for at, text in enumerate(LINES)
    ),
)


class Branch(BaseModel):
    """Recursion, which Anthropic's structured output does not know."""

    topic: str
    below: list[Branch]


class Offer(BaseModel):
    name: str
    price: Decimal | None = Field(ge=0, description="Null when none was said.")


class Refund(Offer):
    kind: Literal["refund"]
    day: date | None


class Rebate(Offer):
    kind: Literal["rebate"]
    share: float = Field(gt=0, le=1)


class Deal(BaseModel):
    """Free keys, tuples, and alternatives that begin alike."""

    offers: list[Annotated[Refund | Rebate, Field(discriminator="kind")]]
    by_topic: dict[str, list[Offer]]
    span: tuple[int, int]
    codes: set[Annotated[str, Field(pattern="^[A-Z]{2}$")]] = Field(max_length=3)


# One of its fields tells a provider another pattern than it has.
FIELDS: dict[str, Any] = {
    name: (field.annotation, field) for name, field in Wide.model_fields.items() if name != "lookahead"
}
Most: Any = create_model("Most", **FIELDS)
Unions: Any = create_model("Unions", **{f"field_{n}": (int | None, None) for n in range(40)})
Broad: Any = create_model(
    "Broad",
    **{f"field_{n}": (str, Field(description="A word that was said, or nothing.")) for n in range(150)},
)
MODELS: list[type[BaseModel]] = [CallInsights, Most, Branch, Deal, Unions, Broad]
BY_TOOL = {"Most", "Branch", "Unions", "Broad"}


async def read(output_model: type[BaseModel], **entry: Any) -> tuple[Insight, tuple[Outcome, ...]]:
    extractor = Extractor("found", output_model, "Say what was said.")
    config = ClientConfig.model_validate({"chat": [{"model": "gpt-6-luna"} | entry], "max_concurrency": 1})
    async with LLMClient(config) as client:
        return await extract(CALL, extractor, client.call, [entry.get("model", "gpt-6-luna")])


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
async def test_every_model_goes_through_every_kind_of_server(model: type[BaseModel]) -> None:
    """The row is the same: held to the schema by OpenAI or Anthropic, or only told it, also in a fence."""
    async with Emulator(EmulatorConfig()) as emulator, anthropic_server() as anthropic:
        strict, _ = await read(model, base_url=emulator.base_url)
        assert (strict.status, strict.error) == (RowStatus.OK, None)
        for told in ("json_object", "none"):
            insight, _ = await read(model, base_url=emulator.base_url, structured_output=told)
            assert (insight.error, insight.output) == (None, strict.output)
        claude = {"model": "claude-x", "provider": "anthropic", "base_url": anthropic.url, "api_key": "k"}
        for told in ("json_schema", "json_object", "none"):
            insight, outcomes = await read(model, structured_output=told, **claude)
            assert (insight.error, insight.output) == (None, strict.output)
            assert len(outcomes) == 1
    held = "tool" if model.__name__ in BY_TOOL else "output_config"
    assert anthropic.ways == [held, "tool", "words"]


async def test_a_schema_that_anthropic_finds_too_large_is_a_tool_from_then_on() -> None:
    """Only a refusal tells; it costs one request, not one for each call, and no row."""
    async with anthropic_server() as anthropic:
        claude = {"model": "claude-x", "provider": "anthropic", "base_url": anthropic.url, "api_key": "k"}
        config = ClientConfig.model_validate({"chat": [claude]})
        extractor = Extractor("found", Broad, "Say what was said.")
        async with LLMClient(config) as client:
            for number in range(3):
                call = Transcript(recording_id=str(number), status=RowStatus.OK, text=f"Hello {number}.")
                insight, _ = await extract(call, extractor, client.call, ["claude-x"])
                assert insight.status is RowStatus.OK
    assert problem_of(anthropic.received[0]["output_config"]["format"]["schema"]) is not None
    assert anthropic.ways == ["tool"] * 3
    assert len(anthropic.received) == 4
