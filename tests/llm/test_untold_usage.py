"""Usage and prices that nobody tells: counted at the most they can be, so that no budget is passed."""

from __future__ import annotations

from typing import Any

import pytest
from scripted_server import ScriptedServer, answer, scripted_server

from llm_assets.errors import BudgetExceeded
from llm_assets.llm.client import LLMClient
from llm_assets.llm.models import ClientConfig, ModelConfig
from llm_assets.llm.requests import ChatRequest, Message, TranscriptionRequest
from llm_assets.llm.sizes import worst_case

UNTOLD: dict[str, Any] = {
    "none": None,
    "empty": {},
    "null": {"prompt_tokens": None, "completion_tokens": None},
    "texts": {"prompt_tokens": "100", "completion_tokens": "10"},
    "zeros": {"prompt_tokens": 0, "completion_tokens": 0},
    "half": {"prompt_tokens": 100},
    "400 digits": {"prompt_tokens": 10**399, "completion_tokens": 10},
}


def ask(text: str) -> ChatRequest:
    return ChatRequest(key=text, messages=(Message("user", text),), max_output_tokens=50)


def config(server: ScriptedServer, *chain: str, **more: Any) -> ClientConfig:
    return ClientConfig.model_validate(
        {"chat": list(chain) or ["gpt-6-luna"], "base_url": server.base_url, **more}
    )


@pytest.mark.parametrize("usage", UNTOLD)
async def test_a_usage_that_is_not_told_counts_at_its_worst(usage: str) -> None:
    """A cap that bears four calls at their worst ends the run after four, and each row is marked."""
    worst = worst_case(ask("0"), ModelConfig.of("gpt-6-luna"))[1]
    async with scripted_server(lambda request, number: answer(usage=UNTOLD[usage])) as server:
        budget = {"tokens_per_run": 4 * worst, "when_exceeded": "stop"}
        async with LLMClient(config(server, budget=budget)) as client:
            outcomes = []
            for number in range(4):
                outcomes.append(await client.call(ask(str(number))))
            with pytest.raises(BudgetExceeded):
                await client.call(ask("one too many"))
    assert len(server.requests) == len(outcomes) == 4
    assert all(outcome.answer is not None and outcome.usage.is_estimated for outcome in outcomes)
    assert all(outcome.cost_usd for outcome in outcomes)
    assert client.metrics.snapshot().estimated_calls == 4


async def test_a_cap_in_tokens_needs_no_price() -> None:
    """A model of one's own has no price, and its tokens can be counted all the same."""
    worst = worst_case(ask("0"), ModelConfig.of("my-own-model"))[1]
    async with scripted_server() as server:
        budget = {"tokens_per_run": worst + 2 * 110, "when_exceeded": "stop"}
        async with LLMClient(config(server, "my-own-model", budget=budget)) as client:
            for number in range(3):
                assert (await client.call(ask(str(number)))).answer is not None
            with pytest.raises(BudgetExceeded, match="tokens_per_run"):
                await client.call(ask("one too many"))
    assert len(server.requests) == 3


async def test_an_unknown_price_that_is_allowed_still_reserves_its_tokens() -> None:
    """Calls at the same time hold their tokens, so that together they do not pass the cap."""
    worst = worst_case(ask("0"), ModelConfig.of("my-own-model"))[1]
    budget = {"usd_per_run": 1, "tokens_per_run": 3 * worst, "allow_unknown_prices": True}

    def script(request: dict[str, Any], number: int) -> Any:
        return answer(usage={"prompt_tokens": worst - 50, "completion_tokens": 50})

    async with scripted_server(script) as server:
        chain = config(server, "my-own-model", budget=budget | {"when_exceeded": "stop"})
        async with LLMClient(chain) as client:
            with pytest.raises(BudgetExceeded, match="tokens_per_run"):
                async for _ in client.run(ask(f"{number}") for number in range(8)):
                    pass
    assert len(server.requests) == 3


def test_the_worst_case_of_a_transcript_counts_what_is_heard() -> None:
    """Models that bill audio in tokens use more of them than the prompt has; others use none for it."""
    request = TranscriptionRequest(audio=b"", file_name="a.ogg", sha256="0", duration_seconds=60)
    assert worst_case(request, ModelConfig.of("gpt-4o-transcribe"))[1] >= 600 + 2000
    assert worst_case(request, ModelConfig.of("gpt-transcribe"))[1] == 0
