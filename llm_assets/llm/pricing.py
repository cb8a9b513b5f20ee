"""What a usage costs in US dollars, exactly; None where a price is unknown, never zero.

The price list is genai-prices as installed: it is never updated over the network. A price in the model's
own configuration goes before the list and is taken as it is, whatever the service tier. The list is slow
to ask (a third of a millisecond), so each model's unit prices are read from it once an hour.

The trap: the list prices per-minute models by audio time, so asking it with tokens alone gives 0.00. Here a
price that no figure of the usage applies to is unknown.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

import genai_prices
from genai_prices.types import ModelPrice, PriceCalculation, TieredPrices

from llm_assets.llm.models import ModelConfig, Price
from llm_assets.llm.remembered import Remembered
from llm_assets.usage import Usage

_MILLION = Decimal(1_000_000)
_SECONDS_PER_MINUTE = 60
_SECONDS_PER_HOUR = 3600
# OpenAI hears ten tokens a second; a fifth more, so that a bound stays one.
AUDIO_TOKENS_PER_SECOND = 12
# Tiers at the listed price. Capacity bought ahead (`scale`) costs no more than that per call.
_STANDARD_TIERS = frozenset({"", "auto", "default", "standard", "standard_only", "on_demand", "scale"})
# Tiers that nobody sells above the listed price, so the listed price bounds them where they are not listed.
_CHEAPER_TIERS = frozenset({"flex", "batch"})


@dataclass(frozen=True, slots=True)
class _Rate:
    """US dollars per million tokens; past a threshold of input tokens the whole request costs more."""

    base: Decimal
    steps: tuple[tuple[int, Decimal], ...] = ()

    def at(self, input_tokens: int) -> Decimal:
        rate = self.base
        for threshold, higher in self.steps:
            if input_tokens > threshold:
                rate = higher
        return rate


@dataclass(frozen=True, slots=True)
class _UnitPrices:
    """What a model charges for. None: not charged by this, or not known."""

    input: _Rate | None = None
    cached: _Rate | None = None
    cache_write: _Rate | None = None
    audio_input: _Rate | None = None
    output: _Rate | None = None
    usd_per_audio_hour: Decimal | None = None


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
    prices = _prices(model, answered_model or model.model, service_tier)
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


def known_price(model: ModelConfig) -> bool:
    """Whether a budget can be enforced on the model."""
    return worst_price(model, input_tokens=1, output_tokens=1, audio_seconds=1) is not None


def is_billed_by_time(model: ModelConfig) -> bool | None:
    """Whether a transcription costs by the minute rather than by tokens; None when the price is unknown."""
    prices = _prices(model, model.model, None)
    return None if prices is None else prices.usd_per_audio_hour is not None


def _cost(prices: _UnitPrices, usage: Usage) -> Decimal | None:
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
    prices: _UnitPrices | None, input_tokens: int, output_tokens: int, audio_seconds: float
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


def _prices(model: ModelConfig, name: str, tier: str | None) -> _UnitPrices | None:
    known = _KNOWN.of(model)
    key = (name, tier, int(time.time() // _SECONDS_PER_HOUR))
    if key not in known:
        known[key] = _looked_up(model, name, tier or "", key[2])
    return known[key]


def _looked_up(model: ModelConfig, name: str, tier: str, hour: int) -> _UnitPrices | None:
    listed = _listed(model.provider, model.base_url, name, tier, hour)
    if listed is None and name != model.model:
        listed = _listed(model.provider, model.base_url, model.model, tier, hour)
    return listed if model.price is None else _overridden(model.price, listed or _UnitPrices())


def _nothing_yet(model: ModelConfig) -> dict[tuple[str, str | None, int], _UnitPrices | None]:
    return {}


# By model: what its answers cost, by the name that answered, service tier and hour.
_KNOWN = Remembered(_nothing_yet)


def _worst_prices(model: ModelConfig) -> tuple[_UnitPrices | None, ...]:
    """Of the standard tier, and of the one that was asked for."""
    asked = model.parameters.get("service_tier")
    standard = _prices(model, model.model, "")
    return (standard, _prices(model, model.model, str(asked))) if asked else (standard,)


def _overridden(price: Price, listed: _UnitPrices) -> _UnitPrices:
    fresh = _own_rate(price.input_usd_per_million_tokens)
    cached = _own_rate(price.cached_input_usd_per_million_tokens)
    output = _own_rate(price.output_usd_per_million_tokens)
    per_minute = price.usd_per_audio_minute
    if per_minute is not None:
        return _UnitPrices(usd_per_audio_hour=per_minute * _SECONDS_PER_MINUTE)
    if fresh is None and cached is None and output is None:
        return listed
    return _UnitPrices(
        input=fresh or listed.input,
        cached=cached or fresh or listed.cached,
        cache_write=None if fresh else listed.cache_write,
        audio_input=None if fresh else listed.audio_input,
        output=output or listed.output,
    )


def _own_rate(usd_per_million: Decimal | None) -> _Rate | None:
    return None if usd_per_million is None else _Rate(usd_per_million)


@lru_cache(maxsize=1024)
def _listed(provider: str, base_url: str | None, name: str, tier: str, hour: int) -> _UnitPrices | None:
    """What the list says; `hour` lets a price that changes on a date be noticed by a process that runs on."""
    context = _context(tier)
    found = _found(provider, base_url, name, context)
    if found is None:
        return None
    if context and tier not in _CHEAPER_TIERS and not _lists(found, context):
        return None
    return _unit_prices(found.model_price)


def _context(tier: str) -> dict[str, str]:
    if tier in _STANDARD_TIERS:
        return {}
    return {"processing": "batch"} if tier == "batch" else {"service_tier": tier}


def _found(
    provider: str, base_url: str | None, name: str, context: dict[str, str]
) -> PriceCalculation | None:
    """By the seller the address belongs to, else by the provider: an emulator is priced as what it plays."""
    usage = genai_prices.Usage()
    if base_url:
        try:
            return genai_prices.calc_price(usage, name, provider_api_url=base_url, price_context=context)
        except LookupError:
            pass
    try:
        return genai_prices.calc_price(usage, name, provider_id=provider, price_context=context)
    except LookupError:
        return None


def _lists(found: PriceCalculation, context: dict[str, str]) -> bool:
    return any(variant.when == context for variant in found.model.price_variants or ())


def _unit_prices(price: ModelPrice) -> _UnitPrices:
    return _UnitPrices(
        input=_rate(price.input_mtok),
        cached=_rate(price.cache_read_mtok),
        cache_write=_rate(price.cache_write_mtok),
        audio_input=_rate(price.input_audio_mtok),
        output=_rate(price.output_mtok),
        usd_per_audio_hour=_per_hour(price.audio_hours) or _per_hour(price.input_audio_hours),
    )


def _rate(listed: Decimal | TieredPrices | None) -> _Rate | None:
    if listed is None or isinstance(listed, Decimal):
        return _own_rate(listed)
    return _Rate(listed.base, tuple((tier.start, tier.price) for tier in listed.tiers))


def _per_hour(listed: Decimal | TieredPrices | None) -> Decimal | None:
    return listed.base if isinstance(listed, TieredPrices) else listed
