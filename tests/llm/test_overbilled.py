"""A server that bills more than its price list says: a cap is passed by what was in flight, and no more."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from scripted_server import ScriptedServer, answer, scripted_server

from llm_assets.errors import BudgetExceeded
from llm_assets.llm.client import LLMClient
from llm_assets.llm.ledger import Spending
from llm_assets.llm.models import ClientConfig, ModelConfig
from llm_assets.llm.overbilled import Overbilled
from llm_assets.llm.requests import ChatRequest, Message, TranscriptionRequest
from llm_assets.llm.sizes import worst_case

MODEL = "gpt-transcribe"
IN_FLIGHT = 16
HEARD_SECONDS, BILLED_SECONDS = 8.0, 13
amounts = some.integers(1, 10**12)


def hear(number: int, seconds: float = HEARD_SECONDS) -> TranscriptionRequest:
    return TranscriptionRequest(
        audio=b"audio",
        file_name="call.ogg",
        sha256=f"{number:064x}",
        duration_seconds=seconds,
        key=str(number),
    )


def ask(number: int) -> ChatRequest:
    return ChatRequest(key=str(number), messages=(Message("user", str(number)),), max_output_tokens=50)


def config(server: ScriptedServer, **more: Any) -> ClientConfig:
    return ClientConfig.model_validate(
        {
            "chat": ["gpt-6-luna"],
            "transcription": [MODEL],
            "base_url": server.base_url,
            "max_concurrency": IN_FLIGHT,
            **more,
        }
    )


def heard(seconds: float) -> dict[str, Any]:
    return {"text": "hello", "usage": {"type": "duration", "seconds": seconds}}


async def spend_all(client: LLMClient, requests: list[Any]) -> None:
    with pytest.raises(BudgetExceeded):
        async for _ in client.run(requests):
            pass


async def test_a_cap_is_passed_by_what_was_in_flight_at_the_first_answer() -> None:
    """The first answers come together; from then on as much is reserved as is billed."""
    said: list[str] = []
    cost = Decimal(BILLED_SECONDS) * await price_of_a_second()
    reserved = Decimal(worst_case(hear(0), ModelConfig.of(MODEL))[0] or 0) / 10**9
    cap = cost * 100
    async with scripted_server(lambda request, number: heard(BILLED_SECONDS)) as server:
        budget = {"usd_per_day": str(cap), "when_exceeded": "stop"}
        async with LLMClient(config(server, budget=budget), warn=said.append) as client:
            await spend_all(client, [hear(number) for number in range(300)])
        spent = client.metrics.snapshot().spent_usd
    assert spent == len(server.requests) * cost
    assert cap - 2 * cost < spent <= cap + IN_FLIGHT * (cost - reserved)
    assert 1 <= client.metrics.snapshot().overbilled_calls <= IN_FLIGHT
    warnings = [message for message in said if "bills more" in message]
    assert len(warnings) == 1
    assert f"{MODEL} bills more" in warnings[0]


async def price_of_a_second() -> Decimal:
    async with scripted_server(lambda request, number: heard(1)) as server:
        async with LLMClient(config(server)) as client:
            outcome = await client.call(hear(0))
    assert outcome.cost_usd is not None
    return outcome.cost_usd


async def test_calls_that_already_wait_reserve_what_is_billed() -> None:
    """Who waited for a place while the first answer came reserves by it too, though asked before."""
    # After two calls more is left than the third one should cost, and less than it does.
    cap = Decimal(2 * BILLED_SECONDS + HEARD_SECONDS + 3) * await price_of_a_second()
    async with scripted_server(lambda request, number: heard(BILLED_SECONDS)) as server:
        server.gate = asyncio.Event()
        budget = {"usd_per_run": str(cap), "when_exceeded": "stop"}
        settings = config(server, budget=budget, max_concurrency=1)
        async with LLMClient(settings) as client:
            calls = [asyncio.create_task(client.call(hear(number))) for number in range(4)]
            await server.asked(1)
            server.gate.set()
            ended = await asyncio.gather(*calls, return_exceptions=True)
    assert len(server.requests) == 2
    assert sum(isinstance(each, BudgetExceeded) for each in ended) == 2


async def test_a_chat_that_uses_more_than_it_may_is_learnt_from_too() -> None:
    """A server that minds no output limit; the tokens of the next calls are reserved as they come."""
    worst = worst_case(ask(100), ModelConfig.of("gpt-6-luna"))[1]
    usage = {"prompt_tokens": 100, "completion_tokens": 2 * worst - 100}
    async with scripted_server(lambda request, number: answer(usage=usage)) as server:
        budget = {"tokens_per_run": 20 * worst, "when_exceeded": "stop"}
        async with LLMClient(config(server, budget=budget)) as client:
            await client.call(ask(100))
            await spend_all(client, [ask(number) for number in range(101, 200)])
    assert len(server.requests) == 10
    assert client.metrics.snapshot().overbilled_calls == 1


@pytest.mark.parametrize("billed_seconds", [7.6, 8, 9])
async def test_whole_seconds_and_one_more_are_no_surprise(billed_seconds: float) -> None:
    """Rounded up, or measured a little longer: reserved from the first call on, and nobody is warned."""
    said: list[str] = []
    async with scripted_server(lambda request, number: heard(billed_seconds)) as server:
        async with LLMClient(config(server, budget={"usd_per_run": 1}), warn=said.append) as client:
            outcome = await client.call(hear(0, 7.6))
    assert outcome.answer is not None
    assert (said, client.metrics.snapshot().overbilled_calls) == ([], 0)


@given(bills=some.lists(some.tuples(amounts, amounts), min_size=1, max_size=6))
def test_what_was_billed_once_is_reserved_ever_after(bills: list[tuple[int, int]]) -> None:
    """Enough for every call that was seen; other models are left alone."""
    overbilled = Overbilled()
    for worst, billed in bills:
        overbilled.learn("a", Spending(worst, 0), Spending(max(billed, worst), 5))
    for worst, billed in bills:
        reserved = overbilled.most("a", Spending(worst, 0))
        assert reserved.nano_usd >= max(billed, worst)
        assert reserved.tokens == 0
    assert overbilled.most("b", Spending(7, 8)) == Spending(7, 8)
