"""What goes wrong on purpose looks on the wire as it does in life, and does so again with the same seed."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from llm_assets.emulator.chance import Chance
from llm_assets.emulator.config import FAULT_KINDS, Faults, Latency

SCHEMA = {
    "type": "object",
    "properties": {"summary": {"type": "string"}},
    "required": ["summary"],
    "additionalProperties": False,
}
STRICT = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA, "strict": True}}


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("server_error", 500, None),
        ("overloaded", 503, "server_is_overloaded"),
        ("slow_down", 429, "slow_down"),
        ("unauthorized", 401, "invalid_api_key"),
    ],
)
async def test_failures_with_a_body(emulated: Any, kind: str, status: int, code: str | None) -> None:
    """The status and code that OpenAI has for each, and the quota's headers all the same."""
    async with emulated(faults={kind: 1}, limits={"requests_per_minute": 9}) as client:
        reply = await client.chat()
        assert (reply.status, reply.error["code"]) == (status, code)
        assert reply.headers["x-ratelimit-remaining-requests"] == "8"
        assert client.emulator.audit.models["gpt-4o"].faulted == {kind: 1}
        assert client.emulator.audit.served == 0


async def test_a_reset_connection_gives_no_answer(emulated: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The client sees its connection die before any header; the server takes it calmly."""
    async with emulated(faults={"reset": 1}) as client:
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.chat()
    assert not caplog.records


async def test_a_truncated_body_ends_half_way(emulated: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The status is 200, the length is promised, the rest never comes; the server takes it calmly."""
    async with emulated(faults={"truncated": 1}) as client:
        with pytest.raises(aiohttp.ClientPayloadError):
            await client.chat()
        assert client.emulator.audit.served == 0
    assert not caplog.records


async def test_invalid_json_arrives_whole(emulated: Any) -> None:
    """200 and the right length, but no JSON."""
    async with emulated(faults={"invalid_json": 1}) as client:
        reply = await client.chat()
    assert reply.status == 200
    with pytest.raises(json.JSONDecodeError):
        json.loads(reply.text)


async def test_a_proxys_page_is_html(emulated: Any) -> None:
    """502 with a page where JSON was expected."""
    async with emulated(faults={"html": 1}) as client:
        reply = await client.chat()
    assert reply.status == 502
    assert reply.headers["content-type"].startswith("text/html")


async def test_useless_answers_are_answers(emulated: Any) -> None:
    """Refusal, content filter and JSON that breaks the schema are served and billed."""
    async with emulated() as client:
        replies = {
            kind: await client.chat(f"[emulator:{kind}] please", response_format=STRICT)
            for kind in ("refusal", "content_filter", "invalid_output")
        }
        assert client.emulator.audit.served == client.emulator.audit.faulted == 3
    choices = {kind: reply.body["choices"][0] for kind, reply in replies.items()}
    assert choices["refusal"]["message"]["refusal"]
    assert choices["refusal"]["message"]["content"] is None
    assert choices["content_filter"]["finish_reason"] == "content_filter"
    assert "summary" not in json.loads(choices["invalid_output"]["message"]["content"])


async def test_credit_runs_out(emulated: Any) -> None:
    """After N requests every further one is `insufficient_quota`, which waiting never mends."""
    async with emulated(insufficient_quota_after=2) as client:
        statuses = [(await client.chat(str(number))).status for number in range(3)]
        last = await client.chat("more")
    assert statuses == [200, 200, 429]
    assert last.error["type"] == last.error["code"] == "insufficient_quota"
    assert "retry-after" not in last.headers


async def test_one_model_can_be_down_while_others_work(emulated: Any) -> None:
    """For trying a model chain: faults by model go before the general ones."""
    async with emulated(faults_by_model={"gpt-6.1-sol": {"overloaded": 1}}) as client:
        assert (await client.chat(model="gpt-6.1-sol")).status == 503
        assert (await client.chat(model="gpt-6-luna")).status == 200


async def _fates(emulated: Any, order: list[int], seed: int) -> dict[int, list[int]]:
    fates: dict[int, list[int]] = {}
    async with emulated(faults={"server_error": 0.3, "overloaded": 0.2}, seed=seed) as client:
        for number in order:
            fates.setdefault(number, []).append((await client.chat(f"question {number}")).status)
    return fates


async def test_the_same_seed_brings_the_same_faults_in_any_order(emulated: Any) -> None:
    """A request's fate follows from the seed, its content and the number of the try."""
    order = [*range(20), *range(20)]
    first = await _fates(emulated, order, seed=1)
    assert await _fates(emulated, list(reversed(order)), seed=1) == first
    assert await _fates(emulated, order, seed=2) != first
    assert any(fate[0] != fate[1] for fate in first.values())


def test_shares_come_true() -> None:
    """Of 20,000 requests, the share that meets a fault is the share that was asked for."""
    shares = Faults(server_error=0.02, reset=0.01).shares()
    met = [Chance(0, str(number).encode(), 1).fault(shares) for number in range(20_000)]
    assert met.count("server_error") == pytest.approx(400, abs=60)
    assert met.count("reset") == pytest.approx(200, abs=45)


@pytest.mark.parametrize("kind", ["constant", "exponential", "log-normal"])
def test_latencies_have_the_mean_that_was_asked_for(kind: Any) -> None:
    """Over many requests, whatever the distribution."""
    latency = Latency(kind=kind, mean_seconds=2.0, sigma=0.8)
    drawn = [Chance(0, str(number).encode(), 1).latency_seconds(latency) for number in range(20_000)]
    assert sum(drawn) / len(drawn) == pytest.approx(2.0, rel=0.03)
    assert min(drawn) >= 0


@given(st.lists(st.sampled_from(FAULT_KINDS), unique=True, min_size=1))
def test_shares_together_are_at_most_one(kinds: list[str]) -> None:
    """More than all requests cannot go wrong."""
    each = 1 / len(kinds)
    assert Faults(**dict.fromkeys(kinds, each)).shares()
    if len(kinds) > 1:
        with pytest.raises(ValidationError):
            Faults(**dict.fromkeys(kinds, each * 1.5))
