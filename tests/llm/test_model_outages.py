"""An outage is waited out: no row is lost to a short one, and none that always fails blocks the others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

from scripted_server import Reply, ScriptedServer, answer, error, scripted_server

from llm_assets.clock import SystemClock
from llm_assets.errors import ServerFailed
from llm_assets.llm.client import LLMClient
from llm_assets.llm.models import ClientConfig
from llm_assets.llm.requests import ChatRequest, Message, Outcome

ATTEMPTS = 5
"""As many failures in a row as make a model cool down."""
COOL_DOWN_SECONDS = 600.0
RETRY = {"max_attempts": ATTEMPTS, "first_wait_seconds": 0.01, "max_wait_seconds": 0.02}


class Outcomes(NamedTuple):
    outcomes: list[Outcome]
    cool_downs: int


class CoolDownClock(SystemClock):
    """A cool-down ends when told, and is over for all then."""

    def __init__(self) -> None:
        self.cool_downs = 0
        self._ahead_seconds = 0.0
        self._began = asyncio.Event()
        self._is_over = asyncio.Event()

    def now(self) -> float:
        return super().now() + self._ahead_seconds

    async def sleep(self, seconds: float) -> None:
        if seconds < COOL_DOWN_SECONDS / 2:
            await super().sleep(seconds)
        else:
            self.cool_downs += 1
            self._began.set()
            await self._is_over.wait()

    async def slept(self, count: int) -> None:
        """Wait until `count` calls wait a cool-down out."""
        while self.cool_downs < count:
            self._began.clear()
            await self._began.wait()

    def pass_it(self) -> None:
        self._ahead_seconds += COOL_DOWN_SECONDS + 1
        self._is_over.set()


def ask(text: str) -> ChatRequest:
    return ChatRequest(key=text, messages=(Message("user", text),), max_output_tokens=50)


def config(base_url: str, *chain: str, cool_down_seconds: float, **retry: Any) -> ClientConfig:
    return ClientConfig.model_validate(
        {
            "chat": list(chain) or ["gpt-6-luna"],
            "base_url": base_url,
            "retry": RETRY | {"cool_down_seconds": cool_down_seconds} | retry,
        }
    )


def always_fails(request: dict[str, Any], number: int) -> Reply:
    broken = request["messages"][0]["content"].startswith("bad")
    return error(500, "server_error") if broken else answer()


async def ask_all(client: LLMClient, texts: list[str]) -> list[Outcome]:
    return [outcome async for outcome in client.run(ask(text) for text in texts)]


async def through_an_outage(server: ScriptedServer, texts: list[str], mend: Callable[[], None]) -> Outcomes:
    """All are on the wire when the server has stopped; `mend` is called once all wait the cool-down out."""
    clock = CoolDownClock()
    chain = config(server.base_url, cool_down_seconds=COOL_DOWN_SECONDS)
    async with asyncio.timeout(300), LLMClient(chain, clock=clock) as client:
        await client.call(ask("first"))
        server.gate = asyncio.Event()
        asking = asyncio.create_task(ask_all(client, texts))
        await server.asked(1 + len(texts))
        server.gate.set()
        await clock.slept(len(texts))
        mend()
        clock.pass_it()
        outcomes = await asking
    return Outcomes(outcomes, clock.cool_downs)


async def test_a_short_outage_costs_no_row() -> None:
    """Also the call that uses its attempts up first, and so finds the outage out, is answered after it."""
    is_down = True

    def script(request: dict[str, Any], number: int) -> Reply:
        return error(500, "server_error") if is_down and number > 1 else answer()

    def mend() -> None:
        nonlocal is_down
        is_down = False

    async with scripted_server(script) as server:
        outcomes, cool_downs = await through_an_outage(server, [str(number) for number in range(8)], mend)
    assert [outcome.error for outcome in outcomes] == [None] * 8
    assert max(outcome.attempts for outcome in outcomes) == ATTEMPTS + 1
    assert cool_downs == 8


async def test_rows_that_always_fail_end_after_one_cool_down() -> None:
    """They do not keep each other from their end in turn, and none is sent more than twice the attempts."""
    async with scripted_server(always_fails) as server:
        bad = [f"bad{number}" for number in range(8)]
        outcomes, cool_downs = await through_an_outage(server, bad, lambda: None)
    assert all(isinstance(outcome.error, ServerFailed) for outcome in outcomes)
    assert max(outcome.attempts for outcome in outcomes) == 2 * ATTEMPTS
    assert cool_downs == 8


async def test_a_row_that_always_fails_among_good_ones_cools_nobody_down() -> None:
    """While others are answered it is no outage: its attempts are all it gets."""
    async with (
        scripted_server(always_fails) as server,
        LLMClient(config(server.base_url, cool_down_seconds=600, max_attempts=3)) as client,
    ):
        await client.call(ask("first"))
        bad = await client.call(ask("bad"))
    assert isinstance(bad.error, ServerFailed)
    assert bad.attempts == 3


async def test_the_next_model_takes_over_from_one_that_cools_down() -> None:
    """Nobody waits for a cool-down while another model answers, nor does the call that found it out."""

    def script(request: dict[str, Any], number: int) -> Reply:
        down = number > 1 and request["model"] == "gpt-6.1-sol"
        return error(500, "server_error") if down else answer(model=request["model"])

    async with scripted_server(script) as server:
        chain = config(server.base_url, "gpt-6.1-sol", "gpt-6-luna", cool_down_seconds=600)
        async with asyncio.timeout(300), LLMClient(chain) as client:
            await client.call(ask("first"))
            outcomes = await ask_all(client, [str(number) for number in range(8)])
    assert {outcome.model for outcome in outcomes} == {"gpt-6-luna"}
    assert {outcome.fallback_reason for outcome in outcomes} == {"cooling_down"}


async def test_a_server_that_is_overloaded_for_long_costs_no_row() -> None:
    """It says itself that it is for everybody: each call waits as many cool-downs as fit its deadline."""
    rounds = 3

    def script(request: dict[str, Any], number: int) -> Reply:
        return answer() if number == 1 or number > 1 + rounds * ATTEMPTS else error(503, "overloaded")

    async with scripted_server(script) as server:
        chain = config(server.base_url, cool_down_seconds=0.2)
        async with asyncio.timeout(300), LLMClient(chain) as client:
            await client.call(ask("first"))
            outcome = await client.call(ask("patient"))
    assert outcome.error is None
    assert outcome.attempts == rounds * ATTEMPTS + 1


async def test_the_wait_for_an_overloaded_server_ends_with_the_deadline() -> None:
    """And then the call has the server's own words."""

    def script(request: dict[str, Any], number: int) -> Reply:
        return answer() if number == 1 else error(503, "overloaded")

    async with scripted_server(script) as server:
        chain = config(server.base_url, cool_down_seconds=0.2, deadline_seconds=4)
        async with asyncio.timeout(300), LLMClient(chain) as client:
            await client.call(ask("first"))
            outcome = await client.call(ask("patient"))
    assert outcome.error is not None
    assert outcome.attempts > 2 * ATTEMPTS
