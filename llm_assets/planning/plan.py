"""What the calls of a run will cost and take, before the first of them.

An estimate is a range: nobody knows the answers' length beforehand, and tokens are estimated from characters.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from llm_assets.llm.models import Limits, ModelConfig
from llm_assets.llm.pricing import price_of
from llm_assets.money import usd
from llm_assets.planning.audio import PlannedAudio
from llm_assets.planning.calls import PlannedCalls
from llm_assets.usage import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What will be asked for an asset. `cost_usd` is from least to most, None when the price is unknown;
    `least_seconds` is what the known limits make it take, None without any.

    Of the rows some need no model, some are answered in the journal, some repeat the content of another one,
    and the others are to be asked; of these `estimated` are known by their length alone.
    """

    asset: str
    without_model: int = 0
    answered: int = 0
    repeated: int = 0
    to_ask: int = 0
    in_parts: int = 0
    estimated: int = 0
    model: str
    tokens: tuple[int, int]
    audio_seconds: tuple[float, float] = (0.0, 0.0)
    cost_usd: tuple[Decimal, Decimal] | None
    least_seconds: float | None

    @property
    def rows(self) -> int:
        return self.without_model + self.answered + self.repeated + self.to_ask

    def __str__(self) -> str:
        parts = [f"{self.asset}: of {self.rows:,} rows {self.to_ask:,} will be asked of {self.model}"]
        parts.append(f"{self.answered:,} are answered in the journal, {self.without_model:,} need no model")
        if self.repeated:
            parts.append(f"{self.repeated:,} have the content of another row and are not asked again")
        if self.in_parts:
            parts.append(f"{self.in_parts:,} are too long for one call and asked in parts")
        if self.to_ask:
            parts.append(cost_text(self.cost_usd))
        if self.to_ask and self.least_seconds:
            parts.append(f"at least {self.least_seconds:,.0f} s at the limits known now")
        return "; ".join(parts)

    def metadata(self) -> dict[str, Any]:
        """The same as numbers."""
        known: dict[str, Any] = {
            "plan.rows_to_ask": self.to_ask,
            "plan.rows_in_parts": self.in_parts,
            "plan.rows_answered": self.answered,
            "plan.rows_repeated": self.repeated,
            "plan.rows_without_model": self.without_model,
            "plan.model": self.model,
            "plan.tokens_least": self.tokens[0],
            "plan.tokens_most": self.tokens[1],
        }
        if self.cost_usd is not None:
            least, most = self.cost_usd
            known |= {"plan.cost_usd_least": float(least), "plan.cost_usd_most": float(most)}
        return known | ({"plan.least_seconds": self.least_seconds} if self.least_seconds is not None else {})


def make_plan(asset: str, calls: PlannedCalls | PlannedAudio, limits: Limits | None, **rows: int) -> Plan:
    """The plan for the calls that were added up; `rows` are the rows beside them, by what they are."""
    least, most = calls.usages()
    costs = _price(calls.model, least), _price(calls.model, most)
    return Plan(
        asset=asset,
        to_ask=calls.requests,
        in_parts=calls.in_parts,
        model=calls.model.model,
        tokens=(least.total_tokens, most.total_tokens),
        audio_seconds=(least.audio_seconds, most.audio_seconds),
        cost_usd=None if costs[0] is None or costs[1] is None else (costs[0], costs[1]),
        least_seconds=least_seconds(calls.calls, least.total_tokens, limits),
        **rows,
    )


def _price(model: ModelConfig, usage: Usage) -> Decimal | None:
    return Decimal(0) if usage == Usage() else price_of(model, usage)


def least_seconds(requests: int, tokens: int, limits: Limits | None) -> float | None:
    """How long limits per minute make so many requests and tokens take; None when none is known."""
    if limits is None:
        return None
    wanted = ((requests, limits.requests_per_minute), (tokens, limits.tokens_per_minute))
    minutes = [amount / per_minute for amount, per_minute in wanted if per_minute]
    return 60 * max(minutes) if minutes else None


def cost_text(cost_usd: tuple[Decimal, Decimal] | None) -> str:
    """A range of costs as a person says it."""
    if cost_usd is None:
        return "the price of the model is unknown"
    least, most = cost_usd
    return f"about {usd(least)} to {usd(most)}"
