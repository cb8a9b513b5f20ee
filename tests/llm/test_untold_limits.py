"""A server that refuses and tells its limits neither in headers nor to anybody."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from scripted_server import answer, error, scripted_server

from llm_assets.errors import BudgetExceeded
from llm_assets.llm.client import LLMClient
from llm_assets.llm.concurrency import Window
from llm_assets.llm.models import ClientConfig, ModelConfig
from llm_assets.llm.requests import ChatRequest, Message
from llm_assets.llm.sizes import worst_case

PER_SECOND = 100.0


def ask(text: str) -> ChatRequest:
    return ChatRequest(key=text, messages=(Message("user", text),), max_output_tokens=50)


class Untold:
    """A bucket of one second's requests. A refusal costs one too, and says when the next would pass."""

    def __init__(self) -> None:
        self.level, self.at, self.refused = PER_SECOND, time.monotonic(), 0

    def __call__(self, request: dict[str, Any], number: int) -> Any:
        now = time.monotonic()
        self.level, self.at = min(self.level + (now - self.at) * PER_SECOND, PER_SECOND), now
        if self.level >= 1:
            self.level -= 1
            return answer()
        self.refused += 1
        self.level = max(self.level - 1, 0.0)
        return error(429, "rate_limit_exceeded", "Rate limit reached. Please try again in 20ms.", "requests")


async def test_refusals_shrink_what_is_in_flight() -> None:
    """Some for finding out, and then a few; a crowd that comes back whole is refused over and over."""
    server_side = Untold()
    async with scripted_server(server_side) as server:
        config = ClientConfig.model_validate({"chat": ["my-model"], "base_url": server.base_url})
        async with LLMClient(config) as client:
            outcomes = [outcome async for outcome in client.run(ask(str(number)) for number in range(400))]
            snapshot = client.metrics.snapshot()
    assert all(outcome.answer for outcome in outcomes)
    assert server_side.refused < 1000  # some thousands otherwise
    assert snapshot.rate_limited == server_side.refused
    assert snapshot.attempts == 400 + server_side.refused


async def test_a_storm_is_seen_while_it_lasts() -> None:
    """What is sent and refused counts at once, also of calls that never end."""

    def refuse(request: dict[str, Any], number: int) -> Any:
        return error(429, "rate_limit_exceeded", "Rate limit reached. Please try again in 20ms.", "requests")

    async with scripted_server(refuse) as server:
        config = ClientConfig.model_validate({"chat": ["my-model"], "base_url": server.base_url})
        async with LLMClient(config) as client:
            call = asyncio.create_task(client.call(ask("a")))
            await server.asked(5)
            snapshot = client.metrics.snapshot()
            call.cancel()
            await asyncio.wait([call])
            after = client.metrics.snapshot()
    assert (snapshot.in_flight, snapshot.calls) == (1, 0)
    assert snapshot.attempts >= 4
    assert snapshot.rate_limited >= 4
    assert after.attempts == len(server.requests)


async def test_a_budget_that_went_for_no_answers_says_so() -> None:
    """To raise it would only lose more."""
    worst = worst_case(ask("0"), ModelConfig.of("gpt-6-luna"))[1]
    async with scripted_server(lambda request, number: {"choices": "none"}) as server:
        config = ClientConfig.model_validate(
            {
                "chat": ["gpt-6-luna"],
                "base_url": server.base_url,
                "budget": {"tokens_per_run": 3 * worst, "when_exceeded": "stop"},
                "retry": {"first_wait_seconds": 0.01, "max_wait_seconds": 0.01},
            }
        )
        async with LLMClient(config) as client:
            with pytest.raises(
                BudgetExceeded, match=r"3 requests of this client .* without a whole answer"
            ) as told:
                await client.call(ask("a"))
    assert "the last one: openai sent an answer that is no answer" in str(told.value)
    assert len(server.requests) == 3


def test_a_window_finds_the_way_back() -> None:
    """Halved once for all that were refused together; then one more for each round at the full size."""
    window = Window(256)
    for _ in range(32):
        assert window.enter_now()
    for _ in range(32):
        window.leave(refused=True)
    assert window.size == 16
    for _ in range(3):
        for _ in range(window.size):
            assert window.enter_now()
        while window.enter_now():
            pass
        for _ in range(window.size):
            window.leave(answered=True)
            window.enter_now()
        for _ in range(window.size):
            window.leave()
    assert 17 <= window.size <= 20


def test_where_limits_are_known_they_alone_hold_back() -> None:
    """A refusal is the limiter's business then."""
    window = Window(256)
    window.open()
    assert window.enter_now()
    window.leave(refused=True)
    assert window.size == 256
