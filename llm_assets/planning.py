"""What the calls of a run will cost and take, before the first of them. Pure numbers, no I/O.

An estimate is a range: nobody knows the answers' length beforehand, and tokens are estimated from
characters. Repairs and fallbacks come on top; they are few, and a budget counts them. A request that is too
long for every model is several calls: its parts, each with instructions and schema, and those that merge.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, cast

from llm_assets.llm.models import Limits, ModelConfig
from llm_assets.llm.pricing import price_of
from llm_assets.llm.requests import ChatRequest, Message, OutputSchema
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
    """Adds up the requests that will be sent to `model`, in parts where they fit no context of the chain.

    `most_input_tokens` is what the roomiest model of the chain takes, None where that is not known.
    """

    model: ModelConfig
    most_input_tokens: int | None = None
    requests: int = 0
    calls: int = 0
    in_parts: int = 0
    input_tokens: int = 0
    least_output_tokens: int = 0
    most_output_tokens: int = 0
    _properties: dict[int, int] = field(default_factory=dict[int, int])

    def add(self, requests: Iterable[ChatRequest]) -> None:
        for request in requests:
            schema = self._schema_tokens(request)
            fixed = schema + sum(_estimate(each) for each in request.messages if each.role == "system")
            shown = sum(_estimate(each) for each in request.messages if each.role != "system")
            least, most = self._output(request)
            parts, merges = self._parts(request, fixed, shown, most)
            self.requests += 1
            self.in_parts += parts > 1
            self.calls += parts + merges
            self.input_tokens += shown + (parts + merges) * fixed + (parts * most if merges else 0)
            self.least_output_tokens += (parts + merges) * least
            self.most_output_tokens += (parts + merges) * most

    def _parts(self, request: ChatRequest, fixed: int, shown: int, answer: int) -> tuple[int, int]:
        """In how many parts a request is asked, and how many calls merge their answers."""
        if self.most_input_tokens is None:
            return 1, 0
        room = self.most_input_tokens - fixed - most_output_tokens(request, self.model)
        if room <= 0 or shown <= room:
            return 1, 0
        parts = 2 ** math.ceil(math.log2(shown / room))
        return parts, math.ceil(parts * answer / room)

    def _schema_tokens(self, request: ChatRequest) -> int:
        """The schema is read with every call."""
        schema = request.output_schema
        return 0 if schema is None else self._count(schema) * _MOST_TOKENS_PER_PROPERTY

    def _output(self, request: ChatRequest) -> tuple[int, int]:
        allowed = most_output_tokens(request, self.model)
        least, most = _PLAIN_ANSWER_TOKENS
        if (schema := request.output_schema) is not None:
            properties = self._count(schema)
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
    in_parts: int
    model: str
    tokens: tuple[int, int]
    cost_usd: tuple[Decimal, Decimal] | None
    least_seconds: float | None

    def __str__(self) -> str:
        parts = [f"{self.asset}: of {self.rows:,} rows {self.to_ask:,} will be asked of {self.model}"]
        parts.append(f"{self.answered:,} are answered in the journal, {self.without_model:,} need no model")
        if self.in_parts:
            parts.append(f"{self.in_parts:,} are too long for one call and asked in parts")
        if self.to_ask:
            parts.append(_cost_text(self.cost_usd))
        if self.to_ask and self.least_seconds:
            parts.append(f"at least {self.least_seconds:,.0f} s at the limits known now")
        return "; ".join(parts)

    def metadata(self) -> dict[str, Any]:
        """The same as numbers."""
        known: dict[str, Any] = {
            "plan.rows_to_ask": self.to_ask,
            "plan.rows_in_parts": self.in_parts,
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
        in_parts=calls.in_parts,
        model=calls.model.model,
        tokens=(least.total_tokens, most.total_tokens),
        cost_usd=None if costs[0] is None or costs[1] is None else (costs[0], costs[1]),
        least_seconds=least_seconds(calls.calls, least.total_tokens, limits),
    )


def least_seconds(requests: int, tokens: int, limits: Limits | None) -> float | None:
    """How long limits per minute make so many requests and tokens take; None when none is known."""
    if limits is None:
        return None
    wanted = ((requests, limits.requests_per_minute), (tokens, limits.tokens_per_minute))
    minutes = [amount / per_minute for amount, per_minute in wanted if per_minute]
    return 60 * max(minutes) if minutes else None


def _estimate(message: Message) -> int:
    return estimate_tokens(message.content)


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
