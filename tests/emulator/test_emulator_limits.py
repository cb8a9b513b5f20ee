"""Quotas over HTTP: headers, refusals, changes while it runs, and the audit of all that."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from emulator_client import StillClock

from llm_assets.errors import ConfigurationError


async def test_every_answer_tells_the_state_of_the_quota(emulated: Any, clock: StillClock) -> None:
    """Limit, remaining and reset of requests and tokens, charged at admission."""
    limits = {"requests_per_minute": 60, "tokens_per_minute": 6000}
    async with emulated(clock, limits=limits) as client:
        reply = await client.chat("x" * 400, max_tokens=300)
    told = {name: value for name, value in reply.headers.items() if name.startswith("x-ratelimit")}
    assert told == {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-reset-requests": "1s",
        "x-ratelimit-limit-tokens": "6000",
        "x-ratelimit-remaining-tokens": "5700",
        "x-ratelimit-reset-tokens": "3s",
    }


async def test_the_larger_of_limit_and_characters_is_charged(emulated: Any, clock: StillClock) -> None:
    """A short prompt costs its output limit, a long one its characters; or the sum of both by option."""
    async with emulated(clock, limits={"tokens_per_minute": 6000}) as client:
        reply = await client.chat("x" * 4000, max_tokens=300)
        assert reply.headers["x-ratelimit-remaining-tokens"] == "5000"
    async with emulated(clock, limits={"tokens_per_minute": 6000}, charged_tokens="sum") as client:
        reply = await client.chat("x" * 4000, max_tokens=300)
        assert reply.headers["x-ratelimit-remaining-tokens"] == "4700"


async def test_a_refusal_says_how_long_to_wait(emulated: Any, clock: StillClock) -> None:
    """429 with the wait in the text and in both headers; after it, the request passes."""
    async with emulated(clock, limits={"requests_per_minute": 30}, initial_level=0) as client:
        refused = await client.chat()
        assert refused.status == 429
        assert (refused.error["type"], refused.error["code"]) == ("requests", "rate_limit_exceeded")
        assert "Limit 30, Used 30, Requested 1. Please try again in 2s." in refused.error["message"]
        assert refused.headers["retry-after-ms"] == "2000"
        assert refused.headers["retry-after"] == "2"
        assert refused.headers["x-ratelimit-remaining-requests"] == "0"
        clock.seconds += 2
        assert (await client.chat()).status == 200


async def test_headers_can_be_left_out(emulated: Any, clock: StillClock) -> None:
    """No limits and no `retry-after`, as some servers and proxies do it."""
    silent = {"headers": "none", "retry_after": False}
    async with emulated(clock, limits={"requests_per_minute": 1}, **silent) as client:
        await client.chat()
        refused = await client.chat()
    assert refused.status == 429
    assert not any(name.startswith(("x-ratelimit", "retry-after")) for name in refused.headers)


@pytest.mark.parametrize(("when", "remaining"), [("admission", "9"), ("answer", "10")])
async def test_headers_tell_admission_or_answer(
    emulated: Any, clock: StillClock, when: str, remaining: str
) -> None:
    """A slow answer's headers are old, or new, by configuration: a client has to live with both."""
    latency = {"mean_seconds": 6}
    async with emulated(clock, limits={"requests_per_minute": 10}, headers=when, latency=latency) as client:
        reply = await client.chat()
    assert clock.slept == [6]
    assert reply.headers["x-ratelimit-remaining-requests"] == remaining


async def test_models_have_pools_of_their_own_unless_they_share(emulated: Any, clock: StillClock) -> None:
    """One model's empty quota does not stop another; snapshots and configured pools share."""
    limits = {"requests_per_minute": 1}
    async with emulated(clock, limits=limits, pools={"gpt-4o-mini": "gpt-4o"}) as client:
        assert (await client.chat(model="gpt-4o")).status == 200
        assert (await client.chat(model="gpt-4o-2024-08-06")).status == 429
        assert (await client.chat(model="gpt-4o-mini")).status == 429
        assert (await client.chat(model="gpt-6-luna")).status == 200


async def test_limits_change_while_it_runs(emulated: Any, clock: StillClock) -> None:
    """Over HTTP and from Python, for one model or for all; null is unlimited, what is left out stays."""
    async with emulated(clock, limits={"requests_per_minute": 100, "tokens_per_minute": 1000}) as client:
        await client.chat()
        changed = await client.post("/emulator/limits", json={"model": "gpt-4o", "requests_per_minute": 10})
        assert changed.body["quotas"]["gpt-4o"]["limits"] == {
            "requests_per_minute": 10,
            "tokens_per_minute": 1000,
        }
        assert (await client.chat()).headers["x-ratelimit-limit-requests"] == "10"
        client.emulator.change_limits(requests_per_minute=None, tokens_per_minute=None)
        assert "x-ratelimit-limit-requests" not in (await client.chat()).headers
        assert "x-ratelimit-limit-requests" not in (await client.chat(model="gpt-6-luna")).headers


@pytest.mark.parametrize("body", [{}, {"requests_per_minute": 0}, {"rpm": 5}, {"neighbour_share": 1}])
async def test_limits_that_make_no_sense_are_refused(emulated: Any, body: dict[str, Any]) -> None:
    """400 with the reason, and nothing changes."""
    async with emulated() as client:
        assert (await client.post("/emulator/limits", json=body)).status == 400


async def test_a_neighbour_can_come_and_go(emulated: Any, clock: StillClock) -> None:
    """It takes its share of the refill without any header telling so."""
    async with emulated(
        clock, limits={"requests_per_minute": 60}, initial_level=0, charge_refused="nothing"
    ) as client:
        await client.chat()
        await client.post("/emulator/limits", json={"neighbour_share": 0.5})
        clock.seconds += 1
        refused = await client.chat()
        assert refused.status == 429
        assert "try again in 1s" in refused.error["message"]
        await client.post("/emulator/limits", json={"neighbour_share": 0})
        clock.seconds += 0.5
        assert (await client.chat()).status == 200


async def test_the_audit_counts_what_was_served_refused_and_served_twice(
    emulated: Any, clock: StillClock
) -> None:
    """The same request answered twice is told by its hash; a refused one does not count as served."""
    async with emulated(clock, limits={"requests_per_minute": 3}) as client:
        for content in ("a", "b", "a", "c"):
            await client.chat(content)
        await client.chat(model="nobody")
        audit = (await client.get("/emulator/audit")).body
        assert client.emulator.audit.served_twice == 1
    model = audit["models"]["gpt-4o"]
    assert (model["received"], model["served"], model["served_twice"]) == (4, 3, 1)
    assert model["refused_by"] == {"requests_per_minute": 1}
    assert audit["turned_away"] == {"404": 1}
    (duplicate,) = audit["duplicates"]
    assert (duplicate["endpoint"], duplicate["model"], duplicate["served"]) == ("chat", "gpt-4o", 2)
    assert audit["usage"]["input_tokens"] == client.emulator.audit.usage.input_tokens > 0


async def test_the_audit_knows_the_ideal_time(emulated: Any, clock: StillClock) -> None:
    """Six requests at one a second from an empty bucket take six seconds at best."""
    async with emulated(clock, limits={"requests_per_minute": 60}, initial_level=0) as client:
        await client.chat()
        for _ in range(6):
            clock.seconds += 1
            assert (await client.chat()).status == 200
        audit = (await client.get("/emulator/audit")).body
        assert audit["quotas"]["gpt-4o"]["ideal_seconds"] == pytest.approx(6)
        assert audit["wall_seconds"] == pytest.approx(6)
        assert client.emulator.ideal_seconds == pytest.approx(6)


async def test_the_time_to_the_last_admission(emulated: Any, clock: StillClock) -> None:
    """Admitted at 0 and at 4 s, refused at 9 s, three seconds an answer: the last admission was at 4 s."""
    limits, latency = {"requests_per_minute": 2}, {"mean_seconds": 3}
    async with emulated(clock, limits=limits, latency=latency) as client:
        assert client.emulator.audit.admission_seconds == 0
        statuses: list[int] = []
        for pause in (1, 2, 0):
            statuses.append((await client.chat()).status)
            clock.seconds += pause
        audit = (await client.get("/emulator/audit")).body
    assert statuses == [200, 200, 429]
    assert audit["admission_seconds"] == pytest.approx(4)
    assert audit["wall_seconds"] == pytest.approx(9)


async def test_reset_forgets_and_refills(emulated: Any, clock: StillClock) -> None:
    """A fresh audit and full buckets, with the limits that hold now."""
    async with emulated(clock, limits={"requests_per_minute": 5}) as client:
        await client.chat()
        client.emulator.change_limits(requests_per_minute=2)
        await client.post("/emulator/reset")
        assert client.emulator.audit.received == 0
        reply = await client.chat()
        assert reply.headers["x-ratelimit-limit-requests"] == "2"
        assert reply.headers["x-ratelimit-remaining-requests"] == "1"
        assert client.emulator.audit.served_twice == 0


async def test_a_client_that_hung_up_was_not_served(emulated: Any) -> None:
    """Its answer went nowhere, so asking again is no second serving."""
    async with emulated(latency={"mean_seconds": 0.05}) as client:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.chat("a"), 0.01)
        await client.chat("b")
        await client.chat("a")
        audit = client.emulator.audit
        assert audit.snapshot()["hung_up"] == 1
        assert audit.served_twice == 0


async def test_a_port_that_is_taken_is_a_clear_error(emulated: Any) -> None:
    """It names the address and the way out."""
    async with emulated() as client:
        with pytest.raises(ConfigurationError, match="port 0 takes a free one"):
            async with emulated(port=client.emulator.port):
                pass
