"""What models charge for, by the price list and by their own configuration.

The price list is genai-prices as installed: it is never updated over the network. A price in the model's
own configuration goes before the list and is taken as it is, whatever the service tier. The list is slow
to ask (a third of a millisecond), so each model's unit prices are read from it once an hour.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

import genai_prices
from genai_prices.types import ModelPrice, PriceCalculation, TieredPrices

from llm_assets.llm.models import ModelConfig, Price
from llm_assets.llm.remembered import Remembered

_SECONDS_PER_MINUTE = 60
_SECONDS_PER_HOUR = 3600
# Tiers at the listed price. Capacity bought ahead (`scale`) costs no more than that per call.
_STANDARD_TIERS = frozenset({"", "auto", "default", "standard", "standard_only", "on_demand", "scale"})
# Tiers that nobody sells above the listed price, so the listed price bounds them where they are not listed.
_CHEAPER_TIERS = frozenset({"flex", "batch"})


@dataclass(frozen=True, slots=True)
class Rate:
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
class UnitPrices:
    """What a model charges for. None: not charged by this, or not known."""

    input: Rate | None = None
    cached: Rate | None = None
    cache_write: Rate | None = None
    audio_input: Rate | None = None
    output: Rate | None = None
    usd_per_audio_hour: Decimal | None = None


def price_hour() -> int:
    """What is read from the list holds for this hour: a price may change on a date."""
    return int(time.time() // _SECONDS_PER_HOUR)


def unit_prices(model: ModelConfig, name: str, tier: str | None) -> UnitPrices | None:
    """What an answer of `name` costs that was asked of `model`; None when nothing is known of it."""
    known = _KNOWN.of(model)
    key = (name, tier, price_hour())
    if key not in known:
        known[key] = _looked_up(model, name, tier or "", key[2])
    return known[key]


def _looked_up(model: ModelConfig, name: str, tier: str, hour: int) -> UnitPrices | None:
    listed = _listed(model.provider, model.base_url, name, tier, hour)
    if listed is None and name != model.model:
        listed = _listed(model.provider, model.base_url, model.model, tier, hour)
    return listed if model.price is None else _overridden(model.price, listed or UnitPrices())


def _nothing_yet(model: ModelConfig) -> dict[tuple[str, str | None, int], UnitPrices | None]:
    return {}


# By model: what its answers cost, by the name that answered, service tier and hour.
_KNOWN = Remembered(_nothing_yet)


def _overridden(price: Price, listed: UnitPrices) -> UnitPrices:
    fresh = _own_rate(price.input_usd_per_million_tokens)
    cached = _own_rate(price.cached_input_usd_per_million_tokens)
    output = _own_rate(price.output_usd_per_million_tokens)
    per_minute = price.usd_per_audio_minute
    if per_minute is not None:
        return UnitPrices(usd_per_audio_hour=per_minute * _SECONDS_PER_MINUTE)
    if fresh is None and cached is None and output is None:
        return listed
    return UnitPrices(
        input=fresh or listed.input,
        cached=cached or fresh or listed.cached,
        cache_write=None if fresh else listed.cache_write,
        audio_input=None if fresh else listed.audio_input,
        output=output or listed.output,
    )


def _own_rate(usd_per_million: Decimal | None) -> Rate | None:
    return None if usd_per_million is None else Rate(usd_per_million)


@lru_cache(maxsize=1024)
def _listed(provider: str, base_url: str | None, name: str, tier: str, hour: int) -> UnitPrices | None:
    """What the list says; `hour` lets a price that changes on a date be noticed by a process that runs on."""
    context = _context(tier)
    found = _found(provider, base_url, name, context)
    if found is None:
        return None
    if context and tier not in _CHEAPER_TIERS and not _lists(found, context):
        return None
    return _unitunit_prices(found.model_price)


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


def _unitunit_prices(price: ModelPrice) -> UnitPrices:
    return UnitPrices(
        input=_rate(price.input_mtok),
        cached=_rate(price.cache_read_mtok),
        cache_write=_rate(price.cache_write_mtok),
        audio_input=_rate(price.input_audio_mtok),
        output=_rate(price.output_mtok),
        usd_per_audio_hour=_per_hour(price.audio_hours) or _per_hour(price.input_audio_hours),
    )


def _rate(listed: Decimal | TieredPrices | None) -> Rate | None:
    if listed is None or isinstance(listed, Decimal):
        return _own_rate(listed)
    return Rate(listed.base, tuple((tier.start, tier.price) for tier in listed.tiers))


def _per_hour(listed: Decimal | TieredPrices | None) -> Decimal | None:
    return listed.base if isinstance(listed, TieredPrices) else listed
