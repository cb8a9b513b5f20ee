"""What the calls of a run will cost and take, before the first of them. Pure numbers, no I/O.

An estimate is a range: nobody knows the answers' length beforehand, and tokens are estimated from
characters. Repairs and fallbacks come on top; they are few, and a budget counts them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, cast

from llm_assets.llm.models import Limits, ModelConfig
from llm_assets.llm.pricing import price_of
from llm_assets.llm.requests import ChatRequest, OutputSchema
from llm_assets.llm.sizes import most_output_tokens
from llm_assets.llm.tokens import estimate_tokens
from llm_assets.usage import Usage

# How far below the estimate the count of tokens may lie, see `estimate_tokens`.
_LEAST_SHARE_OF_ESTIMATE = 0.5
# Of an answer, for each property of its schema: a number or a word, up to a sentence or a few items.
_LEAST_TOKENS_PER_PROPERTY, _MOST_TOKENS_PER_PROPERTY = 10, 60
_PLAIN_ANSWER_TOKENS = (50, 1_000)


@dataclass(slots=True)
class PlannedCalls:
    """Adds up the requests that will be sent to `model`."""

    model: ModelConfig
    requests: int = 0
    input_tokens: int = 0
    least_output_tokens: int = 0
    most_output_tokens: int = 0
    _properties: dict[int, int] = field(default_factory=dict[int, int])

    def add(self, requests: Iterable[ChatRequest]) -> None:
        for request in requests:
            self.requests += 1
            self.input_tokens += sum(estimate_tokens(message.content) for message in request.messages)
            least, most = self._output(request)
            self.least_output_tokens += least
            self.most_output_tokens += most

    def _output(self, request: ChatRequest) -> tuple[int, int]:
        allowed = most_output_tokens(request, self.model)
        least, most = _PLAIN_ANSWER_TOKENS
        if (schema := request.output_schema) is not None:
            properties = self._count(schema)
            self.input_tokens += properties * _MOST_TOKENS_PER_PROPERTY  # the schema is read with every call
            least, most = properties * _LEAST_TOKENS_PER_PROPERTY, properties * _MOST_TOKENS_PER_PROPERTY
        return min(least, allowed), min(most, allowed)

    def _count(self, schema: OutputSchema) -> int:
        known = self._properties.get(id(schema))
        if known is None:
            known = self._properties[id(schema)] = max(_properties_in(schema.schema), 1)
        return known


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What will be asked for an asset. `cost_usd` is from least to most, None when the price is unknown;
    `least_seconds` is what the known limits make it take, None without any."""

    asset: str
    rows: int
    without_model: int
    answered: int
    to_ask: int
    model: str
    tokens: tuple[int, int]
    cost_usd: tuple[Decimal, Decimal] | None
    least_seconds: float | None

    def __str__(self) -> str:
        parts = [f"{self.asset}: of {self.rows:,} rows {self.to_ask:,} will be asked of {self.model}"]
        parts.append(f"{self.answered:,} are answered in the journal, {self.without_model:,} need no model")
        if self.to_ask:
            parts.append(_cost_text(self.cost_usd))
        if self.to_ask and self.least_seconds:
            parts.append(f"at least {self.least_seconds:,.0f} s at the limits known now")
        return "; ".join(parts)

    def metadata(self) -> dict[str, Any]:
        """The same as numbers."""
        known: dict[str, Any] = {
            "plan.rows_to_ask": self.to_ask,
            "plan.rows_answered": self.answered,
            "plan.rows_without_model": self.without_model,
            "plan.model": self.model,
            "plan.tokens_least": self.tokens[0],
            "plan.tokens_most": self.tokens[1],
        }
        if self.cost_usd is not None:
            least, most = self.cost_usd
            known |= {"plan.cost_usd_least": float(least), "plan.cost_usd_most": float(most)}
        return known | ({"plan.least_seconds": self.least_seconds} if self.least_seconds is not None else {})


def make_plan(
    asset: str, calls: PlannedCalls, limits: Limits | None, *, without_model: int, answered: int
) -> Plan:
    """The plan for the calls that were added up, beside the rows that need none."""
    least = Usage(
        input_tokens=int(calls.input_tokens * _LEAST_SHARE_OF_ESTIMATE),
        output_tokens=calls.least_output_tokens,
    )
    most = Usage(input_tokens=calls.input_tokens, output_tokens=calls.most_output_tokens)
    costs = price_of(calls.model, least), price_of(calls.model, most)
    return Plan(
        asset=asset,
        rows=without_model + answered + calls.requests,
        without_model=without_model,
        answered=answered,
        to_ask=calls.requests,
        model=calls.model.model,
        tokens=(least.total_tokens, most.total_tokens),
        cost_usd=None if costs[0] is None or costs[1] is None else (costs[0], costs[1]),
        least_seconds=least_seconds(calls.requests, least.total_tokens, limits),
    )


def least_seconds(requests: int, tokens: int, limits: Limits | None) -> float | None:
    """How long limits per minute make so many requests and tokens take; None when none is known."""
    if limits is None:
        return None
    wanted = ((requests, limits.requests_per_minute), (tokens, limits.tokens_per_minute))
    minutes = [amount / per_minute for amount, per_minute in wanted if per_minute]
    return 60 * max(minutes) if minutes else None


def _cost_text(cost_usd: tuple[Decimal, Decimal] | None) -> str:
    if cost_usd is None:
        return "the price of the model is unknown"
    least, most = cost_usd
    return f"about {least:.2g} to {most:.2g} USD" if most < 1 else f"about {least:,.2f} to {most:,.2f} USD"


def _properties_in(node: object) -> int:
    if isinstance(node, Mapping):
        branch = cast("Mapping[str, object]", node)
        own = branch.get("properties")
        return (len(own) if isinstance(own, dict) else 0) + sum(map(_properties_in, branch.values()))
    return sum(map(_properties_in, cast("list[object]", node))) if isinstance(node, list) else 0
