"""Prices are exact, unknown is never zero, and the bound before a call is a bound."""

from __future__ import annotations

from decimal import ROUND_UP, Decimal
from typing import Any

import genai_prices
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_assets.llm.models import ModelConfig
from llm_assets.llm.pricing import price_of, worst_nano_usd, worst_price
from llm_assets.usage import Usage

TOKENS = st.integers(0, 600_000)
LISTED = ["gpt-6-luna", "gpt-6.1-sol", "gpt-4o", "gpt-4o-mini", "o3", "claude-haiku-4-5", "claude-sonnet-5-5"]


def model(entry: Any) -> ModelConfig:
    return ModelConfig.of(entry)


@settings(deadline=None)
@given(
    st.sampled_from(LISTED),
    TOKENS,
    TOKENS,
    TOKENS,
    TOKENS,
    st.sampled_from([None, "default", "flex", "batch"]),
)
def test_the_price_is_the_lists(
    name: str, fresh: int, cached: int, written: int, output: int, tier: str | None
):
    """For any usage, tier and context size the price is what the price list computes itself."""
    size = fresh + cached + written
    usage = Usage(input_tokens=size, cached_tokens=cached, cache_write_tokens=written, output_tokens=output)
    context = {"batch": {"processing": "batch"}, "flex": {"service_tier": "flex"}}.get(tier or "", {})
    expected = genai_prices.calc_price(
        genai_prices.Usage(
            input_tokens=size, cache_read_tokens=cached, cache_write_tokens=written, output_tokens=output
        ),
        name,
        provider_id=model(name).provider,
        price_context=context,
    ).total_price
    assert price_of(model(name), usage, service_tier=tier) == expected


@settings(deadline=None)
@given(
    st.sampled_from([*LISTED, "whisper-1", "gpt-transcribe", "gpt-4o-transcribe", "gpt-4o-mini-transcribe"]),
    TOKENS,
    st.integers(0, 20_000),
    st.floats(0.1, 1500),
    st.floats(0, 1),
    st.sampled_from([None, "flex", "batch", "default"]),
)
def test_no_answer_costs_more_than_the_bound(
    name: str, tokens: int, output: int, seconds: float, share: float, tier: str | None
):
    """Whatever is cached, heard or discounted, an answer within the figures costs at most the bound."""
    heard = seconds if "transcribe" in name or "whisper" in name else 0.0
    bound = worst_price(model(name), input_tokens=tokens, output_tokens=output, audio_seconds=heard)
    used = Usage(
        input_tokens=int(tokens * share) + int(10 * heard),
        cached_tokens=int(tokens * share * share),
        output_tokens=int(output * share),
        audio_seconds=heard,
    )
    cost = price_of(model(name), used, service_tier=tier)
    assert bound is not None
    assert cost is not None
    assert cost <= bound


@pytest.mark.parametrize(
    ("name", "usage", "usd"),
    [
        ("gpt-transcribe", Usage(audio_seconds=60), "0.0045"),
        ("whisper-1", Usage(audio_seconds=90), "0.009"),
        ("whisper-1", Usage(input_tokens=100, audio_seconds=60), "0.006"),
        ("gpt-6-luna", Usage(input_tokens=1000, output_tokens=100), "0.00015"),
        ("gpt-6-luna", Usage(input_tokens=1000, cached_tokens=1000), "0.00001"),
        ("gpt-6-luna", Usage(input_tokens=272_000), "0.0272"),
        ("gpt-6-luna", Usage(input_tokens=272_001), "0.0544002"),
        ("gpt-4o-transcribe", Usage(input_tokens=1000, output_tokens=100, audio_seconds=100), "0.007"),
        ("gpt-6-luna", Usage(), "0"),
    ],
)
def test_known_prices(name: str, usage: Usage, usd: str):
    """Tokens, cached tokens, long contexts and minutes of audio cost what OpenAI's price page says."""
    assert price_of(model(name), usage) == Decimal(usd)


def test_per_minute_models_are_listed_too():
    """Without a price of its own in the configuration a per-minute model is priced by the list."""
    bare = ModelConfig(model="whisper-1")
    assert price_of(bare, Usage(audio_seconds=60)) == Decimal("0.006")


@pytest.mark.parametrize("name", ["whisper-1", "gpt-transcribe"])
def test_a_per_minute_model_without_a_duration_is_not_free(name: str):
    """No duration, no price: the price list's 0.00 is not taken for one."""
    assert price_of(ModelConfig(model=name), Usage(input_tokens=1000, output_tokens=100)) is None


@pytest.mark.parametrize(
    "entry",
    [
        "llama3.2",
        {"model": "qwen3:8b", "base_url": "http://localhost:11434/v1"},
        {"model": "m", "price": {"input_usd_per_million_tokens": 1}},
    ],
)
def test_an_unknown_price_is_none(entry: Any):
    """A self-hosted model, or one with half a price, has no known price."""
    unknown = model(entry)
    assert price_of(unknown, Usage(input_tokens=10, output_tokens=1)) is None
    assert worst_price(unknown, input_tokens=10, output_tokens=1, audio_seconds=0) is None
    assert worst_nano_usd(unknown, input_tokens=10, output_tokens=1) is None


@pytest.mark.parametrize("entry", [*LISTED, "whisper-1", "gpt-transcribe", "gpt-4o-transcribe-diarize"])
def test_the_models_we_name_have_prices(entry: str):
    """A budget can be enforced on every model the documentation names."""
    assert worst_nano_usd(model(entry), input_tokens=1, output_tokens=1, audio_seconds=1) is not None


def test_an_emulator_is_priced_as_what_it_plays():
    """A known name behind an unknown address costs what the original would."""
    played = model({"model": "gpt-6-luna", "base_url": "http://127.0.0.1:8765/v1"})
    assert price_of(played, Usage(input_tokens=1000, output_tokens=100)) == Decimal("0.00015")


def test_the_address_tells_the_seller():
    """The same model costs what the seller behind the address asks."""
    groq = model({"model": "whisper-large-v3", "base_url": "https://api.groq.com/openai/v1"})
    assert price_of(groq, Usage(audio_seconds=3600)) == Decimal("0.111")
    assert price_of(model("whisper-large-v3"), Usage(audio_seconds=3600)) is None


@pytest.mark.parametrize(
    ("answered", "usd"),
    [
        ("gpt-4o-mini-2024-07-18", "0.15"),
        ("gpt-4o-2024-08-06", "2.5"),
        ("gpt-4o-2099-12-31", "2.5"),
        ("something-else", "2.5"),
    ],
)
def test_a_snapshot_has_its_own_price_if_known(answered: str, usd: str):
    """What answered is priced as itself where the list knows it, else as what was asked."""
    cost = price_of(model("gpt-4o"), Usage(input_tokens=1_000_000), answered_model=answered)
    assert cost == Decimal(usd)


@pytest.mark.parametrize(
    ("name", "tier", "usd"),
    [
        ("gpt-6-luna", "default", "0.1"),
        ("gpt-6-luna", "auto", "0.1"),
        ("gpt-6-luna", "flex", "0.05"),
        ("gpt-6-luna", "batch", "0.05"),
        ("gpt-6-luna", "priority", "0.2"),
        ("gpt-6-luna", "turbo", None),
        ("gpt-4o-transcribe", "flex", "2.5"),
        ("gpt-4o-transcribe", "priority", None),
    ],
)
def test_service_tiers(name: str, tier: str, usd: str | None):
    """Cheaper tiers are bounded by the standard price; a dearer one that is not listed is unknown."""
    cost = price_of(model(name), Usage(input_tokens=100_000), service_tier=tier)
    assert cost == (None if usd is None else Decimal(usd) / 10)


@settings(deadline=None)
@given(st.sampled_from(LISTED), TOKENS, TOKENS, st.sampled_from([None, "flex", "priority"]))
def test_the_bound_in_billionths_is_the_bound_rounded_up(
    name: str, tokens: int, output: int, tier: str | None
):
    """Whole numbers say the same as exact ones, on both sides of a step in the price."""
    entry = model(name)
    if tier:
        entry = model({"model": name, "parameters": {**entry.parameters, "service_tier": tier}})
    exact = worst_price(entry, input_tokens=tokens, output_tokens=output, audio_seconds=0)
    whole = worst_nano_usd(entry, input_tokens=tokens, output_tokens=output)
    assert whole == (None if exact is None else int((exact * 10**9).to_integral_value(ROUND_UP)))


def test_a_dearer_tier_is_in_the_bound():
    """Asking for priority raises the bound, asking for flex does not lower it."""
    luna = model("gpt-6-luna").parameters
    bounds = {
        tier: worst_price(
            model({"model": "gpt-6-luna", "parameters": {**luna, "service_tier": tier}}),
            input_tokens=1000,
            output_tokens=1000,
            audio_seconds=0,
        )
        for tier in ("flex", "default", "priority")
    }
    assert bounds["priority"] == 2 * bounds["default"]
    assert bounds["flex"] == bounds["default"]


def test_the_bound_holds_for_written_caches():
    """Writing to the cache costs a quarter more than input, so the bound has it."""
    bound = worst_price(model("gpt-6-luna"), input_tokens=1_000_000 // 4, output_tokens=0, audio_seconds=0)
    assert bound == Decimal("0.125") / 4


def test_a_price_of_ones_own_goes_first():
    """A configured price is used as it is; what it leaves out comes from the list."""
    usage = Usage(input_tokens=1_000_000, cached_tokens=500_000, output_tokens=1_000_000)
    own = {"input_usd_per_million_tokens": 1, "output_usd_per_million_tokens": 2}
    assert price_of(model({"model": "mine", "price": own}), usage) == Decimal("3")
    assert price_of(model({"model": "mine", "price": own}), usage, service_tier="odd") == Decimal("3")
    cached = own | {"cached_input_usd_per_million_tokens": "0.1"}
    assert price_of(model({"model": "mine", "price": cached}), usage) == Decimal("2.55")
    half = {"input_usd_per_million_tokens": 4}
    assert price_of(model({"model": "gpt-4o", "price": half}), usage) == Decimal("14")
    free = {"input_usd_per_million_tokens": 0, "output_usd_per_million_tokens": 0}
    assert price_of(model({"model": "mine", "price": free}), usage) == Decimal(0)
