"""What a usage costs in US dollars, exactly; None where a price is unknown, never zero.

The trap: the list prices per-minute models by audio time, so asking it with tokens alone gives 0.00. Here a
price that no figure of the usage applies to is unknown.
"""

from __future__ import annotations

import math
from decimal import ROUND_UP, Decimal
from typing import NamedTuple

from llm_assets.llm.models import ModelConfig
from llm_assets.llm.price_list import UnitPrices, price_hour, unit_prices
from llm_assets.llm.remembered import Remembered
from llm_assets.usage import Usage

_MILLION = Decimal(1_000_000)
_BILLION = Decimal(1_000_000_000)
_SECONDS_PER_HOUR = 3600
# OpenAI hears ten tokens a second; a fifth more, so that a bound stays one.
AUDIO_TOKENS_PER_SECOND = 12


def price_of(
    model: ModelConfig,
    usage: Usage,
    *,
    answered_model: str | None = None,
    service_tier: str | None = None,
) -> Decimal | None:
    """What `usage` cost, None when the price is unknown.

    A snapshot (`answered_model`) has its own price where the list knows it, else that of the model asked.
    `service_tier` is the one the answer names: flex and batch cost what the list says for them, at most the
    standard price; any other tier the list does not know for the model has no known price.
    """
    prices = unit_prices(model, answered_model or model.model, service_tier)
    return None if prices is None else _cost(prices, usage)


def worst_price(
    model: ModelConfig, *, input_tokens: int, output_tokens: int, audio_seconds: float
) -> Decimal | None:
    """The most a request can cost before it is sent, None when a price is unknown.

    Nothing is taken as cached, writing to the cache is taken at its surcharge, and a service tier that was
    asked for counts only if it makes the call dearer, for the answer may come from the standard tier.
    """
    worst = Decimal(0)
    for prices in _worst_prices(model):
        bound = _bound(prices, input_tokens, output_tokens, audio_seconds)
        if bound is None:
            return None
        worst = max(worst, bound)
    return worst


def worst_nano_usd(
    model: ModelConfig, *, input_tokens: int, output_tokens: int, audio_seconds: float = 0.0
) -> int | None:
    """The same in whole billionths of a dollar, rounded up."""
    flat = None if audio_seconds else _flat_bound(model)
    if flat is not None and input_tokens <= flat.most_input_tokens:
        return -(-(input_tokens * flat.input_pico_usd + output_tokens * flat.output_pico_usd) // 1000)
    usd = worst_price(
        model, input_tokens=input_tokens, output_tokens=output_tokens, audio_seconds=audio_seconds
    )
    return None if usd is None else int((usd * _BILLION).to_integral_value(ROUND_UP))


def is_billed_by_time(model: ModelConfig) -> bool | None:
    """Whether a transcription costs by the minute rather than by tokens; None when the price is unknown."""
    prices = unit_prices(model, model.model, None)
    return None if prices is None else prices.usd_per_audio_hour is not None


def _cost(prices: UnitPrices, usage: Usage) -> Decimal | None:
    if prices.usd_per_audio_hour is not None:
        return _audio_cost(prices.usd_per_audio_hour, usage.audio_seconds)
    if prices.input is None or prices.output is None:
        return None
    size = usage.input_tokens
    # The input of a transcription is its audio but for a short prompt, which is cheaper.
    fresh = prices.audio_input if usage.audio_seconds and prices.audio_input else prices.input
    cached = min(usage.cached_tokens, size)
    written = min(usage.cache_write_tokens, size - cached)
    total = (size - cached - written) * fresh.at(size) + usage.output_tokens * prices.output.at(size)
    if written:
        total += written * (prices.cache_write or fresh).at(size)
    if cached:
        total += cached * (prices.cached or fresh).at(size)
    return total / _MILLION


def _audio_cost(usd_per_hour: Decimal, audio_seconds: float) -> Decimal | None:
    if audio_seconds <= 0:
        return None
    return usd_per_hour * Decimal(repr(audio_seconds)) / _SECONDS_PER_HOUR


def _bound(
    prices: UnitPrices | None, input_tokens: int, output_tokens: int, audio_seconds: float
) -> Decimal | None:
    if prices is None:
        return None
    if prices.usd_per_audio_hour is not None:
        return _audio_cost(prices.usd_per_audio_hour, math.ceil(audio_seconds))
    if prices.input is None or prices.output is None:
        return None
    size = input_tokens + math.ceil(audio_seconds * AUDIO_TOKENS_PER_SECOND)
    dearest = prices.input.at(size)
    for kind in (prices.cache_write, prices.audio_input if audio_seconds else None):
        if kind is not None:
            dearest = max(dearest, kind.at(size))
    return (size * dearest + output_tokens * prices.output.at(size)) / _MILLION


def _worst_prices(model: ModelConfig) -> tuple[UnitPrices | None, ...]:
    """Of the standard tier, and of the one that was asked for."""
    asked = model.parameters.get("service_tier")
    standard = unit_prices(model, model.model, "")
    return (standard, unit_prices(model, model.model, str(asked))) if asked else (standard,)


class _FlatBound(NamedTuple):
    """The most a token costs up to so many of them, in whole millionths of a millionth of a dollar."""

    input_pico_usd: int
    output_pico_usd: int
    most_input_tokens: float


def _flat_bound(model: ModelConfig) -> _FlatBound | None:
    """None where it takes more to know a bound: service tiers, prices by time, or no price at all."""
    known, hour = _FLAT_BOUNDS.of(model), price_hour()
    if hour not in known:
        known[hour] = _made_flat(_worst_prices(model))
    return known[hour]


def _made_flat(candidates: tuple[UnitPrices | None, ...]) -> _FlatBound | None:
    prices = candidates[0]
    if len(candidates) > 1 or prices is None or prices.usd_per_audio_hour is not None:
        return None
    if prices.input is None or prices.output is None:
        return None
    rates = [prices.input, prices.output, *([prices.cache_write] if prices.cache_write else [])]
    pico = [rate.base * _MILLION for rate in rates]
    if any(value != int(value) for value in pico):
        return None
    fresh, output, *written = map(int, pico)
    steps = [threshold for rate in rates for threshold, _ in rate.steps]
    return _FlatBound(max(fresh, *written, 0), output, min(steps, default=math.inf))


def _no_bound_yet(model: ModelConfig) -> dict[int, _FlatBound | None]:
    return {}


# By model and hour.
_FLAT_BOUNDS = Remembered(_no_bound_yet)
